"""HTML: one accessible page that needs nothing else: language, landmarks, headings in order, table heads, alt texts.

Recognised text is escaped and tables are written anew from their cells, so nothing that was read becomes markup; there
are no scripts, and the page's own content security policy lets none run and nothing be fetched. Headings step down by
one level at most (WCAG 2.2, technique G141), table heads carry their scope (H63), notes and page breaks their
digital publishing roles (DPUB-ARIA 1.1).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from docpipe.document import Metadata, MoleculeContent, ScoreContent, Section, TableContent
from docpipe.export.atomic import write_whole
from docpipe.export.crops import Pixels, encoded, file_name, pixels_of, upright
from docpipe.export.flow import DEEPEST_LIST, Block, PageLost, PageStart, flow, is_pictured
from docpipe.export.json import Pages
from docpipe.export.runs import Run, clean, one_line
from docpipe.export.tables import lost_texts, trusted
from docpipe.source import SourceRef

FILE = "document.html"
DPI = 150.0

STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.55 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border: 1px solid #8888; padding: 0.2rem 0.5rem; text-align: left; vertical-align: top; }
thead th { background: #8882; }
caption, figcaption, .caption { font-size: 0.9rem; text-align: left; padding: 0.3rem 0; }
figure { margin: 1.2rem 0; overflow-x: auto; }
img { max-width: 100%; height: auto; background: white; }
pre { overflow-x: auto; border: 1px solid #8888; padding: 0.6rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.1rem 0.8rem; margin: 0.4rem 0; }
dd { margin: 0; overflow-wrap: anywhere; }
[role=doc-footnote] { font-size: 0.85rem; border-top: 1px solid #8888; }
[role=doc-pagebreak] { font-size: 0.75rem; opacity: 0.75; text-align: right; border-top: 1px dotted #8888; }
.notice { font-style: italic; border-left: 3px solid #c60; padding-left: 0.6rem; }
"""

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_DEEPEST_NAV = 4


def render(document: Pages, pixels: Pixels | None = None) -> Iterator[str]:
    """The document as pieces of one HTML page. pixels: where figures are cut from, to stand in the page itself."""
    metadata = document.metadata
    title = shown(one_line(metadata.title or "") or one_line(document.source.name) or "Document")
    # An empty lang says that the language is unknown.
    language = shown(metadata.language or "") if _LANGUAGE.fullmatch(metadata.language or "") else ""
    yield f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
    yield from _contents(metadata)
    yield "<main>\n"
    first = next(iter(document.pages), None)
    page = _Writer(pixels, titled=first is not None and any(r.kind == "title" for r in first.regions))
    if not page.titled:
        yield f"<h1>{title}</h1>\n"
    for is_list, items in groupby(flow(document.pages), key=_is_list_item):
        if is_list:
            yield page.listed([item for item in items if isinstance(item, Block)])
            continue
        for item in items:
            if isinstance(item, PageStart):
                yield f'<div role="doc-pagebreak" id="page-{item.number}">page {item.number}</div>\n'
            elif isinstance(item, PageLost):
                yield f'<p class="notice">[{shown(item.notice)}]</p>\n'
            else:
                yield page.block(item)
    yield "</main>\n</body>\n</html>\n"


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:
    """Write document.html, figures in it when the source is given. Raises DP401."""
    pixels = pixels_of(source, DPI) if source is not None else None
    return [write_whole(folder / FILE, render(document, pixels))]


def shown(text: str) -> str:
    """Text as HTML shows it, in an element or an attribute."""
    return escape(clean(text), quote=True)


def _is_list_item(item: object) -> bool:
    return isinstance(item, Block) and item.kind == "list_item" and item.unread is None


def _contents(metadata: Metadata) -> str:
    """The section tree as a landmark for navigation, when there is more than one section."""
    sections = metadata.sections
    if len(sections) + sum(len(s.sections) for s in sections) < 2:
        return ""
    return f'<nav aria-label="Contents">\n{_section_list(sections, 1)}</nav>\n'


def _section_list(sections: Sequence[Section], depth: int) -> str:
    rows = []
    for section in sections:
        below = _section_list(section.sections, depth + 1) if section.sections and depth < _DEEPEST_NAV else ""
        title = shown(one_line(section.title)) or "untitled"
        rows.append(f'<li><a href="#{file_name(section.region)}">{title}</a>{below}</li>\n')
    return f"<ul>\n{''.join(rows)}</ul>\n"


_TAGS = (("superscript", "sup"), ("subscript", "sub"), ("bold", "b"), ("italic", "i"), ("monospace", "code"))


def inline(runs: Sequence[Run]) -> str:
    """Runs as HTML: their styles as tags, a footnote's mark as a link to it."""
    parts = []
    for run in runs:
        text = shown(run.text)
        if run.note is not None:
            text = f'<a role="doc-noteref" href="#note-{run.note}">{text}</a>'
        if run.text.strip():
            for style, tag in _TAGS:
                if style in run.style:
                    text = f"<{tag}>{text}</{tag}>"
        parts.append(text)
    return "".join(parts)


class _Writer:
    """Writes blocks; keeps where it stands among the headings."""

    def __init__(self, pixels: Pixels | None, titled: bool) -> None:
        self._pixels = pixels
        self.titled = titled
        self._title_written = not titled
        self._level = 1

    def block(self, block: Block) -> str:
        name = f'id="{file_name(block.id)}"' + _language(block)
        notice = f'<p class="notice">[{shown(block.notice)}]</p>\n' if block.notice else ""
        caption = inline(block.caption_runs)
        content = block.content
        if isinstance(content, TableContent) and block.unread is None:
            return table_html(content, name, caption) + notice
        if is_pictured(block.regions[0]) or (caption and block.kind != "caption"):
            body = self._picture(block) + self._figure_body(block) + notice
            foot = f"<figcaption>{caption}</figcaption>\n" if caption else ""
            return f"<figure {name}>\n{body}{foot}</figure>\n"
        text = inline(block.runs)
        return (self._text(block, name, text) if text else "") + notice

    def _picture(self, block: Block) -> str:
        """A figure's pixels with its words, or its words alone."""
        alternative = shown(block.alternative)
        region = block.regions[0]
        if not is_pictured(region):
            return ""
        image = upright(block.page, region, self._pixels) if self._pixels is not None else None
        if image is None:
            return f"<p>[{alternative}]</p>\n" if block.notice is None and not block.is_read else ""
        png, jpeg = encoded(image), encoded(image, "JPEG")
        # Drawings are sharper as PNG and mostly smaller, photos several times smaller as JPEG.
        form, data = ("jpeg", jpeg) if len(jpeg) < 0.5 * len(png) else ("png", png)
        source = f"data:image/{form};base64,{base64.b64encode(data).decode('ascii')}"
        return f'<img src="{source}" alt="{alternative}" width="{image.width}" height="{image.height}">\n'

    def _figure_body(self, block: Block) -> str:
        content = block.content
        if isinstance(content, MoleculeContent):
            smiles = shown(one_line(content.smiles))
            rows = [("SMILES", f'<data value="{smiles}"><code translate="no">{smiles}</code></data>')]
            if content.formula:
                rows.insert(0, ("Formula", shown(one_line(content.formula))))
            if content.inchikey:
                rows.append(("InChIKey", f'<code translate="no">{shown(one_line(content.inchikey))}</code>'))
            return "<dl>" + "".join(f"<dt>{term}</dt><dd>{value}</dd>" for term, value in rows) + "</dl>\n"
        if isinstance(content, ScoreContent):
            kern = shown(content.kern.strip("\n"))
            length = f", {len(content.measures)} measures" if content.measures else ""
            return (
                f"<details><summary>Music as **kern{length}</summary>\n"
                f'<pre tabindex="0" translate="no">{kern}</pre></details>\n'
            )
        if block.kind == "code":
            return self._text(block, "", inline(block.runs))
        return f"<p>{inline(block.runs)}</p>\n" if block.runs else ""

    def _text(self, block: Block, name: str, text: str) -> str:
        if block.kind == "title" and not self._title_written:
            self._title_written, self._level = True, 1
            return f"<h1 {name}>{text}</h1>\n"
        if block.kind in {"title", "heading"}:
            wanted = 2 if block.kind == "title" else 1 + block.level
            self._level = max(2, min(6, wanted, self._level + 1))
            return f"<h{self._level} {name}>{text}</h{self._level}>\n"
        if block.kind == "code":
            return f'<pre {name} tabindex="0"><code>{text}</code></pre>\n'
        if block.kind == "footnote":
            mark, target = "", ""
            if block.note is not None:
                mark, target = f"{shown(block.note.split('-', 1)[-1])}. ", f' id="note-{block.note}"'
            return f'<aside role="doc-footnote" {name}><p{target}>{mark}{text}</p></aside>\n'
        if block.kind == "caption":
            return f'<p class="caption" {name}>{text}</p>\n'
        return f'<p {name} dir="auto">{text}</p>\n'

    def listed(self, items: Sequence[Block]) -> str:
        """List items as nested lists, each at most one step deeper than the one before."""
        depths: list[int] = []
        for item in items:
            depths.append(min(item.level - 1, depths[-1] + 1, DEEPEST_LIST) if depths else 0)
        return _list(items, depths)


def _list(items: Sequence[Block], depths: Sequence[int]) -> str:
    """Items of one depth, each with those below it; a change between numbers and bullets begins a new list."""
    if not items:
        return ""
    own = [i for i, depth in enumerate(depths) if depth == depths[0]]
    ends = [*own[1:], len(items)]
    written = []
    for ordered, group in groupby(zip(own, ends, strict=True), key=lambda pair: items[pair[0]].ordinal is not None):
        tag = "ol" if ordered else "ul"
        rows = []
        for start, end in group:
            item = items[start]
            number = f' value="{item.ordinal}"' if ordered else ""
            notice = f' <span class="notice">[{shown(item.notice)}]</span>' if item.notice else ""
            below = _list(items[start + 1 : end], depths[start + 1 : end])
            head = f'<li id="{file_name(item.id)}"{number}{_language(item)}>'
            rows.append(f"{head}{inline(item.runs)}{notice}{below}</li>\n")
        written.append(f"<{tag}>\n{''.join(rows)}</{tag}>\n")
    return "".join(written)


def _language(block: Block) -> str:
    language = block.language
    return f' lang="{language}"' if language and _LANGUAGE.fullmatch(language) else ""


def table_html(content: TableContent, name: str, caption: str) -> str:
    """A table from its cells, each head with its scope. `name` (attributes) and `caption` are HTML already."""
    table = trusted(content)
    head = table.header_rows()
    rows: list[list[str]] = [[] for _ in range(table.rows)]
    for cell in table.cells:
        spans = f' rowspan="{cell.row_span}"' if cell.row_span > 1 else ""
        spans += f' colspan="{cell.column_span}"' if cell.column_span > 1 else ""
        tag, scope = ("th", _scope(cell.row < head, cell.row_span, cell.column_span)) if cell.header else ("td", "")
        rows[cell.row].append(f"<{tag}{scope}{spans}>{shown(cell.text)}</{tag}>")
    lines = ["<tr>" + "".join(row) + "</tr>\n" for row in rows]
    top = f"<thead>\n{''.join(lines[:head])}</thead>\n" if head else ""
    title = f"<caption>{caption}</caption>\n" if caption else ""
    body = f"<tbody>\n{''.join(lines[head:])}</tbody>\n" if lines[head:] else ""
    lost = "; ".join(shown(text) for text in lost_texts(content))
    after = f'<p class="notice">[cells without a place: {lost}]</p>\n' if lost else ""
    return f"<table {name}>\n{title}{top}{body}</table>\n{after}"


def _scope(of_column: bool, row_span: int, column_span: int) -> str:
    group = "group" if (column_span if of_column else row_span) > 1 else ""
    return f' scope="{"col" if of_column else "row"}{group}"'
