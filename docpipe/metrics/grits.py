"""GriTS: how alike two tables are as grids: topology, content, location.

Smock, Pesala and Abraham, "GriTS: Grid table similarity metric for table structure recognition" (arXiv 2203.12555).
Of both grids the rows and columns are kept that, aligned in order, agree best; the score is the F1 of the agreement
of the cells that are left: 2 * sum / (cells of one + cells of the other). The best choice of rows and columns at once
is NP-hard; as in the paper rows and columns are aligned separately (the factored form), a lower bound.

A cell that spans several places counts at each of them. What they cannot see: header cells; how text is set; and,
Top and Loc, text at all. Unlike in TEDS a row too many costs its own cells and shifts nothing, and rows count as much
as columns.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from docpipe.document import Box, Cell, TableContent
from docpipe.metrics.subsequence import common_share
from docpipe.notation.html import table_content

Grid = list[list[Cell | None]]
Rewards = npt.NDArray[np.float64]
T = TypeVar("T", bound=Hashable)

MOST_PLACES = 20_000
"""Of grids with more places only the rows up to there are compared: a model may write spans of a thousand."""


def grits_top(answer: str, truth: str) -> float:
    """GriTS of the topology of two HTML tables, 0..1: the overlap (IoU) of the cells' spans as seen from each place.

    0 when either has no cell.
    """
    return _of_html(answer, truth, lambda a, b: _grits(_spans(a), _spans(b), _overlap))


def grits_con(answer: str, truth: str) -> float:
    """GriTS of the content of two HTML tables, 0..1: the longest common subsequence of the cells' texts, twice over
    both lengths; two empty cells agree. 0 when either has no cell.
    """
    return _of_html(answer, truth, lambda a, b: _grits(_texts(a), _texts(b), common_share))


def grits_loc(answer: TableContent, truth: TableContent) -> float:
    """GriTS of the location of two tables' cells, 0..1: the overlap (IoU) of their boxes; a cell without one agrees
    with nothing. 0 when either has no cell.
    """
    a, b = grid_of(answer), grid_of(truth)
    return _grits(_boxes(a), _boxes(b), _box_overlap) if a and b else 0.0


def grid_of(table: TableContent) -> Grid:
    """The cell at each place, rows of equal length; None at a place that no cell covers. Of two that overlap the
    first has the place.
    """
    columns = table.columns
    rows = min(table.rows, max(1, MOST_PLACES // max(1, columns)))
    grid: Grid = [[None] * columns for _ in range(rows)]
    for cell in table.cells:
        for r in range(cell.row, min(cell.row + cell.row_span, rows)):
            for c in range(cell.column, min(cell.column + cell.column_span, columns)):
                grid[r][c] = grid[r][c] or cell
    return grid


def _of_html(answer: str, truth: str, score: Callable[[Grid, Grid], float]) -> float:
    a, b = (grid_of(table_content(html)) for html in (answer, truth))
    return score(a, b) if a and b else 0.0


Span = tuple[int, int, int, int]


def _spans(grid: Grid) -> list[list[Span]]:
    """Each place's cell as x0 y0 x1 y1 in columns and rows from that place."""
    wide, high = len(grid[0]), len(grid)
    return [
        [
            (
                cell.column - c, cell.row - r,
                min(wide, cell.column + cell.column_span) - c, min(high, cell.row + cell.row_span) - r,
            ) if cell else (0, 0, 1, 1)
            for c, cell in enumerate(row)
        ]
        for r, row in enumerate(grid)
    ]  # fmt: skip


def _texts(grid: Grid) -> list[list[str]]:
    return [[cell.text if cell else "" for cell in row] for row in grid]


def _boxes(grid: Grid) -> list[list[Box | None]]:
    return [[cell.box if cell else None for cell in row] for row in grid]


def _overlap(a: Span, b: Span) -> float:
    return Box(*map(float, a)).iou(Box(*map(float, b)))


def _box_overlap(a: Box | None, b: Box | None) -> float:
    return a.iou(b) if a is not None and b is not None else 0.0


def _grits(a: Sequence[Sequence[T]], b: Sequence[Sequence[T]], likeness: Callable[[T, T], float]) -> float:
    places = len(a) * len(a[0]) + len(b) * len(b[0])
    rewards = _rewards(a, b, likeness)
    rows = _aligned(_aligned_totals(rewards))
    columns = _aligned(_aligned_totals(rewards.transpose(1, 0, 3, 2)))
    total = sum(float(rewards[i, j, k, m]) for i, k in rows for j, m in columns)
    return 2 * total / places


def _rewards(a: Sequence[Sequence[T]], b: Sequence[Sequence[T]], likeness: Callable[[T, T], float]) -> Rewards:
    """How alike each place of `a` is to each of `b`: [rows of a, columns of a, rows of b, columns of b], in 32 bits."""
    kinds: list[dict[T, int]] = [{}, {}]
    codes = [
        np.array([[kinds[n].setdefault(item, len(kinds[n])) for item in row] for row in grid])
        for n, grid in enumerate((a, b))
    ]
    table = np.array([[likeness(x, y) for y in kinds[1]] for x in kinds[0]], dtype=np.float32)
    found: Rewards = table[codes[0][:, :, None, None], codes[1][None, None, :, :]]
    return found


def _aligned_totals(rewards: Rewards) -> Rewards:
    """The best total of aligning each row of the one with each row of the other, cell by cell, in order."""
    rows, columns, other_rows, other_columns = rewards.shape
    above = [np.zeros((rows, other_rows)) for _ in range(other_columns + 1)]
    for j in range(columns):
        row = [np.zeros((rows, other_rows))]
        for m in range(other_columns):
            best = np.maximum(np.maximum(above[m + 1], row[m]), above[m] + rewards[:, j, :, m])
            row.append(best)
        above = row
    return above[-1]


def _aligned(totals: Rewards) -> list[tuple[int, int]]:
    """The pairs of the alignment, in order, whose totals sum to most; of equal ones that with the most pairs."""
    rows, columns = totals.shape
    best = np.zeros((rows + 1, columns + 1))
    for i in range(rows):
        for k in range(columns):
            best[i + 1, k + 1] = max(best[i, k] + totals[i, k], best[i, k + 1], best[i + 1, k])
    pairs = []
    i, k = rows, columns
    while i and k:
        if best[i, k] == best[i - 1, k - 1] + totals[i - 1, k - 1]:
            i, k = i - 1, k - 1
            pairs.append((i, k))
        elif best[i, k] == best[i - 1, k]:
            i -= 1
        else:
            k -= 1
    return pairs[::-1]
