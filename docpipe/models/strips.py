"""A strip of a score folded into the square that PaliGemma's vision tower wants.

A strip is one staff over one measure: 80 x 320 pixels, 6 pixels a staff space, the middle line at half its height.
Its patches are laid out again, column by column, as the rows of a square of 160 x 160: no pixel changes, and the order
of the image tokens becomes the order of reading.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

HEIGHT, WIDTH, PATCH = 80, 320, 16
ROWS, COLUMNS = HEIGHT // PATCH, WIDTH // PATCH
SIDE = 160
_ACROSS = SIDE // PATCH

SPACE = 6.0
"""Pixels of a strip, upright, for one staff space."""

STRETCH = 9.0
"""Pixels of a strip along the staff for one staff space, at most: short measures are drawn out, long ones pressed."""

LEFT, RIGHT = 0.6, 1.0
"""How far a strip goes beyond the bars on its left and right, in staff spaces."""

Gray = npt.NDArray[np.uint8]


def fold(strip: Gray) -> Gray:
    """A strip [80, 320] as a square [160, 160] whose patches, row by row, are the strip's, column by column."""
    patches = strip.reshape(ROWS, PATCH, COLUMNS, PATCH).transpose(2, 0, 1, 3).reshape(-1, PATCH, PATCH)
    return patches.reshape(_ACROSS, _ACROSS, PATCH, PATCH).transpose(0, 2, 1, 3).reshape(SIDE, SIDE)


def unfold(square: Gray) -> Gray:
    """The strip [80, 320] that a square [160, 160] was folded from."""
    patches = square.reshape(_ACROSS, PATCH, _ACROSS, PATCH).transpose(0, 2, 1, 3).reshape(-1, PATCH, PATCH)
    return patches.reshape(COLUMNS, ROWS, PATCH, PATCH).transpose(1, 2, 0, 3).reshape(HEIGHT, WIDTH)


def folded_place(x: float, y: float) -> tuple[float, float]:
    """Where the point (x, y) of a strip lies in the square; points outside are brought to the border first."""
    x, y = min(max(x, 0.0), WIDTH - 0.01), min(max(y, 0.0), HEIGHT - 0.01)
    column, row = int(x // PATCH), int(y // PATCH)
    k = column * ROWS + row
    return (k % _ACROSS) * PATCH + x - column * PATCH, (k // _ACROSS) * PATCH + y - row * PATCH
