"""Colours by name, each a range of hues that people would call by it."""

from __future__ import annotations

import colorsys
import random

Rgb = tuple[int, int, int]

_RANGES: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "red": ((-9, 5), (0.78, 1.0), (0.68, 0.95)),
    "orange": ((23, 33), (0.85, 1.0), (0.92, 1.0)),
    "yellow": ((50, 57), (0.72, 1.0), (0.9, 1.0)),
    "green": ((100, 145), (0.55, 1.0), (0.42, 0.8)),
    "blue": ((212, 236), (0.62, 1.0), (0.5, 0.95)),
    "purple": ((272, 292), (0.5, 0.9), (0.45, 0.8)),
    "pink": ((322, 340), (0.3, 0.5), (0.95, 1.0)),
    "brown": ((20, 30), (0.6, 0.8), (0.36, 0.52)),
    "black": ((0, 360), (0.0, 0.2), (0.0, 0.13)),
    "gray": ((0, 360), (0.0, 0.05), (0.45, 0.66)),
}
"""Hue in degrees, saturation and value 0..1."""

COLOURS = tuple(_RANGES)


def shade(name: str, rng: random.Random) -> Rgb:
    """One of the colours of that name."""
    (h0, h1), (s0, s1), (v0, v1) = _RANGES[name]
    return _rgb(rng.uniform(h0, h1) % 360, rng.uniform(s0, s1), rng.uniform(v0, v1))


def background(rng: random.Random) -> Rgb:
    """White, or a tint too pale to be called by a colour's name."""
    if rng.random() < 0.5:
        return (255, 255, 255)
    return _rgb(rng.uniform(0, 360), rng.uniform(0, 0.13), rng.uniform(0.9, 1.0))


def mixed(colour: Rgb, other: Rgb, share: float) -> Rgb:
    """`share` of the other colour in the first."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def _rgb(hue: float, saturation: float, value: float) -> Rgb:
    red, green, blue = colorsys.hsv_to_rgb(hue / 360, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)
