"""The check of tables: the grid tiles, header rows are consistent, and there is something in it.

Spans neither overlap nor reach beyond the table nor leave holes: what is safe to mend is mended, and the verdict
keeps the HTML as it was. A table that says nothing, or one row over and over as a model in a loop does, is invalid.
"""

from __future__ import annotations

from itertools import pairwise

from docpipe.checks import Checked, Pixels
from docpipe.checks.guard import Findings, judges
from docpipe.document import Cell, TableContent
from docpipe.notation.html import content_of, table_content, to_html

MOST_PLACES = 250_000
"""Rows times columns beyond this are a mistake, not a table."""

LOOP = 8
"""So many equal rows of words in a row, and half of the table, are a model's loop."""


@judges(TableContent)
def check_table(content: TableContent, clipping: Pixels | None = None) -> Checked:  # noqa: ARG001
    """Judge a table, by lxml's reading of its HTML and its cells.

    Invalid: `table.none`, `table.blank`, `table.one-cell`, `table.too-large`, `table.row-loop`. Repaired:
    `table.span-overlap`, `table.span-overhang`, `table.ragged-row`, `table.empty-row`, `table.mixed-header`,
    `table.rewritten`. Noted: `table.all-header`, `table.stray-header`, `table.blank-row`, `table.blank-column`.
    Never raises.
    """
    found = Findings()
    parsed = content if content.cells else table_content(content.html)
    if not parsed.cells:
        found.error("table.none", "there is no table cell in the answer; read the region as text instead")
        return Checked(content, found.verdict())
    rows = max(parsed.rows, max(c.row for c in parsed.cells) + 1)
    columns = max(parsed.columns, max(c.column for c in parsed.cells) + 1)
    if rows * columns > MOST_PLACES:
        found.error("table.too-large", f"{rows} rows by {columns} columns are more than a page holds")
        return Checked(content, found.verdict())
    cells = sorted(parsed.cells, key=lambda c: (c.row, c.column))
    cells, rows = _without_empty_rows(cells, rows, found)
    cells = _tiled(cells, rows, columns, found)
    cells = _with_whole_headers(cells, rows, found)
    _find_blanks(cells, rows, columns, found)
    _find_loops(cells, rows, found)
    checked = content_of(rows, columns, cells)
    if checked.html == content.html:
        return Checked(checked, found.verdict())
    if not found.found and to_html(parsed.rows, parsed.columns, parsed.cells) == checked.html:
        message = "the HTML held more than a table's tags and spans, or other cells than it lists; written anew"
        found.repair("table.rewritten", message)
    return Checked(checked, found.verdict(original=content.html))


def _where(cell: Cell) -> str:
    return f"row {cell.row + 1}, column {cell.column + 1}"


def _without_empty_rows(cells: list[Cell], rows: int, found: Findings) -> tuple[list[Cell], int]:
    """Leave out rows in which no cell begins: `<tr></tr>` shows nothing."""
    begun = {cell.row for cell in cells}
    for row in reversed(range(rows)):
        if row not in begun:
            found.repair("table.empty-row", "the row has no cell of its own and was left out", f"row {row + 1}")
            cells = [_without_row(cell, row) for cell in cells]
            rows -= 1
    return cells, rows


def _without_row(cell: Cell, row: int) -> Cell:
    if cell.row > row:
        return cell.model_copy(update={"row": cell.row - 1})
    if cell.row + cell.row_span > row:
        return cell.model_copy(update={"row_span": cell.row_span - 1})
    return cell


def _tiled(cells: list[Cell], rows: int, columns: int, found: Findings) -> list[Cell]:
    """The cells with spans cut where they overlap or overhang, and holes filled with empty cells."""
    owner: dict[tuple[int, int], int] = {}
    kept: list[Cell] = []
    for cell in cells:
        if (at := owner.get((cell.row, cell.column))) is not None:
            inside = kept[at]
            message = f"the cell is covered by the one at {_where(inside)}; its text was added there"
            found.repair("table.span-overlap", message, _where(cell))
            kept[at] = inside.model_copy(update={"text": f"{inside.text} {cell.text}".strip()})
            continue
        down, across = min(cell.row_span, rows - cell.row), min(cell.column_span, columns - cell.column)
        if (down, across) != (cell.row_span, cell.column_span):
            found.repair("table.span-overhang", "its span reached beyond the table and was cut", _where(cell))
        wide = next((n for n in range(1, across) if (cell.row, cell.column + n) in owner), across)
        spots = ((m, n) for m in range(1, down) for n in range(wide))
        tall = next((m for m, n in spots if (cell.row + m, cell.column + n) in owner), down)
        if (tall, wide) != (down, across):
            found.repair("table.span-overlap", "its span overlapped another cell and was cut", _where(cell))
        for r in range(cell.row, cell.row + tall):
            owner |= {(r, c): len(kept) for c in range(cell.column, cell.column + wide)}
        kept.append(cell.model_copy(update={"row_span": tall, "column_span": wide}))
    for r in range(rows):
        missing = [c for c in range(columns) if (r, c) not in owner]
        if missing:
            message = f"{len(missing)} of {columns} columns had no cell and got an empty one"
            found.repair("table.ragged-row", message, f"row {r + 1}")
            kept += [Cell(row=r, column=c) for c in missing]
    return sorted(kept, key=lambda c: (c.row, c.column))


def _with_whole_headers(cells: list[Cell], rows: int, found: Findings) -> list[Cell]:
    """The cells with rows at the top header or not as a whole: by most of the cells beside the stub."""
    if rows > 1 and all(cell.header for cell in cells):
        found.note("table.all-header", "every cell is marked as a header and none as data")
        return cells
    covering: list[list[int]] = [[] for _ in range(rows)]
    for n, cell in enumerate(cells):
        for r in range(cell.row, cell.row + cell.row_span):
            covering[r].append(n)
    mended = list(cells)
    in_head = True
    for r, members in enumerate(covering):
        beside = [n for n in members if cells[n].column > 0]
        marked = sum(mended[n].header for n in beside)
        if in_head and marked and 2 * marked >= len(beside):
            plain = [n for n in members if not mended[n].header]
            if any(cells[n].text for n in plain):
                found.repair("table.mixed-header", "some cells of a header row were not marked as such", f"row {r + 1}")
            for n in plain:
                mended[n] = mended[n].model_copy(update={"header": True})
            continue
        in_head = in_head and all(mended[n].header for n in members)
        among = not all(mended[n].header for n in members)
        if not in_head and among and any(mended[n].header and cells[n].text for n in beside):
            found.note("table.stray-header", "a header cell stands among data", f"row {r + 1}")
    return mended


def _find_blanks(cells: list[Cell], rows: int, columns: int, found: Findings) -> None:
    """Columns and rows without a word, and tables that are none for want of words or cells."""
    said = [cell for cell in cells if cell.text.strip()]
    if not said:
        found.error("table.blank", "no cell holds a word; look at the region, or read it another way")
        return
    if len(cells) == 1:
        found.error("table.one-cell", "a single cell is no table; read the region as text instead")
        return
    across = {c for cell in said for c in range(cell.column, cell.column + cell.column_span)}
    down = {r for cell in said for r in range(cell.row, cell.row + cell.row_span)}
    for name, filled, count in (("column", across, columns), ("row", down, rows)):
        for n in range(count):
            if n not in filled:
                found.note(f"table.blank-{name}", f"the {name} holds no word", f"{name} {n + 1}")


def _find_loops(cells: list[Cell], rows: int, found: Findings) -> None:
    """One row said over and over."""
    texts: list[list[str]] = [[] for _ in range(rows)]
    for cell in cells:
        texts[cell.row].append(cell.text)
    run = longest = 1
    for above, below in pairwise(texts):
        worded = sum(any(char.isalnum() for char in text) for text in below) >= 2
        run = run + 1 if above == below and worded else 1
        longest = max(longest, run)
    if longest >= LOOP and 2 * longest >= rows:
        message = f"{longest} equal rows follow one another: the model may have run in a loop; read it another way"
        found.error("table.row-loop", message)
