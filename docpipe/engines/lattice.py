"""The ruled part of a table: rulings and the edges of cell backgrounds, put together into a lattice.

Pure geometry: boxes in any unit with y down; lengths are judged against the size of the table's letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from docpipe.document import Box

SAME_PLACE = 0.35
"""Rulings nearer than this many letter sizes are one (double rules, the two sides of a thick one)."""

COVERED = 0.6
"""A cell's side is ruled when rulings run along at least this share of it."""

Fill = tuple[Box, tuple[float, ...]]
"""The background of a cell or row: its box and its colour."""


@dataclass(frozen=True, slots=True)
class Rulings:
    """What is drawn within a table: horizontal and vertical rulings as thin boxes, and backgrounds."""

    horizontal: tuple[Box, ...] = ()
    vertical: tuple[Box, ...] = ()
    fills: tuple[Fill, ...] = ()

    def within(self, box: Box) -> Rulings:
        """The rulings that meet a box, cut down to it."""
        return Rulings(
            tuple(c for r in self.horizontal if (c := _cut(r, box))),
            tuple(c for r in self.vertical if (c := _cut(r, box))),
            tuple((c, colour) for r, colour in self.fills if (c := _cut(r, box))),
        )

    def scaled(self, by: float) -> Rulings:
        """The rulings in a unit `by` times as small."""
        return Rulings(
            tuple(_times(r, by) for r in self.horizontal),
            tuple(_times(r, by) for r in self.vertical),
            tuple((_times(r, by), colour) for r, colour in self.fills),
        )


def _times(box: Box, by: float) -> Box:
    return Box(box.x0 * by, box.y0 * by, box.x1 * by, box.y1 * by)


def _cut(ruling: Box, box: Box) -> Box | None:
    x0, y0 = max(ruling.x0, box.x0), max(ruling.y0, box.y0)
    x1, y1 = min(ruling.x1, box.x1), min(ruling.y1, box.y1)
    return Box(x0, y0, x1, y1) if x0 <= x1 and y0 <= y1 else None


@dataclass(frozen=True, slots=True)
class Rule:
    """All rulings at one place, as stretches along the other axis that neither touch nor overlap."""

    place: float
    stretches: tuple[tuple[float, float], ...]

    @property
    def extent(self) -> tuple[float, float]:
        return self.stretches[0][0], self.stretches[-1][1]

    @property
    def length(self) -> float:
        return sum(b - a for a, b in self.stretches)

    def share(self, start: float, stop: float) -> float:
        """The part of start..stop that is ruled, 0..1."""
        if stop <= start:
            return 0.0
        return sum(max(0.0, min(b, stop) - max(a, start)) for a, b in self.stretches) / (stop - start)


@dataclass(frozen=True, slots=True)
class Lattice:
    """The rules of a table: rows are parted by `across`, top to bottom, columns by `down`, left to right."""

    across: tuple[Rule, ...] = ()
    down: tuple[Rule, ...] = ()
    shaded: tuple[Box, ...] = field(default=())

    @property
    def framed(self) -> bool:
        """Whether rules cross: at least one column is ruled off within, and two rows."""
        return len(self.down) >= 3 and len(self.across) >= 3


def lattice_of(rulings: Rulings, size: float) -> Lattice:
    """The lattice of rulings and visible edges of backgrounds. size: height of the letters, in the boxes' unit."""
    fills = [fill for fill in rulings.fills if min(fill[0].width, fill[0].height) > 0.8 * size]
    horizontal = [*rulings.horizontal]
    vertical = [*rulings.vertical]
    for box, colour in fills:
        x, y = box.center
        edges = (
            (horizontal, Box(box.x0, box.y0, box.x1, box.y0), (x, box.y0 - 1)),
            (horizontal, Box(box.x0, box.y1, box.x1, box.y1), (x, box.y1 + 1)),
            (vertical, Box(box.x0, box.y0, box.x0, box.y1), (box.x0 - 1, y)),
            (vertical, Box(box.x1, box.y0, box.x1, box.y1), (box.x1 + 1, y)),
        )
        for found, edge, beyond in edges:
            if not any(o != box and c == colour and _holds(o, beyond) for o, c in fills):
                found.append(edge)
    gap = SAME_PLACE * size
    across = _rules(((r.center[1], r.x0, r.x1) for r in horizontal), gap, size)
    down = _rules(((r.center[0], r.y0, r.y1) for r in vertical), gap, size)
    return Lattice(tuple(across), tuple(down), tuple(box for box, _ in fills))


def _holds(box: Box, point: tuple[float, float]) -> bool:
    return box.x0 <= point[0] <= box.x1 and box.y0 <= point[1] <= box.y1


def _rules(pieces: Iterable[tuple[float, float, float]], gap: float, size: float) -> list[Rule]:
    """Pieces (place, start, stop) as rules: those at one place joined where they touch, specks left out."""
    groups: list[list[tuple[float, float, float]]] = []
    for piece in sorted(pieces):
        if groups and piece[0] - groups[-1][-1][0] <= gap and piece[0] - groups[-1][0][0] <= 1.5 * gap:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    rules = []
    for group in groups:
        weight = sum(stop - start for _, start, stop in group) or 1.0
        place = sum(at * (stop - start) for at, start, stop in group) / weight if weight > 1 else group[0][0]
        stretches = [(a, b) for a, b in _joined(sorted((a, b) for _, a, b in group), gap) if b - a > 0.8 * size]
        if stretches:
            rules.append(Rule(place, tuple(stretches)))
    return rules


def _joined(stretches: Sequence[tuple[float, float]], gap: float) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for start, stop in stretches:
        if joined and start - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], stop))
        else:
            joined.append((start, stop))
    return joined


def bands(rules: Sequence[Rule], start: float, stop: float) -> list[tuple[float, float]]:
    """The intervals between rules, from start to stop; rules off that range or at its ends part nothing."""
    places = [start, *(r.place for r in rules if start < r.place < stop), stop]
    return [(a, b) for a, b in pairwise(places) if b > a]
