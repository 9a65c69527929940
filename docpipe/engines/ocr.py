"""The engine that reads text off pixels, by the networks that rapidocr ships (see `ocr_models`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from docpipe.document import Box, Origin, Region, TextContent, Word
from docpipe.engines import ocr_models, ocr_page
from docpipe.engines.base import Answer, Request
from docpipe.engines.ocr_lines import ReadLine, find_strips, read_lines, read_rows
from docpipe.engines.ocr_page import PageReading
from docpipe.engines.textlayer import join_hyphenated
from docpipe.errors import DocpipeError
from docpipe.sheet import Sheet
from docpipe.tasks import Task

__all__ = ["OcrEngine", "ReadLine", "find_strips", "page_words", "read_lines", "read_rows"]

MARGIN = 4.0
"""Points around a region that is read by itself: letters at the very edge of an image are misread."""


def page_words(sheet: Sheet) -> tuple[Word, ...]:
    """The words of a whole page read off its pixels, in reading order, boxes in points on the page as displayed.

    The page's rotation is undone for reading, and its lines are read at the angle they have. Read once and kept.
    """
    return ocr_page.read_page(sheet).words


class OcrEngine:
    """Reads the `text` task off pixels. threads: of onnxruntime, in this process."""

    name = "ocr"

    def __init__(self, *, threads: int = 1) -> None:
        self.threads = threads

    def can_read(self, task: Task) -> bool:
        return task.name == "text"

    def read(self, requests: Sequence[Request]) -> Iterator[Answer]:
        for request in requests:
            try:
                yield self._read(request.sheet, request.region)
            except Exception as error:  # a failure of one region is its answer
                detail = f"{type(error).__name__}: {error}"
                coded = error if isinstance(error, DocpipeError) else DocpipeError("DP304", self.name, detail)
                yield Answer(Origin(engine=self.name), error=coded.item(request.sheet.page.number, request.region.id))

    def _read(self, sheet: Sheet, region: Region) -> Answer:
        if ocr_page.is_read(sheet) or of_pixels(sheet):
            reading, crop = ocr_page.read_page(sheet, self.threads), ocr_page.crop_of(sheet, region.box)
        else:
            around = _within(region.box.grown(MARGIN), sheet)
            reading, crop = ocr_page.read_part(sheet, around, self.threads), sheet.clip(around, ocr_page.DPI).record
        origin = Origin(engine=self.name, digest=ocr_models.digest(), crop=crop)
        rows = rows_in(reading, sheet, region)
        words = tuple(word for row in rows for word in row)
        if not words:
            return Answer(origin, reason="nothing legible here")
        lines = [" ".join(word.text for word in row) for row in rows]
        text = "\n".join(lines) if keeps_lines(sheet, region) else join_hyphenated(lines)
        letters = sum(len(w.text) for w in words)
        sure = sum(len(w.text) * (w.confidence or 0.0) for w in words) / letters
        return Answer(origin, TextContent(text=text, words=words), confidence=sure)


def of_pixels(sheet: Sheet) -> bool:
    """Whether most of what a page shows is an image, so that its regions are best read together."""
    page = Box(0.0, 0.0, sheet.page.width, sheet.page.height)
    return sheet.is_image or any(i.box.intersection(page) > 0.5 * page.area for i in sheet.source.images())


def _within(box: Box, sheet: Sheet) -> Box:
    return Box(max(0.0, box.x0), max(0.0, box.y0), min(sheet.page.width, box.x1), min(sheet.page.height, box.y1))


def rows_in(reading: PageReading, sheet: Sheet, region: Region) -> list[list[Word]]:
    """The rows of a region's words; those in a smaller region within it are that one's."""
    box = region.box
    others = (r for r in sheet.page.regions if r.id != region.id and r.box.area < box.area)
    inner = [other.box for other in others if other.box.intersection(box) > 0]
    rows = []
    for row in reading.rows:
        words = [w for piece in row for w in piece if _in(box, w) and not any(_in(other, w) for other in inner)]
        if words:
            rows.append(words)
    return rows


def _in(box: Box, word: Word) -> bool:
    x, y = word.box.center
    return box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1


def keeps_lines(sheet: Sheet, region: Region) -> bool:
    """Code keeps its lines, and so does an image that nobody laid out: where its paragraphs end is not known."""
    whole = region.box.area >= 0.95 * sheet.page.width * sheet.page.height
    return region.kind == "code" or (whole and len(sheet.page.regions) <= 1)
