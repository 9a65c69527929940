"""Which way up a page of pixels is, and how far its lines are off the level.

Lines that the text detector finds lie or stand: that leaves two turns of four. Between those the recognition network
decides: read the wrong way round, it is far less sure. The skew is the middling angle of all lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from docpipe.engines import ocr_models, ocr_page
from docpipe.engines.fragments import main_turn
from docpipe.engines.ocr_lines import ON_END, certainty, find_strips
from docpipe.engines.ocr_models import Character, Pixels, Strip
from docpipe.engines.textlayer import is_ideograph
from docpipe.sheet import Sheet

SAMPLE, SAMPLE_LENGTH = 6, 12.0
"""So many lines are read to tell up from down, each to a length of so many times its height."""

SURE = 0.93
"""Lines read with this certainty are the right way round: the other way is not tried."""

LONG = 5.0
"""A line tells an angle when it is so many times as long as high."""

MOST_SKEW, LEAST_SKEW = 15.0, 0.1
"""In degrees: beyond the first it is no skew but a slanted design, below the second nothing to undo."""

COARSE_SIDE = 960
"""The detector's view of pages whose words are known already, when only an angle is asked for."""


def orientation(sheet: Sheet, *, aside: bool = False, threads: int = 1) -> tuple[int, float]:
    """A page's rotation (0, 90, 180, 270: the clockwise turn that makes it upright) and skew (the further clockwise
    turn in degrees that levels its lines), off its pixels.

    Unseen text over a scan tells the rotation for less, unless it is set aside.
    """
    lines = sheet.source.lines()
    if lines and not aside:
        rotation = (360 - main_turn(lines)) % 360
        image, _ = sheet.source.pixels(110.0)
        pixels = np.asarray(ocr_page.turned(image, rotation))
        return rotation, skew_of(find_strips(pixels, threads, COARSE_SIDE))
    strips = ocr_page.strips_on(sheet, 0, threads)
    if not strips:
        return 0, 0.0
    image, _ = ocr_page.pixels_of(sheet, 0)
    rotation = rotation_of(np.asarray(image), strips, threads)
    if rotation % 180:
        strips = ocr_page.strips_on(sheet, rotation, threads)
    return rotation, skew_of(strips)


def rotation_of(pixels: Pixels, strips: Sequence[Strip], threads: int = 1) -> int:
    """The clockwise turn that makes a page with these lines upright."""
    lying = sum(s.width for s in strips if s.width > ON_END * s.height)
    standing = sum(s.height for s in strips if s.height > ON_END * s.width)
    if standing > lying:
        # On a page to be turned by 90 degrees lines run upwards, on one to be turned by 270 they run down.
        down = [_rolled(s, -1) for s in strips if s.height > ON_END * s.width]
        sure, letters = _read(pixels, down, threads)
        if sum(is_ideograph(c.text) for c in letters) > 0.5 * len(letters):
            return 0  # columns of Chinese or Japanese stand as they should
        return 270 if sure > SURE or sure >= _read(pixels, [_rolled(s, 2) for s in down], threads)[0] else 90
    level = [s for s in strips if s.width > ON_END * s.height]
    sure, _ = _read(pixels, level, threads)
    if sure > SURE or not level:
        return 0
    return 180 if _read(pixels, [_rolled(s, 2) for s in level], threads)[0] > sure + 0.02 else 0


def _rolled(strip: Strip, by: int) -> Strip:
    """A strip whose text starts at another of its corners."""
    return replace(strip, corners=np.roll(strip.corners, by, axis=0))


def _read(pixels: Pixels, strips: Sequence[Strip], threads: int) -> tuple[float, list[Character]]:
    """How surely some of these lines are read, and what: those of the most usual height, spread over the page."""
    if not strips:
        return 0.0, []
    usual = float(np.median([s.height for s in strips]))
    ranked = sorted(strips, key=lambda s: (abs(s.height - usual) > 0.4 * usual, s.width < LONG * s.height))
    plain = sorted(ranked[: max(SAMPLE, len(strips) // 2)], key=lambda s: (float(s.corners[:, 1].mean()), s.width))
    chosen = plain[:: max(1, len(plain) // SAMPLE)][:SAMPLE]
    letters: list[Character] = []
    for strip in chosen:
        start, across = strip.corners[[0, 3]], strip.corners[[1, 2]] - strip.corners[[0, 3]]
        share = min(1.0, SAMPLE_LENGTH * strip.height / strip.width)
        # The middle of the line, so that both ways round the same letters are read.
        first, last = start + across * (0.5 - share / 2), start + across * (0.5 + share / 2)
        corners = np.array([first[0], last[0], last[1], first[1]], np.float32)
        letters += ocr_models.read_strip(ocr_models.cut(pixels, corners), threads)
    return certainty(letters), letters


def skew_of(strips: Sequence[Strip]) -> float:
    """The clockwise turn in degrees that levels these lines; 0 when they say nothing or are level."""
    long = [s for s in strips if s.width > LONG * s.height and abs(s.angle) <= MOST_SKEW]
    if not long:
        return 0.0
    angles = np.array([s.angle for s in long])
    order = np.argsort(angles, kind="stable")
    weights = np.cumsum(np.array([s.width for s in long])[order])
    middle = float(angles[order][np.searchsorted(weights, weights[-1] / 2)])
    return 0.0 if abs(middle) < LEAST_SKEW else round(-middle, 2)
