"""GriTS by hand, and against the plain definition on small grids."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from docpipe.document import Box, Cell, TableContent
from docpipe.metrics.grits import grits_con, grits_loc, grits_top
from docpipe.metrics.subsequence import common_share


def table(rows: list[list[str]]) -> str:
    return "<table>" + "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows) + "</table>"


GRID = [["a", "b", "c"], ["d", "e", "f"], ["g", "h", "i"]]


def test_equal_tables_agree() -> None:
    assert grits_con(table(GRID), table(GRID)) == 1
    assert grits_top(table(GRID), table(GRID)) == 1


def test_a_missing_row_or_column_costs_its_cells_alone() -> None:
    without_row = table([GRID[0], GRID[2]])
    without_column = table([row[:1] + row[2:] for row in GRID])
    for answer in (without_row, without_column):
        assert grits_con(answer, table(GRID)) == pytest.approx(2 * 6 / (6 + 9))
        assert grits_top(answer, table(GRID)) == pytest.approx(2 * 6 / (6 + 9))


def test_a_wrong_text_costs_its_share_and_no_structure() -> None:
    assert grits_con(table([["abcd", "x"]]), table([["abxy", "x"]])) == pytest.approx((0.5 + 1) / 2)
    assert grits_top(table([["abcd", "x"]]), table([["abxy", "x"]])) == 1


def test_a_split_span_costs_half_at_each_of_its_places() -> None:
    whole = "<table><tr><td colspan=2>a</td></tr><tr><td>b</td><td>c</td></tr></table>"
    split = "<table><tr><td>a</td><td></td></tr><tr><td>b</td><td>c</td></tr></table>"
    assert grits_top(split, whole) == pytest.approx((0.5 + 0.5 + 1 + 1) / 4)
    # Content counts a spanning cell at each place: the second says nothing of "a".
    assert grits_con(split, whole) == pytest.approx(3 / 4)


@pytest.mark.parametrize("answer", ["", "no table", "<table></table>"])
def test_no_table_scores_zero(answer: str) -> None:
    assert grits_con(answer, table(GRID)) == grits_top(answer, table(GRID)) == 0


def boxed(boxes: list[list[tuple[float, float, float, float] | None]]) -> TableContent:
    cells = [
        Cell(row=r, column=c, box=Box(*box) if box else None)
        for r, row in enumerate(boxes)
        for c, box in enumerate(row)
    ]
    return TableContent(html="", rows=len(boxes), columns=len(boxes[0]), cells=tuple(cells))


def test_location_counts_the_overlap_of_boxes() -> None:
    truth = boxed([[(0, 0, 10, 10), (10, 0, 20, 10)]])
    assert grits_loc(truth, truth) == 1
    assert grits_loc(boxed([[(0, 0, 10, 10), (15, 0, 20, 10)]]), truth) == pytest.approx((1 + 0.5) / 2)
    assert grits_loc(boxed([[(0, 0, 10, 10), None]]), truth) == pytest.approx(1 / 2)
    assert grits_loc(TableContent(html=""), truth) == 0


def choices(count: int, kept: int) -> list[tuple[int, ...]]:
    return list(combinations(range(count), kept))


def best_choice(a: list[list[str]], b: list[list[str]]) -> float:
    """The definition: over all equally large choices of rows and columns of both, the best agreement."""
    best = 0.0
    for rows in range(1, min(len(a), len(b)) + 1):
        for columns in range(1, min(len(a[0]), len(b[0])) + 1):
            for ra in choices(len(a), rows):
                for rb in choices(len(b), rows):
                    for ca in choices(len(a[0]), columns):
                        for cb in choices(len(b[0]), columns):
                            total = sum(
                                common_share(a[i][j], b[k][m])
                                for i, k in zip(ra, rb, strict=True)
                                for j, m in zip(ca, cb, strict=True)
                            )
                            best = max(best, total)
    return 2 * best / (len(a) * len(a[0]) + len(b) * len(b[0]))


@pytest.mark.parametrize("seed", range(20))
def test_the_factored_form_is_never_above_the_definition_and_rarely_below(seed: int) -> None:
    rng = random.Random(seed)
    truth = [[f"{rng.randint(0, 99)}" for _ in range(3)] for _ in range(3)]
    answer = [row[:] for row in truth if rng.random() > 0.2] or [truth[0][:]]
    answer[0][rng.randrange(3)] = "xx"
    if rng.random() < 0.5:
        drop = rng.randrange(3)
        answer = [row[:drop] + row[drop + 1 :] for row in answer]
    exact = best_choice(answer, truth)
    factored = grits_con(table(answer), table(truth))
    assert factored <= exact + 1e-6
    assert factored >= exact - 0.1
