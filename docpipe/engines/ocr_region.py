"""What a region of a page says, from the words read off its pixels."""

from __future__ import annotations

from collections.abc import Sequence

from docpipe.document import Box, Origin, Region, TextContent, Word
from docpipe.engines.base import Answer, Request
from docpipe.engines.fragments import Frame
from docpipe.engines.ocr_page import PageReading
from docpipe.engines.textlayer import join_hyphenated
from docpipe.sheet import Sheet


def text_answer(origin: Origin, rows: Sequence[Sequence[Word]], keep_lines: bool) -> Answer:
    """Rows of words as an answer: lines, or running text. No words is no answer: the engine abstains."""
    words = tuple(word for row in rows for word in row)
    letters = sum(len(w.text) for w in words)
    if not letters:
        return Answer(origin, reason="nothing legible here")
    lines = [" ".join(word.text for word in row) for row in rows]
    text = "\n".join(lines) if keep_lines else join_hyphenated(lines)
    sure = sum(len(w.text) * (w.confidence or 0.0) for w in words) / letters
    return Answer(origin, TextContent(text=text, words=words), confidence=sure)


def language_of(request: Request) -> str:
    """The language to read in: the document's own when it says, else the request's."""
    return request.sheet.statistics.language or request.language


def of_pixels(sheet: Sheet) -> bool:
    """Whether most of what a page shows is an image, so that its regions are best read together."""
    page = Box(0.0, 0.0, sheet.page.width, sheet.page.height)
    return sheet.is_image or any(i.box.intersection(page) > 0.5 * page.area for i in sheet.source.images())


def within(box: Box, sheet: Sheet) -> Box:
    return Box(max(0.0, box.x0), max(0.0, box.y0), min(sheet.page.width, box.x1), min(sheet.page.height, box.y1))


def rows_in(reading: PageReading, sheet: Sheet, region: Region) -> list[list[Word]]:
    """The rows of a region's words; those in a smaller region within it are that one's."""
    page = sheet.page
    frame = Frame((360 - page.rotation) % 360, page.width, page.height, page.skew)
    box = frame.upright(region.box)
    others = (r for r in page.regions if r.id != region.id and r.box.area < region.box.area)
    inner = [frame.upright(other.box) for other in others if other.box.intersection(region.box) > 0]
    rows = []
    for row in reading.rows:
        placed = [(w, *frame.upright(w.box).center) for piece in row for w in piece]
        words = [w for w, x, y in placed if _in(box, x, y) and not any(_in(other, x, y) for other in inner)]
        if words:
            rows.append(words)
    return rows


def _in(box: Box, x: float, y: float) -> bool:
    return box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1


def keeps_lines(sheet: Sheet, region: Region) -> bool:
    """Code keeps its lines, and so does an image that nobody laid out: where its paragraphs end is not known."""
    whole = region.box.area >= 0.95 * sheet.page.width * sheet.page.height
    return region.kind == "code" or (whole and len(sheet.page.regions) <= 1)
