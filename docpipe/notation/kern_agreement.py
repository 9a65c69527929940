"""Which of several readings of each strip go together: the measures of a system are as long in one staff as in another,
and nearly all of them as long as the meter says, whether or not the meter is printed on this line.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from docpipe.notation.kern_tokens import decode
from docpipe.notation.staff import METER_SIGNS, Measure

UNEQUAL = 4.0
"""What it costs (natural logarithm) when a staff's measure is not as long as its column."""

ODD = 3.0
"""What it costs when a column's length is not the system's."""

Lengths = tuple[Fraction, ...]
"""Of the measures of a strip, mostly one, in quarter notes; 0 for one that is as long as the others say."""


@dataclass(frozen=True)
class Candidate:
    """A reading of a strip: its tokens and the natural logarithms of their probabilities."""

    tokens: tuple[str, ...]
    logprobs: tuple[float, ...]
    finished: bool = True

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        return tuple(decode(self.tokens))

    @cached_property
    def lengths(self) -> Lengths:
        return tuple(measure.lasts for measure in self.measures)

    def contradicts(self, length: Fraction) -> bool:
        """Whether it shows a meter whose measures are not so long."""
        signs = (measure.header.get("meter") for measure in self.measures)
        return any(sign is not None and length_of(sign) != length for sign in signs)

    @cached_property
    def total(self) -> float:
        return math.fsum(self.logprobs)

    @cached_property
    def even(self) -> bool:
        """Whether the upper voice goes on to the end of each measure; the lower one may end before."""
        return all(
            _reached(measure, 1) <= _reached(measure, 0) or any(e.kind == "whole" for e in measure.events(0))
            for measure in self.measures
        )


Column = Sequence[Sequence[Candidate]]
"""For each staff, from the top, the readings of its strip."""


@dataclass(frozen=True)
class Agreement:
    """The choice: for each column and staff the index of its reading; each column's lengths; which strips fit them.

    length: of a measure of this system, None where it has none in common.
    """

    chosen: tuple[tuple[int, ...], ...]
    lengths: tuple[Lengths, ...]
    fits: tuple[tuple[bool, ...], ...]
    length: Fraction | None

    @property
    def common(self) -> int:
        """How many measures are as long as the system's, in all their staves."""
        pairs = zip(self.lengths, self.fits, strict=True)
        return sum(all(fits) and own == (self.length,) for own, fits in pairs)


def agree(columns: Sequence[Column], meter: Fraction | None = None) -> Agreement:
    """The likeliest readings that go together. meter: a measure's length where it is known from the line before."""
    best: tuple[float, Agreement] | None = None
    for length in _supposed(columns, meter):
        total = 0.0 if length is not None else -ODD * len(columns) / 2
        rows = []
        for m, column in enumerate(columns):
            cost, *row = _column(column, length, edge=m in (0, len(columns) - 1))
            total += cost
            rows.append(row)
        if length is not None and length == meter:
            total += ODD
        if best is None or total > best[0]:
            chosen, lengths, fits = (tuple(row[k] for row in rows) for k in range(3))
            best = total, Agreement(chosen, lengths, fits, length)  # type: ignore[arg-type]
    return best[1] if best else Agreement((), (), (), None)


def first_choice(columns: Sequence[Column]) -> Agreement:
    """The likeliest reading of every strip, whatever the others say."""
    lengths = tuple(max((c[0].lengths for c in column if c), default=(Fraction(0),)) for column in columns)
    picks = [
        [_pick(candidates[:1], own, None) for candidates in column]
        for column, own in zip(columns, lengths, strict=True)
    ]
    fits = tuple(tuple(fit for _, _, fit in row) for row in picks)
    return Agreement(tuple(tuple(0 for _ in row) for row in picks), lengths, fits, None)


def _supposed(columns: Sequence[Column], meter: Fraction | None) -> Iterator[Fraction | None]:
    """Lengths that a measure of this system may have: those read most often, and what a printed meter says."""
    votes: Counter[Fraction] = Counter()
    for column in columns:
        for candidates in column:
            for rank, candidate in enumerate(candidates):
                for measure in candidate.measures:
                    votes[measure.lasts] += 2 if rank == 0 else 1
                    if sign := measure.header.get("meter"):
                        votes[length_of(sign)] += 4
    del votes[Fraction(0)]
    if meter is not None:
        votes[meter] += 4
    yield from (length for length, _ in votes.most_common(4))
    yield None


def length_of(meter: str) -> Fraction:
    """A measure's length in quarter notes under a meter as tokens name it ("3/4", "c")."""
    over, under = METER_SIGNS.get(meter, (meter, ""))[0].split("/")
    return Fraction(4 * int(over), int(under))


def _column(
    column: Column, length: Fraction | None, *, edge: bool
) -> tuple[float, tuple[int, ...], Lengths, tuple[bool, ...]]:
    """The best choice for one column: its value, the indices, the column's lengths and which staves have them."""
    heard = {c.lengths for candidates in column for c in candidates if c.lengths and any(c.lengths)}
    if length is not None:
        heard.add((length,))
    best: tuple[float, tuple[int, ...], Lengths, tuple[bool, ...]] | None = None
    for lengths in sorted(heard) or [(Fraction(0),)]:
        odd = length is not None and any(lasts != length and not (edge and lasts < length) for lasts in lengths)
        value = -ODD if odd else 0.0
        picks = [_pick(candidates, lengths, length) for candidates in column]
        value += sum(worth for worth, _, _ in picks)
        if best is None or value > best[0]:
            best = value, tuple(p[1] for p in picks), lengths, tuple(p[2] for p in picks)
    assert best is not None
    return best


def _pick(candidates: Sequence[Candidate], lengths: Lengths, common: Fraction | None) -> tuple[float, int, bool]:
    """The best reading of a strip if its measures have these lengths: its worth, its index and whether it has them.

    common: the length of the system's measures, which a meter that is read should tell.
    """
    found = []
    for index, candidate in enumerate(candidates):
        own = candidate.lengths
        fits = len(own) == len(lengths) and all(a in (b, Fraction(0)) for a, b in zip(own, lengths, strict=True))
        sound = fits and candidate.even and candidate.finished
        cost = (0.0 if sound else UNEQUAL) + (ODD if common and candidate.contradicts(common) else 0.0)
        found.append((candidate.total - cost, -index, sound))
    if not found:
        return -UNEQUAL, 0, False
    worth, index, sound = max(found)
    return worth, -index, sound


def _reached(measure: Measure, voice: int) -> Fraction:
    return sum((e.lasts for e in measure.events(voice)), Fraction(0))
