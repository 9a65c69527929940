"""Whether a table that is being written can still tile its grid: every row as wide as the first, no two cells in one
place, no cell that reaches below the last row.
"""

from __future__ import annotations

import re

_TAG = re.compile(r"<(/?)(tr|td|th|table)\b([^>]*)>")
_SPAN = re.compile(r'\b(rowspan|colspan)="(\d+)"')


def tiles(html: str) -> bool:
    """Whether the beginning of a table in HTML holds no row that is too wide or (once closed) too narrow, no cell
    across one that reaches down from above, and after its end none that reaches below it.

    Tags that are not whole yet are left out. HTML that does not nest may be judged either way. Never raises.
    """
    width: int | None = None
    reach: dict[int, int] = {}  # column -> rows that a cell from above still fills
    column, cells = 0, 0
    for close, tag, attributes in _TAG.findall(html):
        if tag == "tr" and not close:
            column, cells = 0, 0
        elif tag in ("td", "th") and not close:
            spans = {name: int(number) for name, number in _SPAN.findall(attributes)}
            across, down = max(1, spans.get("colspan", 1)), max(1, spans.get("rowspan", 1))
            while reach.get(column, 0) > 0:
                column += 1
            if any(reach.get(c, 0) > 0 for c in range(column, column + across)):
                return False
            if width is not None and column + across > width:
                return False
            for c in range(column, column + across):
                reach[c] = -down  # of this row: counted from the next on
            column += across
            cells += 1
        elif tag == "tr":
            while reach.get(column, 0) > 0:
                column += 1
            if width is None:
                width = column
            if column != width or width == 0:
                return False
            reach = {c: (-rows - 1 if rows < 0 else rows - 1) for c, rows in reach.items() if rows}
        elif tag == "table" and close and any(rows > 0 for rows in reach.values()):
            return False
    return True
