"""What an edition prints around the notes: dynamics, fingerings, pedal, words, tempo, endings, octave brackets.

None of it is to be read; it is there because printed music is full of it. How often each comes is set by eye and by
count beside scanned piano music: fingerings in some editions at every third note and in others never, octave brackets
in one system of forty, endings at about every third repeat.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from docpipe.notation.kern_system import Place, Row, System, system_rows
from docpipe.notation.staff import Event, flags

_DYNAMICS = "p f mf pp ff sf mp fz p f fp sfz sf ppp rf".split()
_WORDS = (
    "dolce|cresc.|dim.|legato|rall.|a tempo|espress.|rit.|sempre p|ten.|simile|poco|con grazia|marcato|riten.|decresc.|"
    "calando|smorz.|sotto voce|leggiero|scherzando|poco a poco|ritard.|sempre legato|m. d.|m. s.|rinf.|cantabile"
).split("|")
_TEMPI = (
    "Allegro|Andante|Adagio|Presto|Moderato|Tempo I.|Più mosso|Allegretto|Largo|Tempo di Valse.|Slow march tempo.|"
    "Rondo. Allegro|Allegro ma non troppo|Menuetto|Trio.|Vivace."
).split("|")
_STYLES = (":i", ":i", ":i", ":i", ":Bi", ":Bi", ":B", "")
_APART = 3
"""Rows of notes between two signs of a kind, so that they do not stand on each other."""
_LETTERS = re.compile("[A-G]+|[a-g]+")

_Cell = tuple[str, Place | None]


@dataclass(frozen=True)
class Edition:
    """How a system is printed. Chances are for each row of notes, or for each note where fingers are meant.

    fingers, below: for each staff from the lowest up, and whether they stand below it. endings: the number that begins
    over a measure (not the first), 0 where one stops. octave: staff from the top, first and last measure, the sign.
    slashed: grace notes that stand alone.
    """

    tempo: str = ""
    dynamics: float = 0.0
    fingers: tuple[float, ...] = ()
    below: tuple[bool, ...] = ()
    pedal: float = 0.0
    words: float = 0.0
    tuplets: tuple[str, ...] = ()
    endings: dict[int, int] = field(default_factory=dict)
    octave: tuple[int, int, int, str] | None = None
    slashed: bool = True

    @property
    def has_fingers(self) -> bool:
        return any(self.fingers)


def random_edition(system: System, rng: random.Random) -> Edition:
    """An edition that suits the music: endings where it repeats, brackets over measures of one voice without ties."""
    staves = len(system.staves)
    dense = rng.uniform(0.08, 0.45) if rng.random() < 0.45 else 0.0
    hidden = rng.random() < 0.35
    return Edition(
        tempo=rng.choice(_TEMPI) if rng.random() < 0.1 else "",
        dynamics=rng.uniform(0.05, 0.3) if rng.random() < 0.6 else 0.0,
        fingers=tuple(dense * rng.choice((1.0, 1.0, 0.5, 0.0)) for _ in range(staves)),
        below=tuple(rng.random() < (0.9 if s == 0 and staves > 1 else 0.15) for s in range(staves)),
        pedal=0.3 if staves > 1 and rng.random() < 0.25 else 0.0,
        words=rng.choice((0.0, 0.0, 0.0, 0.03, 0.06)),
        tuplets=("*Xbrackettup", *(("*Xtuplet",) if rng.random() < 0.6 else ())) if hidden else (),
        endings=_endings(system, rng),
        octave=_octave(system, rng) if rng.random() < 0.04 else None,
        slashed=rng.random() < 0.5,
    )


def _endings(system: System, rng: random.Random) -> dict[int, int]:
    staff = system.staves[0]
    for m, measure in enumerate(staff[1:], 1):  # Verovio draws none over the first measure
        if measure.bar == "=:|!" and rng.random() < 0.4:
            return {max(1, m - rng.choice((0, 0, 1))): 1, m + 1: 2, m + rng.choice((2, 2, 3)): 0}
    return {}


def _octave(system: System, rng: random.Random) -> tuple[int, int, int, str] | None:
    """A run of one or two measures of one voice into and out of which no tie goes."""
    s = len(system.staves) - 1 if rng.random() < 0.15 else 0
    staff = system.staves[s]
    plain = [m for m, measure in enumerate(staff) if measure.voices == 1]
    if not plain:
        return None
    first = rng.choice(plain)
    last = first + 1 if first + 1 in plain and rng.random() < 0.4 else first

    def tied(m: int) -> bool:
        last_of = [list(staff[m].events(voice))[-1:] for voice in (0, 1)] if m >= 0 else []
        return any(head.tied for events in last_of for e in events for head in e.heads)

    sounds = any(e.kind == "note" for m in range(first, last + 1) for e in staff[m].events())
    if not sounds or tied(first - 1) or tied(last):
        return None
    return s, first, last, "8va" if s == 0 else "8ba"


def _grace_beams(system: System) -> dict[Place, str]:
    """The beam letters of grace notes that follow each other, which are joined in print."""
    found: dict[Place, str] = {}
    for s, staff in enumerate(system.staves):
        for m, measure in enumerate(staff):
            for voice in range(measure.voices):
                run: list[tuple[Place, Event]] = []
                for i, item in enumerate(measure.items):
                    if isinstance(item, Event) and item.voice == voice:
                        if item.kind == "grace":
                            run.append(((s, m, i), item))
                            continue
                        if len(run) > 1:
                            found[run[0][0]] = "L" * flags(run[0][1].recip)
                            found[run[-1][0]] = "J" * flags(run[-1][1].recip)
                        run = []
    return found


def decorated(system: System, edition: Edition, rng: random.Random) -> list[Row]:
    """The **kern rows of a system with all that an edition has around the notes."""
    writer = _Writer(system, edition, rng)
    for row in system_rows(system):
        writer.take(row)
    return writer.out


class _Writer:
    """Takes the rows of a system one by one; a spine of fingers comes beside each staff, one of dynamics at the end."""

    def __init__(self, system: System, edition: Edition, rng: random.Random) -> None:
        self.edition, self.rng = edition, rng
        self.system, self.beams = system, _grace_beams(system)
        self.staves = len(system.staves)
        self.widths = [1] * self.staves
        self.measure, self.fresh = 0, True
        self.hairpin, self.down = "", False
        self.since = {"dynamics": 9, "pedal": 9, "words": 9}
        self.out: list[Row] = [Row(["!!!OMD: " + edition.tempo])] if edition.tempo else []

    def take(self, row: Row) -> None:
        first = row.fields[0]
        owners = row.owners or [None] * len(row.fields)
        groups: list[list[_Cell]] = []
        at = 0
        for width in self.widths:
            groups.append(list(zip(row.fields[at : at + width], owners[at : at + width], strict=True)))
            at += width
        if first.startswith("**"):
            self._emit(groups, "**fing", "**dynam")
            self._opening()
        elif all(cell == "*-" for cell in row.fields):
            self._emit(groups, "*-", "*-")
        elif first.startswith("*"):
            self._emit(groups, "*", "*")
            self.widths = [_width_after(cells) for cells in groups]
        elif first.startswith("="):
            self._octave_sign("*X", after=True)
            self._emit(groups, first, first)
            self.measure, self.fresh = self.measure + 1, True
            self._ending()
        else:
            self._data(groups)

    def _emit(self, groups: list[list[_Cell]], finger: str | list[str], dynamic: str) -> None:
        """A row with one sign for all fingers, or one a staff, and one for the dynamics."""
        cells: list[_Cell] = []
        for s, group in enumerate(groups):
            cells += group
            if self.edition.has_fingers:
                cells.append((finger if isinstance(finger, str) else finger[s], None))
        if self.edition.dynamics:
            cells.append((dynamic, None))
        self.out.append(Row([text for text, _ in cells], [owner for _, owner in cells]))

    def _same(self, sign: Callable[[int, int], str], finger: str | list[str], other: str) -> None:
        """A row of signs without notes: `sign` of the staff, from the lowest up, and of the voice."""
        groups: list[list[_Cell]] = [[(sign(s, v), None) for v in range(width)] for s, width in enumerate(self.widths)]
        self._emit(groups, finger, other)

    def _opening(self) -> None:
        """What stands once at the start."""
        if self.staves == 2:
            self._same(lambda s, _: f"*staff{2 - s}", ["*staff2", "*staff1"], "*")
        if self.edition.has_fingers and any(self.edition.below):
            self._same(lambda *_: "*", ["*below" if below else "*" for below in self.edition.below], "*")
        for sign in self.edition.tuplets:
            self._same(lambda *_, sign=sign: sign, "*", "*")
        if self.edition.endings:
            self._label("*>A")

    def _ending(self) -> None:
        number = self.edition.endings.get(self.measure)
        if number is not None:  # a label that ends in a digit begins an ending of the one before, another stops it
            self._label(f"*>A{number}" if number else "*>B")

    def _label(self, label: str) -> None:
        self._same(lambda *_: label, label, label)

    def _octave_sign(self, prefix: str, *, after: bool) -> None:
        if self.edition.octave is None:
            return
        staff, first, last, sign = self.edition.octave
        if self.measure == (last if after else first):
            self._same(lambda s, _: prefix + sign if s == self.staves - 1 - staff else "*", "*", "*")

    def _data(self, groups: list[list[_Cell]]) -> None:
        rng, edition = self.rng, self.edition
        if self.fresh:
            self._octave_sign("*", after=False)
            self.fresh = False
        self.since = {name: rows + 1 for name, rows in self.since.items()}
        if edition.words and self.since["words"] > 2 * _APART and rng.random() < edition.words:
            self.since["words"] = 0
            staff = rng.randrange(self.staves)
            note = f"!LO:TX:{rng.choice('ab')}{rng.choice(_STYLES)}:t={rng.choice(_WORDS)}"
            self._same(lambda s, v: note if (s, v) == (staff, 0) else "!", "!", "!")
        if edition.pedal and self.since["pedal"] > 1 and rng.random() < edition.pedal:
            self.since["pedal"] = 0
            pedal = "*Xped" if self.down else "*ped"
            self.down = not self.down
            self._same(lambda s, v: pedal if (s, v) == (0, 0) else "*", "*", "*")
        raised = [[self._raised(self._graced(cell)) for cell in group] for group in groups]
        fingers = [self._fingers(s, group) for s, group in enumerate(groups)] if edition.has_fingers else "."
        self._emit(raised, fingers, self._dynamic() if edition.dynamics else ".")

    def _graced(self, cell: _Cell) -> _Cell:
        """Grace notes joined by beams, and without a stroke where the edition has none."""
        text, owner = cell
        if owner is None:
            return cell
        item = self.system.staves[owner[0]][owner[1]].items[owner[2]]
        if not isinstance(item, Event) or item.kind != "grace":
            return cell
        return (text if self.edition.slashed else text.replace("q", "qq")) + self.beams.get(owner, ""), owner

    def _raised(self, cell: _Cell) -> _Cell:
        """Under a bracket **kern says what sounds, an octave from what is printed."""
        text, owner = cell
        if self.edition.octave is None or owner is None:
            return cell
        staff, first, last, sign = self.edition.octave
        if owner[0] != staff or not first <= owner[1] <= last:
            return cell
        return _LETTERS.sub(lambda m: _octave_off(m[0], up=sign == "8va"), text), owner

    def _fingers(self, s: int, group: list[_Cell]) -> str:
        """Fingers for the notes that begin on a staff, for chords sometimes one a head."""
        heads = max((len(text.split()) for text, _ in group if _LETTERS.search(text)), default=0)
        if not heads or self.rng.random() >= self.edition.fingers[s]:
            return "."
        many = min(heads, 3) if self.rng.random() < 0.5 else 1
        return " ".join(sorted(self.rng.sample("12345", many), reverse=self.edition.below[s]))

    def _dynamic(self) -> str:
        rng, density = self.rng, self.edition.dynamics
        if self.hairpin:
            if rng.random() < 0.4:
                sign, self.hairpin = "[" if self.hairpin == "<" else "]", ""
                return sign
            return "(" if self.hairpin == "<" else ")"
        if self.since["dynamics"] <= _APART:
            return "."
        if rng.random() < density:
            self.since["dynamics"] = 0
            return rng.choice(_DYNAMICS)
        if rng.random() < density / 2:
            self.since["dynamics"] = 0
            self.hairpin = rng.choice("<>")
            return self.hairpin
        return "."


def _width_after(cells: list[_Cell]) -> int:
    """How many spines a staff has after an interpretation that splits or joins them."""
    signs = [text for text, _ in cells]
    return len(signs) + signs.count("*^") - max(0, signs.count("*v") - 1)


def _octave_off(letters: str, *, up: bool) -> str:
    """A pitch's letters one octave up or down: C, c, cc."""
    if letters.islower() == up:
        return letters + letters[0]
    return letters[:-1] or letters.swapcase()
