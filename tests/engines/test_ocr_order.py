"""Reading order of pieces of lines: rows of receipts across, columns of prose down."""

from __future__ import annotations

import numpy as np

from docpipe.document import Box
from docpipe.engines.ocr_lines import rows_of_letters
from docpipe.engines.ocr_models import Character, Strip
from docpipe.engines.ocr_order import Piece, in_rows


def piece(x: float, y: float, width: float, letters: int) -> Piece:
    return Piece(Box(x, y, x + width, y + 12), letters)


def test_a_receipt_is_read_row_by_row():
    pieces = [piece(10, 20 * n, 100, 10) for n in range(8)] + [piece(300, 20 * n + 2, 40, 5) for n in range(8)]
    assert in_rows(pieces) == [[n, n + 8] for n in range(8)]


def test_two_columns_of_prose_are_read_one_after_the_other():
    left = [piece(10, 20 * n, 200, 34) for n in range(8)]
    right = [piece(230, 20 * n, 200, 34) for n in range(8)]
    mixed = [p for pair in zip(right, left, strict=True) for p in pair]
    rows = in_rows(mixed)
    assert [mixed[i] for row in rows for i in row] == left + right


def test_a_heading_over_columns_comes_first_and_a_foot_last():
    heading, foot = piece(10, 0, 420, 60), piece(10, 300, 420, 60)
    left = [piece(10, 40 + 20 * n, 200, 34) for n in range(8)]
    right = [piece(230, 40 + 20 * n, 200, 34) for n in range(8)]
    pieces = [foot, *right, *left, heading]
    assert [pieces[i] for row in in_rows(pieces) for i in row] == [heading, *left, *right, foot]


def test_a_column_of_prose_beside_a_table_that_is_not_level_with_it_is_apart():
    table = [piece(x, 28 * n, 50, 6) for n in range(12) for x in (10, 80)]
    prose = [piece(200, 17 * n + 5, 220, 40) for n in range(19)]
    order = [i for row in in_rows([*table, *prose]) for i in row]
    assert order == list(range(len(table) + len(prose)))


def test_nothing_has_no_rows():
    assert in_rows([]) == []


def _strip(x: float, y: float, width: float, slope: float) -> Strip:
    fall = width * slope
    return Strip(np.array([[x, y], [x + width, y + fall], [x + width, y + fall + 12], [x, y + 12]], np.float32), 0.9)


def _letters(text: str) -> list[Character]:
    return [Character(c, (n + 0.5) / len(text), 0.99) for n, c in enumerate(text)]


def test_rows_of_a_tilted_receipt_stay_together():
    slope = 0.06
    names = [(_strip(10, 20 * n + 10 * slope, 120, slope), _letters(f"item{n}")) for n in range(10)]
    prices = [(_strip(400, 20 * n + 400 * slope, 60, slope), _letters(f"{n}.50")) for n in range(10)]
    rows = rows_of_letters([*prices, *names])
    assert [[line.text for line in row] for row in rows] == [[f"item{n}", f"{n}.50"] for n in range(10)]


def _spaced(*letters: tuple[str, float]) -> str:
    count = len(letters)
    read = [Character(c, (n + 0.5) / count, 0.99, blank) for n, (c, blank) in enumerate(letters)]
    return rows_of_letters([(_strip(0, 0, 200, 0), read)])[0][0].text


def test_a_blank_before_a_comma_is_no_word_break_and_one_after_it_always_is():
    assert _spaced(("a", 0), ("b", 0), (",", 0.9), ("c", 0.01)) == "ab, c"


def test_numbers_keep_their_commas_and_points():
    assert _spaced(("1", 0), (",", 0), ("2", 0), (".", 0), ("5", 0)) == "1,2.5"
    assert _spaced(("9", 0), (".", 0.6), ("5", 0)) == "9 .5"
