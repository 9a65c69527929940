"""The cheap first pass over a document: the size its text is set in, and what recurs at the top and foot of pages."""

from __future__ import annotations

import re
from collections import Counter

from docpipe.errors import DocpipeError
from docpipe.page import SourcePage, TextLine
from docpipe.sheet import Statistics
from docpipe.source import Source

SAMPLED_PAGES = 96
MARGIN = 0.13
"""Running heads and feet stand within this share of the page's height from its edges."""

_DIGITS = re.compile(r"\d+")
_ROMAN = re.compile(r"^[ivxlc]+$")


def running_form(text: str) -> str:
    """A line of text as it is compared between pages: digits (and a lone Roman number) made #, blanks collapsed."""
    plain = " ".join(_DIGITS.sub("#", text).split()).casefold()
    return "#" if _ROMAN.match(plain) else plain


def in_margin(top: float, bottom: float, height: float, share: float = MARGIN) -> bool:
    """Whether something from `top` to `bottom` stands where running heads and feet do."""
    return bottom <= share * height or top >= (1 - share) * height


def statistics(source: Source, pages: int = SAMPLED_PAGES) -> Statistics:
    """Look through at most `pages` pages, taken as neighbours so that what recurs shows.

    A text is running when it stands in the margin of two or more pages, and of at least a tenth of those looked at:
    heads of left and right pages differ, and those of chapters change. The outermost line of a page that stands on
    the same height of another page, too, is running however short its chapter. A damaged page is passed over.
    """
    sizes = Counter[float]()
    running = Counter[str]()
    outermost = Counter[tuple[str, int]]()
    looked = 0
    for number in _sample(source.page_count, pages):
        try:
            page = source.page(number)
            lines = page.lines()
        except (DocpipeError, RuntimeError, ValueError):
            continue
        looked += 1
        for line in lines:
            for word in line.words:
                sizes[round(word.size * 2) / 2] += len(word.text)
        running.update(_marginal(page, lines))
        outermost.update(_outermost(page, lines))
    least = max(2, round(0.1 * looked))
    placed = {text for (text, _), count in outermost.items() if count > 1}
    return Statistics(
        page_count=source.page_count,
        body_size=_body_size(sizes),
        sizes=dict(sorted(sizes.items())),
        running=frozenset(text for text, count in running.items() if count >= least) | placed,
        language=source.metadata.language,
    )


def _marginal(page: SourcePage, lines: tuple[TextLine, ...]) -> set[str]:
    marginal = [line for line in lines if in_margin(line.box.y0, line.box.y1, page.height)]
    return {running_form(line.text) for line in marginal if len(line.text) < 200}


def _outermost(page: SourcePage, lines: tuple[TextLine, ...]) -> set[tuple[str, int]]:
    """The texts at the very top and foot of a page, each with its height on it in points."""
    level = [line for line in lines if in_margin(line.box.y0, line.box.y1, page.height) and line.turn == 0]
    if not level:
        return set()
    top, foot = min(line.box.y0 for line in level), max(line.box.y1 for line in level)
    return {
        (running_form(line.text), round(line.box.y0))
        for line in level
        if len(line.text) < 200 and (line.box.y0 < top + 2 or line.box.y1 > foot - 2)
    }


def _body_size(sizes: Counter[float]) -> float:
    """The size most letters are set in; a neighbour within half a point counts with it."""
    return max(sizes, key=lambda size: sizes[size] + 0.5 * (sizes[size - 0.5] + sizes[size + 0.5]), default=0.0)


def _sample(count: int, most: int) -> list[int]:
    """At most `most` page numbers: all of them, or runs of four spread over the document."""
    if count <= most:
        return list(range(1, count + 1))
    runs = most // 4
    starts = [1 + round(i * (count - 4) / max(1, runs - 1)) for i in range(runs)]
    return sorted({start + offset for start in starts for offset in range(4)})
