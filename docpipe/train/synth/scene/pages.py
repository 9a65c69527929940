"""Thumbnails of pages: columns of lines too small to read, with a title, a picture or a table among them."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from docpipe.train.synth.scene.canvas import Canvas
from docpipe.train.synth.scene.charts import scribble
from docpipe.train.synth.scene.colours import COLOURS, Rgb, mixed, shade
from docpipe.train.synth.scene.outlines import box_part, round_part


@dataclass(frozen=True)
class PageLook:
    """columns: 1 or 2. parts: which of title, picture and table it has."""

    columns: int
    parts: tuple[str, ...]


def page(side: int, rng: random.Random) -> tuple[Canvas, PageLook]:
    """A page squeezed into the square, as a whole page is when it is asked about."""
    grey = rng.randint(238, 255)
    canvas = Canvas(side, (grey, grey, rng.randint(grey - 8, grey)))
    ink = mixed((0, 0, 0), (110, 110, 110), rng.random())
    margin = side * rng.uniform(0.06, 0.13)
    top, foot = margin, side - margin
    parts: list[str] = []
    if rng.random() < 0.6:
        size = side * rng.uniform(0.035, 0.055)
        width = (side - 2 * margin) * rng.uniform(0.4, 0.9)
        left = margin if rng.random() < 0.4 else (side - width) / 2
        canvas.begin()
        canvas.fill(box_part(left, top, left + width, top + size), mixed(ink, (0, 0, 0), 0.5))
        canvas.end("title")
        parts.append("title")
        top += size + side * rng.uniform(0.05, 0.08)
    columns = rng.choice((1, 2))
    gap = side * rng.uniform(0.04, 0.07)
    width = (side - 2 * margin - gap * (columns - 1)) / columns
    pitch = side * rng.uniform(0.024, 0.036)
    inside = [name for name in ("picture", "table") if rng.random() < 0.4]
    where = {name: rng.randrange(columns) for name in inside}
    for column in range(columns):
        x, y = margin + column * (width + gap), top
        here = [name for name in inside if where[name] == column]
        rng.shuffle(here)
        starts = sorted(rng.uniform(0.0, 0.55) for _ in here)
        for name, start in zip(here, starts, strict=True):
            height = side * rng.uniform(0.14, 0.24)
            begin = max(y, top + (foot - top) * start)
            if begin + height > foot:
                continue
            _lines(canvas, rng, (x, y, x + width, begin - pitch), pitch, ink)
            canvas.begin()
            (_picture if name == "picture" else _table)(canvas, rng, (x, begin, x + width, begin + height), ink)
            canvas.end(name)
            parts.append(name)
            y = begin + height + pitch * 1.5
        _lines(canvas, rng, (x, y, x + width, foot), pitch, ink)
    order = [name for name in ("title", "picture", "table") if name in parts]
    return canvas, PageLook(columns, tuple(order))


Field = tuple[float, float, float, float]


def _lines(canvas: Canvas, rng: random.Random, field: Field, pitch: float, ink: Rgb) -> None:
    x0, y, x1, y1 = field
    pale = mixed(ink, canvas.paper, rng.uniform(0.25, 0.5))
    left = rng.randint(3, 9)
    while y + pitch * 0.5 <= y1:
        left -= 1
        end = x1 if left else x0 + (x1 - x0) * rng.uniform(0.3, 0.9)
        x = x0
        while x < end:
            word = min(end - x, rng.uniform(0.04, 0.1) * canvas.side)
            canvas.line(np.array([[x, y], [x + word, y]]), pale, max(0.6, pitch * 0.4))
            x += word + canvas.side * 0.012
        y += pitch
        if not left:
            left = rng.randint(3, 9)
            y += pitch * rng.choice((0.0, 0.6))


def _picture(canvas: Canvas, rng: random.Random, field: Field, ink: Rgb) -> None:
    x0, y0, x1, y1 = field
    canvas.fill(box_part(*field), shade(rng.choice(COLOURS), rng), ink, 0.5)
    middle = (x0 + x1) / 2 + rng.uniform(-0.2, 0.2) * (x1 - x0), (y0 + y1) / 2
    half = (y1 - y0) * rng.uniform(0.2, 0.4)
    canvas.fill(round_part(*middle, half, half), shade(rng.choice(COLOURS), rng))


def _table(canvas: Canvas, rng: random.Random, field: Field, ink: Rgb) -> None:
    x0, y0, x1, y1 = field
    rows, columns = rng.randint(3, 5), rng.randint(2, 4)
    canvas.fill(box_part(*field), canvas.paper, ink, 0.8)
    down, across = (y1 - y0) / rows, (x1 - x0) / columns
    if rng.random() < 0.5:
        canvas.fill(box_part(x0, y0, x1, y0 + down), mixed(canvas.paper, ink, 0.25))
    for row in range(1, rows):
        canvas.line(np.array([[x0, y0 + down * row], [x1, y0 + down * row]]), ink, 0.6)
    for column in range(1, columns):
        canvas.line(np.array([[x0 + across * column, y0], [x0 + across * column, y1]]), ink, 0.6)
    for row in range(rows):
        for column in range(columns):
            scribble(canvas, x0 + across * (column + 0.2), y0 + down * (row + 0.5), across * 0.5, ink)
