"""Tables as HTML: what is written reads back, and whatever a model writes is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.document import Box, Cell
from docpipe.notation.html import content_of, table_content, to_html

SPANNED = [
    Cell(row=0, column=0, row_span=2, text="a", header=True),
    Cell(row=0, column=1, column_span=2, text="b & c", header=True),
    Cell(row=1, column=1, text="d", header=True),
    Cell(row=1, column=2, text="e", header=True),
    Cell(row=2, column=0, text="1 < 2"),
    Cell(row=2, column=1),
    Cell(row=2, column=2, text="3"),
]


def test_cells_are_written_with_head_spans_and_escapes() -> None:
    assert to_html(3, 3, SPANNED) == (
        '<table><thead><tr><th rowspan="2">a</th><th colspan="2">b &amp; c</th></tr>'
        "<tr><th>d</th><th>e</th></tr></thead>"
        "<tbody><tr><td>1 &lt; 2</td><td></td><td>3</td></tr></tbody></table>"
    )


def test_a_header_cell_that_reaches_into_the_body_leaves_no_head_cut_through() -> None:
    cells = [
        Cell(row=0, column=0, row_span=2, text="a", header=True),
        Cell(row=0, column=1, text="b", header=True),
        Cell(row=1, column=1, text="1"),
    ]
    html = to_html(2, 2, cells)
    assert "<thead>" not in html
    assert table_content(html).cells == tuple(cells)


def test_a_place_without_a_cell_is_written_as_an_empty_one() -> None:
    assert to_html(1, 3, [Cell(row=0, column=2, text="x")]) == (
        "<table><tbody><tr><td></td><td></td><td>x</td></tr></tbody></table>"
    )


def test_what_is_written_reads_back() -> None:
    assert table_content(to_html(3, 3, SPANNED)).cells == tuple(SPANNED)


@pytest.mark.parametrize(
    ("html", "rows", "columns", "texts"),
    [
        ("<tr><td>a<td>b<tr><td>c<td>d", 2, 2, ["a", "b", "c", "d"]),
        ("<td>a</td><td>b</td>", 1, 2, ["a", "b"]),
        ("```html\n<table><tr><td>a</td></tr></table>\n```", 1, 1, ["a"]),
        ("<table><tr><td>a<br>b <b>c</b><sup>2</sup></td></tr>", 1, 1, ["a b c2"]),
        ("<table><tr><td>cut o", 1, 1, ["cut o"]),
        ("\x00<table><tr><td>a\x07\ud800</td></tr></table>", 1, 1, ["a"]),
        ("<table><tr><td>a</td></tr></table><table><tr><td>second</td></tr></table>", 1, 1, ["a"]),
        ("<table><tr><td>a<table><tr><td>b</td></tr></table></td><td>c</td></tr></table>", 1, 2, ["a b", "c"]),
        ('<table><tr><td colspan="x">a</td><td colspan="-2">b</td></tr></table>', 1, 2, ["a", "b"]),
        ('<table><tr><td colspan="99999999">a</td></tr></table>', 1, 1000, ["a"]),
        ("<table><tr><td rowspan=0>a</td><td>b</td></tr><tr><td>c</td></tr></table>", 2, 2, ["a", "b", "c"]),
        ("<table></table>", 0, 0, []),
        ("no table at all", 0, 0, []),
        ("", 0, 0, []),
    ],
)
def test_whatever_a_model_writes_is_read(html: str, rows: int, columns: int, texts: list[str]) -> None:
    content = table_content(html)
    assert (content.rows, content.columns, [c.text for c in content.cells]) == (rows, columns, texts)


def test_only_tags_and_spans_of_a_table_are_left() -> None:
    content = table_content(
        '<table onclick="steal()" style="x"><caption>c</caption><tr><td onmouseover=1 class=k>'
        '<a href="javascript:x">link</a><script>evil()</script><img src=x onerror=y><!-- note --></td></tr></table>'
    )
    assert content.html == "<table><tbody><tr><td>link</td></tr></tbody></table>"


def test_cells_go_where_a_browser_puts_them() -> None:
    content = table_content("<table><tr><td rowspan=2>a<td>b<td>c<tr><td colspan=2>d<tr><td>e<td>f<td>g</table>")
    assert [(c.row, c.column, c.text) for c in content.cells] == [
        (0, 0, "a"), (0, 1, "b"), (0, 2, "c"), (1, 1, "d"), (2, 0, "e"), (2, 1, "f"), (2, 2, "g"),
    ]  # fmt: skip


def test_the_paper_s_coordinates_become_boxes_x_first() -> None:
    html = (
        '<table><tr><td coords="<loc0000><loc0512><loc0256><loc1023>">a</td>'
        "<td coords=<loc0300><loc1023><loc0400><loc0512>>b</td><td></td></tr></table>"
    )
    within = Box(100.0, 200.0, 100.0 + 1023.0, 200.0 + 1023.0)
    cells = table_content(html, within).cells
    assert cells[0].box == pytest.approx((100.0, 712.0, 356.0, 1223.0))
    assert cells[1].box == pytest.approx((400.0, 712.0, 500.0, 1223.0)), "the upper edge may come second"
    assert cells[2].box is None
    assert [c.text for c in cells] == ["a", "b", ""]
    assert all(c.box is None for c in table_content(html).cells), "no boxes without the image's place"


def test_deep_nesting_and_endless_rows_end() -> None:
    assert table_content("<table><tr><td>" * 4000 + "x").rows <= 4000
    assert table_content("<tr><td>x" * 20_000).rows == 20_000


texts = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp", "Cn", "Co")), max_size=6)


@given(st.lists(st.lists(texts, min_size=3, max_size=3), min_size=1, max_size=5), st.integers(0, 2))
def test_any_text_survives_the_round_trip(rows: list[list[str]], head: int) -> None:
    import unicodedata

    cells = tuple(
        Cell(row=r, column=c, text=unicodedata.normalize("NFC", text), header=r < head)
        for r, row in enumerate(rows)
        for c, text in enumerate(row)
    )
    content = content_of(len(rows), 3, cells)
    assert table_content(content.html) == content


@given(st.text(alphabet="<>/tdrhable coslpn=\"0123'&;!-", max_size=80))
def test_nothing_makes_it_raise(html: str) -> None:
    content = table_content(html)
    assert table_content(content.html).rows == content.rows
