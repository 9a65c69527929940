"""Which measures of a **kern text are right: aligned with the true ones, and compared note by note."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Literal

from docpipe.notation.kern import read
from docpipe.notation.rhythm import Placed, rhythm
from docpipe.notation.staff import MARKS

What = Literal["written", "notes"]

SIGNS = frozenset(f"()LJ{MARKS}")
"""Slurs, beams and marks: what is written beside the notes themselves."""

Held = Counter[Hashable]
"""What a measure holds, and how often."""


def measures_right(answer: str, truth: str, what: What = "written") -> list[bool]:
    """For each measure of the answer, in order, whether it says exactly what the measure aligned with it says.

    notes: pitches, durations, onsets, ties, rests and grace notes, staff by staff, whatever the order of voices and
    chord notes. written: beams, slurs and marks at each onset too. Not compared: gaps that nothing is printed in
    (`yy`), stems, how bar lines look, clefs, keys and meters (a wrong clef or key shows in the pitches). Measures are
    parted by bar lines and counted as `ScoreContent.measures` counts them; one that is aligned with none is wrong.
    """
    given, wanted = held(answer, what), held(truth, what)
    return [j is not None and measure == wanted[j] for measure, j in zip(given, align(given, wanted), strict=True)]


def held(text: str, what: What = "written") -> list[Held]:
    """What each measure of a **kern text holds."""
    kern = read(text)
    time = rhythm(kern)
    cells = {row.line: row.cells for row in kern.rows if row.kind == "data"}
    found: list[Held] = [Counter() for _ in time.bars]
    index = 0
    signed: set[tuple[int, int]] = set()
    for placed in time.notes:
        while index < len(time.bars) - 1 and placed.line > time.bars[index].last_line:
            index += 1
        if placed.note.hidden:
            continue
        begun = placed.onset - time.bars[index].onset
        found[index][placed.path.spine, begun, *_note(placed)] += 1
        place = (placed.line, placed.column)
        if what == "written" and place not in signed:  # a chord's signs count once, at whichever note they stand
            signed.add(place)
            found[index].update((placed.path.spine, begun, c) for c in cells[placed.line][placed.column] if c in SIGNS)
    return found


def _note(placed: Placed) -> tuple[Hashable, ...]:
    note = placed.note
    return note.pitch, note.quarters, note.grace, "".join(sorted(note.ties))


def likeness(first: Held, second: Held) -> float:
    """F1 of what two measures hold, 0..1; two that hold nothing agree."""
    total = first.total() + second.total()
    return 2 * (first & second).total() / total if total else 1.0


def align(given: Sequence[Held], wanted: Sequence[Held]) -> list[int | None]:
    """For each measure given the index of the one wanted that it stands for, None for one too many.

    The alignment of least edit distance (Needleman and Wunsch, 1970): a measure more or less costs 1, one for another
    as much as they differ, 1 - F1.
    """
    rows, columns = len(given) + 1, len(wanted) + 1
    differ = [[1 - likeness(one, other) for other in wanted] for one in given]
    cost = [[float(i + j) for j in range(columns)] for i in range(rows)]
    for i in range(1, rows):
        for j in range(1, columns):
            swapped = cost[i - 1][j - 1] + differ[i - 1][j - 1]
            cost[i][j] = min(swapped, cost[i - 1][j] + 1, cost[i][j - 1] + 1)
    out: list[int | None] = [None] * len(given)
    i, j = len(given), len(wanted)
    while i and j:
        if cost[i][j] == cost[i - 1][j - 1] + differ[i - 1][j - 1]:
            i, j = i - 1, j - 1
            out[i] = j
        elif cost[i][j] == cost[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return out
