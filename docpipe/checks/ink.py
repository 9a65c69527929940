"""How much ink a crop holds: enough to tell an invented reading from a blank page."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

CONTRAST = 40
"""Grey levels by which ink must differ from its background; paper grain and JPEG noise stay below."""

_TILE = 8


class Ink(NamedTuple):
    """Marks of a crop: `marks` blobs the size of a character or part of one, `tiles` 8 px squares with ink in them."""

    marks: int
    tiles: int


def ink_mask(image: Image.Image) -> npt.NDArray[np.bool_]:
    """Pixels darker than paper (or, on a dark ground, lighter). The ground is the median of the grey levels."""
    grey = np.asarray(image.convert("L"), dtype=np.int16)
    if not grey.size:
        return np.zeros((0, 0), dtype=bool)
    ground = int(np.median(grey))
    mask: npt.NDArray[np.bool_] = grey < ground - CONTRAST if ground >= 128 else grey > ground + CONTRAST
    return mask


def inked_tiles(mask: npt.NDArray[np.bool_]) -> int:
    """How many squares of 8 by 8 pixels hold ink beyond a speck (6 pixels or more)."""
    height, width = (side // _TILE * _TILE for side in mask.shape)
    whole = mask[:height, :width].reshape(height // _TILE, _TILE, width // _TILE, _TILE)
    return int((whole.sum(axis=(1, 3)) >= 6).sum())


def is_blank(image: Image.Image) -> bool:
    """Whether nothing is printed on a crop. Dust does not count; a single character at 150 dpi does.

    Crops of less than 16 pixels a side are never called blank: too little is seen of them.
    """
    if min(image.size) < 16:
        return False
    return inked_tiles(ink_mask(image)) < 2


def measure(image: Image.Image) -> Ink:
    """Count the marks on a crop: connected blobs of ink that are neither specks nor rules nor solid areas."""
    import cv2

    mask = ink_mask(image)
    if not mask.any():
        return Ink(0, 0)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    width, height, area = stats[1:, 2], stats[1:, 3], stats[1:, 4]
    marks = (area >= 6) & (np.maximum(width, height) <= 300) & (np.maximum(width, height) >= 4)
    return Ink(int(marks.sum()), inked_tiles(mask))
