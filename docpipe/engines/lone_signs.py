"""Signs that stand alone in a cell (a dash, a cross, a digit), which line detectors pass over as specks.

What ink is left once rulings and lines of text are taken out is grouped into blobs no larger than a word; a flat one
is a dash by its shape, any other is shown to the recognition network and kept when that is sure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from docpipe.document import Box
from docpipe.engines import ocr_models
from docpipe.engines.lattice import Rulings
from docpipe.engines.linework import Mask
from docpipe.engines.ocr_lines import ReadLine

SURE = 0.75
"""A lone sign is believed from this certainty up: there is no word around it that would speak for it."""

Pixels = npt.NDArray[np.uint8]


def lone_signs(
    pixels: Pixels, ink: Mask, lines: Sequence[ReadLine], rulings: Rulings, size: float, threads: int = 1
) -> list[ReadLine]:
    """The lone signs of an image, each as a line of one word. All in one unit: pixels of the image given."""
    left = ink.copy()
    for line in lines:
        x0, y0, x1, y1 = (round(v) for v in line.box)
        left[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = False
    found = []
    for box in _blobs(left, size):
        if any(_near(box, ruling, 0.2 * size) for ruling in (*rulings.horizontal, *rulings.vertical)):
            continue
        flat = box.height <= 0.3 * size and 1.6 * box.height <= box.width <= 1.5 * size
        if flat and box.width >= 0.2 * size:
            sign = "-" if box.width < 0.55 * size else "–"
            found.append(ReadLine((sign,), (box,), SURE, (SURE,)))
        elif 0.4 * size <= box.height <= 1.6 * size:
            found += _read(pixels, box, size, threads)
    return found


def _blobs(left: Mask, size: float) -> Iterator[Box]:
    """Boxes of ink no larger than a short word, with nothing right beside them."""
    import cv2

    reach = max(1, round(0.35 * size))
    kernel = np.ones((max(1, reach // 2), reach), np.uint8)
    grown = cv2.dilate(left.astype(np.uint8), kernel)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(grown, connectivity=8)
    for n in range(1, count):
        x, y, width, height, _ = (int(v) for v in stats[n])
        if width > 4 * size or height > 2.2 * size:
            continue
        inside = left[y : y + height, x : x + width] & (labels[y : y + height, x : x + width] == n)
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if rows.size and inside.sum() >= 0.02 * size * size:
            top, bottom, start, stop = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
            yield Box(float(x + start), float(y + top), float(x + stop), float(y + bottom))


def _near(box: Box, ruling: Box, distance: float) -> bool:
    near = ruling.grown(distance)
    return near.x0 < box.x1 and box.x0 < near.x1 and near.y0 < box.y1 and box.y0 < near.y1


def _read(pixels: Pixels, box: Box, size: float, threads: int) -> list[ReadLine]:
    """What the recognition network says of a blob, when it is sure."""
    middle = box.center[1]
    half = max(0.75 * size, 0.6 * box.height)
    x0, x1, y0, y1 = box.x0 - 0.4 * size, box.x1 + 0.4 * size, middle - half, middle + half
    corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float32)
    letters = ocr_models.read_strip(ocr_models.cut(pixels, corners), threads)
    text = "".join(letter.text for letter in letters).strip()
    certain = min((letter.probability for letter in letters), default=0.0)
    return [ReadLine((text,), (box,), round(certain, 4), (round(certain, 4),))] if text and certain >= SURE else []
