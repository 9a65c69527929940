"""What is drawn on a page beside its text: rulings, frames, and the figures that paths and images make up.

No pixels are looked at. Paths are grown together on a coarse grid; what a cluster is made of (slanted strokes,
curves, fills, only rulings) and how much text stands in it tell a figure from a table, a frame or an ornament.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from docpipe.document import Box
from docpipe.page import Drawing, PlacedImage

THIN = 2.5
"""A path thinner than this many points is a ruling."""

CELL = 3.0
"""Side of the grid's cells in points: paths nearer than about two of them belong together."""

PLOTTED = 8
"""A path of more segments than this, most of them tiny, is a plotted curve, whichever way each of them runs."""

CHANTED = 8
"""With so many musical signs among them four even lines are a staff, too, as chant has it; without, rows of a table."""

LEAST_FIGURE = 16.0
"""Figures are at least this wide and high, in points."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Paths that touch: their box, and how many of them are slanted strokes, curved paths (musical signs among them),
    solid fills, rulings, images; and how many staves of music the rulings make.
    """

    box: Box
    slanted: int = 0
    curved: int = 0
    filled: int = 0
    rulings: int = 0
    images: int = 0
    staves: int = 0

    @property
    def paths(self) -> int:
        return self.slanted + self.curved + self.filled + self.rulings


@dataclass(frozen=True, slots=True)
class Graphics:
    """A page's graphics: rulings as thin boxes, clusters of everything drawn, and images that lie behind the page."""

    horizontal: tuple[Box, ...]
    vertical: tuple[Box, ...]
    clusters: tuple[Cluster, ...]
    backgrounds: tuple[Box, ...]


def graphics(
    drawings: Sequence[Drawing], images: Sequence[PlacedImage], page: Box, signs: Collection[Box] = ()
) -> Graphics:
    """Sort what is drawn on a page. Boxes are clipped to the page; what lies off it or fills it is left out.

    signs: which of the drawings' boxes are signs of music.
    """
    known = frozenset(signs)
    horizontal: list[Box] = []
    vertical: list[Box] = []
    marks: list[tuple[Box, str]] = []
    backgrounds: list[Box] = []
    for drawing in drawings:
        if drawing.curves and _is_frame(drawing, page):
            continue  # it holds whatever stands on the page there, and is no part of it
        for box, kind in _marks(drawing):
            clipped = _clip(box, page)
            if clipped is None:
                continue
            if kind == "ruling":
                (horizontal if clipped.width >= clipped.height else vertical).append(clipped)
            elif kind in {"filled", "curved"} and clipped.area > 0.6 * page.area:
                continue
            marks.append((clipped, "sign" if drawing.box in known else kind))
    for box in _tiled([i.box for i in images if i.width > 1 and i.height > 1]):
        area = _clip(box, page)
        if area is not None and area.area > 0.8 * page.area:
            backgrounds.append(area)
        elif area is not None and min(area.width, area.height) > THIN:
            marks.append((area, "image"))
    return Graphics(tuple(horizontal), tuple(vertical), tuple(_clusters(marks, page)), tuple(backgrounds))


def _tiled(boxes: Sequence[Box]) -> list[Box]:
    """Images with the tiles of one picture put together: strips that share the whole of a side."""
    whole: list[Box] = []
    for box in sorted(boxes, key=lambda b: (b.y0, b.x0)):
        for i, other in enumerate(whole):
            stacked = abs(box.y0 - other.y1) < 1 and abs(box.x0 - other.x0) < 1 and abs(box.x1 - other.x1) < 1
            abreast = abs(box.x0 - other.x1) < 1 and abs(box.y0 - other.y0) < 1 and abs(box.y1 - other.y1) < 1
            if stacked or abreast:
                whole[i] = other.union(box)
                break
        else:
            whole.append(box)
    return whole


def _clip(box: Box, page: Box) -> Box | None:
    x0, y0, x1, y1 = (max(box.x0, page.x0), max(box.y0, page.y0), min(box.x1, page.x1), min(box.y1, page.y1))
    return Box(x0, y0, x1, y1) if x1 >= x0 and y1 >= y0 else None


def _marks(drawing: Drawing) -> list[tuple[Box, str]]:
    """A path as marks: its rulings one by one, the four sides of an open rectangle, else the whole of it."""
    white = drawing.fill is not None and min(drawing.fill, default=1.0) > 0.97
    if drawing.stroke is None and (drawing.fill is None or white):
        return []
    if drawing.curves:
        return [(drawing.box, "curved")]
    if min(drawing.box.width, drawing.box.height) <= THIN:
        return [(drawing.box, "ruling")]
    marks: list[tuple[Box, str]] = []
    slanted = False
    plotted = len(drawing.segments) > PLOTTED and _median_length(drawing) < 2 * THIN
    for x0, y0, x1, y1 in drawing.segments:
        if not plotted and (abs(x1 - x0) <= THIN / 2 or abs(y1 - y0) <= THIN / 2):
            marks.append((Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), "ruling"))
        else:
            slanted = True
            marks.append((Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), "slanted"))
    solid = drawing.fill is not None and not white
    if drawing.segments and solid:
        # A filled polygon: one shape, whose sides say whether it is a box or something drawn.
        return [(drawing.box, "slanted" if slanted else "filled")]
    for box in drawing.rectangles:
        if min(box.width, box.height) <= THIN:
            marks.append((box, "ruling"))
        elif solid:
            marks.append((box, "filled"))
        else:
            marks += [(side, "ruling") for side in _sides(box)]
    return marks


def _is_frame(drawing: Drawing, page: Box) -> bool:
    """Whether a path with curves is a wide box with round corners, filled or not: straight along three sides or more.

    Boxes of half a page's width and less are the nodes of diagrams.
    """
    x0, y0, x1, y1 = drawing.box
    along = dict.fromkeys(("left", "top", "right", "bottom"), 0.0)
    for a, b, c, d in drawing.segments:
        if abs(a - c) < THIN / 2 and min(abs(a - x0), abs(a - x1)) < THIN:
            side = "left" if abs(a - x0) < abs(a - x1) else "right"
        elif abs(b - d) < THIN / 2 and min(abs(b - y0), abs(b - y1)) < THIN:
            side = "top" if abs(b - y0) < abs(b - y1) else "bottom"
        else:
            return False
        along[side] += abs(c - a) + abs(d - b)
    wide, high = drawing.box.width, drawing.box.height
    straight = sum(length > 0.6 * (high if side in {"left", "right"} else wide) for side, length in along.items())
    return straight >= 3 and wide > 0.5 * page.width and high > LEAST_FIGURE


def _median_length(drawing: Drawing) -> float:
    lengths = sorted(max(abs(x1 - x0), abs(y1 - y0)) for x0, y0, x1, y1 in drawing.segments)
    return lengths[len(lengths) // 2]


def _sides(box: Box) -> tuple[Box, Box, Box, Box]:
    x0, y0, x1, y1 = box
    return Box(x0, y0, x1, y0), Box(x0, y1, x1, y1), Box(x0, y0, x0, y1), Box(x1, y0, x1, y1)


def _clusters(marks: list[tuple[Box, str]], page: Box) -> list[Cluster]:
    if not marks:
        return []
    cells = np.array([m[0] for m in marks]) / CELL
    first = np.floor(cells[:, :2]).astype(int)
    last = np.maximum(np.ceil(cells[:, 2:]).astype(int), first + 1)
    grid = np.zeros((int(page.height / CELL) + 2, int(page.width / CELL) + 2), bool)
    for (x0, y0), (x1, y1) in zip(first.tolist(), last.tolist(), strict=True):
        grid[y0:y1, x0:x1] = True
    labels = components(grid)
    found: dict[int, list[tuple[Box, str]]] = {}
    for (x, y), mark in zip(first.tolist(), marks, strict=True):
        found.setdefault(int(labels[min(y, grid.shape[0] - 1), min(x, grid.shape[1] - 1)]), []).append(mark)
    return [_cluster(members) for members in found.values()]


def _cluster(members: list[tuple[Box, str]]) -> Cluster:
    kinds = [kind for _, kind in members]
    corners = np.array([box for box, _ in members])
    low, high = corners[:, :2].min(axis=0).tolist(), corners[:, 2:].max(axis=0).tolist()
    box, rulings = Box(low[0], low[1], high[0], high[1]), kinds.count("ruling")
    level = [box for box, kind in members if kind == "ruling" and box.width >= box.height]
    signs = kinds.count("sign")
    staves = count_staves(level, box.width) if rulings >= 5 else 0
    if not staves and signs >= CHANTED:
        staves = count_staves(level, box.width, 4)
    slanted, curved, filled = kinds.count("slanted"), kinds.count("curved") + signs, kinds.count("filled")
    return Cluster(box, slanted, curved, filled, rulings, kinds.count("image"), staves)


def components(grid: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Label the 8-connected components of a grid, by its rows' runs and a union-find over them."""
    parents = [0]

    def root(label: int) -> int:
        while parents[label] != label:
            parents[label] = parents[parents[label]]
            label = parents[label]
        return label

    labels = np.zeros(grid.shape, np.int64)
    padded = np.zeros((grid.shape[0], grid.shape[1] + 2), np.int8)
    padded[:, 1:-1] = grid
    edges = np.diff(padded, axis=1)
    above: list[tuple[int, int, int]] = []
    for y in np.flatnonzero(grid.any(axis=1)).tolist():
        starts, stops = np.flatnonzero(edges[y] == 1).tolist(), np.flatnonzero(edges[y] == -1).tolist()
        runs = []
        for start, stop in zip(starts, stops, strict=True):
            label = 0
            for other_start, other_stop, other in above if above and labels[y - 1].any() else ():
                if other_start <= stop and start <= other_stop:
                    if label:
                        parents[root(other)] = root(label)
                    else:
                        label = root(other)
            if not label:
                label = len(parents)
                parents.append(label)
            runs.append((start, stop, label))
            labels[y, start:stop] = label
        above = runs
    return np.array([root(label) for label in range(len(parents))])[labels]


def count_staves(level: Sequence[Box], width: float, lines: int = 5) -> int:
    """How many times so many even level lines run through most of a width, as the staves of music do, and no more."""
    lengths: dict[float, float] = {}
    last = -1e9
    for ruling in sorted(level, key=lambda r: r.y0):
        y = ruling.center[1]
        last = last if y - last < 0.8 else y
        lengths[last] = lengths.get(last, 0.0) + ruling.width
    levels = [level for level, length in lengths.items() if length > 0.6 * width]
    gaps = [0.0, *(b - a for a, b in pairwise(levels)), 0.0]
    staves, between = 0, lines - 1
    for i in range(1, len(gaps) - between):
        space = sum(gaps[i : i + between]) / between
        even = 2.0 < space < 14.0 and all(abs(gap - space) < 0.15 * space for gap in gaps[i : i + between])
        alone = all(not gap or gap > 1.4 * space for gap in (gaps[i - 1], gaps[i + between]))
        staves += even and alone
    return staves
