"""Scans made for tests: text set on a page, rasterized, turned and tilted as a scanner would."""

from __future__ import annotations

from pathlib import Path

import pymupdf
from PIL import Image

from docpipe.document import Box, Page, Region
from docpipe.engines.base import Answer, Request
from docpipe.engines.ocr import OcrEngine
from docpipe.sheet import Sheet
from docpipe.source import open_source
from docpipe.tasks.text import TextTask


def picture(*lines: tuple[float, float, str], size: float = 12, width: float = 420, height: float = 300) -> Image.Image:
    """Lines of text at places in points, at 150 dpi."""
    page = pymupdf.Document().new_page(width=width, height=height)
    for x, y, text in lines:
        page.insert_text((x, y), text, fontsize=size)
    pixmap = page.get_pixmap(dpi=150)
    return Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples)


def sheet_of(image: Image.Image, path: Path, *, dpi: int = 150) -> Sheet:
    """An image file as a sheet."""
    image.save(path, dpi=(dpi, dpi))
    return sheet_in(path)


def sheet_in(path: Path) -> Sheet:
    with open_source(path) as source:
        page = source.page(1)
        return Sheet(Page(number=1, width=page.width, height=page.height), source.ref)


def whole(sheet: Sheet) -> Region:
    return Region(id="p1.r1", kind="paragraph", box=Box(0, 0, sheet.page.width, sheet.page.height))


def asked(sheet: Sheet, region: Region, language: str = "en") -> Request:
    return Request(TextTask(), sheet, region, language=language)  # type: ignore[arg-type]


def read(sheet: Sheet, region: Region | None = None) -> Answer:
    """What the OCR engine says of a region, by default of the whole page."""
    return next(iter(OcrEngine().read([asked(sheet, region or whole(sheet))])))
