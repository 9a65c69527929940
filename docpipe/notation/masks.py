"""Masks as run lengths: how many pixels of 0, 1, 0, … follow each other, row by row (`document.Detection`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def run_lengths(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    """A mask [height, width] as run lengths, the first of them of 0 (and 0 long where the mask begins with 1)."""
    flat = np.concatenate(([False], mask.ravel()))
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    ends = np.concatenate((edges, [mask.size]))
    return tuple(int(length) for length in np.diff(ends, prepend=0))


def from_run_lengths(runs: Sequence[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Run lengths as a mask [height, width]; size is width, height. Raises ValueError when they do not fill it."""
    width, height = size
    if sum(runs) != width * height or any(length < 0 for length in runs):
        raise ValueError(f"runs of {sum(runs)} pixels do not fill {width} x {height}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, list(runs)).reshape(height, width)
