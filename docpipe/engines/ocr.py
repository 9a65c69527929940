"""The engine that reads text off pixels, by the networks that rapidocr ships (see `ocr_models`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from docpipe.document import Crop, Origin, Word
from docpipe.engines import ocr_models, ocr_page, tesseract
from docpipe.engines.base import Answer, Request, one_by_one
from docpipe.engines.ocr_lines import ReadLine, find_strips, read_lines, read_rows
from docpipe.engines.ocr_region import keeps_lines, language_of, of_pixels, rows_in, text_answer, within
from docpipe.engines.tesseract import TesseractEngine
from docpipe.sheet import Sheet
from docpipe.tasks import Task

__all__ = ["OcrEngine", "ReadLine", "find_strips", "of_pixels", "page_pieces", "page_words", "read_lines", "read_rows"]

MARGIN = 4.0
"""Points around a region that is read by itself: letters at the very edge of an image are misread."""


def page_words(sheet: Sheet) -> tuple[Word, ...]:
    """The words of a whole page read off its pixels, in reading order, boxes in points on the page as displayed.

    The page's rotation is undone for reading, and its lines are read at the angle they have. Read once and kept.
    """
    return ocr_page.read_page(sheet).words


def page_pieces(sheet: Sheet) -> tuple[tuple[Word, ...], ...]:
    """The same words as the pieces of lines that were found: a wide gap or a gutter parts two pieces."""
    return tuple(piece for row in ocr_page.read_page(sheet).rows for piece in row)


class OcrEngine:
    """Reads the `text` task off pixels. threads: of onnxruntime, in this process."""

    name = "ocr"

    def __init__(self, *, threads: int = 1) -> None:
        self.threads = threads
        self._tesseract = TesseractEngine()

    def can_read(self, task: Task) -> bool:
        return task.name == "text"

    def read(self, requests: Sequence[Request]) -> Iterator[Answer]:
        return one_by_one(self.name, requests, self._read)

    def _read(self, request: Request) -> Answer:
        sheet, region = request.sheet, request.region
        if script := tesseract.script_of(language_of(request)):
            if tesseract.is_installed(language_of(request)):
                return self._tesseract.answer(request)
            reason = f"the network has no {script} letters; install tesseract with its data for this language"
            return Answer(Origin(engine=self.name, crop=Crop(box=region.box)), reason=reason)
        if ocr_page.is_read(sheet) or of_pixels(sheet):
            reading, crop = ocr_page.read_page(sheet, self.threads), ocr_page.crop_of(sheet, region.box)
        else:
            around = within(region.box.grown(MARGIN), sheet)
            reading = ocr_page.read_part(sheet, around, lambda image: read_rows(image, self.threads))
            crop = sheet.clip(around, ocr_page.DPI).record
        origin = Origin(engine=self.name, digest=ocr_models.digest(), crop=crop)
        answer = text_answer(origin, rows_in(reading, sheet, region), keeps_lines(sheet, region))
        sure = answer.confidence
        return answer if sure is None else replace(answer, confidence=share_right(sure))


def share_right(certainty: float) -> float:
    """The share of characters, 0..1, that are right among those read with a mean certainty.

    A line through what was measured on 2,800 lines of receipts (docs/benchmarks/ocr.md): the network is
    a little too sure of itself, and never quite right on a scan.
    """
    return max(0.0, 0.985 - 1.3 * (1.0 - certainty))
