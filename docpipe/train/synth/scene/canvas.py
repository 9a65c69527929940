"""A canvas on which things are drawn and remembered: pixels in colour, and of each thing the pixels that show."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from docpipe.train.synth.scene.colours import Rgb
from docpipe.train.synth.scene.outlines import Polygon

Bitmap = npt.NDArray[np.bool_]

OVERSAMPLING = 2
"""Drawn so many times larger and brought down, for soft edges."""


@dataclass(frozen=True)
class Thing:
    """Something in a scene that has a name.

    colour: "" where none is worth saying. mask: bool [side, side], what shows of it. box: x0 y0 x1 y1 of that, in
    pixels. size: "small", "large" or "". whole: how many pixels it has without what lies over it.
    """

    name: str
    colour: str
    mask: Bitmap
    box: tuple[float, float, float, float]
    size: str = ""
    whole: int = 0

    @property
    def center(self) -> tuple[float, float]:
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    @property
    def label(self) -> str:
        """Its colour and name, as one would say it."""
        return f"{self.colour} {self.name}".strip()


class Canvas:
    """A square of `side` pixels. Coordinates are those pixels; later things lie over earlier ones."""

    def __init__(self, side: int, paper: Rgb) -> None:
        self.side, self.paper = side, paper
        self.image = Image.new("RGB", (side * OVERSAMPLING, side * OVERSAMPLING), paper)
        self.draw = ImageDraw.Draw(self.image)
        self._things: list[Thing] = []
        self._mask = Image.new("L", (side, side), 0)
        self._pen = ImageDraw.Draw(self._mask)

    def fill(self, polygon: Polygon, colour: Rgb, edge: Rgb | None = None, width: float = 0.0) -> None:
        """Paint a polygon [n, 2], with an edge of `width` pixels where one is given. It counts to the open thing."""
        points = [(float(x), float(y)) for x, y in polygon * OVERSAMPLING]
        self.draw.polygon(points, fill=colour)
        if edge is not None:
            self.draw.line([*points, points[0]], fill=edge, width=max(1, round(width * OVERSAMPLING)), joint="curve")
        self._pen.polygon([(float(x), float(y)) for x, y in polygon - 0.5], fill=255)

    def line(self, polygon: Polygon, colour: Rgb, width: float) -> None:
        """Paint an open line [n, 2] of `width` pixels."""
        points = [(float(x), float(y)) for x, y in polygon * OVERSAMPLING]
        self.draw.line(points, fill=colour, width=max(1, round(width * OVERSAMPLING)), joint="curve")
        thick = max(1, round(width))
        self._pen.line([(float(x), float(y)) for x, y in polygon - 0.5], fill=255, width=thick)

    def begin(self) -> None:
        """What is painted from here on is one thing."""
        self._pen.rectangle((0, 0, self.side, self.side), fill=0)

    def end(self, name: str, colour: str = "", size: str = "") -> bool:
        """The thing is done. False where nothing of it lies on the canvas."""
        mask = np.asarray(self._mask) > 0
        if not mask.any():
            return False
        below = []
        for thing in self._things:
            shown = thing.mask & ~mask
            below.append(replace(thing, mask=shown, box=bounds(shown)))
        self._things = [*below, Thing(name, colour, mask, bounds(mask), size, int(mask.sum()))]
        return True

    @property
    def things(self) -> tuple[Thing, ...]:
        """The things so far, from left to right."""
        return tuple(sorted(self._things, key=lambda t: (t.center, t.label)))

    def pixels(self) -> npt.NDArray[np.uint8]:
        """What was painted, uint8 [side, side, 3]."""
        return np.asarray(self.image.resize((self.side, self.side), Image.Resampling.BOX))


def bounds(mask: Bitmap) -> tuple[float, float, float, float]:
    """x0 y0 x1 y1 around the pixels that are on, the far edges one beyond; all 0 where there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return (0.0, 0.0, 0.0, 0.0)
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
