"""The engine that reads a table off its pixels: words by OCR, rulings by runs of edges, the same grid as for PDFs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

import numpy as np
from PIL import Image

from docpipe.document import Box, Origin, Page
from docpipe.engines import ocr_models
from docpipe.engines.alignment import Token
from docpipe.engines.base import Answer, Request, one_by_one
from docpipe.engines.fragments import Frame
from docpipe.engines.grid import Grid, read_grid
from docpipe.engines.lattice import Rulings, lattice_of
from docpipe.engines.linework import Mask, ink_of, rulings_in
from docpipe.engines.lone_signs import lone_signs
from docpipe.engines.ocr_lines import ReadLine, find_strips, read_lines
from docpipe.notation.html import content_of
from docpipe.sheet import Clipping
from docpipe.tasks import Task

LINE = 50.0
"""Lines of text lower than this many pixels are enlarged to it: the detector draws low lines into one another."""

FROM_PIXELS = 0.86
"""How much less likely a grid is right when words and rulings were read off pixels."""

MOST_ENLARGED, MOST_PIXELS = 4.0, 16_000_000


class ImageTableEngine:
    """Reads the `table` task off pixels; abstains where nothing is legible or the words make no grid.

    threads: of onnxruntime, in this process.
    """

    name = "imagetable"

    def __init__(self, *, threads: int = 1) -> None:
        self.threads = threads

    def can_read(self, task: Task) -> bool:
        return task.name == "table"

    def read(self, requests: Sequence[Request]) -> Iterator[Answer]:
        return one_by_one(self.name, requests, self._read)

    def _read(self, request: Request) -> Answer:
        clipping = request.clipping
        origin = Origin(engine=self.name, digest=ocr_models.digest(), crop=clipping.record)
        image, on_page = upright(clipping, request.sheet.page)
        factor = enlargement(image, self.threads)
        lines = read_lines(enlarged(image, factor), self.threads)
        if not lines:
            return Answer(origin, reason="nothing legible here")
        grid = grid_of(image, lines, factor, self.threads)
        if grid is None:
            return Answer(origin, reason="the words here stand in fewer than two rows or columns")
        cells = tuple(c.model_copy(update={"box": on_page(c.box)}) if c.box else c for c in grid.cells)
        return Answer(origin, content_of(grid.rows, grid.columns, cells), confidence=_chance(grid, lines))


def _chance(grid: Grid, lines: Sequence[ReadLine]) -> float:
    """The chance, 0..1, that the whole table is right: of the grid, and of the letters, by their mean certainty.

    Fitted to the share of TEDS >= 0.95 among table images (benchmarks/tables.py).
    """
    letters = [(len(line.text), line.confidence) for line in lines]
    certain = sum(n * c for n, c in letters) / sum(n for n, _ in letters)
    return float(FROM_PIXELS * grid.confidence * certain**6)


def enlargement(image: Image.Image, threads: int = 1) -> float:
    """How much to enlarge an image so that its lines of text are about LINE pixels high."""
    heights = sorted(strip.height for strip in find_strips(np.asarray(image), threads))
    if not heights:
        return 1.0
    affordable = (MOST_PIXELS / (image.width * image.height)) ** 0.5
    factor = min(LINE / heights[len(heights) // 2], MOST_ENLARGED, affordable)
    return factor if factor > 1.2 else 1.0


def enlarged(image: Image.Image, factor: float) -> Image.Image:
    """An image enlarged by a factor."""
    size = round(image.width * factor), round(image.height * factor)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def upright(clipping: Clipping, page: Page) -> tuple[Image.Image, Callable[[Box], Box]]:
    """A clipping with the page's rotation and skew undone, and what turns a box in its pixels back to the page."""
    scale = clipping.dpi / 72
    turn = (360 - page.rotation) % 360
    frame = Frame(turn, clipping.image.width / scale, clipping.image.height / scale, page.skew)
    image = clipping.image.rotate(turn, expand=True)
    dx = dy = 0.0
    if page.skew:
        level = image.rotate(-page.skew, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
        dx, dy = (level.width - image.width) / 2, (level.height - image.height) / 2
        image = level

    def on_page(box: Box) -> Box:
        x0, x1, y0, y1 = (box.x0 - dx) / scale, (box.x1 - dx) / scale, (box.y0 - dy) / scale, (box.y1 - dy) / scale
        shown = frame.displayed(Box(x0, y0, x1, y1))
        left, top = clipping.box.x0, clipping.box.y0
        return Box(shown.x0 + left, shown.y0 + top, shown.x1 + left, shown.y1 + top)

    return image, on_page


def grid_of(image: Image.Image, lines: Sequence[ReadLine], factor: float = 1.0, threads: int = 1) -> Grid | None:
    """The grid of a table image, boxes in its pixels; None when there is none.

    lines: as read in the image enlarged by `factor`, boxes in that one's pixels. Rulings are looked for in the image
    as it is: enlarging blurs them.
    """
    gray = np.asarray(image.convert("L"), dtype=np.int16)
    size = 0.75 * median(b.height for line in lines for b in line.boxes)
    texts = [_scaled(line.box, 1 / factor) for line in lines]
    rulings = rulings_in(gray, size / factor, texts).scaled(factor)
    large = enlarged(image, factor).convert("RGB")
    ink = ink_of(np.asarray(large.convert("L"), dtype=np.int16), rulings, size)
    read = [*lines, *lone_signs(np.asarray(large), ink, lines, rulings, size, threads)]
    tokens = [token for line in read for token in _tokens(line, ink)]
    grid = read_grid(_whole(_cased(tokens), rulings, large.height, size), rulings)
    if grid is None:
        return None
    cells = tuple(c.model_copy(update={"box": _scaled(c.box, 1 / factor)}) if c.box else c for c in grid.cells)
    return replace(grid, cells=cells)


def _scaled(box: Box, by: float) -> Box:
    return Box(box.x0 * by, box.y0 * by, box.x1 * by, box.y1 * by)


_ALIKE = frozenset("COSVWXZ")
"""Letters whose small form looks like the capital: alone, only their height tells which it is."""


def _cased(tokens: Sequence[Token]) -> list[Token]:
    """Words with lone letters of one form made small where they are as low as small letters are."""
    heights = [t.box.height for t in tokens if len(t.text) > 2 and any(c.isupper() or c.isdigit() for c in t.text)]
    if not heights:
        return list(tokens)
    tall = median(heights)
    return [replace(t, text=t.text.lower()) if t.text in _ALIKE and t.box.height < 0.8 * tall else t for t in tokens]


def _whole(tokens: Sequence[Token], rulings: Rulings, height: int, size: float) -> list[Token]:
    """Words without those that the image's edge cuts through beyond the table's outermost rule: its surroundings."""
    left, right = min(t.box.x0 for t in tokens), max(t.box.x1 for t in tokens)
    rules = [r.place for r in lattice_of(rulings, size).across if r.share(left, right) >= 0.75]
    if not rules:
        return list(tokens)
    usual = median(t.box.height for t in tokens)

    def cut(token: Token) -> bool:
        above = token.box.y0 <= 0.1 * size and token.box.y1 < rules[0] + 0.2 * size
        below = token.box.y1 >= height - 0.1 * size and token.box.y0 > rules[-1] - 0.2 * size
        return (above or below) and token.box.height < 0.85 * usual

    return [t for t in tokens if not cut(t)]


def _tokens(line: ReadLine, ink: Mask) -> list[Token]:
    """A line's words with boxes cut to their ink; words are parted at the widest blank near where OCR parts them."""
    x0, x1 = round(line.boxes[0].x0), round(line.boxes[-1].x1)
    y0, y1 = round(min(b.y0 for b in line.boxes)), round(max(b.y1 for b in line.boxes))
    part = ink[max(0, y0) : y1, max(0, x0) : x1]
    if not part.any():
        size = 0.75 * (y1 - y0)
        return [Token(w, b, size) for w, b in zip(line.words, line.boxes, strict=True)]
    inked = np.flatnonzero(part.any(axis=0))
    rows = np.flatnonzero(part.any(axis=1))
    top, bottom = max(0, y0) + int(rows[0]), max(0, y0) + int(rows[-1]) + 1
    left, right = max(0, x0) + int(inked[0]), max(0, x0) + int(inked[-1]) + 1
    blanks = [(max(0, x0) + int(a) + 1, max(0, x0) + int(b)) for a, b in pairwise(inked) if b - a > 1]
    letter = (right - left) / max(1, sum(len(w) for w in line.words) + len(line.words) - 1)
    starts, stops = [float(left)], []
    for a, b in pairwise(line.boxes):
        rough = (a.x1 + b.x0) / 2
        near = [
            blank
            for blank in blanks
            if abs((blank[0] + blank[1]) / 2 - rough) < 2.0 * letter + (blank[1] - blank[0]) / 2
            and blank[0] > starts[-1]
        ]
        stop, start = max(near, key=lambda blank: blank[1] - blank[0], default=(rough, rough))
        stops.append(float(stop))
        starts.append(float(start))
    stops.append(float(right))
    return [
        Token(word, Box(a, float(top), max(b, a + 1), float(bottom)), float(bottom - top))
        for word, a, b in zip(line.words, starts, stops, strict=True)
    ]
