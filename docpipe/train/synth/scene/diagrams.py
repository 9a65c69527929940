"""Figures for the figure kinds beside scenes: charts as papers print them, and diagrams of boxes and arrows."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from docpipe.train.synth.scene.colours import COLOURS, Rgb, shade
from docpipe.train.synth.scene.writing import font, number, word


def plot(width: int, height: int, rng: random.Random, fonts: tuple[str, ...]) -> Image.Image:
    """Axes with numbers, and curves, points, columns or a histogram in them; in colour or in black."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    size = rng.randint(7, 13)
    face = font(rng.choice(fonts), size)
    x0, y1 = size * rng.uniform(2.2, 4.5), height - size * rng.uniform(1.8, 3.6)
    x1, y0 = width - rng.uniform(3, 14), rng.uniform(3, 8) + (size * 1.4 if rng.random() < 0.4 else 0)
    ink = (rng.randint(0, 90),) * 3
    if rng.random() < 0.3:
        for k in range(1, 6):
            y = y1 + (y0 - y1) * k / 6
            draw.line((x0, y, x1, y), fill=(rng.randint(200, 230),) * 3)
    draw.line((x0, y0, x0, y1, x1, y1), fill=ink, width=rng.choice((1, 1, 2)))
    if rng.random() < 0.5:
        draw.line((x0, y0, x1, y0, x1, y1), fill=ink)
    ticks = rng.randint(3, 6)
    for k in range(ticks):
        y, x = y1 + (y0 - y1) * k / (ticks - 0.6), x0 + (x1 - x0) * k / (ticks - 0.6)
        draw.line((x0 - 3, y, x0, y), fill=ink)
        draw.line((x, y1, x, y1 + 3), fill=ink)
        if rng.random() < 0.95:
            said = str(k * rng.choice((1, 5, 10, 20))) if rng.random() < 0.7 else number(rng)[:4]
            draw.text((x0 - 5 - draw.textlength(said, face), y - size / 2), said, fill=ink, font=face)
            draw.text((x - size / 2, y1 + 4), said, fill=ink, font=face)
    if rng.random() < 0.7:
        draw.text(((x0 + x1) / 2 - 20, height - size - 1), word(rng) + " " + word(rng), fill=ink, font=face)
    coloured = rng.random() < 0.6
    series = rng.randint(1, 4)
    generator = np.random.default_rng(rng.getrandbits(64))
    kind = rng.choice(("curves", "curves", "points", "columns", "rows", "spectrum", "both"))
    for _ in range(series if kind not in ("columns", "rows") else 1):
        colour: Rgb = shade(rng.choice(COLOURS), rng) if coloured else (rng.randint(0, 130),) * 3
        _series(draw, kind, (x0, y0, x1, y1), colour, rng, generator)
    if rng.random() < 0.35:
        x, y = x1 - rng.uniform(0.25, 0.45) * (x1 - x0), y0 + 4
        for _ in range(series):
            colour = shade(rng.choice(COLOURS), rng) if coloured else ink
            draw.rectangle((x, y + 2, x + size, y + size - 2), fill=colour)
            draw.text((x + size + 4, y), word(rng), fill=ink, font=face)
            y += size * 1.3
    return image


def _series(
    draw: ImageDraw.ImageDraw, kind: str, field: tuple[float, float, float, float], colour: Rgb,
    rng: random.Random, generator: np.random.Generator,
) -> None:  # fmt: skip
    x0, y0, x1, y1 = field
    if kind in ("columns", "rows"):
        count = rng.randint(4, 22)
        heights = np.abs(np.cumsum(generator.normal(0, 1, count))) + generator.uniform(0.2, 1, count)
        outlined, upright = rng.random() < 0.3, kind == "columns"
        step = ((x1 - x0) if upright else (y1 - y0)) / count
        width = max(2.0, step * rng.choice((1.0, 0.8, 0.6)))
        for k, value in enumerate(heights / heights.max() * rng.uniform(0.6, 0.97)):
            if upright:
                box = (x0 + step * k + 1, y1 - (y1 - y0) * value, x0 + step * k + width, y1)
            else:
                box = (x0, y0 + step * k + 1, x0 + (x1 - x0) * value, y0 + step * k + width)
            draw.rectangle(box, fill="white" if outlined else colour, outline=colour)
        return
    count = rng.randint(8, 80) if kind != "spectrum" else 160
    t = np.linspace(0, 1, count)
    walk = np.cumsum(generator.normal(0, 1, count)) * rng.uniform(0, 0.5)
    value = rng.choice((t * 3, np.exp(-3 * t) * 4, np.sin(t * rng.uniform(3, 14)), np.sqrt(t) * 3)) + walk
    if kind == "spectrum":
        value = generator.normal(0, 0.01, count)
        for _ in range(rng.randint(4, 16)):
            value += rng.uniform(0.2, 1) * np.exp(-(((t - rng.random()) / 0.008) ** 2))
    value = (value - value.min()) / max(1e-9, value.max() - value.min())
    value = value * rng.uniform(0.4, 0.9) + rng.uniform(0.02, 0.1)
    xs, ys = x0 + (x1 - x0) * t, y1 - (y1 - y0) * value
    if kind != "points":
        points = [(float(a), float(b)) for a, b in zip(xs, ys, strict=True)]
        draw.line(points, fill=colour, width=rng.choice((1, 1, 2, 3)))
    if kind in ("points", "both") and count < 70:
        if kind == "points":
            xs, ys = generator.uniform(x0, x1, count), ys + generator.normal(0, 6, count)
        r = rng.uniform(1.2, 3)
        for a, b in zip(xs, np.clip(ys, y0, y1), strict=True):
            box = (a - r, b - r, a + r, b + r)
            (draw.ellipse if rng.random() < 0.9 else draw.rectangle)(box, fill=colour)


def diagram(width: int, height: int, rng: random.Random, fonts: tuple[str, ...]) -> Image.Image:
    """Boxes with words and arrows between them, a circuit-like net, or an outline drawing."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    ink: Rgb = (rng.randint(0, 80),) * 3
    thick = rng.choice((1, 1, 2))
    if rng.random() < 0.3:
        _sketch(draw, width, height, ink, rng)
        return image
    size = rng.randint(7, 14)
    face = font(rng.choice(fonts), size)
    across, down = max(1, min(4, width // 90)), max(1, min(4, height // 60))
    centres = [
        ((i + 0.5) * width / across + rng.uniform(-6, 6), (j + 0.5) * height / down + rng.uniform(-5, 5))
        for j in range(down) for i in range(across) if rng.random() < 0.85
    ]  # fmt: skip
    rounded, filled = rng.random() < 0.35, rng.random() < 0.4
    for a, b in pairwise(centres):
        _arrow(draw, a, b, ink, thick, rng)
    for x, y in centres:
        half = width / across * rng.uniform(0.24, 0.36), height / down * rng.uniform(0.16, 0.3)
        box = (x - half[0], y - half[1], x + half[0], y + half[1])
        paint = tuple(rng.randint(170, 250) for _ in range(3)) if filled else (255, 255, 255)
        (draw.ellipse if rounded else draw.rectangle)(box, fill=paint, outline=ink, width=thick)
        said = word(rng)
        draw.text((x - draw.textlength(said, face) / 2, y - size / 2), said, fill=ink, font=face)
    return image


def _arrow(
    draw: ImageDraw.ImageDraw, a: tuple[float, float], b: tuple[float, float], ink: Rgb, thick: int, rng: random.Random
) -> None:
    if rng.random() < 0.5:
        draw.line((a[0], a[1], b[0], a[1], b[0], b[1]), fill=ink, width=thick)
    else:
        draw.line((*a, *b), fill=ink, width=thick)
    x, y = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
    angle = math.atan2(b[1] - a[1], b[0] - a[0])
    tips = [(x - 6 * math.cos(angle + s), y - 6 * math.sin(angle + s)) for s in (-0.45, 0.45)]
    draw.polygon([(x, y), *tips], fill=ink)


def _sketch(draw: ImageDraw.ImageDraw, width: int, height: int, ink: Rgb, rng: random.Random) -> None:
    """Outlines of a machine: circles, boxes, curves, dimension lines."""
    for _ in range(rng.randint(4, 12)):
        x, y = rng.uniform(0.1, 0.9) * width, rng.uniform(0.1, 0.9) * height
        rx, ry = rng.uniform(0.05, 0.35) * width, rng.uniform(0.05, 0.35) * height
        kind = rng.random()
        if kind < 0.35:
            r = min(rx, ry)
            draw.ellipse((x - r, y - r, x + r, y + r), outline=ink, width=rng.choice((1, 2)))
        elif kind < 0.6:
            draw.rectangle((x - rx / 2, y - ry / 2, x + rx / 2, y + ry / 2), outline=ink, width=rng.choice((1, 2)))
        elif kind < 0.8:
            draw.arc((x - rx, y - ry, x + rx, y + ry), rng.uniform(0, 180), rng.uniform(180, 360), fill=ink)
        else:
            points = [(x + rng.uniform(-rx, rx), y + rng.uniform(-ry, ry)) for _ in range(rng.randint(2, 5))]
            draw.line(points, fill=ink, width=rng.choice((1, 2)), joint="curve")
