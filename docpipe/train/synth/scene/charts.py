"""Charts of a few values: bars, lines, pies. What they show is kept as things: every bar, line and slice by colour."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np

from docpipe.train.synth.scene.canvas import Canvas
from docpipe.train.synth.scene.colours import COLOURS, Rgb, background, mixed, shade
from docpipe.train.synth.scene.outlines import box_part

INK: Rgb = (40, 40, 40)


@dataclass(frozen=True)
class Chart:
    """kind: bar, line or pie. colours and values: of its bars, lines (0..1 of the rise, -1 falls) or slices, in order:
    from left to right, slices clockwise from the top.
    """

    kind: str
    colours: tuple[str, ...]
    values: tuple[float, ...]


def chart(side: int, rng: random.Random) -> tuple[Canvas, Chart]:
    """A chart that fills the square."""
    canvas = Canvas(side, background(rng))
    kind = rng.choice(("bar", "bar", "line", "pie"))
    return canvas, {"bar": _bars, "line": _lines, "pie": _pie}[kind](canvas, rng)


def _distinct(rng: random.Random, count: int, apart: float) -> list[float]:
    """Values 0..1, each at least `apart` from every other."""
    while True:
        values = [rng.uniform(0.12, 1.0) for _ in range(count)]
        if all(abs(a - b) >= apart for i, a in enumerate(values) for b in values[:i]):
            return values


def _frame(canvas: Canvas, rng: random.Random) -> tuple[float, float, float, float]:
    """Axes, their ticks, grid and words; the field inside, x0 y0 x1 y1."""
    side = canvas.side
    x0, y1 = side * rng.uniform(0.1, 0.18), side * rng.uniform(0.82, 0.9)
    x1, y0 = side * rng.uniform(0.9, 0.96), side * rng.uniform(0.08, 0.2)
    ink = mixed(INK, (120, 120, 120), rng.random())
    if rng.random() < 0.4:
        for k in range(1, 5):
            y = y1 + (y0 - y1) * k / 4.5
            canvas.line(np.array([[x0, y], [x1, y]]), mixed(canvas.paper, INK, 0.18), 0.5)
    if rng.random() < 0.85:
        canvas.line(np.array([[x0, y0], [x0, y1]]), ink, rng.uniform(0.5, 1.5))
    canvas.line(np.array([[x0, y1], [x1, y1]]), ink, rng.uniform(0.5, 1.5))
    if rng.random() < 0.7:
        for k in range(5):
            y = y1 + (y0 - y1) * k / 4.5
            scribble(canvas, x0 - side * 0.07, y, side * 0.04, ink)
    if rng.random() < 0.5:
        scribble(canvas, side * rng.uniform(0.25, 0.4), side * 0.045, side * rng.uniform(0.2, 0.4), ink)
    return x0, y0, x1, y1


def scribble(canvas: Canvas, x: float, y: float, width: float, ink: Rgb) -> None:
    """A word too small to be read."""
    steps = np.linspace(x, x + width, max(3, round(width / 1.5)))
    zigzag = np.where(np.arange(len(steps)) % 2 == 0, y - 1.2, y + 1.2)
    canvas.line(np.stack((steps, zigzag), axis=1), ink, 0.5)


def _bars(canvas: Canvas, rng: random.Random) -> Chart:
    x0, y0, x1, y1 = _frame(canvas, rng)
    count = rng.randint(2, 5)
    values = _distinct(rng, count, 0.09)
    same = rng.random() < 0.25
    names = rng.sample(COLOURS, count)
    names = [names[0]] * count if same else names
    step = (x1 - x0) / count
    width = step * rng.uniform(0.45, 0.8)
    one = shade(names[0], rng)
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        left = x0 + step * (i + 0.5) - width / 2
        canvas.begin()
        colour = one if same else shade(name, rng)
        canvas.fill(box_part(left, y1 - (y1 - y0) * value, left + width, y1), colour)
        canvas.end("bar", name)
    return Chart("bar", tuple(names), tuple(values))


def _lines(canvas: Canvas, rng: random.Random) -> Chart:
    x0, y0, x1, y1 = _frame(canvas, rng)
    count = rng.choice((1, 1, 2))
    names = rng.sample([c for c in COLOURS if c != "yellow"], count)
    rises = []
    for name in names:
        points = rng.randint(4, 8)
        rise = rng.choice((-1, 1)) * rng.uniform(0.35, 0.8)
        low = rng.uniform(0.06, 0.94 - abs(rise))
        t = np.linspace(0, 1, points)
        heights = low + abs(rise) * (t if rise > 0 else 1 - t)
        heights[1:-1] += [rng.uniform(-0.08, 0.08) for _ in range(points - 2)]
        places = np.stack((x0 + (x1 - x0) * (0.04 + 0.92 * t), y1 - (y1 - y0) * np.clip(heights, 0.02, 1)), axis=1)
        canvas.begin()
        colour = shade(name, rng)
        canvas.line(places, colour, rng.uniform(1.5, 3.0))
        if rng.random() < 0.4:
            for x, y in places:
                canvas.fill(box_part(x - 1.8, y - 1.8, x + 1.8, y + 1.8), colour)
        canvas.end("line", name)
        rises.append(rise)
    return Chart("line", tuple(names), tuple(rises))


def _pie(canvas: Canvas, rng: random.Random) -> Chart:
    side, count = canvas.side, rng.randint(2, 4)
    while True:
        shares = [rng.uniform(0.1, 1) for _ in range(count)]
        shares = [share / sum(shares) for share in shares]
        if min(shares) > 0.08 and all(abs(a - b) > 0.07 for i, a in enumerate(shares) for b in shares[:i]):
            break
    names = rng.sample(COLOURS, count)
    radius = side * rng.uniform(0.26, 0.42)
    x, y = (side / 2 + rng.uniform(-1, 1) * (side * 0.46 - radius) for _ in range(2))
    hole = rng.random() < 0.2
    begin = -math.pi / 2
    for name, share in zip(names, shares, strict=True):
        end = begin + 2 * math.pi * share
        around = np.linspace(begin, end, max(3, round(40 * share)))
        rim = np.stack((x + radius * np.cos(around), y + radius * np.sin(around)), axis=1)
        inner = np.array([[x, y]])
        if hole:
            back = around[::-1]
            inner = np.stack((x + radius * 0.45 * np.cos(back), y + radius * 0.45 * np.sin(back)), axis=1)
        canvas.begin()
        canvas.fill(np.concatenate((rim, inner)), shade(name, rng), canvas.paper, 0.5)
        canvas.end("slice", name)
        begin = end
    return Chart("pie", tuple(names), tuple(shares))
