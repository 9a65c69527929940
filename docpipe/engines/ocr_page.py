"""A whole page read off its pixels, once: orientation, layout and every region ask for the same words."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image

from docpipe.document import Box, Crop, Word
from docpipe.engines.fragments import Frame
from docpipe.engines.ocr_lines import ReadLine, find_strips, read_strips, rows_of_letters
from docpipe.engines.ocr_models import Strip
from docpipe.page import ImagePage
from docpipe.sheet import Sheet
from docpipe.source import SourceRef
from docpipe.urls import is_url

DPI, MOST_DPI = 200.0, 300.0
"""Pages are read at this resolution, scans at their own up to the second. More helps the networks no further."""

_KEEP_PIXELS, _KEEP_WORDS = 2, 16


@dataclass(frozen=True)
class PageReading:
    """What a page says: rows of pieces in reading order, each piece its words with boxes on the page as displayed."""

    rows: tuple[tuple[tuple[Word, ...], ...], ...]
    dpi: float

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for row in self.rows for piece in row for word in piece)


_Key = tuple[SourceRef, tuple[int, int] | None, int, int]
_T = TypeVar("_T")
_PIXELS: OrderedDict[_Key, tuple[Image.Image, float]] = OrderedDict()
_STRIPS: OrderedDict[_Key, tuple[Strip, ...]] = OrderedDict()
_READ: OrderedDict[_Key, PageReading] = OrderedDict()


def _kept(cache: OrderedDict[_Key, _T], key: _Key, value: _T, most: int) -> _T:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > most:
        cache.popitem(last=False)
    return value


def _key(sheet: Sheet, rotation: int) -> _Key:
    """What tells a page's pixels from others': a file may have changed since it was read."""
    stamp = None
    if sheet.ref.path is not None and not is_url(sheet.ref.path):
        state = os.stat(sheet.ref.path)
        stamp = (state.st_mtime_ns, state.st_size)
    return sheet.ref, stamp, sheet.page.number, rotation


def dpi_of(sheet: Sheet) -> float:
    """The resolution a page is read at: that of the scan it holds, within limits."""
    source = sheet.source
    if isinstance(source, ImagePage):
        return MOST_DPI
    page = Box(0.0, 0.0, sheet.page.width, sheet.page.height)
    scans = [72 * i.width / i.box.width for i in source.images() if i.box.width and page.covers(i.box)
             and i.box.area > 0.4 * page.area]  # fmt: skip
    return min(MOST_DPI, max(DPI, *scans)) if scans else DPI


def pixels_of(sheet: Sheet, rotation: int) -> tuple[Image.Image, float]:
    """A page's pixels after a clockwise turn by `rotation`, and their resolution."""
    key = _key(sheet, rotation)
    if key in _PIXELS:
        return _kept(_PIXELS, key, _PIXELS[key], _KEEP_PIXELS)
    displayed = _PIXELS.get(_key(sheet, 0)) or sheet.source.pixels(dpi_of(sheet))
    return _kept(_PIXELS, key, (turned(displayed[0], rotation), displayed[1]), _KEEP_PIXELS)


def strips_on(sheet: Sheet, rotation: int, threads: int = 1) -> tuple[Strip, ...]:
    """The lines of text on a page's pixels after a clockwise turn by `rotation`, unread, in no order."""
    key = _key(sheet, rotation)
    if key in _STRIPS:
        return _kept(_STRIPS, key, _STRIPS[key], _KEEP_WORDS)
    strips = tuple(find_strips(np.asarray(pixels_of(sheet, rotation)[0]), threads))
    return _kept(_STRIPS, key, strips, _KEEP_WORDS)


def turned(image: Image.Image, rotation: int) -> Image.Image:
    """An image turned clockwise by 0, 90, 180 or 270 degrees."""
    way = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
    return image.transpose(way[rotation]) if rotation else image


def read_page(sheet: Sheet, threads: int = 1) -> PageReading:
    """The whole page, read once and kept a while."""
    page = sheet.page
    key = _key(sheet, page.rotation)
    if key in _READ:
        return _kept(_READ, key, _READ[key], _KEEP_WORDS)
    image, dpi = pixels_of(sheet, page.rotation)
    frame = Frame((360 - page.rotation) % 360, page.width, page.height)
    rows = rows_of_letters(read_strips(np.asarray(image), strips_on(sheet, page.rotation, threads), threads))
    return _kept(_READ, key, PageReading(_on_page(rows, frame, 72 / dpi, (0.0, 0.0)), dpi), _KEEP_WORDS)


def is_read(sheet: Sheet) -> bool:
    """Whether the page's words are at hand already."""
    return _key(sheet, sheet.page.rotation) in _READ


def read_part(sheet: Sheet, box: Box, read_rows: Callable[[Image.Image], list[list[ReadLine]]]) -> PageReading:
    """A part of a page alone, its rotation undone. read_rows: reads an upright image."""
    clipping = sheet.clip(box, DPI)
    scale = 72 / clipping.dpi
    rows = read_rows(turned(clipping.image, sheet.page.rotation))
    size = clipping.image.width * scale, clipping.image.height * scale
    frame = Frame((360 - sheet.page.rotation) % 360, *size)
    return PageReading(_on_page(rows, frame, scale, (box.x0, box.y0)), clipping.dpi)


def _on_page(
    rows: list[list[ReadLine]], frame: Frame, scale: float, corner: tuple[float, float]
) -> tuple[tuple[tuple[Word, ...], ...], ...]:
    """Lines in pixels as words in points. scale: points a pixel. corner: of the part that was seen, on the page."""

    def word(text: str, spot: Box, sure: float) -> Word:
        shown = frame.displayed(Box(spot.x0 * scale, spot.y0 * scale, spot.x1 * scale, spot.y1 * scale))
        x, y = corner
        return Word(text=text, box=Box(shown.x0 + x, shown.y0 + y, shown.x1 + x, shown.y1 + y), confidence=sure)

    return tuple(tuple(tuple(map(word, line.words, line.boxes, line.certainties)) for line in row) for row in rows)


def crop_of(sheet: Sheet, box: Box) -> Crop:
    """The record of a box of a page that was read whole: cut from the pixels that were read."""
    image, dpi = pixels_of(sheet, sheet.page.rotation)
    shown = Frame((360 - sheet.page.rotation) % 360, sheet.page.width, sheet.page.height).upright(box)
    left, top, right, bottom = (round(v * dpi / 72) for v in shown)
    left, top = max(0, min(left, image.width - 1)), max(0, min(top, image.height - 1))
    part = image.crop((left, top, max(left + 1, min(right, image.width)), max(top + 1, min(bottom, image.height))))
    return Crop(box=box, dpi=dpi, sha256=hashlib.sha256(part.tobytes()).hexdigest())
