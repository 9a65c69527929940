"""The skeleton of ink: lines of one pixel, their branches, the corners of these, and the straight lines between them.

The thinning is that of Guo and Hall (Comm. ACM 32, 359, 1989), which keeps the diagonals that Zhang and Suen's loses;
the polygons are those of Douglas and Peucker (1973).
"""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from docpipe.engines.bond_strokes import MOST, Bond

Ink = NDArray[np.bool_]


def thinned(ink: Ink) -> Ink:
    """Lines of one pixel in the middle of the ink's lines."""
    image = np.pad(ink, 1)
    while True:
        changed = False
        for first in (True, False):
            n, ne, e, se = image[:-2, 1:-1], image[:-2, 2:], image[1:-1, 2:], image[2:, 2:]
            s, sw, w, nw = image[2:, 1:-1], image[2:, :-2], image[1:-1, :-2], image[:-2, :-2]
            runs = [~n & (ne | e), ~e & (se | s), ~s & (sw | w), ~w & (nw | n)]
            one = [nw | n, ne | e, se | s, sw | w]
            other = [n | ne, e | se, s | sw, w | nw]
            crossings = sum(run.astype(np.int8) for run in runs)
            beside = np.minimum(sum(q.astype(np.int8) for q in one), sum(q.astype(np.int8) for q in other))
            kept = (s | sw | ~nw) & w if first else (n | ne | ~se) & e
            gone = image[1:-1, 1:-1] & (crossings == 1) & (beside >= 2) & (beside <= 3) & ~kept
            if gone.any():
                image[1:-1, 1:-1][gone] = False
                changed = True
        if not changed:
            return image[1:-1, 1:-1]


def branches(skeleton: Ink) -> list[list[tuple[int, int]]]:
    """Paths of pixels between ends and crossings of a skeleton; rings begin anywhere."""
    points = {(int(r), int(c)) for r, c in zip(*np.nonzero(skeleton), strict=True)}
    links = {p: _linked(p, points) for p in points}
    knots = {p for p, beside in links.items() if len(beside) != 2}
    walked: set[tuple[int, int]] = set()
    steps: set[tuple[tuple[int, int], tuple[int, int]]] = set()
    paths = []
    for start in [*sorted(knots), *sorted(points - knots)]:
        if start in walked:
            continue
        for after in links[start]:
            if (start, after) in steps or after in walked - knots:
                continue
            path = [start, after]
            while path[-1] not in knots and path[-1] != start:
                walked.add(path[-1])
                path.append(next(q for q in links[path[-1]] if q != path[-2]))
            steps.add((path[-1], path[-2]))
            steps.add((start, after))
            paths.append(path)
        walked.add(start)
    return paths


def _linked(point: tuple[int, int], points: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """The neighbours of a skeleton's pixel; a diagonal step counts only where no two straight ones lead there."""
    r, c = point
    straight = [q for q in ((r, c + 1), (r + 1, c), (r, c - 1), (r - 1, c)) if q in points]
    diagonal = [
        (r + i, c + j)
        for i, j in ((1, 1), (1, -1), (-1, 1), (-1, -1))
        if (r + i, c + j) in points and (r + i, c) not in points and (r, c + j) not in points
    ]
    return straight + diagonal


def corners(path: list[tuple[int, int]], near: float) -> list[tuple[float, float]]:
    """Row and column of where a branch begins, turns and ends, straightened within `near` pixels."""
    import cv2

    if path[0] == path[-1]:  # a ring is two ways from one place to another
        middle = len(path) // 2
        return [*corners(path[: middle + 1], near), *corners(path[middle:], near)[1:]]
    points = np.array(path, np.float32)[:, None, :]
    return [(float(r), float(c)) for r, c in cv2.approxPolyDP(points, near, False)[:, 0, :]]


def lines_in(own: Ink, unit: float, pen: float) -> list[Bond]:
    """The straight lines of a mark, from corner to corner."""
    rows, columns = np.nonzero(own)
    if not len(rows):
        return []
    top, left = int(rows.min()), int(columns.min())
    part = own[top : rows.max() + 1, left : columns.max() + 1]
    lines = []
    for path in branches(thinned(part)):
        turns = corners(path, max(1.5, 0.45 * pen, 0.035 * unit))
        for a, b in pairwise(turns):
            lines.append(Bond(complex(a[1] + left, a[0] + top), complex(b[1] + left, b[0] + top)))
    return _mended(lines, unit, pen)


def _mended(lines: list[Bond], unit: float, pen: float) -> list[Bond]:
    """Lines whose ends at a crossing are brought together: thinning moves crossings, and leaves crumbs between them."""
    near = max(0.13 * unit, 1.2 * pen)
    groups: list[list[complex]] = []
    for line in lines:
        for end in line.ends:
            close = [g for g in groups if any(abs(end - e) < near for e in g)]
            groups = [g for g in groups if g not in close] + [[end, *(e for g in close for e in g)]]
    groups = _contracted(lines, groups, 0.32 * unit)
    where = {e: k for k, g in enumerate(groups) for e in g}
    kept = [line for line in lines if where[line.start] != where[line.end]]
    if not kept:
        return [max(lines, key=lambda line: line.length)] if lines else []
    met: dict[int, list[Bond]] = {}
    for line in kept:
        for end in line.ends:
            met.setdefault(where[end], []).append(line)
    place = {k: _crossing(some, [e for line in some for e in line.ends if where[e] == k]) for k, some in met.items()}
    return _straightened([Bond(place[where[line.start]], place[where[line.end]]) for line in kept], unit)


def _straightened(lines: list[Bond], unit: float) -> list[Bond]:
    """Without corners where nothing else ends and the line hardly turns, if a piece of it is too short for a bond."""
    while True:
        for corner in {e for line in lines for e in line.ends}:
            met = [line for line in lines if corner in line.ends]
            if len(met) != 2 or min(line.length for line in met) > 0.62 * unit:
                continue
            far = [line.end if line.start == corner else line.start for line in met]
            ways = [(f - corner) / (abs(f - corner) or 1.0) for f in far]
            if abs(ways[0] + ways[1]) < 0.4 and far[0] != far[1]:  # within 23 degrees of straight on
                lines = [line for line in lines if line not in met] + [Bond(far[0], far[1])]
                break
        else:
            return lines


def _contracted(lines: list[Bond], groups: list[list[complex]], short: float) -> list[list[complex]]:
    """Without lines too short for a bond between two places where others end: these are one place."""
    for line in lines:
        first, last = (next(g for g in groups if e in g) for e in line.ends)
        if first is not last and line.length < short and min(len(first), len(last)) > 1:
            groups = [g for g in groups if g is not first and g is not last] + [[*first, *last]]
    return groups


def _crossing(lines: list[Bond], ends: list[complex]) -> complex:
    """The point nearest to several lines; of one line, or of lines in one direction, the middle of their ends."""
    middle = sum(ends) / len(ends)
    a = np.array([[-line.direction.imag, line.direction.real] for line in lines])
    b = np.array([(-line.direction.imag * line.start.real + line.direction.real * line.start.imag) for line in lines])
    if len(lines) < 2 or np.linalg.svd(a, compute_uv=False)[-1] < 0.4:
        return middle
    x, y = np.linalg.lstsq(a, b, rcond=None)[0]
    found = complex(float(x), float(y))
    return found if abs(found - middle) < 8 else middle


def under_others(lines: list[Bond], unit: float) -> list[Bond]:
    """Bonds that are interrupted where another passes in front of them, made whole."""
    if len(lines) > MOST:
        return lines
    ends = np.array([e for line in lines for e in line.ends])
    alone = [e for e in ends.tolist() if (abs(ends - e) < 0.1 * unit).sum() == 1]
    free = [(line, *way) for line in lines for way in (line.ends, line.ends[::-1]) if way[0] in alone]
    for (a, p, far), (b, q, last) in combinations(free, 2):
        if a is b or not 0.05 * unit < abs(p - q) < 0.5 * unit or abs(last - far) < a.length + b.length:
            continue
        way = (last - far) / abs(last - far)
        straight = max(abs(((e - far) / way).imag) for e in (p, q)) < 0.07 * unit
        others = [line for line in lines if line is not a and line is not b]
        if straight and any(_crosses(line, p, q) for line in others):
            return under_others([*others, Bond(far, last)], unit)
    return lines


def _crosses(line: Bond, p: complex, q: complex) -> bool:
    """Whether a line goes through between two points, with some of its length on either side."""
    way, across = (q - p) / abs(q - p), line.end - line.start
    first, last = ((e - p) / way for e in line.ends)
    if first.imag * last.imag >= 0 or min(abs(first.imag), abs(last.imag)) < 0.15 * abs(across):
        return False
    met = first.real - first.imag * (last.real - first.real) / (last.imag - first.imag)
    return 0 < met < abs(q - p)
