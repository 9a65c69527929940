"""Reading order of boxes."""

from __future__ import annotations

from itertools import permutations

import pytest

from docpipe.document import Box
from docpipe.engines.columns import reading_order

LEFT = [Box(50, 100, 280, 300), Box(50, 310, 280, 500)]
RIGHT = [Box(310, 100, 540, 250), Box(310, 260, 540, 500)]
TITLE = Box(100, 40, 490, 60)


def order(boxes: list[Box], **how: object) -> list[int]:
    return [i for run in reading_order(boxes, **how) for i in run.items]  # type: ignore[arg-type]


def test_a_column_is_read_to_its_foot_before_the_next():
    assert order([*LEFT, *RIGHT]) == [0, 1, 2, 3]


@pytest.mark.parametrize("shuffled", list(permutations(range(5)))[::17])
def test_the_order_the_boxes_come_in_does_not_matter(shuffled):
    boxes = [TITLE, *LEFT, *RIGHT]
    assert [shuffled[i] for i in order([boxes[i] for i in shuffled], drawn=[-1] * 5)] == [0, 1, 2, 3, 4]


def test_a_gap_across_both_columns_does_not_interleave_them():
    aligned = [Box(50, 100, 280, 200), Box(50, 220, 280, 300), Box(310, 100, 540, 200), Box(310, 220, 540, 300)]
    assert order(aligned) == [0, 1, 2, 3]


def test_a_figure_across_both_columns_parts_what_is_above_from_what_is_below():
    figure = Box(50, 210, 540, 300)
    above = [Box(50, 100, 280, 200), Box(310, 100, 540, 200)]
    below = [Box(50, 310, 280, 400), Box(310, 310, 540, 400)]
    assert order([*above, figure, *below]) == [0, 1, 2, 3, 4]


def test_the_file_drawing_one_band_before_the_next_parts_two_rows_of_columns():
    boxes = [Box(50, 100, 250, 150), Box(310, 100, 500, 150), Box(50, 200, 280, 500), Box(310, 200, 540, 500)]
    assert order(boxes, drawn=[0, 1, 2, 3]) == [0, 1, 2, 3]
    assert order(boxes, drawn=[0, 2, 1, 3]) == [0, 2, 1, 3]


def test_columns_run_from_right_to_left_where_the_script_does():
    assert order([*LEFT, *RIGHT], right_to_left=True) == [2, 3, 0, 1]


def test_boxes_interlocked_like_bricks_are_read_down_the_left_first():
    bricks = [Box(0, 0, 60, 10), Box(70, 0, 100, 40), Box(0, 20, 30, 60), Box(40, 50, 100, 60)]
    found = order(bricks)
    assert found.index(0) < found.index(2) < found.index(3)
    assert found.index(1) < found.index(3)


def test_overlapping_boxes_keep_the_order_of_the_file_and_say_so():
    boxes = [Box(0, 0, 100, 50), Box(20, 20, 120, 70), Box(10, 40, 90, 90)]
    runs = reading_order(boxes, drawn=[2, 0, 1])
    assert [i for run in runs for i in run.items] == [1, 2, 0]
    assert any(run.entangled for run in runs)


def test_nothing_gives_nothing():
    assert reading_order([]) == []
