"""A random system: staves, measures, voices and signs, as they are printed.

One key, meter and tonic for the system, a few harmonies a measure, and a texture a hand that stays for some measures.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction

from docpipe.notation.kern_system import System
from docpipe.notation.staff import CLEFS, REACH, Alterations, Change, Event, Head, Measure, duration
from docpipe.train.synth.music.rhythm import METER_WEIGHTS, measure_length
from docpipe.train.synth.music.signs import add_signs
from docpipe.train.synth.music.textures import SINGLE, Draft, Hand, roots, two_voices

_KEYS = {-6: 2, -5: 4, -4: 10, -3: 13, -2: 10, -1: 9, 0: 14, 1: 11, 2: 10, 3: 8, 4: 6, 5: 3, 6: 3, 7: 1, -7: 1}
_BARS = {"=": 90, "=||": 2, "=:|!": 3, "=!|:": 2, "=:|!|:": 2}


@dataclass(frozen=True)
class Taste:
    """How rich a system is. Each is a chance or, for `densest`, the most flags a note may carry."""

    two_voices: float = 0.24
    whole_rest: float = 0.06
    grace: float = 0.012
    slurs: float = 0.75
    chromatic: float = 0.35
    clef_change: float = 0.05
    densest: int = 3


PLAIN = Taste(two_voices=0.05, whole_rest=0.05, grace=0.0, slurs=0.3, chromatic=0.25, clef_change=0.0, densest=2)
"""Easier music for the start of training."""


@dataclass
class _Voices:
    """The drafts of a measure on a staff, upper voice first, and the clef that comes at its end, if any."""

    voices: list[list[Draft]]
    clef_after: str | None = None


def random_system(rng: random.Random, measures: int = 4, staves: int = 2, taste: Taste | None = None) -> System:
    """A system as printed. Same state of `rng`, same system. Raises ValueError for one that went wrong: try again."""
    taste = taste or Taste()
    meter = rng.choices(list(METER_WEIGHTS), list(METER_WEIGHTS.values()))[0]
    sharps = rng.choices(list(_KEYS), list(_KEYS.values()))[0]
    tonic = (4 * sharps + (5 if rng.random() < 0.35 else 0)) % 7
    harmony = [roots(rng) for _ in range(measures)]
    bars = rng.choices(list(_BARS), list(_BARS.values()), k=measures)
    bars[-1] = {"=!|:": "=", "=:|!|:": "=:|!"}.get(bars[-1], bars[-1])  # what starts is printed on the next system
    if rng.random() < 0.08:
        bars[-1] = rng.choice(("==", "=:|!", "=||"))
    altered = [_chromatics(rng, taste) for _ in range(measures)]
    change = (
        (rng.randrange(1, measures), rng.choice((-3, -2, -1, 0, 1, 2, 3)))
        if measures > 1 and rng.random() < 0.05
        else None
    )
    hides_meter = rng.random() < 0.7
    made = []
    for s in range(staves):
        right = s == 0 and (staves > 1 or rng.random() < 0.7)
        clef = _clef(right, staves, rng)
        parts = _staff(rng, taste, meter, clef, tonic, harmony, right)
        add_signs([part.voices for part in parts], measure_length(meter), rng, taste.slurs, taste.grace)
        leading = [Change("clef", clef), Change("key", str(sharps))]
        if not hides_meter:
            leading.append(Change("meter", meter))
        made.append(_printed(parts, leading, bars, altered, sharps, clef, change, measure_length(meter)))
    return System(tuple(made))


def _clef(right: bool, staves: int, rng: random.Random) -> str:
    if staves == 1 and rng.random() < 0.15:
        return rng.choice(("C3", "C4", "C1", "Gv2"))
    if right:
        return "G2" if rng.random() < 0.93 else "F4"
    return "F4" if rng.random() < 0.8 else "G2"


def _chromatics(rng: random.Random, taste: Taste) -> dict[int, int]:
    """Steps (0..6) raised or lowered in a measure, -1 to 1."""
    if rng.random() >= taste.chromatic:
        return {}
    return {rng.randrange(7): rng.choice((1, 1, -1)) for _ in range(rng.choice((1, 1, 2, 3)))}


def _staff(
    rng: random.Random, taste: Taste, meter: str, clef: str, tonic: int, harmony: list[tuple[int, ...]], right: bool
) -> list[_Voices]:
    textures, weights = zip(*SINGLE["right" if right else "left"], strict=True)
    out: list[_Voices] = []
    texture = None
    register = rng.gauss(1.0 if right else 0.0, 2.2)
    double = False
    for m, roots_now in enumerate(harmony):
        if texture is None or rng.random() < 0.35:
            texture = rng.choices(textures, weights)[0]
            register = rng.gauss(1.0 if right else 0.0, 2.2)
            double = rng.random() < taste.two_voices
        hand = Hand(meter, round(CLEFS[clef] + register), tonic, roots_now, rng, taste.densest)
        if rng.random() < taste.whole_rest and measure_length(meter) >= Fraction(3, 2):
            voices = [[Draft(Fraction(0), "1", "whole")]]
        elif double:
            voices = list(two_voices(hand))
            if rng.random() < 0.03 and measure_length(meter) >= Fraction(3, 2):
                voices[rng.randrange(2)] = [Draft(Fraction(0), "1", "whole")]
        else:
            voices = [texture(hand)]
        part = _Voices([_bounded(_whole(v, measure_length(meter)), clef) for v in voices])
        if m + 1 < len(harmony) and rng.random() < taste.clef_change:
            clef = "F4" if clef == "G2" else "G2"
            part.clef_after = clef
        out.append(part)
    return out


def _whole(voice: list[Draft], length: Fraction) -> list[Draft]:
    """A rest as long as the measure is printed as the whole-measure rest."""
    alone = len(voice) == 1 and voice[0].kind == "rest" and duration(voice[0].recip) == length >= Fraction(3, 2)
    return [Draft(Fraction(0), "1", "whole")] if alone else voice


def _bounded(voice: list[Draft], clef: str) -> list[Draft]:
    """Brings notes that are too far from the staff back by octaves; far ones become rare, not absent."""
    middle = CLEFS[clef]
    for draft in voice:
        if draft.numbers and max(draft.numbers) - middle > 12:
            draft.numbers = [n - 7 for n in draft.numbers]
        if draft.numbers and min(draft.numbers) - middle < -12:
            draft.numbers = [n + 7 for n in draft.numbers]
        draft.numbers = sorted({n for n in draft.numbers if abs(n - middle) <= REACH - 1})
        if draft.kind == "note" and not draft.numbers:
            draft.numbers = [middle]
    return voice


def _printed(
    parts: list[_Voices],
    leading: list[Change],
    bars: list[str],
    altered: list[dict[int, int]],
    sharps: int,
    clef: str,
    change: tuple[int, int] | None,
    length: Fraction,
) -> tuple[Measure, ...]:
    """Staff positions and accidentals from diatonic numbers, as the reader of printed music will undo them."""
    state = Alterations(clef, sharps)
    held: dict[int, tuple[int, Fraction]] = {}
    out = []
    for m, part in enumerate(parts):
        items: list[Event | Change] = list(leading) if m == 0 else []
        if change is not None and m == change[0] and change[1] != sharps:
            items.append(Change("key", str(change[1])))
            state.key = Alterations(clef, change[1]).key
        state.next_measure()
        begin = length * m
        chromatic: dict[int, int] = {}
        for step, way in altered[m].items():
            alter = state.key.get(step, 0) + way
            if abs(alter) <= 1 or (abs(alter) == 2 and step % 3 == 0):
                chromatic[step] = alter
        for voice, draft in _in_order(part.voices):
            heads = []
            for number in draft.numbers:
                if abs(state.position(number)) > REACH:
                    continue
                source = held.pop(number, None)
                at = begin + draft.onset
                if source is not None and source[1] == at and draft.kind == "note":
                    alter, accidental = source[0], ""
                else:
                    alter = chromatic.get(number % 7, state.key.get(number % 7, 0))
                    accidental = state.needed(number, alter)
                tied = number in draft.tied and draft.kind == "note"
                if tied:
                    held[number] = (alter, at + duration(draft.recip))
                heads.append(Head(state.position(number), accidental, tied))
            if draft.kind == "grace" and not heads:
                continue
            if draft.kind == "note" and not heads:
                raise ValueError("a note out of reach")
            items.append(
                Event(
                    draft.kind,
                    draft.recip,
                    tuple(heads),
                    voice,
                    draft.beam if draft.kind == "note" else "",
                    draft.marks,
                    draft.opens,
                    draft.closes,
                )
            )
        if part.clef_after:
            items.append(Change("clef", part.clef_after))
            state.clef = part.clef_after
            held = {}
        out.append(Measure(tuple(items), bars[m]))
    return tuple(out)


def _in_order(voices: list[list[Draft]]) -> list[tuple[int, Draft]]:
    """Drafts of all voices by onset, grace notes before what they lead to, upper voice first."""
    keyed = []
    for v, voice in enumerate(voices):
        graces = 0
        for i, draft in enumerate(voice):
            if draft.kind == "grace":
                graces = sum(1 for d in voice[i:] if d.kind == "grace" and d.onset == draft.onset)
                keyed.append((draft.onset, -graces, v, i, draft))
            else:
                keyed.append((draft.onset, 0, v, i, draft))
    keyed.sort(key=lambda k: k[:4])
    return [(k[2], k[4]) for k in keyed]
