"""The data of a chart as models write it: an HTML table, or rows of cells set apart by bars."""

from __future__ import annotations

import re

from docpipe.document import Cell, TableContent
from docpipe.notation.html import MOST_CELLS, content_of, table_content

_RULE = re.compile(r"[\s|:-]*-[\s|:-]*$")
_LINES = re.compile(r"<0x0A>|\r?\n")


def chart_table(text: str) -> TableContent:
    """HTML, or lines `Year | Sales` (Markdown, or DePlot's linear form with <0x0A> for line ends), as a table.

    Of lines the first is the header; one with TITLE as its first cell and one of dashes are left out. A text that is
    neither gives a table of no rows. Never raises.
    """
    if re.search(r"<t[dhr]\b|<table", text):
        return table_content(text)
    rows = [_cells(line) for line in _LINES.split(text) if "|" in line and not _RULE.match(line)]
    rows = [row for row in rows if row[0].casefold() != "title"]
    columns = max(map(len, rows), default=0)
    if len(rows) * columns > MOST_CELLS:
        return TableContent(html="<table></table>")
    cells = [Cell(row=r, column=c, text=t, header=r == 0) for r, row in enumerate(rows) for c, t in enumerate(row)]
    return content_of(len(rows), columns, cells)


def _cells(line: str) -> list[str]:
    return [" ".join(cell.split()) for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
