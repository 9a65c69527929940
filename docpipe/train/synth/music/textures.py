"""Textures: what a hand plays in a measure, as drafts of notes with diatonic numbers.

Interval and chord weights are counts over the same keyboard music as the rhythms', rounded.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from docpipe.notation.staff import Beam, Kind, duration
from docpipe.train.synth.music.rhythm import Slot, beamed, beat_of, measure_length, rhythm

_INTERVALS = {
    -9: 4, -8: 5, -7: 44, -6: 16, -5: 33, -4: 50, -3: 67, -2: 187, -1: 465, 0: 200,
    1: 380, 2: 190, 3: 95, 4: 51, 5: 49, 6: 16, 7: 56, 8: 3, 9: 10, 11: 3, 14: 3,
}  # fmt: skip

CHORDS = {
    (0, 7): 1100, (0, 2): 1040, (0, 5): 370, (0, 4): 270, (0, 2, 5): 220, (0, 3): 200, (0, 2, 4): 180, (0, 3, 5): 170,
    (0, 2, 4, 7): 85, (0, 4, 7): 72, (0, 2, 7): 70, (0, 1): 66, (0, 4, 6): 64, (0, 2, 6): 54, (0, 5, 7): 45, (0, 6): 43,
    (0, 3, 7): 42, (0, 3, 5, 7): 42, (0, 2, 5, 7): 40, (0, 2, 3): 34, (0, 2, 4, 6): 28, (0, 2, 4, 5): 26, (0, 1, 3): 20,
    (0, 1, 5): 19, (0, 2, 3, 5): 17, (0, 4, 5): 17, (0, 1, 3, 5): 15, (0, 4, 9): 14, (0, 9): 12, (0, 3, 6): 9,
}  # fmt: skip

_DEGREES = (0, 0, 0, 3, 4, 4, 5, 1, 2)
"""Roots of harmonies within the scale, tonic and dominant most often."""


@dataclass
class Draft:
    """A note, chord or rest on its way: diatonic numbers instead of staff positions."""

    onset: Fraction
    recip: str
    kind: Kind = "note"
    numbers: list[int] = field(default_factory=list)
    beam: Beam = ""
    marks: str = ""
    opens: int = 0
    closes: int = 0
    tied: set[int] = field(default_factory=set)

    @property
    def until(self) -> Fraction:
        return self.onset + (Fraction(0) if self.kind == "grace" else duration(self.recip))


@dataclass
class Hand:
    """What a texture is given: meter, the middle of its register, the tonic, and the harmonies of this measure."""

    meter: str
    middle: int
    tonic: int
    roots: tuple[int, ...]
    rng: random.Random
    densest: int = 3

    def chord_tone(self, at: Fraction) -> int:
        """The root of the harmony at a time, as a step 0..6."""
        index = int(at / measure_length(self.meter) * len(self.roots))
        return (self.tonic + self.roots[min(index, len(self.roots) - 1)]) % 7

    def near(self, step: int, middle: float) -> int:
        """The diatonic number of a step nearest to a place."""
        return round((middle - step) / 7) * 7 + step


def roots(rng: random.Random) -> tuple[int, ...]:
    """The harmonies of a measure: one or two roots."""
    return tuple(rng.choice(_DEGREES) for _ in range(rng.choice((1, 1, 2))))


def _walk(hand: Hand, slots: list[Slot], middle: float, wide: float = 1.0) -> list[int]:
    """A line by intervals that tends back to the middle of its register."""
    rng = hand.rng
    number = round(middle + rng.gauss(0, 2.5 * wide))
    running = rng.random() < 0.3
    direction = rng.choice((-1, 1))
    line = []
    for _ in slots:
        line.append(number)
        if running and rng.random() < 0.85:
            step = direction
            if rng.random() < 0.15 or abs(number + step - middle) > 7:
                direction = -direction
        else:
            step = rng.choices(list(_INTERVALS), list(_INTERVALS.values()))[0]
        pull = (number - middle) / 6.0
        if abs(pull) > 1 and step * pull > 0 and rng.random() < 0.8:
            step = -step
        number += step
    return line


def _drafts(slots: list[Slot], numbers: Callable[[int, Slot], list[int]]) -> list[Draft]:
    return [
        Draft(s.onset, s.recip, "rest") if s.rest else Draft(s.onset, s.recip, "note", numbers(i, s), s.beam)
        for i, s in enumerate(slots)
    ]


def melody(hand: Hand) -> list[Draft]:
    """One line; sometimes doubled throughout in thirds, sixths or octaves, sometimes with chords on some notes."""
    rng = hand.rng
    slots = rhythm(hand.meter, rng, rng.choice((0.2, 0.45, 0.8)), hand.densest)
    line = _walk(hand, slots, hand.middle)
    doubled = rng.choice((2, 2, 5, 7, 7, 3)) if rng.random() < 0.16 else 0
    some = rng.choice((0.0, 0.0, 0.25, 0.6))

    def numbers(i: int, _slot: Slot) -> list[int]:
        if doubled:
            return [line[i] - doubled, line[i]]
        if some and rng.random() < some:
            shape = rng.choices(list(CHORDS), list(CHORDS.values()))[0]
            return [line[i] - shape[-1] + d for d in shape]
        return [line[i]]

    return _drafts(slots, numbers)


def chords(hand: Hand) -> list[Draft]:
    """Chords of the harmony in its inversions, repeated or moving."""
    rng = hand.rng
    slots = rhythm(hand.meter, rng, 0.7, min(hand.densest, rng.choice((1, 1, 2))))
    size = rng.choice((2, 3, 3, 3, 4))
    spread = hand.middle + rng.randint(-3, 2)

    def numbers(_i: int, slot: Slot) -> list[int]:
        root = hand.near(hand.chord_tone(slot.onset), spread - 2 + rng.choice((0, 0, 0, 1)))
        tones = sorted(root + d for d in rng.choice(((0, 2, 4), (0, 2, 4), (0, 3, 5), (0, 2, 5), (0, 2, 4, 6))))
        tones.append(tones[0] + 7)
        return sorted(set(tones[:size] if rng.random() < 0.8 else rng.sample(tones, min(size, len(tones)))))

    return _drafts(slots, numbers)


def alberti(hand: Hand) -> list[Draft]:
    """Broken chords: low, high, middle, high, and other orders, in even notes."""
    rng = hand.rng
    beat = beat_of(hand.meter)
    compound = beat == Fraction(3, 2)
    figure: tuple[str, ...]
    if compound:
        figure = rng.choice((("8",) * 3, ("8",) * 3, ("16",) * 6))
        orders: tuple[tuple[int, ...], ...] = ((0, 1, 2), (0, 2, 1), (0, 2, 2), (2, 1, 0), (0, 1, 2, 3, 2, 1))
    else:
        figure = rng.choice((("8",) * 2, ("8",) * 2, ("16",) * 4, ("12",) * 3, ("24",) * 6))
        orders = ((0, 2, 1, 2), (0, 2, 1, 2), (0, 1, 2, 1), (0, 3, 2, 3), (0, 1, 2, 3), (0, 2, 0, 2), (2, 0, 1, 0))
        if len(figure) % 3 == 0:
            orders = ((0, 1, 2), (0, 2, 1), (2, 1, 0), (0, 1, 2, 3, 2, 1))
    length = measure_length(hand.meter)
    cells = [figure] * int(length / beat)
    left = length - beat * len(cells)
    if left:
        cells += [("r8",)] * int(left * 2)
    order = rng.choice(orders)
    shape = rng.choice(((0, 2, 4, 7), (0, 2, 5, 7), (0, 3, 5, 7), (0, 4, 7, 9), (0, 7, 9, 11)))
    low = hand.middle - rng.randint(2, 5)
    return _drafts(
        beamed(cells, hand.meter, rng),
        lambda i, s: [hand.near(hand.chord_tone(s.onset), low) + shape[order[i % len(order)]]],
    )


def bass_and_chords(hand: Hand) -> list[Draft]:
    """A bass note or octave, then chords after it: waltz and march."""
    rng = hand.rng
    length = measure_length(hand.meter)
    unit = Fraction(1, 2) if beat_of(hand.meter) == Fraction(3, 2) or rng.random() < 0.2 else Fraction(1)
    recip = "8" if unit == Fraction(1, 2) else "4"
    count = int(length / unit)
    period = 3 if count % 3 == 0 else 2
    if recip == "8":
        size = period if period == 3 else min(4, count)
        cells = [("8",) * size] * (count // size) + [("8",)] * (count % size)
        slots = beamed(cells, hand.meter, rng)
    else:
        slots = beamed([(recip,)] * count, hand.meter, rng)
    octave, rest_after, size = rng.random() < 0.3, rng.random() < 0.15, rng.choice((2, 3, 3))

    def numbers(i: int, slot: Slot) -> list[int]:
        root = hand.near(hand.chord_tone(slot.onset), hand.middle - 6)
        if i % period == 0:
            return [root - 7, root] if octave else [root]
        return [
            root + 7 + d - (7 if rng.random() < 0.15 else 0) for d in ((0, 2, 4), (2, 4, 7), (0, 3, 5))[i % 3][:size]
        ]

    drafts = _drafts(slots, numbers)
    if rest_after and drafts[-1].beam == "":
        drafts[-1] = Draft(drafts[-1].onset, drafts[-1].recip, "rest")
    return drafts


def octaves(hand: Hand) -> list[Draft]:
    """A line in octaves."""
    slots = rhythm(hand.meter, hand.rng, 0.5, min(2, hand.densest))
    line = _walk(hand, slots, hand.middle - 4)
    return _drafts(slots, lambda i, _s: [line[i], line[i] + 7])


def arpeggio(hand: Hand) -> list[Draft]:
    """Chord tones up and down over the register, in quick even notes."""
    rng = hand.rng
    slots = rhythm(hand.meter, rng, 0.92, hand.densest)
    tones = [hand.middle + d for d in range(-9, 10)]
    state = {"at": rng.randint(0, 3), "way": rng.choice((1, 1, -1))}

    def numbers(_i: int, slot: Slot) -> list[int]:
        root = hand.chord_tone(slot.onset)
        ladder = [n for n in tones if (n - root) % 7 in (0, 2, 4)]
        state["at"] += state["way"]
        if not 0 <= state["at"] < len(ladder) or rng.random() < 0.08:
            state["way"] = -state["way"]
            state["at"] = min(max(state["at"], 0), len(ladder) - 1)
        return [ladder[state["at"]]]

    return _drafts(slots, numbers)


def sustained(hand: Hand) -> list[Draft]:
    """Long notes or chords."""
    rng = hand.rng
    slots = rhythm(hand.meter, rng, 0.5, 0)
    shape = rng.choices(list(CHORDS), list(CHORDS.values()))[0] if rng.random() < 0.5 else (0,)
    line = _walk(hand, slots, hand.middle - shape[-1] / 2)
    return _drafts(slots, lambda i, _s: [line[i] + d for d in shape])


def alternating(hand: Hand) -> list[Draft]:
    """Two tones or a tone and a chord in turn: tremolo and broken octaves."""
    rng = hand.rng
    slots = rhythm(hand.meter, rng, 0.9, hand.densest)
    root = hand.near(hand.chord_tone(Fraction(0)), hand.middle - 3)
    upper = [root + d for d in rng.choice(((7,), (7,), (4,), (2, 4), (4, 7), (5,), (9,)))]
    return _drafts(slots, lambda i, _s: [root] if i % 2 == 0 else list(upper))


SINGLE = {
    "right": ((melody, 60), (chords, 10), (octaves, 5), (arpeggio, 8), (sustained, 6), (alberti, 4), (alternating, 3)),
    "left": (
        (melody, 26), (chords, 18), (octaves, 8), (arpeggio, 10), (sustained, 9), (alberti, 18),
        (bass_and_chords, 14), (alternating, 5),
    ),
}  # fmt: skip
"""Textures of one voice by hand, with their weights."""


def two_voices(hand: Hand) -> tuple[list[Draft], list[Draft]]:
    """Two voices in one staff: melody over held or moving notes, counterpoint, or a figure over a held bass."""
    rng = hand.rng
    kind = rng.random()
    high = Hand(hand.meter, hand.middle + rng.randint(1, 4), hand.tonic, hand.roots, rng, hand.densest)
    low = Hand(hand.meter, hand.middle - rng.randint(3, 6), hand.tonic, hand.roots, rng, hand.densest)
    if kind < 0.4:
        upper, lower = melody(high), sustained(low)
    elif kind < 0.6:
        upper, lower = sustained(high), rng.choice((alberti, melody, arpeggio))(low)
    elif kind < 0.8:
        upper, lower = melody(high), melody(Hand(hand.meter, low.middle, hand.tonic, hand.roots, rng, 2))
    elif kind < 0.9:
        upper, lower = chords(high), sustained(low)
    else:
        upper, lower = melody(high), chords(low)
    for draft in lower:
        ceiling = min(
            (min(d.numbers) for d in upper if d.numbers and d.onset < draft.until and d.until > draft.onset), default=99
        )
        while draft.numbers and max(draft.numbers) >= ceiling and rng.random() < 0.97:
            draft.numbers = [n - 7 if n >= ceiling else n for n in draft.numbers]
        draft.numbers = sorted(set(draft.numbers))
    if rng.random() < 0.3:
        lower = _part(lower, rng)
    return upper, lower


def _part(voice: list[Draft], rng: random.Random) -> list[Draft]:
    """A second voice that is there for a part of the measure only, nothing printed for the rest."""
    keep = rng.randint(1, max(1, len(voice) - 1))
    whole = [d for d in voice if not d.beam]
    if len(whole) < len(voice):
        return voice
    if rng.random() < 0.5:
        return voice[:keep]
    return [Draft(d.onset, d.recip, "space") if i < len(voice) - keep else d for i, d in enumerate(voice)]
