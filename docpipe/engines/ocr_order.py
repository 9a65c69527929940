"""Reading order of lines found on an image: rows where things stand side by side, columns where prose does.

A row of a receipt or a form is read across its gaps, two columns of a book are not. What tells them apart is what
stands on both sides of the gap: columns of prose are several lines long on either side and each of their lines holds
several words, cells of a table are short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from docpipe.document import Box

LEAST_LINES = 4
"""A column of prose has at least so many lines."""

PROSE, LONG_PROSE = 18, 26
"""Letters in the middling line of a column of prose; fewer, and it is a column of a table. One column as long as the
second beside anything whose lines do not stand level with its own is a column, too."""

LEVEL = 0.2
"""Lines of one row stand level within this share of their height."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a line: where it stands and how many letters it has."""

    box: Box
    letters: int


def in_rows(pieces: Sequence[Piece]) -> list[list[int]]:
    """The pieces as rows in reading order, each from left to right, as indices."""
    if not pieces:
        return []
    height = median(p.box.height for p in pieces)
    return _parted(list(range(len(pieces))), pieces, height)


def _parted(items: list[int], pieces: Sequence[Piece], height: float) -> list[list[int]]:
    """Rows of items, cut into columns of prose where there are any, by the widest run of rows that share a gutter."""
    rows = _rows(items, pieces)
    best = _columns(rows, pieces, height)
    if best is None:
        return rows
    first, last, at = best
    above = [i for row in rows[:first] for i in row]
    middle = [i for row in rows[first:last] for i in row]
    below = [i for row in rows[last:] for i in row]
    left = [i for i in middle if pieces[i].box.center[0] < at]
    right = [i for i in middle if pieces[i].box.center[0] >= at]
    return [row for part in (above, left, right, below) if part for row in _parted(part, pieces, height)]


def _rows(items: Sequence[int], pieces: Sequence[Piece]) -> list[list[int]]:
    """Items side by side joined: a piece belongs to a row when it shares half its height with its nearest piece."""
    rows: list[list[int]] = []
    for item in sorted(items, key=lambda i: (pieces[i].box.center[1], pieces[i].box.x0)):
        box = pieces[item].box
        for row in reversed(rows[-6:]):
            near = min((pieces[j].box for j in row), key=lambda b: _apart(b, box))
            shared = min(near.y1, box.y1) - max(near.y0, box.y0)
            over = min(near.x1, box.x1) - max(near.x0, box.x0)
            if shared > 0.5 * min(near.height, box.height) and over < 0.3 * min(near.width, box.width):
                row.append(item)
                break
        else:
            rows.append([item])
    for row in rows:
        row.sort(key=lambda i: pieces[i].box.x0)
    return sorted(rows, key=lambda row: sum(pieces[i].box.center[1] for i in row) / len(row))


def _apart(a: Box, b: Box) -> float:
    return max(0.0, a.x0 - b.x1, b.x0 - a.x1)


def _columns(rows: list[list[int]], pieces: Sequence[Piece], height: float) -> tuple[int, int, float] | None:
    """The run of rows [first, last) with a gutter at x between columns of prose; the longest, or None."""
    edges = sorted({pieces[row[k]].box.x1 for row in rows for k in range(len(row) - 1)})
    best: tuple[int, int, float] | None = None
    for edge in edges:
        at = edge + 0.4 * height
        first = None
        for index in range(len(rows) + 1):
            clear = index < len(rows) and not any(
                pieces[i].box.x0 < at - 0.3 * height and pieces[i].box.x1 > at + 0.3 * height for i in rows[index]
            )
            if clear and first is None:
                first = index
            if not clear and first is not None:
                if (best is None or index - first > best[1] - best[0]) and _prose(
                    [i for row in rows[first:index] for i in row], at, pieces
                ):
                    best = (first, index, at)
                first = None
    return best


def _prose(items: Sequence[int], at: float, pieces: Sequence[Piece]) -> bool:
    """Whether what stands on either side of a gutter is read down, one after the other."""
    left = [pieces[i] for i in items if pieces[i].box.center[0] < at]
    right = [pieces[i] for i in items if pieces[i].box.center[0] >= at]
    if min(len(left), len(right)) < LEAST_LINES:
        return False
    letters = [median(p.letters for p in side) for side in (left, right)]
    if min(letters) >= PROSE:
        return True
    return max(letters) >= LONG_PROSE and min(len(left), len(right)) >= 2 * LEAST_LINES and not _level(left, right)


def _level(left: Sequence[Piece], right: Sequence[Piece]) -> bool:
    """Whether most pieces of the side that has fewer stand level with one of the other side."""
    few, many = sorted((left, right), key=len)
    offsets = [
        min(abs(piece.box.center[1] - other.box.center[1]) for other in many) / piece.box.height for piece in few
    ]
    return sum(offset < LEVEL for offset in offsets) > 0.7 * len(offsets)
