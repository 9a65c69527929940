"""Small PDFs set for the tests of layout: text where it is put, and a sheet of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pymupdf

from docpipe.document import Page
from docpipe.engines.statistics import statistics
from docpipe.sheet import Sheet
from docpipe.source import SourceRef, open_source

PROSE = (
    "The quick brown fox jumps over the lazy dog while the band plays on and nobody in the whole town pays any "
    "attention to either of them because supper is nearly ready and the rain has at last begun to fall upon the "
    "roofs of the houses that stand along the river where the boats are tied up for the night. "
)


def sheets(*draw: Callable[[pymupdf.Page], object], width: float = 595, height: float = 842) -> list[Sheet]:
    """A document with a page for each function, which draws on it."""
    pdf = pymupdf.Document()
    for one in draw:
        one(pdf.new_page(width=width, height=height))
    ref = SourceRef("typeset.pdf", data=pdf.tobytes())
    with open_source(ref) as source:
        stats = statistics(source)
        found = []
        for number in range(1, source.page_count + 1):
            page = source.page(number)
            found.append(Sheet(Page(number=number, width=page.width, height=page.height), ref, stats))
    return found


def prose(
    page: pymupdf.Page, x: float, y: float, width: float, lines: int, *, size: float = 10, indent: float = 0
) -> float:
    """A justified-looking paragraph: full lines and a shorter last one. Returns the baseline after it."""
    words = (PROSE * 20).split()
    for line in range(lines):
        left = x + (indent if line == 0 else 0)
        text = ""
        most = width * (0.6 if line == lines - 1 else 1.0) - (left - x)
        while pymupdf.get_text_length(f"{text} {words[0]}", fontsize=size) < most:
            text = f"{text} {words.pop(0)}".strip()
        page.insert_text((left, y), text + ("." if line == lines - 1 else ""), fontsize=size)
        y += 1.25 * size
    return y


def kinds(regions: Iterable[object]) -> list[str]:
    return [region.kind for region in regions]  # type: ignore[attr-defined]
