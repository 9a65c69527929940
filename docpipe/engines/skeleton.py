"""The skeleton of ink: lines of one pixel, their branches, and the corners of these.

The thinning is that of Guo and Hall (Comm. ACM 32, 359, 1989), which keeps the diagonals that Zhang and Suen's loses;
the polygons are those of Douglas and Peucker (1973).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
