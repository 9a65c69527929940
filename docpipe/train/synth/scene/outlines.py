"""Outlines of plain shapes and of simple icons, drawn by code, as polygons in a square from -1 to 1 (y down).

A thing is a list of parts; each is a polygon and the tone that it is filled with: the thing's own colour, a darker or a
lighter one of it, or white. The first parts lie below the later ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

Tone = Literal["own", "dark", "light", "white", "wood"]
Polygon = npt.NDArray[np.float64]
Parts = list[tuple[Polygon, Tone]]


def _points(*values: tuple[float, float]) -> Polygon:
    return np.array(values, np.float64)


def round_part(x: float, y: float, rx: float, ry: float, count: int = 40) -> Polygon:
    """An ellipse as a polygon."""
    angles = np.arange(count) * (2 * math.pi / count)
    return np.stack((x + rx * np.cos(angles), y + ry * np.sin(angles)), axis=1)


def box_part(x0: float, y0: float, x1: float, y1: float) -> Polygon:
    """A rectangle as a polygon."""
    return _points((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def _pointed(points: int, inner: float) -> Polygon:
    angles = np.arange(2 * points) * (math.pi / points) - math.pi / 2
    reach = np.where(np.arange(2 * points) % 2 == 0, 1.0, inner)
    return np.stack((reach * np.cos(angles), reach * np.sin(angles)), axis=1)


def _circle() -> Parts:
    return [(round_part(0, 0, 1, 1), "own")]


def _square() -> Parts:
    return [(box_part(-0.92, -0.92, 0.92, 0.92), "own")]


def _triangle() -> Parts:
    return [(_points((0, -0.95), (1, 0.85), (-1, 0.85)), "own")]


def _star() -> Parts:
    return [(_pointed(5, 0.42), "own")]


_QUARTERS = (((1, 0), (0, 1)), ((0, 1), (-1, 0)), ((-1, 0), (0, -1)), ((0, -1), (1, 0)))


def _cross() -> Parts:
    a = 0.34
    arm = np.array([(-a, -a), (-a, -1), (a, -1)], np.float64)
    return [(np.concatenate([arm @ np.array(turn) for turn in _QUARTERS]), "own")]


def _ring() -> Parts:
    outer, inner = round_part(0, 0, 1, 1), round_part(0, 0, 0.52, 0.52)
    return [(np.concatenate((outer, outer[:1], inner[::-1][-1:], inner[::-1])), "own")]


def _diamond() -> Parts:
    return [(_points((0, -1), (0.8, 0), (0, 1), (-0.8, 0)), "own")]


def _heart() -> Parts:
    t = np.arange(40) * (2 * math.pi / 40)
    x = np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 16
    return [(np.stack((x, y), axis=1), "own")]


def _house() -> Parts:
    return [
        (_points((0, -1), (1, -0.15), (-1, -0.15)), "dark"),
        (box_part(-0.78, -0.15, 0.78, 0.95), "own"),
        (box_part(-0.2, 0.35, 0.2, 0.95), "white"),
        (box_part(0.38, 0.1, 0.64, 0.4), "white"),
    ]


def _tree() -> Parts:
    return [
        (box_part(-0.16, 0.3, 0.16, 1), "wood"),
        (round_part(-0.3, 0.05, 0.5, 0.45), "own"),
        (round_part(0.3, 0.05, 0.5, 0.45), "own"),
        (round_part(0, -0.45, 0.52, 0.52), "own"),
    ]


def _car() -> Parts:
    return [
        (_points((-0.55, -0.1), (-0.35, -0.55), (0.35, -0.55), (0.6, -0.1)), "own"),
        (_points((-0.36, -0.12), (-0.24, -0.42), (0.26, -0.42), (0.4, -0.12)), "white"),
        (_points((-1, 0.3), (-0.95, -0.1), (0.8, -0.1), (1, 0.05), (1, 0.3)), "own"),
        (round_part(-0.52, 0.3, 0.26, 0.26), "dark"),
        (round_part(0.52, 0.3, 0.26, 0.26), "dark"),
    ]


def _fish() -> Parts:
    return [
        (_points((0.45, 0), (1, -0.5), (1, 0.5)), "own"),
        (round_part(-0.2, 0, 0.8, 0.48), "own"),
        (round_part(-0.62, -0.12, 0.1, 0.1, 12), "white"),
    ]


def _boat() -> Parts:
    return [
        (box_part(-0.06, -1, 0.06, 0.4), "dark"),
        (_points((0.1, -0.95), (0.8, 0.25), (0.1, 0.25)), "light"),
        (_points((-0.1, -0.7), (-0.1, 0.25), (-0.65, 0.25)), "light"),
        (_points((-1, 0.4), (1, 0.4), (0.65, 0.9), (-0.65, 0.9)), "own"),
    ]


def _cup() -> Parts:
    handle, hollow = round_part(0.62, 0, 0.38, 0.42), round_part(0.62, 0, 0.2, 0.24)
    return [
        (np.concatenate((handle, handle[:1], hollow[::-1][-1:], hollow[::-1])), "dark"),
        (_points((-0.85, -0.75), (0.65, -0.75), (0.45, 0.8), (-0.65, 0.8)), "own"),
        (round_part(-0.1, -0.75, 0.75, 0.15), "light"),
    ]


def _flower() -> Parts:
    petals: Parts = []
    for k in range(6):
        angle = k * math.pi / 3
        petals.append((round_part(0.58 * math.cos(angle), 0.58 * math.sin(angle), 0.4, 0.4, 24), "own"))
    return [*petals, (round_part(0, 0, 0.3, 0.3, 20), "white")]


SHAPES: dict[str, Callable[[], Parts]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
    "diamond": _diamond,
    "heart": _heart,
}
ICONS: dict[str, Callable[[], Parts]] = {
    "house": _house,
    "tree": _tree,
    "car": _car,
    "fish": _fish,
    "boat": _boat,
    "cup": _cup,
    "flower": _flower,
}
OUTLINES = SHAPES | ICONS


def placed(polygon: Polygon, x: float, y: float, half: float, turn: float = 0.0, mirrored: bool = False) -> Polygon:
    """A polygon at (x, y), half its side long, turned by `turn` degrees."""
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    moved = polygon * np.array([-half if mirrored else half, half])
    turned: Polygon = moved @ np.array([[c, s], [-s, c]]) + np.array([x, y])
    return turned
