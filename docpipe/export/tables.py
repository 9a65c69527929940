"""Tables for exports: a grid that can be trusted, whatever the document says; two halves as one; comma-separated."""

from __future__ import annotations

import csv
import io
import re

from docpipe.document import Cell, TableContent
from docpipe.export.runs import one_line
from docpipe.notation.html import content_of, table_content

MOST_PLACES = 200_000
"""Rows times columns of the largest table that is laid out; no page holds a larger one."""


def trusted(content: TableContent) -> TableContent:
    """The table laid out anew: text on one line and without control characters, cells in order and within the
    table, none on top of another, no holes, spans cut to the table's edge, HTML written from the cells.

    A table without cells is read off its HTML. More than `MOST_PLACES` places give an empty table.
    """
    if not content.cells:
        content = table_content(content.html)
    columns = max((c.column + c.column_span for c in content.cells), default=0)
    rows = max((c.row + c.row_span for c in content.cells), default=0)
    # A span that reaches beyond what the table says it has is cut; a cell beyond it is still a cell.
    rows = min(rows, max([content.rows, *(c.row + 1 for c in content.cells)])) if content.cells else 0
    columns = min(columns, max([content.columns, *(c.column + 1 for c in content.cells)])) if content.cells else 0
    if rows * columns > MOST_PLACES:
        return TableContent(html="")
    taken: set[tuple[int, int]] = set()
    cells: list[Cell] = []
    for cell in sorted(content.cells, key=lambda c: (c.row, c.column)):
        if (cell.row, cell.column) in taken:
            continue
        down, across = min(cell.row_span, rows - cell.row), min(cell.column_span, columns - cell.column)
        while across > 1 and any((cell.row, c) in taken for c in range(cell.column, cell.column + across)):
            across -= 1
        while down > 1 and any(
            (r, c) in taken for r in range(cell.row, cell.row + down) for c in range(cell.column, cell.column + across)
        ):
            down -= 1
        taken.update((r, c) for r in range(cell.row, cell.row + down) for c in range(cell.column, cell.column + across))
        cells.append(cell.model_copy(update={"row_span": down, "column_span": across, "text": one_line(cell.text)}))
    cells += [Cell(row=r, column=c) for r in range(rows) for c in range(columns) if (r, c) not in taken]
    return content_of(rows, columns, cells)


def lost_texts(content: TableContent) -> list[str]:
    """Texts of cells that stand on top of others, which `trusted` has no place for."""
    kept = {(c.row, c.column, one_line(c.text)) for c in trusted(content).cells}
    return [one_line(c.text) for c in content.cells if c.text and (c.row, c.column, one_line(c.text)) not in kept]


def has_spans(content: TableContent) -> bool:
    """Whether any cell spans rows or columns."""
    return any(c.row_span > 1 or c.column_span > 1 for c in content.cells)


def grid(content: TableContent) -> list[list[str]]:
    """The texts row by row; a cell's text stands at its top left corner, the rest of its span is empty."""
    rows = [[""] * content.columns for _ in range(content.rows)]
    for cell in content.cells:
        rows[cell.row][cell.column] = cell.text
    return rows


def merged(first: TableContent, second: TableContent) -> TableContent | None:
    """Two halves of a table as one, a repeated head once; None when their columns differ."""
    a, b = trusted(first), trusted(second)
    if a.columns != b.columns or not a.rows:
        return None
    head = a.header_rows()
    repeated = head if head and grid(b)[:head] == grid(a)[:head] and b.header_rows() == head else 0
    below = [c.model_copy(update={"row": c.row - repeated + a.rows}) for c in b.cells if c.row >= repeated]
    return content_of(a.rows + b.rows - repeated, a.columns, [*a.cells, *below])


_FORMULA = re.compile(r"[=@\t\r]|[+\-](?![\d.,\s]*%?$)")


def to_csv(content: TableContent) -> str:
    """The table as comma-separated values (RFC 4180, lines ending in \\n), spans as in `grid`.

    A text that a spreadsheet would run as a formula is set off by an apostrophe (as OWASP advises on CSV injection);
    negative numbers are left as they are.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in grid(trusted(content)):
        writer.writerow(["'" + text if _FORMULA.match(text) else text for text in row])
    return out.getvalue()
