"""**kern text to the measures of each staff as they would be printed: accidentals only where they are needed.

The opposite of kern_system.py, for training and measuring on real **kern. What the tokens of kern_tokens.py cannot say
(more than two voices in a staff, chords of unequal durations, odd tuplets) makes its measure None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from fractions import Fraction

from docpipe.notation.kern_system import gap_recips
from docpipe.notation.staff import (
    ACCIDENTALS,
    BARS,
    CLEFS,
    MARKS,
    METERS,
    REACH,
    RECIPS,
    STEPS,
    Alterations,
    Beam,
    Change,
    Event,
    Head,
    Kind,
    Measure,
    duration,
    flags,
)

_PITCH = re.compile(r"([a-gA-G])\1*")
_SIGN = re.compile(r"#{1,2}|-{1,2}|n")
_RECIP = re.compile(r"\d+(%\d+)?\.*")


class _UnsayableError(Exception):
    """The measure holds something that the tokens cannot say."""


@dataclass
class _Spine:
    staff: int
    time: Fraction = Fraction(0)
    depth: int = 0


@dataclass
class _Staff:
    """A staff while its measures are read."""

    state: Alterations = field(default_factory=Alterations)
    held: dict[int, int] = field(default_factory=dict)
    items: list[Event | Change] = field(default_factory=list)
    reached: dict[int, Fraction] = field(default_factory=dict)
    unsayable: bool = False
    meter: Fraction | None = None
    measures: list[Measure | None] = field(default_factory=list)


def read_staves(text: str) -> list[list[Measure | None]]:
    """The measures of each staff, from the top down. Raises ValueError on text that is not **kern."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("!")]
    if not lines or not lines[0].startswith("**"):
        raise ValueError("no **kern header")
    kinds = lines[0].split("\t")
    staves = [_Staff() for kind in kinds if kind == "**kern"]
    numbers = iter(range(len(staves)))
    spines = [_Spine(next(numbers) if kind == "**kern" else -1) for kind in kinds]
    now = start = Fraction(0)
    pending = False
    for line in lines[1:]:
        fields = line.split("\t")
        if len(fields) != len(spines):
            raise ValueError(f"{len(fields)} fields in {len(spines)} spines")
        if fields[0].startswith("*"):
            spines = _interpret(fields, spines, staves)
            if not spines:
                break
        elif fields[0].startswith("="):
            now = max((s.time for s in spines if s.staff >= 0), default=now)
            for spine in spines:
                spine.time = now
            if pending or now > start:
                _finish(staves, fields[0], now - start)
            start, pending = now, False
        else:
            now = _data(fields, spines, staves, now, start)
            pending = True
    if pending:
        _finish(staves, "", max(s.reached.get(0, start) for s in staves) - start)
    return [staff.measures for staff in staves][::-1]


def _finish(staves: list[_Staff], bar: str, length: Fraction) -> None:
    mark = "=" + "".join(c for c in bar if c in ":|!") if bar else ""
    if bar.startswith("==") and ":" not in mark:
        mark = "=="
    mark = mark if mark in (*BARS, "") else "="
    for staff in staves:
        items = _tidy(staff.items, length, staff.meter)
        sayable = not staff.unsayable and items is not None
        staff.measures.append(Measure(tuple(items), mark) if sayable and items is not None else None)
        staff.items, staff.unsayable, staff.reached = [], False, {}
        staff.state.next_measure()


def _tidy(items: list[Event | Change], length: Fraction, meter: Fraction | None) -> list[Event | Change] | None:
    """Whole-measure rests told apart and voices of nothing but gaps left out."""
    voices = {e.voice for e in items if isinstance(e, Event)}
    empty = {v for v in voices if all(e.kind == "space" for e in items if isinstance(e, Event) and e.voice == v)}
    keep = sorted(voices - empty)
    if len(keep) > 2:
        return None
    out: list[Event | Change] = []
    for item in items:
        if isinstance(item, Change):
            out.append(item)
        elif item.voice in keep:
            alone = sum(1 for e in items if isinstance(e, Event) and e.voice == item.voice) == 1
            full = length == meter if meter else length >= Fraction(3, 2)
            if item.kind == "rest" and alone and full and item.lasts == length:
                item = replace(item, kind="whole", recip="1")
            out.append(replace(item, voice=keep.index(item.voice)))
    return out


def _interpret(fields: list[str], spines: list[_Spine], staves: list[_Staff]) -> list[_Spine]:
    """Clefs, keys and meters noted; the spines after splits, joins and ends."""
    done: set[tuple[int, str]] = set()
    out: list[_Spine] = []
    k = 0
    while k < len(fields):
        token, spine = fields[k], spines[k]
        k += 1
        if token == "*-":
            continue
        out.append(spine)
        if token == "*^":
            out.append(_Spine(spine.staff, spine.time))
        elif token == "*v":
            while k < len(fields) and fields[k] == "*v" and spines[k].staff == spine.staff:
                spine.time = max(spine.time, spines[k].time)
                k += 1
        elif token in ("*x", "*+"):
            raise ValueError("exchanged or added spines")
        elif spine.staff >= 0 and (spine.staff, token) not in done:
            done.add((spine.staff, token))
            _note_change(token, staves[spine.staff])
    return out


def _note_change(token: str, staff: _Staff) -> None:
    change: Change | None = None
    if token.startswith("*clef"):
        change = Change("clef", token[5:])
        if token[5:] not in CLEFS:
            staff.unsayable = True
            return
        staff.state.clef = token[5:]
    elif token.startswith("*k["):
        sharps = token.count("#") - token.count("-")
        change = Change("key", str(sharps))
        staff.state.key = Alterations(staff.state.clef, sharps).key
    elif re.match(r"\*M\d+/\d+$", token):
        over, under = token[2:].split("/")
        staff.meter = Fraction(4 * int(over), int(under))
        if token[2:] in METERS:
            change = Change("meter", token[2:])
    elif token in ("*met(c)", "*met(c|)"):
        last = staff.items[-1] if staff.items else None
        if isinstance(last, Change) and last.what == "meter":
            staff.items[-1] = Change("meter", token[5:-1])
        return
    if change is not None:
        staff.items.append(change)


def _data(fields: list[str], spines: list[_Spine], staves: list[_Staff], now: Fraction, start: Fraction) -> Fraction:
    begins = [s.time for f, s in zip(fields, spines, strict=True) if s.staff >= 0 and f != "." and "q" not in f.lower()]
    now = max([now, *begins]) if begins else now
    voice: dict[int, int] = {}
    for token, spine in zip(fields, spines, strict=True):
        index = voice.get(spine.staff, 0)
        voice[spine.staff] = index + 1
        if spine.staff < 0 or token == ".":
            continue
        staff = staves[spine.staff]
        try:
            event = _event(token, staff, spine, index)
        except _UnsayableError:
            staff.unsayable = True
            found = [p for p in token.split(" ") if _RECIP.search(p) and "q" not in p]
            if found:
                match = _RECIP.search(found[0])
                spine.time = now + _length(match.group(0) if match else "4")
            continue
        if event.kind == "whole":
            spine.time = staff.reached[index] = now + _length(token[: token.index("r")])
        elif event.kind != "grace":
            gap = now - staff.reached.get(index, start)
            if gap > 0:
                staff.items += [Event("space", r, voice=index) for r in gap_recips(gap)]
                staff.unsayable |= not gap_recips(gap)
            spine.time = now + event.lasts
            staff.reached[index] = spine.time
        staff.items.append(event)
    return now


def _length(recip: str) -> Fraction:
    under, percent, over = recip.partition("%")
    if percent and over.isdigit() and under.isdigit() and int(under):
        return Fraction(4 * int(over), int(under))
    try:
        return duration(recip)
    except ValueError:
        return Fraction(1)


def _event(token: str, staff: _Staff, spine: _Spine, voice: int) -> Event:
    parts = token.split(" ")
    grace = "q" in token.lower()
    match = _RECIP.search(token)
    recip = match.group(0) if match else "8" if grace else ""
    if "%" in recip and "r" in token:  # only a rest of a whole measure is as long as that
        return Event("whole", "1", voice=voice)
    if recip not in RECIPS and not grace:
        raise _UnsayableError
    if "r" in token:
        kind: Kind = "space" if "yy" in token else "rest"
        return Event(kind, recip, voice=voice, marks=";" if ";" in token else "")
    heads = []
    for part in parts:
        own = _RECIP.search(part)
        if own and own.group(0) != recip and not grace:
            raise _UnsayableError
        heads.append(_head(part, staff))
    heads.sort(key=lambda h: h.position)
    if len({h.position for h in heads}) < len(heads):
        raise _UnsayableError
    marks = "".join(m for m in MARKS if m in token)
    opens, closes = token.count("("), token.count(")")
    if grace:
        shown = recip if recip in ("8", "16", "32") else "8"
        return Event("grace", shown, tuple(heads), voice, marks=marks, opens=opens, closes=closes)
    beam: Beam = ""
    before = spine.depth
    spine.depth = max(0, spine.depth + token.count("L") - token.count("J"))
    if flags(recip):
        if before == 0 and spine.depth:
            beam = "L"
        elif before:
            beam = "M" if spine.depth else "J"
    return Event("note", recip, tuple(heads), voice, beam, marks, opens, closes)


def _head(part: str, staff: _Staff) -> Head:
    match = _PITCH.search(part)
    if not match or "P" in part:
        raise _UnsayableError
    letters = match.group(0)
    octave = 3 + len(letters) if letters[0].islower() else 4 - len(letters)
    number = 7 * octave + STEPS.index(letters[0].upper())
    sign = _SIGN.match(part, match.end())
    written = sign.group(0) if sign else ""
    alter = ACCIDENTALS[written] if written else 0
    position = staff.state.position(number)
    if abs(position) > REACH:
        raise _UnsayableError
    tied = "[" in part or "_" in part
    if "]" in part or "_" in part:
        printed = ""
    elif written == "n" or (written and "X" in part):
        printed = written
        staff.state.printed(number, printed)
    else:
        printed = staff.state.needed(number, alter)
    return Head(position, printed, tied)
