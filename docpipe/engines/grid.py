"""From the words and rulings of a table region to its grid: rows, columns, spans and header cells.

Ruled, partly ruled and borderless tables take the same way. Rulings part rows and columns where they are drawn; what
they leave open is parted by how the words line up (`alignment`); a cell then spans what it covers, what no ruling
parts, and, in the head, the columns it is centred over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import pairwise
from statistics import median

from docpipe.document import Box, Cell
from docpipe.engines.alignment import (
    Gutter,
    Placed,
    PlacedLine,
    Segment,
    Token,
    begins_row,
    gutters,
    habits_of,
    is_body,
    rows_of_tokens,
    segments_of,
    split_at,
    without_leaders,
)
from docpipe.engines.lattice import COVERED, Lattice, Rule, Rulings, lattice_of
from docpipe.engines.textlayer import join_hyphenated


@dataclass(frozen=True)
class Grid:
    """A table's grid. `cells` tile rows x columns; `confidence` estimates the chance that rows and columns are right."""

    rows: int
    columns: int
    cells: tuple[Cell, ...]
    confidence: float


@dataclass(frozen=True, slots=True)
class Separator:
    """What parts two columns: a ruling, a gutter in the words, or both."""

    place: float
    rule: Rule | None
    gutter: Gutter


@dataclass(frozen=True)
class Row:
    """Lines that make up a row, and where it lies: the middle of the blank or ruling above and below."""

    lines: tuple[PlacedLine, ...]
    top: float
    bottom: float
    above: Rule | None = None


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


class _Reader:
    """One table on its way from words to a grid."""

    def __init__(self, tokens: Sequence[Token], rulings: Rulings) -> None:
        self.tokens = tokens
        self.size = median(t.size for t in tokens)
        self.lattice: Lattice = lattice_of(rulings, self.size)
        self.left, self.right = min(t.box.x0 for t in tokens), max(t.box.x1 for t in tokens)
        self.top, self.bottom = min(t.box.y0 for t in tokens), max(t.box.y1 for t in tokens)
        self.lines = [segments_of(row, self._walls(row), self.size) for row in rows_of_tokens(tokens)]

    def _walls(self, row: Sequence[Token]) -> list[float]:
        """Where vertical rulings stand beside the words of a line."""
        y = row[0].box.center[1]
        return [r.place for r in self.lattice.down if any(a <= y <= b for a, b in r.stretches)]

    # --- columns

    @cached_property
    def separators(self) -> list[Separator]:
        """What parts the columns, left to right."""
        slack = 0.3 * self.size
        inner = [r for r in self.lattice.down if self.left + slack < r.place < self.right - slack]
        outer = [r for r in self.lattice.down if r not in inner]
        found = []
        edges = [self.left - 1e3, *(r.place for r in inner), self.right + 1e3]
        tall = 0.5 * (self.bottom - self.top)
        for n, (start, stop) in enumerate(pairwise(edges)):
            band = [[s for s in line if start <= s.box.center[0] <= stop] for line in self.lines]
            left = [inner[n - 1]] if n else [r for r in outer if r.place < self.left + slack]
            right = [inner[n]] if n < len(inner) else [r for r in outer if r.place > self.right - slack]
            closed = all(any(r.length > tall for r in side) for side in (left, right)) and len(inner) > 0
            least = 0.7 if closed else 0.25 if inner else 0.0
            for gutter in gutters([line for line in band if line], self.size, least=least):
                found.append(Separator(gutter.place, None, gutter))
            if n < len(inner):
                ends = [s.box.x1 for line in band for s in line if s.box.x1 <= stop + slack]
                starts = [s.box.x0 for line in self.lines for s in line if s.box.x0 >= stop - slack]
                blank = Gutter(max(ends, default=stop), min(starts, default=stop), 0)
                blank = Gutter(min(blank.x0, stop), max(blank.x1, stop), 0)
                found.append(Separator(stop, inner[n], blank))
        return self._without_empty(self._without_bare(found))

    def _without_bare(self, separators: list[Separator]) -> list[Separator]:
        """Separators without those that only words in the head make: a justified label is one however wide its blanks."""
        values = [sum(s.value and not s.year for s in line[1:]) >= max(1, len(line) // 2) for line in self.lines]
        if sum(values) < 3:
            return separators
        body = [s.box.center[0] for line in self.lines[values.index(True) :] for s in line]
        kept = list(separators)
        n = 0
        while n <= len(kept) and kept:
            left = kept[n - 1] if n else None
            right = kept[n] if n < len(kept) else None
            start, stop = left.place if left else self.left - 1, right.place if right else self.right + 1
            soft = [s for s in (left, right) if s and s.rule is None]
            if soft and not any(start <= x <= stop for x in body):
                kept.remove(min(soft, key=lambda s: s.gutter.x1 - s.gutter.x0))
                n = 0
            else:
                n += 1
        return kept

    def _without_empty(self, separators: list[Separator]) -> list[Separator]:
        """Separators without those that part off a column that holds no words, but for ruled ones of some width."""
        kept: list[Separator] = []
        edge = self.left - 1
        for separator in separators:
            inside = any(edge <= t.box.center[0] < separator.place for t in self.tokens)
            ruled = bool(kept and kept[-1].rule and separator.rule and separator.place - edge > 1.5 * self.size)
            if inside or ruled:
                kept.append(separator)
                edge = separator.place
            elif kept and separator.rule and not kept[-1].rule:
                kept[-1] = separator
        if kept and not any(t.box.center[0] >= kept[-1].place for t in self.tokens):
            kept.pop()
        return kept

    @cached_property
    def reaches(self) -> list[tuple[float, float]]:
        """From where to where each column reaches: to its ruling, or to the gutter where there is none."""
        starts = [self.left - 1e3, *(s.place if s.rule else s.gutter.x1 for s in self.separators)]
        stops = [*(s.place if s.rule else s.gutter.x0 for s in self.separators), self.right + 1e3]
        return list(zip(starts, stops, strict=True))

    @cached_property
    def extents(self) -> list[tuple[float, float]]:
        """From where to where the words of each column reach."""
        starts = [self.left, *(s.gutter.x1 for s in self.separators)]
        stops = [*(s.gutter.x0 for s in self.separators), self.right]
        return list(zip(starts, stops, strict=True))

    def _place(self, line: Sequence[Segment]) -> list[Placed]:
        """A line's segments in the columns they overlap, none in a column that another one holds."""
        soft = [s.gutter for s in self.separators if s.rule is None]
        parts = [part for segment in line for part in split_at(segment, soft, self.size)]
        placed: list[Placed] = []
        for part in parts:
            box = part.box
            over = [min(box.x1, b) - max(box.x0, a) for a, b in self.reaches]
            held = [c for c, share in enumerate(over) if share > min(0.4 * self.size, 0.5 * box.width)]
            if not held:
                x = box.center[0]
                held = [min(range(len(over)), key=lambda c: max(self.extents[c][0] - x, x - self.extents[c][1]))]
            first, last = held[0], held[-1]
            if placed and placed[-1].last >= first:
                before = placed[-1]
                if before.first == first == before.last or first > last - (last > first) + 1:
                    joined = Segment(before.segment.tokens + part.tokens)
                    placed[-1] = Placed(joined, before.first, max(last, before.last))
                    continue
                if before.last > before.first:
                    placed[-1] = Placed(before.segment, before.first, first - 1 if first > before.first else first)
                first = max(first, placed[-1].last + (first < last))
                if placed[-1].last >= first:
                    joined = Segment(before.segment.tokens + part.tokens)
                    placed[-1] = Placed(joined, before.first, max(last, before.last))
                    continue
            placed.append(Placed(part, first, last))
        return placed

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
            for placed in self._place(line):
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
        lines = self._spanned([line for _, line in marked], [rule for rule, _ in marked])
        spanned = iter(lines)
        habits = habits_of(lines, self.size, len(self.extents))
        ruled = len(self._bands) >= 3 and (len(self._bands) >= 0.4 * len(lines) or self.lattice.framed)
        rows: list[Row] = []
        for rule, unspanned in self._bands:
            band = [next(spanned) for _ in unspanned]
            groups = [[band[0]]]
            if not ruled or self._several(band):
                for line in band[1:]:
                    before = _merged(groups[-1]) if ruled else groups[-1][-1]
                    first = groups[-1][0]
                    header = line.middle < self.head_bottom
                    opened = begins_row(replace(before, placed=_union(first, before)), line, habits, self.size, header=header)
                    if opened:
                        groups.append([line])
                    else:
                        groups[-1].append(line)
            else:
                groups = [list(band)]
            for n, group in enumerate(groups):
                top, bottom = min(line.top for line in group), max(line.bottom for line in group)
                rows.append(Row(tuple(group), top, bottom, rule if n == 0 else None))
        return rows

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
        owners = _Owners(len(rows), columns)
        texts: dict[tuple[int, int], list[Placed]] = {}
        for r, row in enumerate(rows):
            for placed in (p for line in row.lines for p in line.placed):
                owners.join((r, placed.first), (r, placed.last))
                texts.setdefault((r, placed.first), []).append(placed)
        filled = {(r, c) for (r, c) in texts}
        self._join_unruled(owners, filled, head)
        return self._finish(owners, texts, head)

    def _spanned(self, lines: Sequence[PlacedLine], rules: Sequence[Rule | None]) -> list[PlacedLine]:
        """Lines of the head with their labels over all the columns they label: those they are ruled off or centred over.

        rules: the one above each line, where there is one.
        """
        done = list(lines)
        for n in range(len(lines) - 2, -1, -1):
            if lines[n + 1].middle > self.head_bottom:
                continue
            below = {c for line in done[n + 1 :] if line.middle < self.head_bottom for c in line.columns}
            spans = self._ruled_spans(done[n], rules[n + 1]) or self._centred_spans(done[n], below)
            if spans:
                placed = tuple(Placed(p.segment, *span) for p, span in zip(done[n].placed, spans, strict=True))
                done[n] = replace(done[n], placed=placed)
        return done

    def _ruled_spans(self, line: PlacedLine, rule: Rule | None) -> list[tuple[int, int]] | None:
        """The columns over the partial rules right below a line's labels."""
        spans = [(p.first, p.last) for p in line.placed]
        found = False
        for start, stop in rule.stretches if rule else ():
            over = [n for n, p in enumerate(line.placed) if start <= p.segment.box.center[0] <= stop]
            held = [c for c, (a, b) in enumerate(self.extents) if min(stop, b) - max(start, a) > COVERED * (b - a)]
            if len(over) == 1 and held and len(held) < len(self.extents):
                spans[over[0]] = (held[0], held[-1])
                found = True
        return spans if found and all(a[1] < b[0] for a, b in pairwise(spans)) else None

    def _centred_spans(self, line: PlacedLine, below: set[int]) -> list[tuple[int, int]] | None:
        """The columns that a line's labels are centred over, each label over its own, fewest columns left without one.

        Least cost over all ways to give every label a run of columns that holds its own, by dynamic programming.
        """
        labels = line.placed
        ways: dict[int, tuple[float, list[tuple[int, int]]]] = {0 if labels[0].first == 0 else 1: (0.0, [])}
        for p in labels:
            best: dict[int, tuple[float, list[tuple[int, int]]]] = {}
            for start, (cost, spans) in ways.items():
                for first in range(start, p.first + 1):
                    for last in range(p.last, len(self.extents)):
                        own = (first, last) == (p.first, p.last)
                        held = range(first, last + 1)
                        if not own and (not all(c in below for c in held) or any(self.separators[x].rule for x in held[:-1])):
                            continue
                        left, right = self.extents[first][0], self.extents[last][1]
                        off = abs((left + right) / 2 - p.segment.box.center[0]) / max(self.size, 0.08 * (right - left))
                        if not own and off > 1.2:
                            continue
                        total = cost + (0.3 * min(off, 1.0) if own else off * off) + 0.6 * (first - start)
                        if last + 1 not in best or total < best[last + 1][0]:
                            best[last + 1] = (total, [*spans, (first, last)])
            ways = best
        if not ways:
            return None
        end = min(ways, key=lambda c: ways[c][0] + 0.6 * (len(self.extents) - c))
        spans = ways[end][1]
        wider = [p for p, span in zip(labels, spans, strict=True) if span != (p.first, p.last)]
        return None if len(wider) == 1 and not self._stands_over(wider[0], below) else spans

    def _stands_over(self, label: Placed, below: set[int]) -> bool:
        """Whether a lone label is no first line of the label below it: wider than its column, or over several."""
        start, stop = self.extents[label.first]
        return label.first > 0 and len(below) > 2 and (label.last > label.first or label.segment.box.width > stop - start)

    def _join_unruled(self, owners: _Owners, filled: set[tuple[int, int]], head: int) -> None:
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
        if rule is None or rule.share(*self._cell_reach(column)) >= 0.3:
            return False
        return any(rule.share(*self._cell_reach(c)) >= COVERED for c in range(len(self.extents)))

    def _join_column(self, owners: _Owners, c: int, run: Sequence[int], filled: set[tuple[int, int]]) -> None:
        """Join the cells of a column that no ruling parts when some text stands in them."""
        if len(run) > 1 and any(owners.filled((r, c), filled) for r in run):
            owners.join((run[0], c), (run[-1], c))

    def _join_run(self, owners: _Owners, r: int, run: Sequence[int], filled: set[tuple[int, int]]) -> None:
        """Join the cells of a row that no ruling parts when one text stands in them."""
        if len(run) > 1 and sum((r, c) in filled for c in run) == 1:
            owners.join((r, run[0]), (r, run[-1]))

    def _cell_reach(self, column: int) -> tuple[float, float]:
        """From where to where a column's cells reach."""
        left = self.separators[column - 1].place if column else self.extents[0][0]
        right = self.separators[column].place if column < len(self.separators) else self.extents[-1][1]
        return left, right

    def _finish(self, owners: _Owners, texts: dict[tuple[int, int], list[Placed]], head: int) -> Grid:
        cells = []
        tops, bottoms = [row.top for row in self.rows], [row.bottom for row in self.rows]
        for r0, c0, r1, c1 in owners.rectangles():
            placed = [p for r in range(r0, r1 + 1) for c in range(c0, c1 + 1) for p in texts.get((r, c), ())]
            text = _text(placed)
            box = reduce(Box.union, (p.segment.box for p in placed)) if placed else None
            box = box or Box(self._cell_reach(c0)[0], tops[r0], self._cell_reach(c1)[1], bottoms[r1])
            cells.append(
                Cell(row=r0, column=c0, row_span=r1 - r0 + 1, column_span=c1 - c0 + 1, text=text, header=r1 < head, box=box)
            )
        return Grid(len(self.rows), len(self.extents), tuple(cells), 0.5)


class _Owners:
    """Which cells are one: rectangles of grid positions, joined step by step."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self._boxes = {(r, c): (r, c, r, c) for r in range(rows) for c in range(columns)}

    def filled(self, at: tuple[int, int], filled: set[tuple[int, int]]) -> bool:
        r0, c0, r1, c1 = self._boxes[at]
        return any((r, c) in filled for r in range(r0, r1 + 1) for c in range(c0, c1 + 1))

    def join(self, a: tuple[int, int], b: tuple[int, int]) -> None:
        """Make one cell of the rectangle that holds both, and of every cell that it cuts."""
        boxes = {self._boxes[a], self._boxes[b]}
        while True:
            r0, c0 = min(box[0] for box in boxes), min(box[1] for box in boxes)
            r1, c1 = max(box[2] for box in boxes), max(box[3] for box in boxes)
            cut = {self._boxes[r, c] for r in range(r0, r1 + 1) for c in range(c0, c1 + 1)}
            if cut == boxes:
                break
            boxes = cut | boxes
        for r in range(r0, r1 + 1):
            for c in range(c0, c1 + 1):
                self._boxes[r, c] = (r0, c0, r1, c1)

    def rectangles(self) -> list[tuple[int, int, int, int]]:
        """The cells as (top row, left column, bottom row, right column), in reading order."""
        return sorted(set(self._boxes.values()))


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


def _merged(lines: Sequence[PlacedLine]) -> PlacedLine:
    return lines[-1]


def _text(placed: Sequence[Placed]) -> str:
    lines: list[list[Segment]] = []
    for p in sorted(placed, key=lambda p: p.segment.box.center[1]):
        if lines and p.segment.box.center[1] - lines[-1][0].box.center[1] < 0.4 * p.segment.tokens[0].size:
            lines[-1].append(p.segment)
        else:
            lines.append([p.segment])
    return join_hyphenated([" ".join(s.text for s in sorted(line, key=lambda s: s.box.x0)) for line in lines])
