"""The check of tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.checks.html import check_table
from docpipe.document import Cell, TableContent, TextContent
from docpipe.notation.html import content_of, table_content


def codes(html: str) -> list[str]:
    return [f.code for f in check_table(table_content(html)).verdict.findings]


def tiles(content: TableContent) -> bool:
    """Whether every place of the grid belongs to exactly one cell."""
    taken = [
        (r, c)
        for cell in content.cells
        for r in range(cell.row, cell.row + cell.row_span)
        for c in range(cell.column, cell.column + cell.column_span)
    ]
    return sorted(taken) == [(r, c) for r in range(content.rows) for c in range(content.columns)]


SOUND = (
    '<table><thead><tr><th rowspan="2">a</th><th colspan="2">b</th></tr><tr><th>c</th><th>d</th></tr></thead>'
    "<tbody><tr><td>x</td><td>1</td><td>2</td></tr></tbody></table>"
)


def test_a_sound_table_is_valid_and_unchanged() -> None:
    checked = check_table(table_content(SOUND))
    assert checked.verdict.status == "valid"
    assert checked.verdict.findings == ()
    assert checked.verdict.original is None
    assert checked.content == table_content(SOUND)


@pytest.mark.parametrize(
    ("html", "code"),
    [
        ("<table><tr><td>a<td>b<tr><td>c</table>", "table.ragged-row"),
        ("<table><tr><td rowspan=3>a<td>b<tr><td>c</table>", "table.span-overhang"),
        ("<table><tr><td>a<td rowspan=2>b<tr><td colspan=2>c<td>d</table>", "table.span-overlap"),
        ("<table><tr><td>a<td>b<tr></tr><tr><td>c<td>d</table>", "table.empty-row"),
        ("<table><tr><td>s<th>a<td>b<th>c<tr><td>x<td>1<td>2<td>3</table>", "table.mixed-header"),
    ],
)
def test_what_can_be_mended_is_and_the_original_is_kept(html: str, code: str) -> None:
    before = table_content(html)
    checked = check_table(before)
    assert checked.verdict.status == "repaired"
    assert code in [f.code for f in checked.verdict.findings]
    assert checked.verdict.original == before.html
    assert isinstance(checked.content, TableContent)
    assert tiles(checked.content)
    assert check_table(checked.content).verdict.status == "valid", "a mended table holds up"
    assert all(f.message for f in checked.verdict.findings)


@pytest.mark.parametrize(
    ("html", "code"),
    [
        ("", "table.none"),
        ("<p>prose</p>", "table.none"),
        ("<table><tr><td></td><td> </td></tr></table>", "table.blank"),
        ("<table><tr><td>all of it</td></tr></table>", "table.one-cell"),
        ("<table><tr><td>a<td>b</tr>" + "<tr><td>same</td><td>again</td></tr>" * 9 + "</table>", "table.row-loop"),
    ],
)
def test_what_is_no_table_is_invalid(html: str, code: str) -> None:
    checked = check_table(table_content(html))
    assert checked.verdict.status == "invalid"
    assert code in [f.code for f in checked.verdict.findings]


def test_rows_of_equal_signs_are_no_loop() -> None:
    html = "<table><tr><td>a<td>b</tr>" + "<tr><td>-</td><td>-</td></tr>" * 9 + "</table>"
    assert "table.row-loop" not in codes(html)


def test_doubts_are_noted_and_leave_the_table_valid() -> None:
    assert codes("<table><tr><th>a<th>b<tr><th>c<th>d</table>") == ["table.all-header"]
    assert codes("<table><tr><td>a<td>b<tr><td>c<th>d</table>") == ["table.stray-header"]
    assert codes("<table><tr><td>a<td><td>b<tr><td><td><td><tr><td>c<td><td>d</table>") == [
        "table.blank-column",
        "table.blank-row",
    ]
    assert check_table(table_content("<table><tr><td>a<td><td>b<tr><td>c<td><td>d</table>")).verdict.status == "valid"


def test_a_stub_column_of_headers_is_no_mistake() -> None:
    html = "<table><tr><th>s<th>a<th>b<tr><th>x<td>1<td>2<tr><th>y<td>3<td>4</table>"
    checked = check_table(table_content(html))
    assert (checked.verdict.status, checked.verdict.findings) == ("valid", ())


def test_unsafe_html_given_as_content_is_written_anew() -> None:
    content = TableContent(html="<table onclick=x><tr><td>a<script>b</script></td><td>c</td></tr></table>")
    checked = check_table(content)
    assert checked.verdict.status == "repaired"
    assert checked.verdict.original == content.html
    assert isinstance(checked.content, TableContent)
    assert checked.content.html == "<table><tbody><tr><td>a</td><td>c</td></tr></tbody></table>"


def test_text_of_a_covered_cell_is_not_lost() -> None:
    cells = (
        Cell(row=0, column=0, column_span=2, text="wide"),
        Cell(row=0, column=1, text="under"),
        Cell(row=1, column=0, text="x"),
        Cell(row=1, column=1, text="y"),
    )
    checked = check_table(TableContent(html="<table></table>", rows=2, columns=2, cells=cells))
    assert isinstance(checked.content, TableContent)
    assert tiles(checked.content)
    assert "under" in checked.content.html


def test_other_contents_pass_unjudged() -> None:
    text = TextContent(text="x")
    assert check_table(text).content is text
    assert check_table(text).verdict.status == "unchecked"


cells = st.builds(
    Cell,
    row=st.integers(0, 4),
    column=st.integers(0, 4),
    row_span=st.integers(1, 4),
    column_span=st.integers(1, 4),
    text=st.sampled_from(("", "a", "b")),
    header=st.booleans(),
)


@given(st.lists(cells, max_size=8))
def test_any_cells_end_up_tiling_or_invalid(found: list[Cell]) -> None:
    checked = check_table(TableContent(html="<table></table>", cells=tuple(found)))
    assert isinstance(checked.content, TableContent)
    if checked.verdict.status != "invalid":
        assert tiles(checked.content)
        assert table_content(checked.content.html).cells == checked.content.cells


def test_a_grid_too_large_for_a_page_is_refused_at_once() -> None:
    checked = check_table(content_of(1, 1, [Cell(row=0, column=0, text="a")]).model_copy(update={"rows": 10**9}))
    assert [f.code for f in checked.verdict.findings] == ["table.too-large"]
