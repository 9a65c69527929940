"""How much of a chart's data was read."""

from __future__ import annotations

from collections import Counter

from docpipe.document import TableContent
from docpipe.metrics.vqa import normalized, number
from docpipe.notation.chart import chart_table


def entry_f1(answer: str, truth: str, tolerance: float = 0.05) -> float:
    """F1 of (row, column, value) entries: headers the same, numbers within 5 % of the truth, words the same.

    DePlot's RMS (Liu et al., arXiv 2212.10505, section 3.2) gives partial credit for headers that are nearly right;
    this does not. The first row and column are the headers; a table lying on its side is wrong.
    """
    given, wanted = _entries(chart_table(answer)), _entries(chart_table(truth))
    total = len(given) + len(wanted)
    if not total:
        return 1.0
    left = Counter(range(len(given)))
    hits = 0
    for row, column, value in wanted:
        for index in left:
            if given[index][:2] == (row, column) and _same(given[index][2], value, tolerance):
                hits += 1
                del left[index]
                break
    return 2 * hits / total


def _entries(table: TableContent) -> list[tuple[str, str, str]]:
    grid = {(cell.row, cell.column): cell.text for cell in table.cells}
    return [
        (normalized(grid.get((r, 0), "")), normalized(grid.get((0, c), "")), text)
        for (r, c), text in sorted(grid.items())
        if r > 0 and c > 0 and text
    ]


def _same(given: str, wanted: str, tolerance: float) -> bool:
    a, b = number(given), number(wanted)
    if a is None or b is None:
        return normalized(given) == normalized(wanted)
    return a == b or abs(a - b) <= tolerance * abs(b)
