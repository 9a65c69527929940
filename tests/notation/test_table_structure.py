"""A table's structure in few tokens: written, read back, and read from what a model may write wrongly."""

from __future__ import annotations

import pytest

from docpipe.notation.html import rows_of_html
from docpipe.notation.table_structure import BINS, PLACES, VOCABULARY, Span, Structure, is_structure, place, read, write

TABLE = Structure(
    x=(0.02, 0.3, 0.5, 0.75, 0.98),
    y=(0.05, 0.2, 0.4, 0.6, 0.95),
    heads=(True, True, False, False),
    spans=(Span(0, 0, 2, 1), Span(0, 1, 1, 2), Span(2, 2, 2, 2)),
)


def test_what_is_written_is_read_back() -> None:
    again = read("".join(write(TABLE)))
    assert again is not None
    assert (again.rows, again.columns, again.heads, again.spans) == (4, 4, TABLE.heads, TABLE.spans)
    off = [abs(a - b) for a, b in zip((*again.x, *again.y), (*TABLE.x, *TABLE.y), strict=True)]
    assert max(off) <= 0.5 / BINS + 0.001


def test_the_vocabulary_is_closed_and_holds_all_that_is_written() -> None:
    assert len(set(VOCABULARY)) == len(VOCABULARY)
    assert set(write(TABLE)) <= set(VOCABULARY)
    assert place(0.0) == PLACES[0]
    assert place(1.0) == PLACES[-1] == place(7.0)


def test_eight_by_eight_takes_28_tokens() -> None:
    edges = tuple(i / 8 for i in range(9))
    assert len(write(Structure(edges, edges, (True, *[False] * 7)))) == 28


def test_its_html_has_spans_and_heads() -> None:
    rows = rows_of_html(TABLE.html())
    spans = [[(c.row_span, c.column_span) for c in row] for row in rows]
    assert spans == [[(2, 1), (1, 2), (1, 1)], [(1, 1)] * 3, [(1, 1), (1, 1), (2, 2)], [(1, 1)] * 2]
    assert all(c.header for row in rows[:2] for c in row)
    assert not any(c.header for row in rows[2:] for c in row)


@pytest.mark.parametrize(
    "text", ["", "<table>", "<cols>", "<cols><loc0001><rows><loc0001>", "<rows><loc0002><tr><loc0003>"]
)
def test_without_a_row_and_a_column_there_is_none(text: str) -> None:
    assert read(text) is None


def test_edges_out_of_order_and_spans_that_meet_are_left_out() -> None:
    said = "<cols><loc0000><loc0500><loc0400><loc1023><rows><loc0000><tr><loc0500><span><loc0000><loc1000><loc0480>"
    said += "<span><loc0510><loc1023><loc0500><tr><loc0300><tr><loc1023><span><loc0000>"
    found = read(said)
    assert found is not None
    assert (found.columns, found.rows) == (2, 2)
    assert found.spans == (Span(0, 0, 1, 2),)  # to the nearest edges; the second meets it, the third is cut off


def test_it_is_told_from_html() -> None:
    assert is_structure(" <cols><loc0001>")
    assert not is_structure("<table><tr><td>cols</td></tr></table>")
