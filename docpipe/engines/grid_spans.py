"""Cells that span: labels over several columns, and rectangles of grid positions that are one cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from docpipe.engines.alignment_rows import Placed, PlacedLine
from docpipe.engines.grid_columns import Columns
from docpipe.engines.lattice import COVERED, Rule


def spanned(
    columns: Columns, lines: Sequence[PlacedLine], rules: Sequence[Rule | None], head_bottom: float
) -> list[PlacedLine]:
    """Lines of the head with their labels over all the columns they label: those they are ruled off or centred over.

    rules: the one above each line, where there is one.
    """
    done = list(lines)
    for n in range(len(lines) - 2, -1, -1):
        if lines[n + 1].middle > head_bottom:
            continue
        below = {c for line in done[n + 1 :] if line.middle < head_bottom for c in line.columns}
        spans = _ruled_spans(columns, done[n], rules[n + 1]) or _centred_spans(columns, done[n], below)
        if spans:
            placed = tuple(Placed(p.segment, *span) for p, span in zip(done[n].placed, spans, strict=True))
            done[n] = replace(done[n], placed=placed)
    return done


def _ruled_spans(columns: Columns, line: PlacedLine, rule: Rule | None) -> list[tuple[int, int]] | None:
    """The columns over the partial rules right below a line's labels."""
    spans = [(p.first, p.last) for p in line.placed]
    found = False
    for start, stop in rule.stretches if rule else ():
        over = [n for n, p in enumerate(line.placed) if start <= p.segment.box.center[0] <= stop]
        held = [c for c, (a, b) in enumerate(columns.extents) if min(stop, b) - max(start, a) > COVERED * (b - a)]
        if len(over) == 1 and held and len(held) < len(columns.extents):
            spans[over[0]] = (held[0], held[-1])
            found = True
    return spans if found and all(a[1] < b[0] for a, b in pairwise(spans)) else None


def _centred_spans(columns: Columns, line: PlacedLine, below: set[int]) -> list[tuple[int, int]] | None:
    """The columns that a line's labels are centred over, each label over its own, fewest columns left without one.

    Least cost over all ways to give every label a run of columns that holds its own, by dynamic programming.
    """
    labels = line.placed
    ways: dict[int, tuple[float, list[tuple[int, int]]]] = {0 if labels[0].first == 0 else 1: (0.0, [])}
    for p in labels:
        best: dict[int, tuple[float, list[tuple[int, int]]]] = {}
        for start, (cost, spans) in ways.items():
            for first in range(start, p.first + 1):
                for last in range(p.last, len(columns.extents)):
                    own = (first, last) == (p.first, p.last)
                    held = range(first, last + 1)
                    if not own and (
                        not all(c in below for c in held) or any(columns.separators[x].rule for x in held[:-1])
                    ):
                        continue
                    left, right = columns.extents[first][0], columns.extents[last][1]
                    off = abs((left + right) / 2 - p.segment.box.center[0]) / max(columns.size, 0.08 * (right - left))
                    if not own and off > 1.2:
                        continue
                    total = cost + (0.3 * min(off, 1.0) if own else off * off) + 0.6 * (first - start)
                    if last + 1 not in best or total < best[last + 1][0]:
                        best[last + 1] = (total, [*spans, (first, last)])
        ways = best
    if not ways:
        return None
    end = min(ways, key=lambda c: ways[c][0] + 0.6 * (len(columns.extents) - c))
    spans = ways[end][1]
    wider = [p for p, span in zip(labels, spans, strict=True) if span != (p.first, p.last)]
    return None if len(wider) == 1 and not _stands_over(columns, wider[0], below) else spans


def _stands_over(columns: Columns, label: Placed, below: set[int]) -> bool:
    """Whether a lone label is no first line of the label below it: wider than its column, or over several."""
    start, stop = columns.extents[label.first]
    return label.first > 0 and len(below) > 2 and (label.last > label.first or label.segment.box.width > stop - start)


class Owners:
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
