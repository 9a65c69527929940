"""Figures on pages of pixels, taken apart: a layout model draws one box around a whole row of drawn molecules.

The ink of a page without its lines of prose falls into joined areas; where several of those within one figure are
molecules, each is a figure of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from docpipe.document import Box
from docpipe.engines.figures import tell_apart
from docpipe.engines.graphics import components

CELL = 2.0
"""Side of the grid's cells in points: ink nearer than about three of them is joined."""

LEAST = 20.0
"""Areas narrower or lower than this, in points, are labels and specks."""

MARGIN = 4.0


def taken_apart(image: Image.Image, dpi: float, figures: Sequence[Box], others: Sequence[Box]) -> list[Box]:
    """The figures' boxes, those that hold several molecules replaced by one box for each joined area of ink, and the
    molecules that lie in none.

    image: the page, upright and level. Boxes are in points on it. others: what is no figure: lines of prose, tables.
    """
    areas = _areas(image, dpi, others)
    molecules = [area for area in areas if _is_molecule(image, dpi, area)]
    done: list[Box] = []
    for figure in figures:
        within = [area for area in areas if figure.grown(2 * MARGIN).covers(area, 0.5)]
        if len(within) < 2 or sum(area in molecules for area in within) < 2:
            done.append(figure)
        else:
            done += [area.grown(MARGIN) for area in within]
    # What the model cut off or did not see at all.
    return done + [area.grown(MARGIN) for area in molecules if not any(box.covers(area, 0.3) for box in done)]


def _areas(image: Image.Image, dpi: float, others: Sequence[Box]) -> list[Box]:
    """Joined areas of ink outside other things, at least LEAST wide and high."""
    size = max(1, round(image.width * 72 / dpi / CELL)), max(1, round(image.height * 72 / dpi / CELL))
    grey = np.asarray(image.convert("L").resize(size, Image.Resampling.BOX), np.int16)
    inked: npt.NDArray[np.bool_] = grey < np.percentile(grey, 90) - 18
    for box in others:
        x0, y0, x1, y1 = (round(v / CELL) for v in box.grown(1.0))
        inked[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = False
    joined = inked.copy()
    for axis in (0, 1):
        joined |= np.roll(joined, 1, axis) | np.roll(joined, -1, axis)
    labels = components(joined)
    labels[~inked] = 0
    rows, columns = np.nonzero(labels)
    found: dict[int, list[int]] = {}
    for label, y, x in zip(labels[rows, columns].tolist(), rows.tolist(), columns.tolist(), strict=True):
        ends = found.setdefault(label, [x, y, x, y])
        ends[:] = [min(ends[0], x), min(ends[1], y), max(ends[2], x), max(ends[3], y)]
    boxes = [Box(x0 * CELL, y0 * CELL, (x1 + 1) * CELL, (y1 + 1) * CELL) for x0, y0, x1, y1 in found.values()]
    return sorted((b for b in boxes if min(b.width, b.height) >= LEAST), key=lambda b: (b.y0, b.x0))


def _is_molecule(image: Image.Image, dpi: float, area: Box) -> bool:
    x0, y0, x1, y1 = (round(v * dpi / 72) for v in area.grown(MARGIN))
    return tell_apart(image.crop((max(0, x0), max(0, y0), x1, y1)))[0] == "molecule"
