"""Small scenes that are known through and through: coloured shapes and icons, charts of a few values, pages.

Each comes with all that can be asked of it: the things in it with their colours, boxes and masks, the values of a
chart, the columns of a page. Number i depends on (seed, i) alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from docpipe.train.synth.scene.canvas import Canvas, Thing
from docpipe.train.synth.scene.charts import Chart, chart
from docpipe.train.synth.scene.colours import COLOURS, Rgb, background, mixed, shade
from docpipe.train.synth.scene.outlines import ICONS, OUTLINES, SHAPES, placed
from docpipe.train.synth.scene.pages import PageLook, page

SHOWN = 0.6
"""At least this share of every shape can be seen."""

_TURNS = {"square": 8, "diamond": 8, "cross": 12, "triangle": 10, "heart": 15, "circle": 0, "ring": 0}


@dataclass(frozen=True)
class Scene:
    """A drawn scene.

    pixels: uint8 [side, side, 3]. kind: "shapes", "chart" or "page". things: from left to right. look: of a chart or
    of a page.
    """

    pixels: npt.NDArray[np.uint8]
    kind: str
    things: tuple[Thing, ...]
    look: Chart | PageLook | None = None


def scene(side: int, rng: random.Random, noise: float = 1.0) -> Scene:
    """One scene: seven of ten times shapes and icons, else a chart or a page."""
    kind = rng.random()
    if kind < 0.7:
        canvas = shapes(side, rng)
        made = Scene(canvas.pixels(), "shapes", canvas.things)
    elif kind < 0.88:
        canvas, drawn = chart(side, rng)
        made = Scene(canvas.pixels(), "chart", canvas.things, drawn)
    else:
        canvas, look = page(side, rng)
        made = Scene(canvas.pixels(), "page", canvas.things, look)
    return Scene(worn(made.pixels, rng, noise), made.kind, made.things, made.look)


def shapes(side: int, rng: random.Random) -> Canvas:
    """One to five shapes and icons, mostly apart, sometimes over each other."""
    while True:
        canvas = Canvas(side, background(rng))
        if rng.random() < 0.2:
            _shaded(canvas, rng)
        for _ in range(rng.choice((1, 2, 2, 3, 3, 4, 5))):
            _add(canvas, rng)
        if canvas.things and all(t.mask.sum() >= SHOWN * t.whole for t in canvas.things):
            return canvas


def _shaded(canvas: Canvas, rng: random.Random) -> None:
    """A paper whose tone changes a little from one side to the other."""
    other = background(rng)
    size, ends = canvas.image.width, np.array([canvas.paper, other], float)
    ramp = np.linspace(0, 1, size)[:, None]
    row = ends[0] * (1 - ramp) + ends[1] * ramp
    field = np.broadcast_to(row[None] if rng.random() < 0.5 else row[:, None], (size, size, 3))
    canvas.image.paste(Image.fromarray(field.astype(np.uint8)))


def _add(canvas: Canvas, rng: random.Random) -> None:
    """One thing more, where there is room for it; nothing after some tries in vain."""
    side = canvas.side
    name = rng.choice(tuple(SHAPES if rng.random() < 0.65 else ICONS))
    colour_name = rng.choice(COLOURS)
    size = rng.choice(("small", "", "large"))
    low, high = {"small": (0.065, 0.1), "": (0.125, 0.155), "large": (0.19, 0.26)}[size]
    overlapping = rng.random() < 0.15
    for _ in range(12):
        half = side * rng.uniform(low, high)
        x, y = (rng.uniform(half + 1, side - half - 1) for _ in range(2))
        reach = [(t.center, (t.box[2] - t.box[0]) / 2) for t in canvas.things]
        least = 0.75 if overlapping else 1.12
        if any(max(abs(x - a), abs(y - b)) < least * (half + other) for (a, b), other in reach):
            continue
        clear = all(abs(v / side - third) > 0.025 for v in (x, y) for third in (1 / 3, 2 / 3))
        if not clear or any(abs(x - a) < 0.035 * side for (a, _), _ in reach):  # what is left, and in which third
            continue
        colour = shade(colour_name, rng)
        turn = rng.uniform(-1, 1) * _TURNS.get(name, 6) if name != "star" else rng.uniform(-36, 36)
        _paint(canvas, name, colour, (x, y, half), turn, rng)
        canvas.end(name, colour_name, size)
        return


def _paint(
    canvas: Canvas, name: str, colour: Rgb, place: tuple[float, float, float], turn: float, rng: random.Random
) -> None:
    canvas.begin()
    tones: dict[str, Rgb] = {
        "own": colour,
        "dark": mixed(colour, (0, 0, 0), rng.uniform(0.25, 0.5)),
        "light": mixed(colour, (255, 255, 255), rng.uniform(0.2, 0.45)),
        "white": (250, 250, 250),
        "wood": (116, 78, 44),
    }
    edge = rng.choice((None, None, tones["dark"], (0, 0, 0)))
    width = rng.uniform(0.5, max(1.0, place[2] * 0.07))
    mirrored = rng.random() < 0.5
    for polygon, tone in OUTLINES[name]():
        outlined = edge if tone == "own" and name in SHAPES and name != "ring" else None
        canvas.fill(placed(polygon, *place, turn, mirrored), tones[tone], outlined, width)


def worn(pixels: npt.NDArray[np.uint8], rng: random.Random, noise: float = 1.0) -> npt.NDArray[np.uint8]:
    """A picture in colour after copying: blur, grain, weaker contrast, each with a chance. noise 0 leaves it."""
    image = Image.fromarray(pixels)
    if rng.random() < 0.25 * noise:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9)))
    if rng.random() < 0.15 * noise:  # from a picture of another size
        less = round(image.width * rng.uniform(0.6, 0.95)), round(image.height * rng.uniform(0.6, 0.95))
        image = image.resize(less, Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BILINEAR)
    values = np.asarray(image)
    if rng.random() < 0.25 * noise:
        generator = np.random.default_rng(rng.getrandbits(64))
        grain = generator.normal(0, rng.uniform(1, 9), values.shape)
        values = np.clip(values + grain, 0, 255).astype(np.uint8)
    if rng.random() < 0.2 * noise:
        low, high = rng.uniform(0, 22), rng.uniform(238, 255)
        values = (low + values * ((high - low) / 255)).astype(np.uint8)
    return np.ascontiguousarray(values)


def scenes(seed: int, start: int = 0, *, side: int = 128, noise: float = 1.0, fresh: str = "") -> Iterator[Scene]:
    """Scenes number `start` and on, endlessly. fresh: parts held-out ones off; noise: 0 clean to 1 worn."""
    index = start
    while True:
        yield scene(side, random.Random(f"scenes:{fresh}:{seed}:{index}"), noise)
        index += 1
