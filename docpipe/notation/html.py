"""Tables as HTML: cells to HTML and any model's HTML to cells. Reading and writing only; `checks.html` judges.

What is written holds table, thead, tbody, tr, th and td with rowspan and colspan, nothing else: text in a cell is
text, whatever the source made of it. Cells are placed as in the HTML standard, section 4.9.12 (forming a table).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from docpipe.document import Box, Cell, TableContent

WIDEST_SPAN = 1000
"""Spans are cut to this many rows or columns, as browsers do with colspan; a model may write any number."""

MOST_CELLS = 100_000
"""Cells beyond this many are not read; no page holds so many."""

LOC_STEPS = 1023
"""A location token <locNNNN> is the rounded fraction of the image's side times this."""

_LOC = r"<loc\d{4}>"
_COORDS = re.compile(rf"coords\s*=\s*[\"']?\s*((?:{_LOC}\s*){{4}})[\"']?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")
_UNREAD = frozenset(("script", "style", "template", "iframe", "object", "noscript", "head", "title"))
_BREAKS = frozenset(("br", "p", "div", "li", "ul", "ol", "tr", "td", "th", "table", "hr"))


@dataclass(frozen=True)
class Written:
    """A cell as HTML writes it: its text, spans, whether it is a header, and its <loc> coordinates, x first."""

    text: str
    row_span: int = 1
    column_span: int = 1
    header: bool = False
    coords: tuple[int, int, int, int] | None = None


def rows_of_html(html: str) -> list[list[Written]]:
    """The first table of an HTML text as its rows of cells, as written: nothing placed, nothing mended.

    Takes whatever a model writes: tags left open or out of place, no <table> around, an end cut off. Empty when there
    is no cell in it. Never raises.
    """
    root = _parsed(html)
    if root is None:
        return []
    table = next(root.iter("table"), root)
    rows: list[list[Written]] = []
    places: dict[Any, int] = {}
    count = 0
    for element in table.iter("tr", "td", "th"):
        if _owner(element, table) is not table:
            continue
        if element.tag == "tr":
            places[element] = len(rows)
            rows.append([])
            continue
        row = next((a for a in element.iterancestors() if a in places or a is table), table)
        if row in places:
            rows[places[row]].append(_cell(element))
        elif rows and places.get(None) == len(rows) - 1:
            rows[-1].append(_cell(element))  # cells outside of any row stand in one of their own
        else:
            places[None] = len(rows)
            rows.append([_cell(element)])
        count += 1
        if count >= MOST_CELLS:
            break
    return rows if count else []


def table_content(html: str, boxes: Box | None = None) -> TableContent:
    """Any HTML table as a TableContent: sanitised HTML and the cells where a browser would place them.

    boxes: the box, in points on the page, that the cells' `coords` (PaliGemma 2 paper, appendix on table
    recognition: four location tokens, x first) are fractions of: that of the image as the model saw it, its padding
    included. Without it the cells get no boxes. Spans are as written: they may overlap or reach beyond the last row,
    which is for the check to find. A text without a cell gives 0 rows and 0 columns.
    """
    rows = rows_of_html(html)
    cells = place(rows, boxes)
    columns = max((c.column + c.column_span for c in cells), default=0)
    return TableContent(html=_write(rows), rows=len(rows), columns=columns, cells=tuple(cells))


def place(rows: Sequence[Sequence[Written]], boxes: Box | None = None) -> list[Cell]:
    """Rows of cells as written, each cell placed at the first column of its row that no cell from above reaches."""
    cells = []
    reach: dict[int, int] = {}  # column -> the row at which a cell from above ends
    for r, row in enumerate(rows):
        c = 0
        for written in row:
            while reach.get(c, 0) > r:
                c += 1
            down = written.row_span or max(1, len(rows) - r)
            cells.append(
                Cell(
                    row=r, column=c, row_span=down, column_span=written.column_span, text=written.text,
                    header=written.header, box=_box(written.coords, boxes),
                )
            )  # fmt: skip
            for column in range(c, c + written.column_span):
                reach[column] = max(reach.get(column, 0), r + down)
            c += written.column_span
    return cells


def to_html(rows: int, columns: int, cells: Sequence[Cell]) -> str:
    """Cells as HTML: header rows at the top in <thead>, others in <tbody>; a place without a cell is empty."""
    taken: set[tuple[int, int]] = set()
    for cell in cells:
        for r in range(cell.row, min(rows, cell.row + cell.row_span)):
            taken.update((r, c) for c in range(cell.column, min(columns, cell.column + cell.column_span)))
    holes = [Cell(row=r, column=c) for r in range(rows) for c in range(columns) if (r, c) not in taken]
    written: list[list[tuple[int, Written]]] = [[] for _ in range(rows)]
    for cell in (*cells, *holes):
        if cell.row < rows:
            made = Written(cell.text, cell.row_span, cell.column_span, cell.header)
            written[cell.row].append((cell.column, made))
    return _write([[w for _, w in sorted(row, key=lambda pair: pair[0])] for row in written])


def content_of(rows: int, columns: int, cells: Sequence[Cell]) -> TableContent:
    """Cells in any order as a TableContent."""
    ordered = tuple(sorted(cells, key=lambda c: (c.row, c.column)))
    return TableContent(html=to_html(rows, columns, ordered), rows=rows, columns=columns, cells=ordered)


def _write(rows: Sequence[Sequence[Written]]) -> str:
    head = _head_rows(rows)
    written = ["".join(_tag(cell) for cell in row) for row in rows]
    lines = [f"<tr>{row}</tr>" for row in written]
    top = f"<thead>{''.join(lines[:head])}</thead>" if head else ""
    body = f"<tbody>{''.join(lines[head:])}</tbody>" if lines[head:] else ""
    return f"<table>{top}{body}</table>"


def _head_rows(rows: Sequence[Sequence[Written]]) -> int:
    """How many rows at the top hold header cells only, none of which reaches below them."""
    head = 0
    while head < len(rows) and rows[head] and all(cell.header for cell in rows[head]):
        head += 1
    while head and any(r + cell.row_span > head or not cell.row_span for r in range(head) for cell in rows[r]):
        head -= 1
    return head


def _tag(cell: Written) -> str:
    name = "th" if cell.header else "td"
    spans = f' rowspan="{cell.row_span}"' if cell.row_span != 1 else ""
    spans += f' colspan="{cell.column_span}"' if cell.column_span != 1 else ""
    return f"<{name}{spans}>{escape(cell.text, quote=False)}</{name}>"


def _parsed(html: str) -> Any:
    """The HTML's tree, or None when there is nothing in it."""
    import lxml.html
    from lxml import etree

    text = _COORDS.sub(lambda m: f'coords="{" ".join(re.findall(r"[0-9]{4}", m.group(1)))}"', _CONTROL.sub("", html))
    parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)
    try:
        return lxml.html.document_fromstring(text.encode("utf-8"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return None


def _owner(element: Any, table: Any) -> Any:
    """The table that an element belongs to: the nearest around it."""
    return next((a for a in element.iterancestors() if a.tag == "table" or a is table), table)


def _cell(element: Any) -> Written:
    header = element.tag == "th" or any(a.tag == "thead" for a in _up_to_table(element))
    return Written(
        text=" ".join(unicodedata.normalize("NFC", "".join(_texts(element))).split()),
        row_span=_span(element.get("rowspan"), least=0),
        column_span=_span(element.get("colspan"), least=1),
        header=header,
        coords=_coords(element.get("coords")),
    )


def _up_to_table(element: Any) -> Iterator[Any]:
    for ancestor in element.iterancestors():
        if ancestor.tag == "table":
            return
        yield ancestor


def _texts(element: Any) -> Iterator[str]:
    """The text within an element; what begins a line of its own is set off by a blank. Cells within it, left open by
    the model, are not its own."""
    own = {"td", "th", "tr"}
    nested = next(element.iter("table"), None)
    stack: list[tuple[Any, bool]] = [(element, False)]
    while stack:
        node, closing = stack.pop()
        if closing:
            if node.tag in _BREAKS and node is not element:
                yield " "
            yield node.tail or "" if node is not element else ""
            continue
        stack.append((node, True))
        inner_cell = nested is None and node is not element and node.tag in own
        if not isinstance(node.tag, str) or node.tag in _UNREAD or inner_cell:
            continue
        if node.tag in _BREAKS and node is not element:
            yield " "
        yield node.text or ""
        stack += [(child, False) for child in reversed(node)]


def _span(value: str | None, least: int) -> int:
    """A span as HTML reads it: its leading digits; 1 when there are none. A rowspan of 0 reaches to the end."""
    found = re.match(r"\s*\+?(\d+)", value or "")
    number = int(found.group(1)[:6]) if found else 1
    return min(number, WIDEST_SPAN) if number >= least else 1


def _coords(value: str | None) -> tuple[int, int, int, int] | None:
    numbers = re.findall(r"\d+", value or "")
    if len(numbers) != 4:
        return None
    x0, y0, x1, y1 = (min(int(n), LOC_STEPS) for n in numbers)
    # The paper prints the upper and the lower edge under one name: either order is taken.
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _box(coords: tuple[int, int, int, int] | None, within: Box | None) -> Box | None:
    if coords is None or within is None:
        return None
    x0, y0, x1, y1 = (value / LOC_STEPS for value in coords)
    across, down = within.width, within.height
    return Box(within.x0 + x0 * across, within.y0 + y0 * down, within.x0 + x1 * across, within.y0 + y1 * down)
