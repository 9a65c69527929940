"""Plain text: the flow of a document, a blank line between blocks, tables as rows parted by tabs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docpipe.document import MoleculeContent, ScoreContent, TableContent
from docpipe.export.atomic import write_whole
from docpipe.export.flow import DEEPEST_LIST, Block, Item, PageLost, flow
from docpipe.export.json import Pages
from docpipe.export.runs import clean, one_line, text_of
from docpipe.export.tables import grid, lost_texts, trusted
from docpipe.source import SourceRef

FILE = "document.txt"


def render(document: Pages) -> Iterator[str]:
    """The document as pieces of text."""
    last = ""
    for item in flow(document.pages):
        if text := _block(item):
            kind = item.kind if isinstance(item, Block) else ""
            tight = kind == last == "list_item"
            yield ("\n" if last and not tight else "") + text + "\n"
            last = kind or "page"


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:  # noqa: ARG001
    """Write document.txt. Raises DP401."""
    return [write_whole(folder / FILE, render(document))]


def _block(item: Item) -> str:
    if isinstance(item, PageLost):
        return f"[{item.notice}]"
    if not isinstance(item, Block):
        return ""
    notice = f"[{item.notice}]" if item.notice else ""
    return "\n".join(part for part in (_content(item), notice, one_line(text_of(item.caption_runs))) if part)


def _content(block: Block) -> str:
    content = block.content
    if block.unread is not None:
        return ""
    if isinstance(content, TableContent):
        rows = ["\t".join(row).rstrip() for row in grid(trusted(content))]
        return "\n".join([*rows, *lost_texts(content)])
    if isinstance(content, MoleculeContent):
        return one_line(content.smiles)
    if isinstance(content, ScoreContent):
        return clean(content.kern).strip("\n")
    if not block.is_read:
        return f"[{block.alternative}]"
    if block.kind == "code":
        return block.text
    mark = "" if block.kind != "list_item" else f"{block.ordinal}. " if block.ordinal is not None else "- "
    indent = "  " * min(block.level - 1, DEEPEST_LIST) if mark else ""
    note = f"[{block.note.split('-', 1)[-1]}] " if block.note else ""
    # A reference to a footnote would run into the word that it stands at.
    said = "".join(f"[{run.text.strip()}]" if run.note else run.text for run in block.runs)
    return f"{indent}{mark}{note}{one_line(said)}"
