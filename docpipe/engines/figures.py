"""Telling figures apart by what they are made of: staves, straight bonds, axes and bars, boxes and arrows, tones.

No model: a handful of measures on at most a megapixel, each with a meaning, and rules over them tuned on drawings,
scans and charts of many makers (benchmarks/layout.py). When they do not agree the answer is "other".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

FigureKind = Literal["photo", "chart", "molecule", "score", "formula", "diagram", "other"]
Bitmap = npt.NDArray[np.bool_]

LONGEST = 1000
"""Images are looked at with no side longer than this, in pixels."""

MANY_SIGNS = 12
"""A figure with so many signs of music fonts is music, whatever its lines."""

_ATOM = re.compile(r"(?:[HCNOSPFIB]|Cl|Br|Si|Se|Me|Et|Ph|[2-9]|[-+−])+$")
_NUMERAL = re.compile(r"^[-+−]?\s*[$€£]?\s*\d[\d.,  ]*\s*%?$")


@dataclass(frozen=True)
class Measures:
    """What is measured of a figure; shares are 0..1.

    paper: share of pixels of the lightest tone. tones: share of pixels neither paper nor ink. colour: share of
    saturated pixels. ink: share of dark pixels. staves: share of the width crossed by five even lines,
    space: between them, as a share of the longest side.
    slanted, level, upright: share of the ink in straight strokes of that direction. axes: how much of the sides the
    longest level and upright lines take. solid: share of the ink in filled areas. bars: how many filled areas rise
    from one line. entropy: of the grey tones, in bits. numerals, atoms: how many of the labels are numbers, and how
    many read as atoms. signs: glyphs of music fonts, as far as the file says.
    """

    paper: float
    tones: float
    colour: float
    ink: float
    staves: float
    space: float
    slanted: float
    level: float
    upright: float
    axes: tuple[float, float]
    solid: float
    bars: int
    entropy: float
    numerals: int
    labels: int
    atoms: int = 0
    signs: int = 0


def tell_apart(image: Image.Image, labels: Sequence[str] = (), signs: int = 0) -> tuple[FigureKind, float]:
    """What a figure is, and how sure, 0..1.

    labels: the words known to stand in it, when the file says them. signs: how many glyphs of music fonts.
    """
    return judge(measure(image, labels, signs))


def measure(image: Image.Image, labels: Sequence[str] = (), signs: int = 0) -> Measures:
    """Measure a figure (RGB, any size)."""
    image = image.convert("RGB")
    if max(image.size) > LONGEST:
        image.thumbnail((LONGEST, LONGEST), Image.Resampling.BOX)
    rgb = np.asarray(image, np.int16)
    grey = rgb.mean(axis=2)
    paper_tone = float(np.percentile(grey, 95))
    light = grey > paper_tone - 18
    dark = grey < paper_tone - 70
    spread = rgb.max(axis=2) - rgb.min(axis=2)
    thin = _thin(dark)
    staves, space = _staves(np.clip(paper_tone - grey, 0.0, None) / 255)
    filled = ~light & ~_thin(~light)
    slanted, level, upright = _strokes(thin)
    ink = float(dark.mean())
    return Measures(
        paper=float(light.mean()),
        tones=float((~light & ~dark).mean()),
        colour=float((spread > 45).mean()),
        ink=ink,
        staves=staves,
        space=space,
        slanted=slanted,
        level=level,
        upright=upright,
        axes=(_longest(thin, 1), _longest(thin, 0)),
        solid=float((dark & ~thin).sum() / max(1, dark.sum())),
        bars=max(_bars(filled), _bars(filled[:, ::-1].T)),
        entropy=_entropy(grey),
        numerals=sum(bool(_NUMERAL.match(label.strip())) for label in labels),
        labels=len(labels),
        atoms=sum(bool(_ATOM.match(label)) and label[0].isupper() for label in labels),
        signs=signs,
    )


def _thin(dark: Bitmap, width: int = 9) -> Bitmap:
    """The ink in strokes: what vanishes when the figure is worn down by `width` pixels either way."""
    core = dark.copy()
    for axis in (0, 1):
        worn = core.copy()
        for step in range(1, width):
            worn &= np.roll(core, -step, axis)
        core = worn
    for axis in (0, 1):
        grown = core.copy()
        for step in range(1, width):
            grown |= np.roll(core, step, axis)
        core = grown
    return dark & ~core


_DIRECTIONS = {
    "level": ((0, 1),),
    "upright": ((1, 0),),
    "slanted": ((1, 1), (1, -1), (1, 2), (1, -2), (2, 1), (2, -1), (4, 7), (4, -7), (7, 4), (7, -4)),
}


def _strokes(ink: Bitmap) -> tuple[float, float, float]:
    """The shares of the ink in straight strokes: slanted (by 27 to 63 degrees), level, upright.

    A stroke is ink all along a segment of a 28th of the larger side, at least 12 pixels.
    """
    total = max(1, int(ink.sum()))
    length = max(12, max(ink.shape) // 28)
    thick = ink | np.roll(ink, 1, 0) | np.roll(ink, 1, 1)
    shares = []
    for name in ("slanted", "level", "upright"):
        found = np.zeros_like(ink)
        for down, across in _DIRECTIONS[name]:
            found |= _runs(thick, down, across, length)
        shares.append(float((found & ink).sum() / total))
    return shares[0], shares[1], shares[2]


def _runs(ink: Bitmap, down: int, across: int, length: int) -> Bitmap:
    """The ink on segments of `length` pixels in one direction, all of them ink."""
    norm = (down * down + across * across) ** 0.5
    steps = [(round(down * t / norm), round(across * t / norm)) for t in range(0, length, 2)]
    through = np.ones_like(ink)
    for dy, dx in steps:
        through &= np.roll(ink, (-dy, -dx), (0, 1))
    covered = np.zeros_like(ink)
    for dy, dx in steps:
        covered |= np.roll(through, (dy, dx), (0, 1))
    return covered


def _longest(ink: Bitmap, axis: int) -> float:
    """The longest unbroken line of ink along an axis, as a share of that side."""
    lines = ink if axis == 1 else ink.T
    padded = np.zeros((lines.shape[0], lines.shape[1] + 2), np.int8)
    padded[:, 1:-1] = lines
    edges = np.diff(padded.ravel())
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return float((stops - starts).max() / lines.shape[1]) if len(starts) else 0.0


def _staves(darkness: npt.NDArray[np.float64], strips: int = 24) -> tuple[float, float]:
    """The share of upright strips of the image, of those with any ink, that five even, thin, level lines cross, and
    the space between these lines as a share of the longest side.

    Strips are narrow enough that a skew of some degrees does not matter; lines that scaling has made faint are found
    at a lower threshold.
    """
    height, width = darkness.shape
    if width < strips * 6 or height < 24:
        return 0.0, 0.0
    inked, spaces = 0, []
    for strip in np.array_split(darkness, strips, axis=1):
        rows = strip.mean(axis=1)
        inked += rows.max() > 0.08
        found = (_five_even(rows > threshold) for threshold in (0.6, 0.35, 0.2, 0.1))
        spaces += [space for space in (next(filter(None, found), 0.0),) if space]
    space = float(np.median(spaces)) if spaces else 0.0
    return len(spaces) / max(inked, strips // 2), space / max(height, width)


def _five_even(rows: Bitmap) -> float:
    """The space in pixels between five of the runs of rows, if thin and even and no sixth goes on; else 0."""
    edges = np.diff(np.concatenate(([0], rows.astype(np.int8), [0])))
    tops, feet = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    middles, thin = (tops + feet) / 2, feet - tops <= 6
    for i in range(len(middles) - 4):
        gaps = np.diff(middles[i : i + 5])
        space = float(gaps.mean())
        if space < 3.5 or not thin[i : i + 5].all() or np.abs(gaps - space).max() > max(1.2, 0.22 * space):
            continue
        before = middles[i] - middles[i - 1] if i else 1e9
        after = middles[i + 5] - middles[i + 4] if i + 5 < len(middles) else 1e9
        if min(before, after) > 1.35 * space:
            return space
    return 0.0


def _bars(filled: Bitmap) -> int:
    """How many upright bars stand on one line: gaps between them, feet level, tops not all so."""
    occupied = np.flatnonzero(filled.sum(axis=0) > 3)
    if len(occupied) < 9:
        return 0
    runs = [run for run in np.split(occupied, np.flatnonzero(np.diff(occupied) > 1) + 1) if len(run) >= 4]
    bottom = filled.shape[0] - 1 - np.argmax(filled[::-1], axis=0)
    feet = np.array([float(np.median(bottom[run])) for run in runs])
    if len(feet) < 3:
        return 0
    level = np.abs(feet - np.median(feet)) <= 3
    return int(level.sum()) if level.mean() >= 0.7 else 0


def _entropy(grey: npt.NDArray[np.float64]) -> float:
    """How many bits a grey tone tells: 1 or 2 in drawings and screened prints, 7 in photographs."""
    counts = np.bincount(grey.astype(np.uint8).ravel(), minlength=256)
    shares = counts[counts > 0] / grey.size
    return float(-(shares * np.log2(shares)).sum())


def judge(m: Measures) -> tuple[FigureKind, float]:
    """The rules over the measures, the surest first."""
    if m.signs and m.staves >= 0.2:
        return "score", 0.99
    if m.signs >= MANY_SIGNS:  # chant has four lines
        return "score", 0.8
    # Five rules make a table of four rows too, but its rows are wide and no notes fill them.
    if m.staves >= 0.6 and (m.space < 0.018 or m.solid > 0.01):
        return "score", min(0.99, 0.55 + 0.45 * m.staves)
    numbered = m.numerals >= 3 and m.numerals >= 0.25 * m.labels
    if m.paper < 0.7 and m.entropy > 6.0 and not numbered:
        return "photo", min(0.95, m.entropy / 8)
    plain = m.paper > 0.88 and m.tones < 0.06 and m.colour < 0.06 and m.solid < 0.3
    level = m.level < 0.31 or m.atoms == m.labels > 0  # much of a small molecule's ink is in its letters
    if plain and m.slanted > 0.3 and m.slanted > m.level and level and max(m.axes) < 0.45 and m.numerals < 3:
        return "molecule", min(0.97, 0.6 + 0.5 * m.slanted)
    axes = min(m.axes) > 0.35
    if numbered and (max(m.axes) > 0.35 or m.bars >= 3 or m.solid > 0.5):
        return "chart", 0.93
    if m.bars >= 3 and m.paper > 0.5:
        return "chart", 0.8
    if axes and m.paper > 0.8 and m.slanted > 0.08 and m.labels == 0:
        return "chart", 0.6
    if m.paper > 0.8 and m.level > 0.2 and m.upright > 0.08 and m.labels >= 3 and m.solid < 0.4:
        return "diagram", 0.6
    return "other", 0.5
