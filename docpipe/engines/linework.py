"""Rulings and cell backgrounds found in pixels, by the runs of edges that text is too short to make.

A ruling shows two edges close together, the border of a background one; both part cells alike, so runs of edges are
all that is looked for. Thresholds are relative to the height of the letters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from docpipe.document import Box
from docpipe.engines.lattice import Rulings

GAP = 0.06
"""Gaps in an edge up to this many letter heights are closed; those between letters are wider."""

Gray = npt.NDArray[np.int16]
Mask = npt.NDArray[np.bool_]

STEP = 14
"""Least step in brightness (0..255) between neighbouring pixels that is an edge."""

WIDE, TALL = 2.2, 1.7
"""Horizontal and vertical rulings are longer than this many letter heights; strokes of letters are not."""


def rulings_in(gray: Gray, size: float, texts: Sequence[Box] = ()) -> Rulings:
    """The rulings in an image. gray: rows x columns of brightness 0..255; size: height of the letters in pixels.

    texts: the boxes of lines of text; low letters that stand close make runs of edges, too, but within such a box.
    """
    level = np.abs(np.diff(gray, axis=0)) > STEP
    plumb = np.abs(np.diff(gray, axis=1)) > STEP
    gap = int(GAP * size)
    horizontal = [Box(a, y + 1, b, y + 1) for y, a, b in _runs(_steady(level, gap), WIDE * size)]
    vertical = [Box(x + 1, a, x + 1, b) for x, a, b in _runs(_steady(plumb.T, gap), TALL * size)]
    return Rulings(tuple(r for r in horizontal if not _in_text(r, texts)), tuple(vertical))


def _in_text(ruling: Box, texts: Sequence[Box]) -> bool:
    """Whether most of a horizontal run lies in the inner part of lines of text."""
    within = 0.0
    for box in texts:
        if box.y0 + 0.2 * box.height < ruling.y0 < box.y1 - 0.2 * box.height:
            within += max(0.0, min(box.x1, ruling.x1) - max(box.x0, ruling.x0))
    return within > 0.6 * ruling.width


def _steady(edges: Mask, gap: int) -> Mask:
    """Edges with gaps of up to `gap` pixels (at most two) along the rows closed, as JPEG leaves them."""
    closed = edges.copy()
    if gap > 0:
        closed[:, 1:-1] |= edges[:, :-2] & edges[:, 2:]
    if gap > 1:
        closed[:, 1:-2] |= edges[:, :-3] & edges[:, 3:]
        closed[:, 2:-1] |= edges[:, :-3] & edges[:, 3:]
    return closed


def _runs(mask: Mask, least: float) -> Iterator[tuple[int, int, int]]:
    """Runs of True along the rows that are longer than `least`, as (row, start, stop)."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, stops = np.nonzero(steps == -1)
    long = stops - starts > least
    yield from zip(rows[long].tolist(), starts[long].tolist(), stops[long].tolist(), strict=True)


def ink_of(gray: Gray, rulings: Rulings, size: float) -> Mask:
    """Where letters are: pixels that differ from the brightness around them, rulings left out."""
    reach = max(3, round(1.5 * size))
    ground = _median_by_block(gray, reach)
    ink: Mask = np.abs(gray - ground) > 40
    for box in (*rulings.horizontal, *rulings.vertical):
        x0, y0, x1, y1 = (round(v) for v in box)
        ink[max(0, y0 - 2) : y1 + 2, max(0, x0 - 2) : x1 + 2] = False
    return ink


def _median_by_block(gray: Gray, side: int) -> Gray:
    """The median brightness of the block of `side` x `side` pixels that each pixel lies in."""
    height, width = gray.shape
    padded = np.pad(gray, ((0, -height % side), (0, -width % side)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // side, side, padded.shape[1] // side, side)
    medians = np.median(blocks, axis=(1, 3)).astype(np.int16)
    filled: Gray = np.repeat(np.repeat(medians, side, axis=0), side, axis=1)[:height, :width]
    return filled
