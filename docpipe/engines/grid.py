"""From the words and rulings of a table region to its grid: rows, columns, spans and header cells.

Ruled, partly ruled and borderless tables take the same way. Rulings part rows and columns where they are drawn; what
they leave open is parted by how the words line up (`alignment`); a cell then spans what it covers, what no ruling
parts, and, in the head, the columns it is centred over.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import zip_longest

from docpipe.document import Box, Cell
from docpipe.engines.alignment import Segment, Token, without_leaders
from docpipe.engines.alignment_rows import HALF_LINE, Placed, PlacedLine, begins_row, habits_of, is_body
from docpipe.engines.grid_columns import Columns, Separator
from docpipe.engines.grid_spans import Owners, spanned
from docpipe.engines.lattice import COVERED, Rule, Rulings
from docpipe.engines.textlayer import join_hyphenated

WEIGHTS = (1.11, -1.15, 0.74, 0.89, -1.33, -0.69, -1.51, -0.07)
"""Logistic weights of the evidence for a grid: a constant; the share of columns parted by no ruling; the narrowest
blank between columns in letter heights; the shares of rows with a ruling above, of blank cells, of spanning cells, of
rows of several lines; the logarithm of the number of places."""


@dataclass(frozen=True)
class Grid:
    """A table's grid. `cells` tile rows x columns; `confidence` estimates the chance that all of them are right."""

    rows: int
    columns: int
    cells: tuple[Cell, ...]
    confidence: float


@dataclass(frozen=True)
class Row:
    """Lines that make up a row, where it lies, and the rule above it.

    straddled: the columns whose cell in the row above reaches down into this one.
    """

    lines: tuple[PlacedLine, ...]
    top: float
    bottom: float
    above: Rule | None = None
    straddled: frozenset[int] = frozenset()

    @property
    def columns(self) -> set[int]:
        return {column for line in self.lines for column in line.columns}


def read_grid(tokens: Sequence[Token], rulings: Rulings) -> Grid | None:
    """The grid of a table region, or None when its words stand in fewer than two rows or columns.

    tokens: the region's words; boxes of words and rulings are in one unit, y down, upright. Cell boxes come back in
    it. The confidence is a logistic estimate from the agreement of rulings and alignment, fitted to the chance of
    TEDS >= 0.95 (see benchmarks/tables.py).
    """
    tokens = without_leaders(tokens)
    if len(tokens) < 2:
        return None
    return _Reader(tokens, rulings).grid()


class _Reader(Columns):
    """One table on its way from words to a grid."""

    # --- rows

    @cached_property
    def _bands(self) -> list[tuple[Rule | None, list[PlacedLine]]]:
        """The lines between horizontal rules that part words, each band with the rule above it."""
        reach = 0.5 * min(b - a for a, b in self.extents) if self.extents else 0.0
        rules = [
            r for r in self.lattice.across
            if self.top < r.place < self.bottom and max(b - a for a, b in r.stretches) > max(reach, self.size)
        ]  # fmt: skip
        places = [r.place for r in rules]
        bands: list[dict[int, list[Placed]]] = [{} for _ in range(len(rules) + 1)]
        for n, line in enumerate(self.lines):
            for placed in self.place(line):
                middle = placed.segment.box.center[1]
                bands[sum(place < middle for place in places)].setdefault(n, []).append(placed)
        found = []
        for rule, band in zip([None, *rules], bands, strict=True):
            if band:
                found.append((rule, [_line(band[n]) for n in sorted(band)]))
        return found

    @cached_property
    def head_bottom(self) -> float:
        """Where the table's head ends: the words above are column labels; its top when it has none."""
        wide = [rule for rule, _ in self._bands[1:] if rule and self._reach(rule) >= 0.75]
        lines = [line for _, band in self._bands for line in band]
        body = [n for n, line in enumerate(lines) if is_body(line)]
        found = None
        for rule in wide:
            above = [line for line in lines if line.middle < rule.place]
            if len(above) > max(1, min(8, len(lines) // 2)) or any(is_body(line) for line in above):
                break
            below = next(line for line in lines if line.middle > rule.place)
            found = rule.place
            if is_body(below) or sum(p.first > 0 for p in below.placed) < 2:
                break
        if found is not None:
            return found
        if body and len(body) >= 0.4 * (len(lines) - body[0]):
            return (lines[body[0] - 1].bottom + lines[body[0]].top) / 2 if body[0] else self.top
        bold = 0
        while bold < len(lines) and all(p.segment.bold for p in lines[bold].placed):
            bold += 1
        if 0 < bold < len(lines):
            return (lines[bold - 1].bottom + lines[bold].top) / 2
        return (lines[0].bottom + lines[1].top) / 2 if len(lines) > 1 else self.top

    def _reach(self, rule: Rule) -> float:
        return rule.share(self.left, self.right)

    @cached_property
    def rows(self) -> list[Row]:
        """The rows, top to bottom."""
        marked = [(rule if n == 0 else None, line) for rule, band in self._bands for n, line in enumerate(band)]
        lines = spanned(self, [line for _, line in marked], [rule for rule, _ in marked], self.head_bottom)
        following = iter(lines)
        habits = habits_of(lines, self.size, len(self.extents))
        ruled = len(self._bands) >= 3 and (len(self._bands) >= 0.4 * len(lines) or self.lattice.framed)
        ruled = ruled or self._rows_between_rules
        rows: list[Row] = []
        straddling: dict[PlacedLine, set[int]] = {}
        for rule, unspanned in self._bands:
            band = [next(following) for _ in unspanned]
            groups = [[band[0]]]
            if not ruled or self._several(band):
                for line, ahead in zip_longest(band[1:], band[2:]):
                    before, first = groups[-1][-1], groups[-1][0]
                    header = line.middle < self.head_bottom
                    beside, probe = before, line
                    if self._half_below(before, line):
                        # Half a line below a cell that is centred on the height of its row or of two rows.
                        beside = next((above for above in reversed(groups[-1]) if _share(above, line)), before)
                    elif ahead is not None and self._half_below(line, ahead):
                        # The cells half a line below are of the same row, centred on its height.
                        probe = _line([*line.placed, *ahead.placed])
                    above = replace(before, placed=_union(first, before)) if beside is before else beside
                    opened = begins_row(above, probe, habits, self.size, header=header)
                    if opened:
                        if beside is not before:
                            straddling[line] = before.columns.keys() - line.columns.keys()
                        groups.append([line])
                    else:
                        groups[-1].append(line)
            else:
                groups = [list(band)]
            for n, group in enumerate(groups):
                top, bottom = min(line.top for line in group), max(line.bottom for line in group)
                straddled = frozenset(straddling.get(group[0], ()))
                rows.append(Row(tuple(group), top, bottom, rule if n == 0 else None, straddled))
        return rows

    def _half_below(self, above: PlacedLine, below: PlacedLine) -> bool:
        """Whether a line stands half a line below another one, in other columns."""
        return below.middle - above.middle < HALF_LINE * self.size and not _share(above, below)

    @cached_property
    def _rows_between_rules(self) -> bool:
        """Whether rules part rows, not groups of rows: nearly all bands of several lines have a column with one."""
        bands = [band for _, band in self._bands[1:] if len(band) > 1]
        single = sum(min(Counter(p.first for line in band for p in line.placed).values()) == 1 for band in bands)
        return len(self._bands) >= 4 and len(bands) >= 3 and single >= 0.8 * len(bands)

    def _several(self, band: Sequence[PlacedLine]) -> bool:
        """Whether a column of a ruled-off band holds a value on several lines, as rows without rulings do."""
        columns: dict[int, int] = {}
        for line in band:
            for placed in line.placed:
                if placed.segment.value:
                    columns[placed.first] = columns.get(placed.first, 0) + 1
        several = sum(count >= max(2, 0.4 * len(band)) for count in columns.values())
        return several > 1 or (several == 1 and sum(len(line.placed) > 1 for line in band) > 0.6 * len(band))

    # --- cells

    def grid(self) -> Grid | None:
        """The finished grid."""
        columns = len(self.separators) + 1
        if columns < 2 or len(self.rows) < 2:
            return None
        rows = self.rows
        head = sum(row.bottom <= self.head_bottom + 0.3 * self.size for row in rows)
        owners = Owners(len(rows), columns)
        texts: dict[tuple[int, int], list[Placed]] = {}
        for r, row in enumerate(rows):
            for placed in (p for line in row.lines for p in line.placed):
                owners.join((r, placed.first), (r, placed.last))
                texts.setdefault((r, placed.first), []).append(placed)
            for c in row.straddled - row.columns:
                owners.join((r - 1, c), (r, c))
        filled = {(r, c) for (r, c) in texts}
        self._join_unruled(owners, filled, head)
        return self._finish(owners, texts, head)

    def _join_unruled(self, owners: Owners, filled: set[tuple[int, int]], head: int) -> None:
        """Join cells that rulings leave open to each other where they part the cells beside them."""
        rows = self.rows
        mostly = [s.rule is not None and _walled(s, rows) >= 0.5 for s in self.separators]
        for r, row in enumerate(rows):
            run = [0]
            for x, separator in enumerate(self.separators):
                if mostly[x] and separator.rule and separator.rule.share(row.top, row.bottom) < COVERED:
                    run.append(x + 1)
                    continue
                self._join_run(owners, r, run, filled)
                run = [x + 1]
            self._join_run(owners, r, run, filled)
        ruled = self.lattice.framed or sum(row.above is not None for row in rows) >= 0.6 * len(rows)
        for c in range(len(self.extents)):
            run = [0]
            for r, lower in enumerate(rows[1:], 1):
                if self._opens(lower, c) and (ruled or (r < head and ((r - 1, c) in filled) is not ((r, c) in filled))):
                    run.append(r)
                    continue
                self._join_column(owners, c, run, filled)
                run = [r]
            self._join_column(owners, c, run, filled)

    def _opens(self, row: Row, column: int) -> bool:
        """Whether the ruling above a row leaves out a column, while it runs over another one."""
        rule = row.above
        if rule is None or rule.share(*self.cell_reach(column)) >= 0.3:
            return False
        return any(rule.share(*self.cell_reach(c)) >= COVERED for c in range(len(self.extents)))

    def _join_column(self, owners: Owners, c: int, run: Sequence[int], filled: set[tuple[int, int]]) -> None:
        """Join the cells of a column that no ruling parts when some text stands in them."""
        if len(run) > 1 and any(owners.filled((r, c), filled) for r in run):
            owners.join((run[0], c), (run[-1], c))

    def _join_run(self, owners: Owners, r: int, run: Sequence[int], filled: set[tuple[int, int]]) -> None:
        """Join the cells of a row that no ruling parts when one text stands in them."""
        if len(run) > 1 and sum((r, c) in filled for c in run) == 1:
            owners.join((r, run[0]), (r, run[-1]))

    def _evidence(self, cells: Sequence[Cell]) -> tuple[float, ...]:
        """What speaks for the grid, in the order of `WEIGHTS`."""
        soft = [(s.gutter.x1 - s.gutter.x0) / self.size for s in self.separators if s.rule is None]
        rules = sum(row.above is not None for row in self.rows[1:]) / max(1, len(self.rows) - 1)
        blank = sum(not cell.text for cell in cells) / len(cells)
        spans = sum(cell.row_span > 1 or cell.column_span > 1 for cell in cells) / len(cells)
        wrapped = sum(len(row.lines) > 1 for row in self.rows) / len(self.rows)
        places = math.log(len(self.rows) * len(self.extents))
        return (len(soft) / len(self.separators), min([2.0, *soft]), rules, blank, spans, wrapped, places)

    def _finish(self, owners: Owners, texts: dict[tuple[int, int], list[Placed]], head: int) -> Grid:
        cells = []
        tops, bottoms = [row.top for row in self.rows], [row.bottom for row in self.rows]
        for r0, c0, r1, c1 in owners.rectangles():
            placed = [p for r in range(r0, r1 + 1) for c in range(c0, c1 + 1) for p in texts.get((r, c), ())]
            text = _text(placed)
            box = reduce(Box.union, (p.segment.box for p in placed)) if placed else None
            box = box or Box(self.cell_reach(c0)[0], tops[r0], self.cell_reach(c1)[1], bottoms[r1])
            cells.append(
                Cell(
                    row=r0,
                    column=c0,
                    row_span=r1 - r0 + 1,
                    column_span=c1 - c0 + 1,
                    text=text,
                    header=r1 < head,
                    box=box,
                )
            )
        return Grid(len(self.rows), len(self.extents), tuple(cells), _chance(self._evidence(cells)))


def _chance(evidence: Sequence[float]) -> float:
    """The chance, 0..1, that the whole grid is right."""
    return 1.0 / (1.0 + math.exp(-sum(w * e for w, e in zip(WEIGHTS, (1.0, *evidence), strict=True))))


def _walled(separator: Separator, rows: Sequence[Row]) -> float:
    """The share of the rows beside which a separator is ruled."""
    assert separator.rule
    return sum(separator.rule.share(row.top, row.bottom) >= COVERED for row in rows) / len(rows)


def _line(placed: Sequence[Placed]) -> PlacedLine:
    boxes = [p.segment.box for p in placed]
    middles = sorted(box.center[1] for box in boxes)
    return PlacedLine(tuple(placed), min(b.y0 for b in boxes), max(b.y1 for b in boxes), middles[len(middles) // 2])


def _union(first: PlacedLine, last: PlacedLine) -> tuple[Placed, ...]:
    """What stands in the columns of the row so far: the last line's cells, and the first's where it has none."""
    held = last.columns
    return last.placed + tuple(p for p in first.placed if not any(c in held for c in range(p.first, p.last + 1)))


def _share(above: PlacedLine, below: PlacedLine) -> bool:
    return not above.columns.keys().isdisjoint(below.columns)


def _text(placed: Sequence[Placed]) -> str:
    lines: list[list[Segment]] = []
    for p in sorted(placed, key=lambda p: p.segment.box.center[1]):
        if lines and p.segment.box.center[1] - lines[-1][0].box.center[1] < 0.4 * p.segment.tokens[0].size:
            lines[-1].append(p.segment)
        else:
            lines.append([p.segment])
    return join_hyphenated([" ".join(s.text for s in sorted(line, key=lambda s: s.box.x0)) for line in lines])
