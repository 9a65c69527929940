"""HTML: one accessible page that needs nothing else: language, landmarks, headings in order, table headers, alt text.

Recognised text is escaped and tables are written anew from their cells, so nothing that was read becomes markup.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby
from pathlib import Path

from docpipe.document import MoleculeContent, ScoreContent, TableContent
from docpipe.export.atomic import write_whole
from docpipe.export.flow import FIGURES, Item, alt_text, flow, unread
from docpipe.export.json import Pages
from docpipe.source import SourceRef

FILE = "document.html"

STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.55 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 0.5rem 0; }
th, td { border: 1px solid #8888; padding: 0.2rem 0.5rem; text-align: left; vertical-align: top; }
caption, figcaption { font-size: 0.9rem; text-align: left; padding: 0.3rem 0; }
figure { margin: 1.2rem 0; overflow-x: auto; }
pre { overflow-x: auto; border: 1px solid #8888; padding: 0.6rem; }
aside { font-size: 0.85rem; border-top: 1px solid #8888; }
.unread { font-style: italic; }
"""


def render(document: Pages) -> Iterator[str]:
    """The document as pieces of one HTML page."""
    metadata = document.metadata
    title = escape(shown(metadata.title or document.source.name))
    language = escape(metadata.language or "und", quote=True)
    yield f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
    titled = False
    for kind, items in groupby(flow(document), key=lambda item: _grouped(item.region.kind)):
        if kind == "list":
            yield from _list(list(items))
            continue
        for item in items:
            if item.region.kind == "title" and not titled:
                titled = True
            elif not titled:
                titled = True
                yield f"<h1>{title}</h1>\n"
            yield _block(item)
    yield "</main>\n</body>\n</html>\n"


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:  # noqa: ARG001
    """Write document.html. Raises DP401."""
    return [write_whole(folder / FILE, render(document))]


def shown(text: str) -> str:
    """Text without the control characters that HTML has no place for."""
    return "".join(
        c for c in text if c in "\t\n" or (c >= " " and not "\x7f" <= c <= "\x9f" and not "\ud800" <= c <= "\udfff")
    )


def _grouped(kind: str) -> str:
    return "list" if kind == "list_item" else "block"


def _list(items: list[Item]) -> Iterator[str]:
    """List items as nested lists by their levels; their own markers are kept as text."""
    depth = 0
    for item in items:
        level = max(1, item.region.level or 1)
        if level <= depth:
            yield "</li>\n" + "</ul></li>\n" * (depth - level)
        while depth < level:
            yield '<ul style="list-style: none">\n' + ("<li>" if depth + 1 < level else "")
            depth += 1
        depth = level
        yield f'<li id="{escape(item.region.id, quote=True)}">{escape(shown(item.text))}'
    yield "</li></ul>\n" * depth if depth == 1 else "</li></ul>" * depth + "\n"


def _block(item: Item) -> str:
    region = item.region
    content = region.reading.content if region.reading else None
    name = f'id="{escape(region.id, quote=True)}"'
    said = unread(region)
    caption = escape(shown(item.caption)) if item.caption else ""
    if isinstance(content, TableContent):
        return _table(content, name, caption)
    if region.kind in FIGURES or said is not None:
        return _figure(item, name, caption, said)
    text = escape(shown(item.text))
    if not text:
        return ""
    if region.kind == "title":
        return f"<h1 {name}>{text}</h1>\n"
    if region.kind == "heading":
        level = min(6, 1 + (region.level or 1))
        return f"<h{level} {name}>{text}</h{level}>\n"
    if region.kind == "code":
        return f"<pre {name}><code>{text}</code></pre>\n"
    if region.kind == "footnote":
        return f'<aside {name} role="note"><p>{text}</p></aside>\n'
    return f"<p {name}>{text}</p>\n"


def _figure(item: Item, name: str, caption: str, said: str | None) -> str:
    content = item.region.reading.content if item.region.reading else None
    if said is not None:
        body = f'<p class="unread">{escape(shown(said))}</p>'
    elif isinstance(content, MoleculeContent):
        label = f"Molecule {content.formula or ''}".strip()
        body = f'<p>{escape(label)}: <code data-type="smiles">{escape(shown(content.smiles))}</code></p>'
    elif isinstance(content, ScoreContent):
        body = f'<pre data-type="kern" aria-label="Music as **kern">{escape(shown(content.kern))}</pre>'
    elif item.text and item.region.kind == "formula":
        body = f"<p>{escape(shown(item.text))}</p>"
    else:
        body = f'<div role="img" aria-label="{escape(shown(alt_text(item)), quote=True)}"></div>'
    foot = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f"<figure {name}>{body}{foot}</figure>\n"


def _table(table: TableContent, name: str, caption: str) -> str:
    """A table from its cells: header cells with their scope, so that a screen reader can name rows and columns."""
    head = table.header_rows()
    rows: list[list[str]] = [[] for _ in range(table.rows)]
    for cell in sorted(table.cells, key=lambda c: (c.row, c.column)):
        spans = f' rowspan="{cell.row_span}"' if cell.row_span > 1 else ""
        spans += f' colspan="{cell.column_span}"' if cell.column_span > 1 else ""
        tag = "th" if cell.header else "td"
        scope = ""
        if cell.header:
            group = "group" if (cell.column_span if cell.row < head else cell.row_span) > 1 else ""
            scope = f' scope="{"col" if cell.row < head else "row"}{group}"'
        rows[cell.row].append(f"<{tag}{scope}{spans}>{escape(shown(cell.text))}</{tag}>")
    lines = ["<tr>" + "".join(row) + "</tr>" for row in rows]
    top = f"<thead>{''.join(lines[:head])}</thead>" if head else ""
    title = f"<caption>{caption}</caption>" if caption else ""
    return f"<table {name}>{title}{top}<tbody>{''.join(lines[head:])}</tbody></table>\n"
