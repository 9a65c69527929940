"""Plain text: the flow of a document, a blank line between blocks, tables as rows parted by tabs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docpipe.document import TableContent
from docpipe.export.atomic import write_whole
from docpipe.export.flow import FIGURES, Item, alt_text, flow, unread
from docpipe.export.json import Pages
from docpipe.source import SourceRef

FILE = "document.txt"


def render(document: Pages) -> Iterator[str]:
    """The document as pieces of text, a block each."""
    for number, item in enumerate(item for item in flow(document) if _block(item)):
        yield ("\n\n" if number else "") + _block(item)
    yield "\n"


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:  # noqa: ARG001
    """Write document.txt. Raises DP401."""
    return [write_whole(folder / FILE, render(document))]


def _block(item: Item) -> str:
    content = item.region.reading.content if item.region.reading else None
    said = unread(item.region)
    if isinstance(content, TableContent):
        body = table_rows(content)
        text = "\n".join("\t".join(" ".join(cell.split()) for cell in row) for row in body)
    elif said is not None:
        text = said
    elif item.region.kind in FIGURES and not item.text:
        text = "" if item.caption else f"[{alt_text(item)}]"
    else:
        text = item.text
    return f"{text}\n{item.caption}".strip() if item.caption else text


def table_rows(table: TableContent) -> list[list[str]]:
    """A table's texts by row and column; a spanning cell's stands at its top left corner alone."""
    rows = [["" for _ in range(table.columns)] for _ in range(table.rows)]
    for cell in table.cells:
        rows[cell.row][cell.column] = cell.text
    return rows
