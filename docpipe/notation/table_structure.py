"""A table's structure in few tokens: where its columns and rows end, which rows are heads, which cells span several.

    <cols> <loc…> <loc…> …                       the edges of the columns from left to right, the outer ones with them
    <rows> <loc…>                                the upper edge, then for each row from above
    <tr> <loc…>   or   <th> <loc…>               a row (<th>: of head cells) by its lower edge, and after it its
        <span> <loc…> <loc…> <loc…>              cells that span: left, right and lower edge, on edges named elsewhere

Places are PaliGemma's location tokens, of which a small model knows every ninth or so: the middles of `BINS` bins. A
table of 8 x 8 takes 28 tokens this way, where a token a cell and four a box would take 320; its cells are what lies
between the edges. The text of cells comes from elsewhere (docpipe.engines.table_fill).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from docpipe.document import Cell
from docpipe.notation.html import to_html
from docpipe.notation.tokens import BINS as LOC_BINS
from docpipe.notation.tokens import loc

BINS = 112
"""Places along a side that the small vocabulary tells apart."""

COLUMNS, ROWS, ROW, HEAD, SPAN = "<cols>", "<rows>", "<tr>", "<th>", "<span>"
PLACES = tuple(loc((i + 0.5) / BINS) for i in range(BINS))
VOCABULARY = (COLUMNS, ROWS, ROW, HEAD, SPAN, *PLACES)

_TOKEN = re.compile(r"<cols>|<rows>|<tr>|<th>|<span>|<loc\d{4}>")


@dataclass(frozen=True)
class Span:
    """A cell over several places: its first row and column, and how many of each it takes."""

    row: int
    column: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Structure:
    """Edges as shares 0..1 of the image's sides, ascending: columns + 1 of x, rows + 1 of y.

    heads: for each row, whether it is one of head cells. spans: cells that take more than one place, none twice.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    heads: tuple[bool, ...]
    spans: tuple[Span, ...] = ()

    @property
    def rows(self) -> int:
        return len(self.y) - 1

    @property
    def columns(self) -> int:
        return len(self.x) - 1

    def cells(self) -> list[Cell]:
        """All cells, row by row, without text and boxes."""
        covered: set[tuple[int, int]] = set()
        begun = {(s.row, s.column): s for s in self.spans}
        cells = []
        for r in range(self.rows):
            for c in range(self.columns):
                if (r, c) in covered:
                    continue
                span = begun.get((r, c), Span(r, c, 1, 1))
                covered |= {(i, j) for i in range(r, r + span.rows) for j in range(c, c + span.columns)}
                cells.append(Cell(row=r, column=c, row_span=span.rows, column_span=span.columns, header=self.heads[r]))
        return cells

    def html(self) -> str:
        """The structure as HTML with empty cells."""
        return to_html(self.rows, self.columns, self.cells())


def write(structure: Structure) -> list[str]:
    """The tokens of a structure. Edges fall into bins; a row or column thinner than a bin may lose its extent."""
    tokens = [COLUMNS, *(place(x) for x in structure.x), ROWS, place(structure.y[0])]
    for r in range(structure.rows):
        tokens += [HEAD if structure.heads[r] else ROW, place(structure.y[r + 1])]
        for s in sorted(structure.spans, key=lambda s: s.column):
            if s.row == r:
                left, right, low = structure.x[s.column], structure.x[s.column + s.columns], structure.y[r + s.rows]
                tokens += [SPAN, place(left), place(right), place(low)]
    return tokens


def place(share: float) -> str:
    """The small vocabulary's token for a coordinate."""
    return PLACES[min(max(int(share * BINS), 0), BINS - 1)]


def is_structure(text: str) -> bool:
    """Whether a model's answer is written this way."""
    return text.lstrip().startswith(COLUMNS)


def read(text: str) -> Structure | None:
    """The structure that a model wrote; None when it has not a row and a column. Never raises.

    Edges out of order are left out; a span goes to the nearest edges, and is left out where it takes one place alone
    or meets another.
    """
    tokens = _TOKEN.findall(text)
    x: list[float] = []
    y: list[float] = []
    heads: list[bool] = []
    wanted: list[tuple[int, list[float]]] = []
    part, numbers = "", [0.0]
    for token in tokens:
        if not token.startswith("<loc"):
            part = token
            if token == SPAN:
                wanted.append((len(heads) - 1, numbers := []))
            continue
        value = min(int(token[4:8]), LOC_BINS - 1) / (LOC_BINS - 1)
        if part == COLUMNS and (not x or value > x[-1]):
            x.append(value)
        elif part == ROWS and not y:
            y.append(value)
        elif part in (ROW, HEAD) and y and value > y[-1]:
            y.append(value)
            heads.append(part == HEAD)
            part = ""
        elif part == SPAN and len(numbers) < 3:
            numbers.append(value)
    if len(x) < 2 or len(y) < 2:
        return None
    return Structure(tuple(x), tuple(y), tuple(heads), _spans(x, y, wanted))


def _spans(x: Sequence[float], y: Sequence[float], wanted: Sequence[tuple[int, list[float]]]) -> tuple[Span, ...]:
    taken: set[tuple[int, int]] = set()
    found = []
    for row, numbers in wanted:
        if row < 0 or len(numbers) < 3:
            continue
        left, right, low = _nearest(x, numbers[0]), _nearest(x, numbers[1]), max(_nearest(y, numbers[2]), row + 1)
        places = {(i, j) for i in range(row, low) for j in range(left, right)}
        if len(places) > 1 and not places & taken:
            taken |= places
            found.append(Span(row, left, low - row, right - left))
    return tuple(found)


def _nearest(edges: Sequence[float], value: float) -> int:
    return min(range(len(edges)), key=lambda i: abs(edges[i] - value))
