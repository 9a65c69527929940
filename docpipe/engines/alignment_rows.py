"""What the lines of a table say of its rows, where no ruling says it.

Rows are told from the lines of one wrapped cell by what a typesetter does: a wrapped line had no room for the next
word, values never wrap, rows stand further apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from docpipe.engines.alignment import Segment

HALF_LINE = 0.72
"""Lines nearer than this many letter sizes stand half a line apart: they are of cells set to different heights."""


@dataclass(frozen=True)
class Placed:
    """A segment in the columns `first` to `last`."""

    segment: Segment
    first: int
    last: int


@dataclass(frozen=True)
class PlacedLine:
    """A line with its segments placed into columns."""

    placed: tuple[Placed, ...]
    top: float
    bottom: float
    middle: float

    @cached_property
    def columns(self) -> dict[int, Placed]:
        return {column: p for p in self.placed for column in range(p.first, p.last + 1)}

    @property
    def values(self) -> int:
        return sum(p.segment.value for p in self.placed)

    @property
    def alone(self) -> bool:
        """Whether nothing but a stub stands on it."""
        return len(self.placed) == 1 and self.placed[0].first == 0


def is_body(line: PlacedLine) -> bool:
    """Whether a line holds values beside its stub, others than years, which label columns."""
    beside = [p.segment for p in line.placed if p.first > 0]
    values = [s for s in beside if s.value]
    return bool(values) and len(values) >= 0.5 * len(beside) and not all(s.year for s in values)


@dataclass(frozen=True, slots=True)
class Habits:
    """How a table is set. pitch: the distance of lines that stand closest; loose: whether a good part of the lines
    stand further apart; widths: of the columns' words; lone: the share of rows that a line with a stub alone follows;
    sunk: whether wrapped cells end on the line of their row's other cells (as spreadsheets set them).
    """

    pitch: float
    loose: bool
    widths: tuple[float, ...]
    lone: float
    sunk: bool = False


def habits_of(lines: Sequence[PlacedLine], size: float, columns: int) -> Habits:
    """The habits of the lines of a table."""
    widths = [0.0] * columns
    for p in (p for line in lines for p in line.placed if p.first == p.last):
        widths[p.first] = max(widths[p.first], p.segment.box.width)
    full = sum(not line.alone for line in lines[:-1])
    lone = sum(b.alone and not a.alone for a, b in pairwise(lines)) / max(1, full)
    pitches = sorted(b.middle - a.middle for a, b in pairwise(lines) if b.middle - a.middle > 0.8 * size)
    close = pitches[len(pitches) // 5] if pitches else 1.2 * size
    loose = sum(p > 1.25 * close for p in pitches) >= max(1, 0.25 * len(pitches))
    return Habits(close, loose, tuple(widths), lone, _sunk(lines, widths))


def _sunk(lines: Sequence[PlacedLine], widths: Sequence[float]) -> bool:
    """Whether lines without a stub read as the beginning of the row below rather than the end of the row above."""
    evidence = 0.0
    count = 0
    for above, line, below in zip(lines, lines[1:], lines[2:], strict=False):
        if 0 in line.columns or line.values or not (0 in above.columns and 0 in below.columns):
            continue
        for p in line.placed:
            up, down = above.columns.get(p.first), below.columns.get(p.first)
            if up and down:
                evidence += _wrap_score(up.segment, p.segment, widths[p.first])
                evidence -= _wrap_score(p.segment, down.segment, widths[p.first])
                count += 1
    return evidence > max(1.0, 0.5 * count)


def begins_row(a: PlacedLine, b: PlacedLine, habits: Habits, size: float, *, header: bool) -> bool:
    """Whether line `b` begins a new row after line `a`, rather than going on with wrapped cells of its row.

    header: both lines stand in the table's head. The weights are set by hand on development tables.
    """
    step = b.middle - a.middle
    shared = [(p, q) for c, q in b.columns.items() if (p := a.columns.get(c)) and c in {q.first, p.first}]
    if step < HALF_LINE * size and not shared:
        return False
    for p, q in shared:
        if (p.first, p.last) != (q.first, q.last) and (p.last - p.first > 0 or q.last - q.first > 0):
            return True  # a heading that spans, and what it spans
        years = header and (p.segment.year or q.segment.year)
        open_end = len(p.segment.text) >= 4 and p.segment.text.endswith((",", "-", "–", "/"))
        if p.segment.value and q.segment.value and not years and not open_end:
            return True
    if 0 in b.columns and is_body(b) and not is_body(a) and any(q.segment.value and q.first for _, q in shared):
        return True  # labels above the first values
    if habits.sunk and not header:
        return 0 in a.columns and len(a.placed) > 1
    score = 0.0
    if step > 1.3 * habits.pitch:
        score += 2.0 if habits.loose else 1.0
    elif habits.loose:
        score -= 1.2
    for p, q in shared:
        score += _wrap_score(p.segment, q.segment, habits.widths[p.first])
    if header:
        return score - 1.5 * (not shared) - 0.5 > 0
    if 0 in b.columns and 0 not in a.columns:
        score += 2.0
    elif 0 not in b.columns:
        new_values = b.values and b.values >= 0.4 * len(habits.widths)
        score += 3.0 if new_values else -2.0 if len(shared) == len(b.placed) else -1.0
    elif b.values > a.values:
        # Words alone above words with values: a heading of what follows, or the first line of a wrapped stub.
        above, below = a.columns[0].segment, b.columns[0].segment
        score += 0.8 + 2.0 * above.text.endswith(":") + 2.0 * (above.bold and not below.bold)
        score += 0.5 * (below.box.x0 > above.box.x0 + 0.4 * size)
    elif len(b.placed) > 1:
        score += 0.6 * (len(b.placed) - 1)
    else:
        above, below = a.columns[0].segment, b.columns[0].segment
        score += 0.4 - 1.5 * (habits.lone > 0.5) + 1.5 * (below.bold is not above.bold)
        score -= 0.6 * (below.box.x0 > above.box.x0 + 0.3 * size)
    return score > 0


def _wrap_score(a: Segment, b: Segment, width: float) -> float:
    """Below 0 when `b` reads as the line after `a` in one cell, above 0 when it reads as another cell."""
    first = b.text[0]
    score = -1.6 if first.islower() or first in "(&,;/)" else 0.3
    if a.text.endswith(("-", "‐", ",", "(", "/", " of", " and", " the", " in", " to", " for", " or", " with", "&")):
        score -= 1.5
    room = width - a.box.width - 0.25 * a.tokens[0].size
    return score + (1.2 if room > b.first_width else -0.8 if a.box.width > 0.5 * width and len(a.tokens) > 1 else -0.2)
