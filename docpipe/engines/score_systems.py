"""A picture of music cut into its systems, from the top down: staves that a line at their left holds together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image

from docpipe.engines.staves import Ink, Staff, find_staves, levelled

BEYOND = 7.0
"""How far a system's picture reaches above and below its staves, in staff spaces, where no other is nearer."""


def systems_of(image: Image.Image) -> list[Image.Image]:
    """The picture of each system; the whole picture where it shows only one, none without staves."""
    gray, ink = levelled(image)
    staves = find_staves(ink)
    groups = grouped(ink, staves)
    if len(groups) < 2:
        return [image] if groups else []
    level = Image.fromarray(gray)
    out = []
    for k, group in enumerate(groups):
        reach = BEYOND * group[0].space
        top, bottom = group[0].top - reach, group[-1].bottom + reach
        if k:
            top = max(top, (groups[k - 1][-1].bottom + group[0].top) / 2)
        if k + 1 < len(groups):
            bottom = min(bottom, (group[-1].bottom + groups[k + 1][0].top) / 2)
        out.append(level.crop((0, max(0, round(top)), level.width, min(level.height, round(bottom)))))
    return out


def grouped(ink: Ink, staves: list[Staff]) -> list[list[Staff]]:
    """Staves by the system that they belong to."""
    groups: list[list[Staff]] = [[staff] for staff in staves[:1]]
    for above, below in pairwise(staves):
        if _held_together(ink, above, below):
            groups[-1].append(below)
        else:
            groups.append([below])
    return groups


def _held_together(ink: Ink, above: Staff, below: Staff) -> bool:
    """Whether a stroke at the left end, or bars that go on, lead from one staff down to the next."""
    space = above.space
    if below.top - above.bottom > 25 * space:
        return False
    near = ink.copy()
    near[:, 1:] |= ink[:, :-1]
    near[:, :-1] |= ink[:, 1:]
    gap = near[round(above.bottom) + 1 : max(round(above.bottom) + 2, round(below.top))].mean(0)
    through = gap > 0.92
    left = min(above.left, below.left)
    begin = through[max(0, round(left - 2.5 * space)) : round(left + 1.5 * space)]
    if begin.any():
        return True
    strokes = np.nonzero(np.diff(np.concatenate([[0], through.astype(np.int8)])) == 1)[0]
    return len(strokes) >= 2
