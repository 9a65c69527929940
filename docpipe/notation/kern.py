"""Reading and writing **kern: lines, spines and their paths, and the tokens of notes and rests.

After the Humdrum syntax (Huron, The Humdrum Toolkit: Reference Manual, 1995, section 2) and the **kern
representation of the same manual. Reading judges nothing: what breaks the syntax is listed in `problems` and read on
as well as can be. When a line sounds is told in docpipe.notation.rhythm.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Literal, NamedTuple

RowKind = Literal["header", "interpretation", "barline", "data", "comment", "broken"]

_NOTE = re.compile(r"([a-gA-G])\1*")
_DURATION = re.compile(r"(\d+)(?:%(\d+))?(\.*)")
_ACCIDENTAL = re.compile(r"[#n-]+")
_SIGNIFIERS = frozenset(
    "0123456789%.abcdefgABCDEFGr#-n[]_(){}&LJKk/\\'\"`^~vu;:,OTtMmWwSsRHhIiQqPpyYxXzZ@!?<>|+$jlNoVUDd"
)
_MANIPULATORS = frozenset(("*^", "*v", "*-", "*+", "*x"))
_ENCODED = (("<b>", "\n"), ("<t>", "\t"), ("<s>", " "))


class Note(NamedTuple):
    """A note or a rest. `quarters` is its written length, 0 for a grace note; `pitch` is "" for a rest.

    pitch: letters and accidental, "cc#"; a natural is left out. ties: of "[", "_", "]". beams: begun (L) and ended
    (J) at this note.
    """

    quarters: Fraction
    pitch: str = ""
    grace: bool = False
    hidden: bool = False
    ties: str = ""
    slurs_begun: int = 0
    slurs_ended: int = 0
    beams_begun: int = 0
    beams_ended: int = 0

    @property
    def is_rest(self) -> bool:
        return not self.pitch


class Path(NamedTuple):
    """Where a cell belongs: its spine, counted from 0 as in the header, and its voice, a number of its own."""

    spine: int
    voice: int


@dataclass(frozen=True)
class Row:
    """A line: its 0-based number, cells, and the path of each cell (none for comments and broken lines).

    after, sources: of a line of interpretations, the paths that go on, and for each the cells it comes from: two or
    more where voices join, the same cell twice where one splits.
    """

    line: int
    kind: RowKind
    cells: tuple[str, ...]
    paths: tuple[Path, ...] = ()
    after: tuple[Path, ...] = ()
    sources: tuple[tuple[int, ...], ...] = ()

    @property
    def manipulates(self) -> bool:
        """Whether the line splits, joins, exchanges, adds or ends spines."""
        return self.kind == "interpretation" and any(cell in _MANIPULATORS for cell in self.cells)


class Problem(NamedTuple):
    """A breach of the rules: a code, a sentence, the 0-based line."""

    code: str
    message: str
    line: int


@dataclass(frozen=True)
class Kern:
    """A **kern text as read. `spines` holds the exclusive interpretations of the header: ("**kern", "**kern")."""

    spines: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...] = ()

    def is_music(self, path: Path) -> bool:
        """Whether a cell belongs to a **kern spine rather than to lyrics, dynamics or fingering."""
        return self.spines[path.spine] == "**kern"

    def write(self) -> str:
        """The text: cells between tabs, every line ended."""
        return "".join("\t".join(row.cells) + "\n" for row in self.rows)


def from_encoded(text: str) -> str:
    """**kern from the encodings that models are trained on (**ekern, **bekern: Ríos-Vila et al., 2023 and 2024).

    Undone: `<b>`, `<t>`, `<s>` for line end, tab and blank, the separators `·` and `@` inside tokens, and the version
    in the header. Plain **kern comes back as it is.
    """
    if not text.lstrip().startswith(("**ekern", "**bekern")) and not any(mark in text for mark, _ in _ENCODED):
        return text
    for mark, plain in _ENCODED:
        text = re.sub(rf" ?{mark} ?", plain, text)
    lines = [line if line.startswith(("*", "!")) else re.sub("[·@]", "", line) for line in text.splitlines()]
    return "\n".join(re.sub(r"\*\*b?ekern(_[\d.]+)?", "**kern", line) for line in lines)


def duration(digits: str) -> Fraction:
    """A duration such as 4, 8., 0, 00 or 3%2 in quarter notes. Raises ValueError when it is none."""
    match = _DURATION.fullmatch(digits)
    if match is None or len(digits) > 16 or (match[2] and not int(match[2])):
        raise ValueError(f"{digits!r} is no duration")
    number, over, dots = match[1], int(match[2] or 1), len(match[3])
    base = Fraction(4 * 2 ** len(number)) if set(number) == {"0"} else Fraction(4, int(number))
    return base * over * (2 - Fraction(1, 2**dots))


@lru_cache(maxsize=8192)
def read_token(token: str) -> tuple[Note, ...]:
    """The notes of a data cell: one for a note or rest, several for a chord, none for a dot.

    Raises ValueError, saying what is wrong, for a cell that is no **kern.
    """
    if token == ".":
        return ()
    notes: list[Note] = []
    for part in token.split(" "):
        notes.append(_read_note(part, notes[0].quarters if notes else None))
    return tuple(notes)


def _read_note(text: str, inherited: Fraction | None) -> Note:
    strange = "".join(sorted(set(text) - _SIGNIFIERS))
    if not text or strange:
        raise ValueError(f"{strange!r} means nothing in **kern" if strange else "an empty place in a chord")
    grace = "q" in text.lower()
    numbers = list(_DURATION.finditer(text))
    if len(numbers) > 1:
        raise ValueError(f"{text!r} has two durations")
    if not numbers and inherited is None and not grace:
        raise ValueError(f"{text!r} has no duration")
    quarters = duration(numbers[0][0]) if numbers else inherited or Fraction(0)
    pitches = list(_NOTE.finditer(text))
    pitch = ""
    if "r" not in text:  # the pitches of a rest say where it is drawn
        if len(pitches) != 1:
            raise ValueError(f"{text!r} has " + ("two pitches" if pitches else "no pitch"))
        pitch = _pitch(text, pitches[0])
    return Note(
        quarters=Fraction(0) if grace else quarters,
        pitch=pitch,
        grace=grace,
        hidden="yy" in text,
        ties="".join(mark for mark in text if mark in "[_]"),
        slurs_begun=text.count("("),
        slurs_ended=text.count(")"),
        beams_begun=text.count("L"),
        beams_ended=text.count("J"),
    )


def _pitch(text: str, letters: re.Match[str]) -> str:
    runs = _ACCIDENTAL.findall(text)
    if len(runs) > 1:
        raise ValueError(f"{text!r} has two accidentals")
    if runs and (len(set(runs[0])) > 1 or len(runs[0]) > 3 or not text.startswith(runs[0], letters.end())):
        raise ValueError(f"{text!r} has an accidental that is none")
    if len(letters[0]) > 6:
        raise ValueError(f"{text!r} is beyond any instrument")
    return letters[0] + (runs[0] if runs and runs[0] != "n" else "")


def read(text: str) -> Kern:
    """Read **kern. Never raises: what is wrong is in `problems`. Without a header, every column is taken as **kern."""
    return _Reader(text).kern()


@dataclass
class _Reader:
    """Follows the spines from line to line."""

    text: str
    spines: list[str] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    voices: int = 0
    begun: bool = False

    def kern(self) -> Kern:
        lines = re.split(r"\r\n|\r|\n", self.text)
        while lines and not lines[-1].strip():
            lines.pop()
        for number, line in enumerate(lines):
            self._line(number, line)
        if not self.begun:
            self._problem("header", "there is no line of music in it", 0)
        elif self.paths:
            self._problem("unterminated", f"{len(self.paths)} spine(s) not ended by *-", len(lines) - 1)
        return Kern(tuple(self.spines), tuple(self.rows), tuple(self.problems))

    def _problem(self, code: str, message: str, line: int) -> None:
        self.problems.append(Problem(code, message, line))

    def _line(self, number: int, line: str) -> None:
        if line.startswith("!!") or (line.startswith("!") and not self.begun):
            self.rows.append(Row(number, "comment", (line,)))
            return
        cells = tuple(line.split("\t"))
        if cells[0].startswith("**") and not self.paths:
            self._start(cells)
            if not all(cell.startswith("**") for cell in cells):
                self._problem("header", "the header holds something else than exclusive interpretations", number)
            self.rows.append(Row(number, "header", cells, tuple(self.paths)))
            return
        if not self.begun:
            self._problem("header", "the **kern header is missing", number)
            self._start(("**kern",) * len(cells))
        if len(cells) != len(self.paths):
            what = f"{len(cells)} cell(s) where {len(self.paths)} spine(s) run"
            if not line.strip():
                what = "a blank line"
            elif not self.paths:
                what = "a line after the last spine ended"
            self._problem("columns", what, number)
            self.rows.append(Row(number, "broken", cells))
            return
        paths = tuple(self.paths)
        firsts = {cell[:1] for cell in cells}
        if firsts == {"!"}:
            self.rows.append(Row(number, "comment", cells, paths))
        elif firsts == {"="}:
            self.rows.append(Row(number, "barline", cells, paths))
        elif firsts == {"*"}:
            self._interpretation(number, cells, paths)
        elif firsts & {"!", "=", "*", ""}:
            what = "an empty cell" if "" in firsts else "bar line, interpretation or comment beside notes"
            self._problem("mixed", what, number)
            self.rows.append(Row(number, "broken", cells))
        else:
            self.rows.append(Row(number, "data", cells, paths))

    def _start(self, kinds: Sequence[str]) -> None:
        self.begun = True
        for kind in kinds:
            self.paths.append(self._path(len(self.spines)))
            self.spines.append(kind)

    def _path(self, spine: int) -> Path:
        self.voices += 1
        return Path(spine, self.voices)

    def _interpretation(self, number: int, cells: tuple[str, ...], paths: tuple[Path, ...]) -> None:
        after: list[Path] = []
        sources: list[tuple[int, ...]] = []
        exchanged: list[int] = []
        column = 0
        while column < len(cells):
            cell, path, first = cells[column], paths[column], column
            column += 1
            if cell == "*-":
                continue
            after.append(path)
            sources.append((first,))
            if cell == "*^":
                after.append(self._path(path.spine))
                sources.append((first,))
            elif cell == "*+":
                after.append(self._path(len(self.spines)))
                sources.append((first,))
                self.spines.append("**kern")
            elif cell == "*x":
                exchanged.append(len(after) - 1)
            elif cell == "*v":
                while column < len(cells) and cells[column] == "*v" and paths[column].spine == path.spine:
                    column += 1
                sources[-1] = tuple(range(first, column))
                if column - first == 1:
                    self._problem("merge", "*v stands alone: it takes two voices of a spine to join", number)
        if len(exchanged) == 2 and exchanged[1] == exchanged[0] + 1:
            i, j = exchanged
            after[i], after[j], sources[i], sources[j] = after[j], after[i], sources[j], sources[i]
        elif exchanged:
            self._problem("exchange", "*x exchanges two neighbouring spines; here are others", number)
        self.paths = after
        self.rows.append(Row(number, "interpretation", cells, paths, tuple(after), tuple(sources)))


# --- systems of one score ----------------------------------------------------------------------------------


def join_systems(systems: Sequence[str]) -> str:
    """The systems of one score as one **kern text, in the order given.

    One header and one end; a clef, key or meter at the start of a system stays only where it changes what held
    before; a bar line is set between systems that lack one. Raises ValueError when there is nothing to join or when
    the systems have different spines.
    """
    parts = [read(system) for system in systems]
    if not parts:
        raise ValueError("there are no systems to join")
    kinds = [part.spines for part in parts]
    if len(set(kinds)) != 1:
        counts = ", ".join(str(len(kind)) for kind in kinds)
        raise ValueError(f"the systems have different spines: {counts}")
    out = ["\t".join(kinds[0])]
    held: dict[tuple[int, str], str] = {}
    for index, part in enumerate(parts):
        out += _body(part, held, begun=index > 0, last=index == len(parts) - 1)
    out.append("\t".join(["*-"] * len(kinds[0])))
    return "\n".join(out) + "\n"


def _body(kern: Kern, held: dict[tuple[int, str], str], *, begun: bool, last: bool) -> list[str]:
    """A system without its header and end, its voices joined at the end."""
    out: list[str] = []
    paths: tuple[Path, ...] = ()
    seen, barred = False, True
    for row in kern.rows:
        if row.kind == "header" or (row.kind == "interpretation" and set(row.cells) == {"*-"}):
            paths = row.paths
            continue
        if row.kind == "data":
            if begun and not seen and not barred:
                out.append("\t".join(["="] * len(row.cells)))
            seen, barred = True, False
        elif row.kind == "barline":
            barred = True
        cells = _changed(row, held) if row.kind == "interpretation" and not row.manipulates else row.cells
        if row.kind == "interpretation" and set(cells) == {"*"}:
            continue
        out.append("\t".join(cells))
        paths = row.after or row.paths or paths
    while len(paths) > len(kern.spines):
        joining, paths = _join_line(paths)
        out.append("\t".join(joining))
    if seen and not barred and not last:
        out.append("\t".join(["="] * len(paths)))
    return out


def _changed(row: Row, held: dict[tuple[int, str], str]) -> tuple[str, ...]:
    """The cells of a line of clefs, keys or meters, those that hold already as null interpretations."""
    cells = list(row.cells)
    before = dict(held)
    for i, (cell, path) in enumerate(zip(row.cells, row.paths, strict=True)):
        sort = next((start for start in ("*clef", "*k[", "*met(", "*M") if cell.startswith(start)), None)
        if sort is None or cell.startswith("*MM"):
            continue
        if before.get((path.spine, sort)) == cell:
            cells[i] = "*"
        held[path.spine, sort] = cell
    return tuple(cells)


def _join_line(paths: tuple[Path, ...]) -> tuple[list[str], tuple[Path, ...]]:
    """A line that joins the voices of the first spine that has several, and the paths after it."""
    counts = Counter(path.spine for path in paths)
    spine = next(path.spine for path in paths if counts[path.spine] > 1)
    cells = ["*v" if path.spine == spine else "*" for path in paths]
    first = next(i for i, path in enumerate(paths) if path.spine == spine)
    return cells, tuple(p for i, p in enumerate(paths) if p.spine != spine or i == first)
