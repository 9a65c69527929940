"""When each note of a **kern text sounds, and how long its measures are."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from docpipe.notation.kern import Kern, Note, Path, Problem, Row, read_token


class Placed(NamedTuple):
    """A note at its place: onset in quarter notes from the start, line and column (0-based), and whose it is."""

    note: Note
    onset: Fraction
    line: int
    column: int
    path: Path

    @property
    def end(self) -> Fraction:
        return self.onset + self.note.quarters


class Bar(NamedTuple):
    """A measure: its number, first and last line, onset and length in quarters, and the bar line after it ("" if
    none), without its number."""

    number: int
    first_line: int
    last_line: int
    onset: Fraction
    quarters: Fraction
    bar_line: str


@dataclass
class Rhythm:
    """The notes and measures of a text, and where its rhythm does not add up."""

    notes: list[Placed] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    end: Fraction = Fraction(0)


def rhythm(kern: Kern) -> Rhythm:
    """Follow the time through a text.

    Each line sounds when the shortest of the notes that still sound has ended. A voice whose note has ended must go
    on in that line (else `gap`), one whose note still sounds must not (`overlap`), and at a bar line all voices end
    together (`voices`). After each of these the voice is set right, so one mistake gives one problem a measure.
    """
    return _Clock(kern).run()


class _Clock:
    def __init__(self, kern: Kern) -> None:
        self.kern, self.out = kern, Rhythm()
        self.now = self.start = Fraction(0)
        self.ends: dict[int, Fraction] = {}
        self.late: set[int] = set()
        self.told: set[tuple[int, str]] = set()
        self.first_line = self.last_line = -1
        self.number: int | None = None
        self.count = 0

    def run(self) -> Rhythm:
        for row in self.kern.rows:
            if not self.ends:  # at the header, or at the first line where that is missing
                self.ends = {path.voice: self.now for path in row.paths if self.kern.is_music(path)}
            if row.kind == "data":
                self._data(row)
            elif row.kind == "barline":
                self._bar_line(row)
            elif row.kind == "interpretation":
                self._interpretation(row)
            if row.kind in {"interpretation", "data"} and self.first_line < 0:
                self.first_line = row.line
        if self.last_line >= 0:
            self._close("", self.last_line)
        self.out.end = self.now
        return self.out

    def _problem(self, code: str, message: str, row: Row, voice: int) -> None:
        if (voice, code) not in self.told:
            self.told.add((voice, code))
            self.out.problems.append(Problem(code, message, row.line))

    def _data(self, row: Row) -> None:
        self.last_line = row.line
        heard: dict[int, Fraction] = {}
        for column, (cell, path) in enumerate(zip(row.cells, row.paths, strict=True)):
            if not self.kern.is_music(path) or cell == ".":
                continue
            try:
                notes = read_token(cell)
            except ValueError as error:
                self.out.problems.append(Problem("token", str(error), row.line))
                self.late.add(path.voice)
                continue
            self.out.notes += [Placed(note, self.now, row.line, column, path) for note in notes]
            timed = [note.quarters for note in notes if not note.grace]
            if timed:
                heard[path.voice] = min(timed)
        if not heard:
            return
        for column, path in enumerate(row.paths):
            voice = path.voice
            end = self.ends.get(voice)
            if end is None or voice in self.late:
                continue
            where = f"voice in column {column + 1}"
            if voice in heard and end > self.now:
                self._problem(
                    "overlap", f"{where}: a note begins {said(end - self.now)} before the last one ends", row, voice
                )
            elif voice not in heard and end <= self.now and row.cells[column] == ".":
                self._problem(
                    "gap", f"{where}: nothing sounds here; a note is too short or a rest is missing", row, voice
                )
                self.late.add(voice)
        for voice, quarters in heard.items():
            self.ends[voice] = self.now + quarters
            self.late.discard(voice)
        self._advance()

    def _advance(self) -> None:
        ahead = [end for voice, end in self.ends.items() if voice not in self.late and end > self.now]
        if ahead:
            self.now = min(ahead)

    def _bar_line(self, row: Row) -> None:
        mark = next((c for c, p in zip(row.cells, row.paths, strict=True) if self.kern.is_music(p)), row.cells[0])
        if self.last_line >= 0:
            ends = [end for voice, end in self.ends.items() if voice not in self.late]
            if len(set(ends)) > 1:
                common = Counter(ends).most_common()
                lengths = ", ".join(said(end - self.start) for end in sorted(set(ends)))
                self._problem("voices", f"the voices of the measure do not end together: {lengths}", row, 0)
                self.now = max(end for end, times in common if times == common[0][1])
            elif ends:
                self.now = ends[0]
            self._close(re.sub(r"\d+[a-z]?", "", mark), row.line - 1)
        found = re.match(r"=+(\d+)", mark)
        if found:
            self.number = int(found[1])
            if len(self.out.bars) == 1 and self.number >= 1 and self.out.bars[0].number == 1:
                self.out.bars[0] = self.out.bars[0]._replace(number=self.number - 1)
        elif self.out.bars:
            self.number = None
        self.first_line, self.last_line, self.start = row.line + 1, -1, self.now
        self.ends = dict.fromkeys(self.ends, self.now)
        self.late.clear()
        self.told.clear()

    def _close(self, bar_line: str, last_line: int) -> None:
        last = self.out.bars[-1].number if self.out.bars else 0
        number = self.number if self.number is not None else last + 1
        first = self.first_line if self.first_line >= 0 else last_line
        self.out.bars.append(Bar(number, first, last_line, self.start, self.now - self.start, bar_line))

    def _interpretation(self, row: Row) -> None:
        ends: dict[int, Fraction] = {}
        late: set[int] = set()
        for path, source in zip(row.after, row.sources, strict=True):
            if not self.kern.is_music(path):
                continue
            voices = [row.paths[i].voice for i in source]
            times = {self.ends.get(voice, self.now) for voice in voices if voice not in self.late}
            if len(times) > 1:
                self._problem("join", "voices join that do not end together", row, path.voice)
            ends[path.voice] = max(times, default=self.now)
            if not times:
                late.add(path.voice)
        if row.after:
            self.ends, self.late = ends, late
            self._advance_to_joined()

    def _advance_to_joined(self) -> None:
        """A voice that ended while others go on no longer counts, and the time may move to what is left."""
        ends = [end for voice, end in self.ends.items() if voice not in self.late]
        if ends and min(ends) > self.now:
            self.now = min(ends)


def said(quarters: Fraction) -> str:
    """A length in words: 3/2 quarters."""
    return f"{quarters} quarter" + ("" if quarters == 1 else "s")
