"""Rhythms: cells of one beat or a few, drawn by how often piano music uses them.

The weights are counts over 47,000 staff measures of keyboard music (sonatas, mazurkas, rags, preludes), rounded; the
rare cells are raised a little, since a reader must know them too.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from docpipe.notation.kern_system import gap_recips
from docpipe.notation.staff import METER_SIGNS, Beam, duration, flags

_SIMPLE = """
4:2400 | 8 8:2000 | 16 16 16 16:1240 | r4:500 | 12 12 12:480 | 2:350 | 8 r8:220 | 8. 16:260 | r8 8:170
24 24 24 24 24 24:120 | 4. 8:130 | 2.:100 | 8 16 16:150 | r2:70 | r16 16 16 16:70 | 32 32 32 32 32 32 32 32:60 | 1:60
8 r16 16:55 | r8 16 16:45 | 8 4 8:50 | 16 16 8:60 | 8. 32 32:35 | 4. 16 16:30 | 16 16 r8:25 | 16 8 16:35 | 6 6 6:20
8 32 32 32 32:20 | r12 12 12:25 | r8. 16:20 | 16. 32 16. 32:25 | 8 24 24 24:20 | r16 16 r16 16:10 | 16 8.:15
24 24 24 8:15 | 4.. 16:12 | r8 4 4 8:6 | 4. r8:10 | 8 16. 32:15 | 8.. 32:12 | 16 16 32 32 32 32:12 | 12 r12 12:15
4. 32 32 32 32:4 | 16 32 32 32 32 32 32:6 | 12 24 24 12:10 | 6 12:25 | 24 24 24 24 24 24:20 | 20 20 20 20 20:6
48 48 48 48 48 48 48 48 48 48 48 48:4 | 16 r16 r8:8 | 8 8 4:10 | 12 12 r12:8 | 16. 32 8:10 | 32 32 16 8:8
"""

_COMPOUND = """
8 8 8:3700 | 16 16 16 16 16 16:1700 | 4.:1800 | 4 8:1400 | 4 r8:560 | 8 r8 r8:410 | r8 8 8:400 | 2.:350 | r4.:270
r4 r8:200 | 8 16 16 16 16:260 | 8 4:280 | 8 r8 8:180 | 4 16 16:190 | 8 r8 16 16:100 | 16 16 16 16 8:100 | r8 r8 8:80
24 24 24 24 24 24 24 24 24:60 | r16 16 16 16 16 16:70 | 16 16 8 8:90 | r4 8:60 | 8 8 r8:60 | 8. 16 16 16:60
8. 16 8:90 | 16 16 4:40 | 16. 32 8 8:40 | 8 16 16 8:60 | 8 8 16 16:50 | 8 8. 16:20 | 16 16 8 16 16:30 | 1.:20
"""

METER_WEIGHTS = {
    "3/4": 30, "2/4": 20, "4/4": 18, "c": 10, "2/2": 6, "c|": 4, "3/8": 8, "6/8": 10,
    "9/8": 3, "12/8": 3, "3/2": 1.5, "6/4": 1, "4/8": 1, "5/4": 1, "6/16": 0.5, "4/2": 0.5, "2/8": 0.5,
}  # fmt: skip


@dataclass(frozen=True)
class Slot:
    """A place in a rhythm: when it starts in its measure (quarter notes), how long it is, and its beam."""

    onset: Fraction
    recip: str
    rest: bool = False
    beam: Beam = ""


def measure_length(meter: str) -> Fraction:
    """The length of a measure in quarter notes."""
    over, under = METER_SIGNS.get(meter, (meter, ""))[0].split("/")
    return Fraction(4 * int(over), int(under))


def beat_of(meter: str) -> Fraction:
    """The length in which beams are grouped and cells are laid, in quarter notes."""
    over, under = METER_SIGNS.get(meter, (meter, ""))[0].split("/")
    if int(over) % 3 == 0 and int(under) >= 8:
        return Fraction(12, int(under))
    return Fraction(1)


@cache
def _cells(compound: bool) -> list[tuple[tuple[str, ...], Fraction, float]]:
    out = []
    for part in (_COMPOUND if compound else _SIMPLE).replace("\n", " | ").split("|"):
        if part.strip():
            names, weight = part.strip().rsplit(":", 1)
            cell = tuple(names.split())
            out.append((cell, sum((duration(r.lstrip("r")) for r in cell), Fraction(0)), float(weight) ** 0.8))
    return out


def cell(length_left: Fraction, compound: bool, rng: random.Random, densest: int = 3) -> tuple[str, ...]:
    """A cell that fits into what is left of the measure. densest: the most flags a note of it may carry."""
    fitting = [
        (names, weight)
        for names, length, weight in _cells(compound)
        if length <= length_left and max(flags(r.lstrip("r")) for r in names) <= densest
    ]
    if not fitting:
        return ("r8",) if length_left >= Fraction(1, 2) else ("r16",)
    return rng.choices([c for c, _ in fitting], [w for _, w in fitting])[0]


def rhythm(
    meter: str, rng: random.Random, repeat: float = 0.45, densest: int = 3, length: Fraction | None = None
) -> list[Slot]:
    """A measure's rhythm. repeat: how likely a cell is the one before it again."""
    left = measure_length(meter) if length is None else length
    beat = beat_of(meter)
    compound = beat == Fraction(3, 2)
    slots: list[tuple[str, ...]] = []
    onset = Fraction(0)
    last: tuple[str, ...] | None = None
    while left > 0:
        chosen = last if last is not None and rng.random() < repeat else cell(left, compound, rng, densest)
        size = sum((duration(r.lstrip("r")) for r in chosen), Fraction(0))
        if size > left:
            chosen = cell(left, compound, rng, densest)
            size = sum((duration(r.lstrip("r")) for r in chosen), Fraction(0))
        if size > left:
            slots.append(tuple("r" + r for r in gap_recips(left)))
            break
        slots.append(chosen)
        last = chosen
        left -= size
        onset += size
    return beamed(slots, meter, rng)


def beamed(cells: list[tuple[str, ...]], meter: str, rng: random.Random) -> list[Slot]:
    """Cells one after the other with beams over each, eighths joined over two beats as engravers do."""
    groups: list[list[str]] = []
    wide = rng.random() < 0.6
    onset = Fraction(0)
    begun = Fraction(0)
    for names in cells:
        eighths = all(r == "8" for r in names) and len(names) == 2
        joined = (
            wide
            and eighths
            and groups
            and all(r == "8" for r in groups[-1])
            and (onset - begun < (3 if meter == "3/4" else 2) and begun % 2 == 0)
        )
        if joined:
            groups[-1] += names
        else:
            groups.append(list(names))
            begun = onset
        onset += sum((duration(r.lstrip("r")) for r in names), Fraction(0))
    plain = rng.random() < 0.04  # vocal music has flags throughout
    through = rng.random() < 0.3  # a beam may run over rests
    slots: list[Slot] = []
    onset = Fraction(0)
    for group in groups:
        for name, beam in zip(group, _beams(group, through) if not plain else [""] * len(group), strict=True):
            recip = name.lstrip("r")
            slots.append(Slot(onset, recip, name.startswith("r"), beam))  # type: ignore[arg-type]
            onset += duration(recip)
    return slots


def _beams(group: list[str], through: bool) -> list[str]:
    """L, M or J for each of a group; "" for what has no flag, for rests and for single notes."""
    out = [""] * len(group)
    run: list[int] = []
    for i, name in enumerate([*group, "1"]):
        if flags(name.lstrip("r")) and not name.startswith("r"):
            run.append(i)
        elif not (through and name.startswith("r") and flags(name.lstrip("r"))):
            if len(run) > 1:
                for j in run:
                    out[j] = "M"
                out[run[0]], out[run[-1]] = "L", "J"
            run = []
    return out
