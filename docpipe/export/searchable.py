"""searchable.pdf: the source's pages, and over those of pixels the words that were read, unseen, to search and copy.

A page with a text layer of its own is passed on as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymupdf

from docpipe.document import Page, TextContent, Word
from docpipe.errors import DocpipeError
from docpipe.export.atomic import write_whole
from docpipe.export.json import Pages
from docpipe.export.overlay import lay_under
from docpipe.export.runs import one_line
from docpipe.source import Source, SourceRef

FILE = "searchable.pdf"

_UNSEEN = 3
"""Text render mode: neither filled nor stroked (PDF 32000-1, table 106)."""


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:
    """Write searchable.pdf. Raises DP107 when no source is given, DP1xx when it cannot be opened, DP401."""
    if source is None:
        raise DocpipeError("DP107", document.source.name, "the words are laid over the source's own pages")
    made: Any = pymupdf.Document()
    # MuPDF's fallback font covers Latin, Greek, Cyrillic and CJK; its glyphs are never seen, so one will do for all.
    font = pymupdf.Font("cjk")
    with Source(source) as opened:
        for page in document.pages:
            if page.status != "skipped":
                _add(made, opened, page, font)
        made.set_metadata({"title": one_line(document.metadata.title or ""), "producer": "docpipe"})
        return [write_whole(folder / FILE, [made.tobytes(garbage=3, deflate=True, no_new_id=True)])]


def _add(made: Any, source: Source, page: Page, font: Any) -> None:
    sheet = made.new_page(width=max(page.width, 36.0), height=max(page.height, 36.0))
    try:
        lay_under(sheet, source, page)
        has_text = bool(source.page(page.number).lines())
    except Exception:  # a damaged page: its words, if any, are all there is
        has_text = False
    if has_text:
        return
    for word in _words(page):
        _lay_over(sheet, word, page.rotation, font)


def _words(page: Page) -> Iterator[Word]:
    """The page's words in reading order; a table's cells count as words where they have boxes."""
    for region in sorted(page.regions, key=lambda r: r.order):
        content = region.reading.content if region.reading else None
        if isinstance(content, TextContent):
            yield from content.words
        else:
            for cell in getattr(content, "cells", ()):
                if cell.text and cell.box is not None:
                    yield Word(text=cell.text, box=cell.box)


def _lay_over(sheet: Any, word: Word, rotation: int, font: Any) -> None:
    """One word, stretched over its box, turned as the page's content is."""
    text = one_line(word.text)
    box = word.box
    if not text or box.width <= 0 or box.height <= 0:
        return
    length, height = (box.height, box.width) if rotation % 180 else (box.width, box.height)
    size = height / (font.ascender - font.descender)
    natural = font.text_length(text, size)
    if natural <= 0:
        return
    # Where the word begins on its baseline: `rotation` is the clockwise turn that would make it upright.
    down = -font.descender * size
    start = {
        0: (box.x0, box.y1 - down),
        90: (box.x1 - down, box.y1),
        180: (box.x1, box.y0 + down),
        270: (box.x0 + down, box.y0),
    }[rotation]
    writer = pymupdf.TextWriter(sheet.rect)
    point = pymupdf.Point(*start)
    # The blank parts it from the next word for readers that go by characters, not by places.
    writer.append(point, text + " ", font=font, fontsize=size)
    # PyMuPDF's matrices turn against the clock on the page as displayed.
    matrix = pymupdf.Matrix(length / natural, 1.0) * pymupdf.Matrix(rotation)
    writer.write_text(sheet, render_mode=_UNSEEN, morph=(point, matrix))
