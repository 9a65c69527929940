"""What is printed on one staff in one measure, and how that becomes pitches.

A note is kept as it is seen: the place of its head on the staff and the accidental printed before it. The pitch
follows from the clef, the key and the accidentals earlier in the measure, which is code's business, not a model's:
a measure cut out of the middle of a system shows neither clef nor key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

STEPS = "CDEFGAB"

CLEFS = {"G2": 34, "F4": 22, "C3": 28, "C4": 26, "C1": 32, "Gv2": 27}
"""The diatonic number (7 * octave + step, C4 = 28) of the middle line under each clef, by its name in **kern."""

REACH = 14
"""Heads further than this many steps from the middle line are outside a strip and outside the vocabulary."""

RECIPS = tuple(
    "1 2 4 8 16 32 64 1. 2. 4. 8. 16. 32. 4.. 8.. 3 6 12 24 48 96 6. 12. 24. 5 10 20 40 28 56 7 14 0".split()
)
"""Durations as **kern writes them: parts of a whole note, with dots. 12 is an eighth of a triplet, 0 a breve."""

ACCIDENTALS = {"##": 2, "#": 1, "n": 0, "-": -1, "--": -2}
MARKS = "'`^~;TtSMm:"
"""Signs at a note: staccato, staccatissimo, accent, tenuto, fermata, trills, turn, mordents, arpeggio."""

BARS = ("=", "=||", "==", "=:|!", "=!|:", "=:|!|:")
METERS = tuple("4/4 3/4 2/4 6/8 3/8 2/2 9/8 12/8 3/2 6/4 5/4 4/8 4/2 6/16 9/16 12/16 2/8 1/4 5/8 7/8 c c|".split())
METER_SIGNS = {"c": ("4/4", "c"), "c|": ("2/2", "c|")}

Kind = Literal["note", "rest", "space", "grace", "whole"]
Beam = Literal["", "L", "M", "J"]


@dataclass(frozen=True)
class Head:
    """A note head: steps above the middle line, the accidental printed before it, whether a tie starts here."""

    position: int
    accidental: str = ""
    tied: bool = False


@dataclass(frozen=True)
class Event:
    """A chord, rest or gap. `space` is a gap that nothing is printed in; `whole` a rest of the whole measure.

    beam: first (L), inner (M) or last (J) of a beamed group. marks: of MARKS. opens, closes: slurs that start and end.
    x: where on the strip it stands, as a column number of the reader's grid; no part of what is read. sure: the
    natural logarithm of the probability of its least sure token, where a model read it; no part of what is read either.
    """

    kind: Kind
    recip: str = "4"
    heads: tuple[Head, ...] = ()
    voice: int = 0
    beam: Beam = ""
    marks: str = ""
    opens: int = 0
    closes: int = 0
    x: int | None = None
    sure: float | None = field(default=None, compare=False)

    @property
    def lasts(self) -> Fraction:
        """Its length in quarter notes; 0 for a grace note and a whole-measure rest, whose length the meter tells."""
        return Fraction(0) if self.kind in ("grace", "whole") else duration(self.recip)


@dataclass(frozen=True)
class Change:
    """A clef (its **kern name), key (its sharps, flats negative) or meter ("3/4", "c") that holds from here on.

    sure: as of an event.
    """

    what: Literal["clef", "key", "meter"]
    value: str
    sure: float | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Measure:
    """One measure of one staff: changes and events by onset, then voice; and the bar that ends it ("" if cut off).

    logprobs: natural logarithms of the probabilities of the tokens that it was read from; no part of what is read.
    """

    items: tuple[Event | Change, ...]
    bar: str = "="
    logprobs: tuple[float, ...] = field(default=(), compare=False)

    def events(self, voice: int | None = None) -> Iterator[Event]:
        """Its events in order, of one voice or of all."""
        return (e for e in self.items if isinstance(e, Event) and voice in (None, e.voice))

    @property
    def voices(self) -> int:
        return max((e.voice for e in self.events()), default=0) + 1

    @property
    def lasts(self) -> Fraction:
        """The length of its longest voice in quarter notes; 0 when it holds a whole-measure rest alone."""
        return max((sum((e.lasts for e in self.events(v)), Fraction(0)) for v in (0, 1)), default=Fraction(0))

    @property
    def header(self) -> dict[str, str]:
        """The first clef, key and meter among its changes."""
        found: dict[str, str] = {}
        for item in self.items:
            if isinstance(item, Change):
                found.setdefault(item.what, item.value)
        return found


@dataclass(frozen=True)
class Pitch:
    """A pitch by its diatonic number (7 * octave + step, C4 = 28) and its alteration in half steps."""

    number: int
    alter: int = 0

    @property
    def kern(self) -> str:
        """Letters and accidental as **kern writes them: cc# is C sharp 5, BB- is B flat 2."""
        octave, step = divmod(self.number, 7)
        letter = STEPS[step]
        name = letter.lower() * (octave - 3) if octave >= 4 else letter * (4 - octave)
        return name + ("#" * self.alter if self.alter > 0 else "-" * -self.alter)


def duration(recip: str) -> Fraction:
    """The length of a **kern duration in quarter notes. Raises ValueError when there is none."""
    digits = recip.rstrip(".")
    if not digits.isdigit():
        raise ValueError(f"not a duration: {recip!r}")
    dots = len(recip) - len(digits)
    base = Fraction(8) if digits == "0" else Fraction(4, int(digits))
    return base * (2 - Fraction(1, 2**dots))


def flags(recip: str) -> int:
    """How many beams or flags a duration carries: 1 for an eighth (triplet or not), 2 for a sixteenth …"""
    value = int(recip.rstrip("."))
    return max(0, value.bit_length() - 3) if value else 0


def key_alterations(sharps: int) -> dict[int, int]:
    """Step (0 is C) -> alteration, for a key signature of so many sharps (flats negative)."""
    order = "FCGDAEB" if sharps > 0 else "BEADGCF"
    return {STEPS.index(step): (1 if sharps > 0 else -1) for step in order[: abs(sharps)]}


def key_signature(sharps: int) -> str:
    """The key signature as **kern writes it: *k[b-e-]."""
    order, sign = ("fcgdaeb", "#") if sharps > 0 else ("beadgcf", "-")
    return "*k[" + "".join(step + sign for step in order[: abs(sharps)]) + "]"


class Alterations:
    """Which alteration a staff position has now: key, then printed accidentals of this measure, then ties."""

    def __init__(self, clef: str = "G2", sharps: int = 0) -> None:
        self.clef = clef
        self.key = key_alterations(sharps)
        self.seen: dict[int, int] = {}

    def next_measure(self) -> None:
        self.seen = {}

    def number(self, position: int) -> int:
        """The diatonic number of a staff position under the clef that holds."""
        return CLEFS[self.clef] + position

    def position(self, number: int) -> int:
        return number - CLEFS[self.clef]

    def current(self, number: int) -> int:
        """The alteration that an unmarked head of this number has."""
        return self.seen.get(number, self.key.get(number % 7, 0))

    def printed(self, number: int, accidental: str) -> int:
        """The alteration of a head with this accidental before it ("" for none), remembered for the measure."""
        if accidental:
            self.seen[number] = ACCIDENTALS[accidental]
        return self.current(number)

    def needed(self, number: int, alter: int) -> str:
        """The accidental that must be printed for a head to sound so, "" where none is needed; remembered."""
        if self.current(number) == alter:
            return ""
        self.seen[number] = alter
        return next(sign for sign, value in ACCIDENTALS.items() if value == alter)
