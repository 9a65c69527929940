"""How the picture that a checkpoint saw lies on the page: turned upright, levelled, padded; and the way back.

A place in the picture is told in points of the picture turned upright (upright points: origin at the top left of the
crop once turned, a point as large as on the page). The way back is exact: by the turn, and about the middle by the
skew. A box comes back as the smallest box of the page that holds it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from docpipe.document import AnswerContent, Box, Content, Detection, TableContent, TextContent
from docpipe.engines.base import Request
from docpipe.notation.masks import from_run_lengths, run_lengths

MIN_SKEW = 0.2
"""Degrees of skew that are worth turning a crop for."""

_TURNS = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}

N = TypeVar("N", float, np.ndarray)


@dataclass(frozen=True)
class View:
    """A crop of a page, in points, and what was done to it. frame: what the picture showed, in upright points.

    rotation: degrees clockwise, a multiple of 90. skew: degrees clockwise, after the rotation and about the middle.
    """

    crop: Box
    rotation: int
    skew: float
    frame: Box

    @classmethod
    def of(cls, request: Request, *, padded: bool = False) -> View:
        """The view of a request's crop; padded: to a square, as `preprocess.pad_to_white_square` does it."""
        page, crop, image = request.sheet.page, request.region.box, request.clipping.image
        across, down = crop.width / image.width, crop.height / image.height
        quarter = page.rotation % 180 == 90
        sizes = (image.height, image.width) if quarter else image.size
        across, down = (down, across) if quarter else (across, down)
        skew = page.skew if abs(page.skew) >= MIN_SKEW else 0.0
        left = top = 0.0
        width, height = sizes
        if skew:
            width, height = Image.new("1", sizes).rotate(-skew, expand=True).size
            left, top = (sizes[0] - width) / 2, (sizes[1] - height) / 2
        if padded:
            side = max(width, height)
            left, top = left - (side - width) // 2, top - (side - height) // 2
            width = height = side
        frame = Box(left * across, top * down, (left + width) * across, (top + height) * down)
        return cls(crop, page.rotation if page.rotation in _TURNS else 0, skew, frame)

    @property
    def turned(self) -> bool:
        """Whether picture and page lie differently."""
        return bool(self.rotation or self.skew)

    def page_point(self, x: N, y: N) -> tuple[N, N]:
        """A point of the picture (upright points) on the page (points)."""
        x, y = self._level(x, y, -1)
        width, height = self.crop.width, self.crop.height
        x, y = {90: (y, height - x), 180: (width - x, height - y), 270: (width - y, x)}.get(self.rotation, (x, y))
        return x + self.crop.x0, y + self.crop.y0

    def upright_point(self, x: N, y: N) -> tuple[N, N]:
        """A point of the page (points) in the picture (upright points)."""
        x, y = x - self.crop.x0, y - self.crop.y0
        width, height = self.crop.width, self.crop.height
        x, y = {90: (height - y, x), 180: (width - x, height - y), 270: (y, width - x)}.get(self.rotation, (x, y))
        return self._level(x, y, 1)

    def page_box(self, box: Box) -> Box:
        """The smallest box of the page that holds a box of the picture."""
        return _around(box, self.page_point)

    def upright_box(self, box: Box) -> Box:
        """The smallest box of the picture that holds a box of the page."""
        return _around(box, self.upright_point)

    def _level(self, x: N, y: N, sign: int) -> tuple[N, N]:
        """Turned clockwise by the skew (sign 1) or back (-1) about the middle of the crop."""
        if not self.skew:
            return x, y
        width, height = self.crop.width, self.crop.height
        across, down = (height / 2, width / 2) if self.rotation % 180 == 90 else (width / 2, height / 2)
        cosine, sine = math.cos(math.radians(self.skew)), sign * math.sin(math.radians(self.skew))
        x, y = x - across, y - down
        return x * cosine - y * sine + across, x * sine + y * cosine + down


def upright(request: Request) -> Image.Image:
    """The crop with the page's rotation and skew undone."""
    image, page = request.clipping.image, request.sheet.page
    if page.rotation in _TURNS:
        image = image.transpose(_TURNS[page.rotation])
    if abs(page.skew) >= MIN_SKEW:
        image = image.rotate(-page.skew, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    return image


def on_page(content: Content, view: View) -> Content:
    """A content whose places are in upright points, with them on the page."""
    changed: dict[str, Any]
    match content:
        case TextContent():
            changed = {"words": tuple(w.model_copy(update={"box": view.page_box(w.box)}) for w in content.words)}
        case TableContent():
            boxes = [view.page_box(cell.box) if cell.box else None for cell in content.cells]
            pairs = zip(content.cells, boxes, strict=True)
            changed = {"cells": tuple(cell.model_copy(update={"box": box}) for cell, box in pairs)}
        case AnswerContent():
            changed = {"detections": tuple(_thing(thing, view) for thing in content.detections)}
        case _:
            return content
    return content.model_copy(update=changed)


def _thing(thing: Detection, view: View) -> Detection:
    """A detection on the page. On a turned page its mask is drawn anew, each of its pixels by the one it comes from."""
    box = view.page_box(thing.box)
    if not view.turned or thing.mask is None or thing.mask_size is None:
        return thing.model_copy(update={"box": box})
    mask = from_run_lengths(thing.mask, thing.mask_size)
    width, height = max(1, round(box.width)), max(1, round(box.height))
    x = box.x0 + (np.arange(width) + 0.5) * box.width / width
    y = box.y0 + (np.arange(height) + 0.5) * box.height / height
    across, down = view.upright_point(*np.meshgrid(x, y))
    column = np.floor((across - thing.box.x0) / thing.box.width * mask.shape[1]).astype(int)
    row = np.floor((down - thing.box.y0) / thing.box.height * mask.shape[0]).astype(int)
    inside = (column >= 0) & (column < mask.shape[1]) & (row >= 0) & (row < mask.shape[0])
    drawn = np.zeros((height, width), bool)
    drawn[inside] = mask[row[inside], column[inside]]
    return thing.model_copy(update={"box": box, "mask": run_lengths(drawn), "mask_size": (width, height)})


def _around(box: Box, where: Callable[[float, float], tuple[float, float]]) -> Box:
    corners = [where(x, y) for x in (box.x0, box.x1) for y in (box.y0, box.y1)]
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return Box(min(xs), min(ys), max(xs), max(ys))
