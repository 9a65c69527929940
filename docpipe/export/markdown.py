"""Markdown (GitHub's): headings by level, nested lists, tables as GFM where they have no spans and as HTML otherwise.

Recognised text is escaped, so that nothing in it becomes markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from docpipe.document import MoleculeContent, ScoreContent, TableContent
from docpipe.export.atomic import write_whole
from docpipe.export.flow import FIGURES, Item, alt_text, flow, unread
from docpipe.export.json import Pages
from docpipe.notation.html import to_html
from docpipe.source import SourceRef

FILE = "document.md"

_INLINE = re.compile(r"([\\`*_\[\]<>|~$])")
_LINE_START = re.compile(r"^(\s*)(#{1,6}(?=\s)|[-+>=](?=\s|$)|-{3,}|={3,}|\d{1,9}[.)](?=\s))", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BULLET = re.compile(r"^[•◦▪‣·∙●○–—*-]\s+")
_NUMBER = re.compile(r"^\(?([\da-zA-Z]{1,4})[.)]\s+")


def render(document: Pages) -> Iterator[str]:
    """The document as pieces of markdown, a block each."""
    last = ""
    for item in flow(document):
        block = _block(item)
        if not block:
            continue
        # Items of one list stand close together.
        tight = last == item.region.kind == "list_item"
        yield ("" if not last else "\n" if tight else "\n\n") + block
        last = item.region.kind
    yield "\n" if last else ""


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:  # noqa: ARG001
    """Write document.md. Raises DP401."""
    return [write_whole(folder / FILE, render(document))]


def escaped(text: str) -> str:
    """Text as markdown that shows it as it is."""
    shown = _INLINE.sub(r"\\\1", _CONTROL.sub(" ", text))
    return _LINE_START.sub(lambda m: m[1] + _guarded(m[2]), shown)


def _guarded(mark: str) -> str:
    return mark[:-1] + "\\" + mark[-1] if mark[-1] in ".)" else "\\" + mark


def _block(item: Item) -> str:
    region, content = item.region, item.region.reading.content if item.region.reading else None
    said = unread(region)
    if isinstance(content, TableContent):
        return _captioned(_table(content), item)
    if isinstance(content, MoleculeContent):
        return _captioned(f"Molecule: {_code(content.smiles)}", item)
    if isinstance(content, ScoreContent):
        return _captioned(_fenced(content.kern, "kern"), item)
    if region.kind in FIGURES and said is None and not (region.kind == "formula" and item.text):
        return _captioned(f"*{escaped(alt_text(item))}*" if not item.caption else f"[{region.kind}]", item)
    if said is not None:
        return _captioned(escaped(said), item)
    return _text(item)


def _text(item: Item) -> str:
    kind, text = item.region.kind, item.text
    if not text:
        return ""
    if kind == "title":
        return f"# {escaped(' '.join(text.split()))}"
    if kind == "heading":
        return "#" * min(6, 1 + (item.region.level or 1)) + f" {escaped(' '.join(text.split()))}"
    if kind == "list_item":
        indent = "   " * ((item.region.level or 1) - 1)
        if match := _NUMBER.match(text):
            mark = f"{match[1]}." if match[1].isdigit() else "-"
            shown = text[match.end() :] if match[1].isdigit() else text
            return f"{indent}{mark} {escaped(shown)}"
        return f"{indent}- {escaped(_BULLET.sub('', text))}"
    if kind == "code":
        return _fenced(text, "")
    if kind == "footnote":
        return f"<small>{escaped(text)}</small>"
    if kind == "caption":
        return f"*{escaped(text)}*"
    return escaped(text)


def _captioned(block: str, item: Item) -> str:
    return f"{block}\n\n*{escaped(item.caption)}*" if item.caption else block


def _fenced(text: str, language: str) -> str:
    text = _CONTROL.sub(" ", text)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _code(text: str) -> str:
    fence = "`" * (1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{fence}{text}{fence}"


def _table(table: TableContent) -> str:
    plain = all(c.row_span == c.column_span == 1 for c in table.cells) and table.header_rows() == 1
    if not plain:
        return to_html(table.rows, table.columns, table.cells)
    rows: list[list[str]] = [["" for _ in range(table.columns)] for _ in range(table.rows)]
    for cell in table.cells:
        rows[cell.row][cell.column] = escaped(" ".join(cell.text.split()))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * table.columns, *lines[1:]])
