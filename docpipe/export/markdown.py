"""Markdown (GitHub's): headings by level, nested lists, tables as GFM where they have no spans and as HTML otherwise.

Recognised text is escaped, so that nothing in it becomes markup. A molecule stands as a fence of SMILES, a score as a
fence of **kern, a figure as a link to its crop with its alternative text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from docpipe.document import MoleculeContent, ScoreContent, TableContent
from docpipe.export.atomic import write_whole
from docpipe.export.crops import figure_link, pictured
from docpipe.export.flow import DEEPEST_LIST, Block, Item, PageLost, PageStart, flow, is_pictured
from docpipe.export.json import Pages
from docpipe.export.runs import Run, clean, one_line, text_of
from docpipe.export.tables import grid, has_spans, lost_texts, trusted
from docpipe.source import SourceRef

FILE = "document.md"

_INLINE = re.compile(r"[\\`*\[\]<>~|]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|\$(?=.*\$)|(?<=\$.)\$")
"""What would be markup inside a line. An underscore within a word is none, nor is a lone dollar."""

_LINE_START = re.compile(r"^(#{1,6}(?=\s|$)|[-+](?=\s|$)|-{2,}|=+\s*$|:?-+:?$|\d{1,9}[.)](?=\s|$))")
"""What would be markup at the start of a line."""


def render(document: Pages, links: Collection[str] | None = None) -> Iterator[str]:
    """The document as pieces of markdown. links: the crops that there are ("crops/p1.r3.png"); None: all of them."""
    first = True
    told = (item for item in flow(document.pages) if not isinstance(item, PageStart))
    for is_list, items in groupby(told, key=_is_list_item):
        for block in [_list(items)] if is_list else map(partial(_block, links=links), items):
            if block:
                yield ("" if first else "\n") + block + "\n"
                first = False


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:
    """Write document.md, and the crops that it links to when the source is given. Raises DP401."""
    return [write_whole(folder / FILE, render(document, pictured(document, folder, source)))]


def escaped(text: str) -> str:
    """Text as one line of markdown that shows it as it is, at the start of a line or within one."""
    shown = _INLINE.sub(lambda m: "\\" + m[0], one_line(text))
    return _LINE_START.sub(lambda m: _guarded(m[1]), shown)


def _guarded(mark: str) -> str:
    return mark[:-1] + "\\" + mark[-1] if mark[-1] in ".)" else "\\" + mark


def _inline(runs: Sequence[Run]) -> str:
    """Runs as one line: super- and subscripts as tags, a footnote's mark as a reference to it."""
    parts = []
    for run in runs:
        # Within a line only: what would be markup at its start is guarded once, below.
        text = _INLINE.sub(lambda m: "\\" + m[0], clean(run.text))
        tag = "sup" if "superscript" in run.style else "sub" if "subscript" in run.style else ""
        if run.note is not None:
            text = f"[^{run.note}]"
        elif tag and text.strip():
            text = f"<{tag}>{text}</{tag}>"
        parts.append(text)
    return _LINE_START.sub(lambda m: _guarded(m[1]), " ".join("".join(parts).split()))


def _is_list_item(item: Item) -> bool:
    return isinstance(item, Block) and item.kind == "list_item" and item.unread is None


def _list(items: Iterable[Item]) -> str:
    """List items, each as deep as its level says but never more than one step deeper than the one before."""
    lines = []
    indents = [0]
    for item in items:
        if not isinstance(item, Block):
            continue
        depth = min(item.level - 1, len(indents) - 1, DEEPEST_LIST)
        mark = "-" if item.ordinal is None else f"{item.ordinal}."
        lines.append(" " * indents[depth] + f"{mark} {_inline(item.runs)}{_doubt(item)}")
        indents[depth + 1 :] = [indents[depth] + len(mark) + 1]
    return "\n".join(lines)


def _block(item: Item, links: Collection[str] | None) -> str:
    if isinstance(item, PageLost):
        return _noted(item.notice)
    if not isinstance(item, Block):
        return ""
    parts = [_picture(item, links), _content(item)]
    if caption := item.caption_runs:
        parts.append(f"*{_inline(caption)}*")
    return "\n\n".join(part for part in parts if part)


def _picture(block: Block, links: Collection[str] | None) -> str:
    """The link to a figure's crop; where there is none, its words."""
    region = block.regions[0]
    if not is_pictured(region):
        return ""
    link = figure_link(region.id)
    if links is None or link in links:
        return f"![{escaped(block.alternative)}]({link})"
    return _noted(block.alternative) if block.notice is None and not block.is_read else ""


def _content(block: Block) -> str:
    content, notice = block.content, _noted(block.notice) if block.notice else ""
    if block.unread is not None:
        return notice
    if isinstance(content, TableContent):
        body = _table(content)
    elif isinstance(content, MoleculeContent):
        label = "**Molecule**" + (f" {escaped(content.formula)}" if content.formula else "")
        body = f"{label}\n\n{_fenced(content.smiles, 'smiles')}"
    elif isinstance(content, ScoreContent):
        body = f"**Score**\n\n{_fenced(content.kern, 'kern')}"
    else:
        body = _text(block)
    return f"{body}\n\n{notice}" if notice and body else body or notice


def _text(block: Block) -> str:
    if block.kind == "code":
        return _fenced(text_of(block.runs), "")
    line = _inline(block.runs)
    if not line:
        return ""
    if block.kind in {"title", "heading"}:
        level = 1 if block.kind == "title" else min(6, 1 + block.level)
        return "#" * level + " " + re.sub(r"(#+)$", r"\\\1", line)
    if block.kind == "footnote" and block.note is not None:
        return f"[^{block.note}]: {line}"
    return f"*{line}*" if block.kind == "caption" else line


def _noted(notice: str) -> str:
    return f"\\[{escaped(notice)}\\]"


def _doubt(block: Block) -> str:
    return f" {_noted(block.notice)}" if block.notice else ""


def _fenced(text: str, language: str) -> str:
    text = clean(text).strip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _table(content: TableContent) -> str:
    """A table as GFM, its first row the head (an empty one where it has none); with spans or a higher head as HTML."""
    table = trusted(content)
    if not table.cells:
        return ""
    if has_spans(table) or table.header_rows() > 1:
        body = table.html  # one line of escaped text and plain tags: nothing in it ends the HTML block
    else:
        rows = [[escaped(text) for text in row] for row in grid(table)]
        head = rows.pop(0) if table.header_rows() else [""] * table.columns
        lines = ["| " + " | ".join(row) + " |" for row in (head, *rows)]
        body = "\n".join([lines[0], "|" + " --- |" * table.columns, *lines[1:]])
    lost = [escaped(text) for text in lost_texts(content)]
    return body + ("\n\n" + _noted("cells without a place: ") + " " + "; ".join(lost) if lost else "")
