"""Signs put on finished drafts: ties, slurs, articulation, ornaments, fermatas and grace notes."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

from docpipe.train.synth.music.textures import Draft

Measures = list[list[list[Draft]]]
"""Drafts by measure, voice and time."""


def add_signs(measures: Measures, length: Fraction, rng: random.Random, slurs: float, graces: float) -> None:
    """Puts signs on the drafts of one staff in place. length: of a measure in quarter notes."""
    lines = [_line(measures, voice) for voice in (0, 1)]
    for line in lines:
        _ties(line, length, rng)
    if rng.random() < slurs:
        density = rng.choice((0.1, 0.22, 0.4))
        for line in lines:
            _slurs(line, rng, density)
    for voices in measures:
        for voice in voices:
            _articulation(voice, rng)
    if graces:
        for voices in measures:
            for v, voice in enumerate(voices):
                voices[v] = _with_graces(voice, rng, graces)


def _line(measures: Measures, voice: int) -> list[tuple[int, Draft]]:
    return [(m, draft) for m, voices in enumerate(measures) if voice < len(voices) for draft in voices[voice]]


def _ties(line: list[tuple[int, Draft]], length: Fraction, rng: random.Random) -> None:
    chance = rng.choice((0.0, 0.03, 0.12))
    for (m, draft), (n, following) in pairwise(line):
        if draft.kind != "note" or following.kind != "note":
            continue
        if m * length + draft.until != n * length + following.onset:
            continue
        if rng.random() < chance:
            if rng.random() < 0.5:
                following.numbers = list(draft.numbers)
            shared = set(draft.numbers) & set(following.numbers)
            draft.tied |= shared


def _slurs(line: list[tuple[int, Draft]], rng: random.Random, density: float) -> None:
    left = 0
    for i, (_, draft) in enumerate(line):
        if draft.kind != "note":
            continue
        ahead = [d for _, d in line[i + 1 : i + 20]]
        if left:
            left -= 1
            nothing = not any(d.kind == "note" for d in ahead)
            if left == 0 or nothing or (ahead and ahead[0].kind != "note" and rng.random() < 0.8):
                draft.closes, left = 1, 0
        if not left and ahead and ahead[0].kind == "note" and rng.random() < density:
            draft.opens, left = 1, rng.choice((1, 1, 1, 2, 2, 3, 3, 4, 5, 7, 9, 12))
    if left:  # a slur into the next system
        last = next((d for _, d in reversed(line) if d.kind == "note" and not d.closes), None)
        if last is not None and last.opens == 0:
            last.closes = 1


def _articulation(voice: list[Draft], rng: random.Random) -> None:
    kind = rng.random()
    common = rng.choices("'`^~", (70, 10, 15, 5))[0]
    rate = 0.8 if kind < 0.1 else 0.25 if kind < 0.25 else 0.01
    rolled = 0.4 if rng.random() < 0.02 else 0.002
    for draft in voice:
        if draft.kind in ("note", "rest") and rng.random() < 0.004:
            draft.marks = ";"
        if draft.kind == "note":
            if rng.random() < rate and draft.recip.rstrip(".") not in ("1", "2", "0"):
                draft.marks = common
            elif rng.random() < 0.006:
                draft.marks = rng.choice("TTtSMm")
            elif len(draft.numbers) > 1 and rng.random() < rolled:
                draft.marks = ":"


def _with_graces(voice: list[Draft], rng: random.Random, chance: float) -> list[Draft]:
    out: list[Draft] = []
    for draft in voice:
        if draft.kind == "note" and rng.random() < chance:
            count = rng.choice((1, 1, 1, 2, 3))
            recip = "8" if count == 1 else rng.choice(("16", "32"))
            top = draft.numbers[-1]
            start = top + rng.choice((-1, 1, 1, 2)) * count
            way = 1 if start < top else -1
            slurred = rng.random() < 0.5 and not draft.closes
            for g in range(count):
                out.append(Draft(draft.onset, recip, "grace", [start + way * g]))
            if slurred:
                out[-count].opens = 1
                draft.closes = 1
        out.append(draft)
    return out
