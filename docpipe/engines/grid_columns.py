"""The columns of a table: parted by rulings where they are drawn, else by how the words line up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import median

from docpipe.engines.alignment import Gutter, Segment, Token, gutters, rows_of_tokens, segments_of, split_at
from docpipe.engines.alignment_rows import HALF_LINE, Placed
from docpipe.engines.lattice import Lattice, Rule, Rulings, lattice_of


@dataclass(frozen=True, slots=True)
class Separator:
    """What parts two columns: a ruling, a gutter in the words, or both."""

    place: float
    rule: Rule | None
    gutter: Gutter


class Columns:
    """The words of a table in lines, its rulings, and the columns that both make. Sizes are heights of letters."""

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
            band = [[s for s in line if start <= s.box.center[0] <= stop] for line in levelled(self.lines, self.size)]
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
        """Separators without those that only words in the head make: a justified label is one label."""
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

    def place(self, line: Sequence[Segment]) -> list[Placed]:
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

    def cell_reach(self, column: int) -> tuple[float, float]:
        """From where to where a column's cells reach."""
        left = self.separators[column - 1].place if column else self.extents[0][0]
        right = self.separators[column].place if column < len(self.separators) else self.extents[-1][1]
        return left, right


def levelled(lines: Sequence[Sequence[Segment]], size: float) -> list[list[Segment]]:
    """Lines with those half a line apart put together where they do not overlap.

    Cells that are centred on the height of a row stand so beside cells of an even number of lines.
    """
    done: list[list[Segment]] = []
    middle = float("-inf")
    for line in lines:
        here = median(s.box.center[1] for s in line)
        over = done and any(a.box.x0 < b.box.x1 and b.box.x0 < a.box.x1 for a in line for b in done[-1])
        if done and not over and here - middle < HALF_LINE * size:
            done[-1] = sorted([*done[-1], *line], key=lambda s: s.box.x0)
        else:
            done.append(list(line))
            middle = here
    return done
