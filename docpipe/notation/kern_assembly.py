"""Token readings of strips put together to one system, and that to **kern text.

Strips are read one by one, so this is where they are made to agree: one key and meter for all staves, as many
measures in one strip as in the one below it, no tie or slur that nothing ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from docpipe.notation.kern_gaps import filled
from docpipe.notation.kern_system import System, write_system
from docpipe.notation.kern_tokens import decode
from docpipe.notation.staff import Change, Event, Measure

Reading = Sequence[str]
"""The tokens of one strip."""


def assemble(readings: Sequence[Sequence[Reading]], logprobs: Sequence[Sequence[Sequence[float]]] = ()) -> System:
    """A system from the tokens of its strips, by staff from the top and measure.

    logprobs: of each strip's tokens, natural logarithms (`kern_tokens.decode`); they go where their tokens go.
    Raises ValueError when the staves have not equally many strips.
    """
    if len({len(staff) for staff in readings}) > 1:
        raise ValueError("staves of unequal length")
    count = len(readings[0]) if readings else 0
    staves: list[list[Measure]] = [[] for _ in readings]
    for m in range(count):
        sure = [staff[m] for staff in logprobs] or [()] * len(readings)
        column = _agreed([decode(staff[m], logs) for staff, logs in zip(readings, sure, strict=True)])
        for staff, measures in zip(staves, column, strict=True):
            staff += measures
    staves = _without_empty_ends(staves)
    staves = [_headed(staff, s, len(staves)) for s, staff in enumerate(staves)]
    for what in ("key", "meter"):
        staves = _same(staves, what)
    return System(tuple(tuple(_closed(staff)) for staff in staves))


def to_kern(readings: Sequence[Sequence[Reading]]) -> str:
    """The **kern text of a system from the tokens of its strips; see `assemble`, `kern_gaps.filled`."""
    return write_system(filled(assemble(readings)))


def joined_systems(systems: Sequence[System]) -> System:
    """Systems of one piece as one, each going on where the one before ends.

    Clefs and keys that a system repeats at its start are left out, as are meters that hold already; where a staff's
    clef or the key is another one, it changes there. Raises ValueError when they have different numbers of staves.
    """
    if len({len(system.staves) for system in systems}) > 1:
        raise ValueError("systems of different numbers of staves")
    if not systems:
        return System(())
    staves: list[list[Measure]] = [[] for _ in systems[0].staves]
    held: list[dict[str, str]] = [{} for _ in staves]
    for system in systems:
        for staff, holds, measures in zip(staves, held, system.staves, strict=True):
            for m, measure in enumerate(measures):
                staff.append(_without_known(measure, holds) if m == 0 else measure)
                holds |= {item.what: item.value for item in measure.items if isinstance(item, Change)}
    return System(tuple(tuple(staff) for staff in staves))


def _without_known(measure: Measure, holds: dict[str, str]) -> Measure:
    """A system's first measure without the signs at its start that hold already."""
    items = list(measure.items)
    begin = next((i for i, item in enumerate(items) if isinstance(item, Event)), len(items))
    head = [item for item in items[:begin] if isinstance(item, Event) or holds.get(item.what) != item.value]
    return replace(measure, items=(*head, *items[begin:]))


def _agreed(column: list[list[Measure]]) -> list[list[Measure]]:
    """One column of strips with equally many measures in each and one bar for all: where they differ, one measure."""
    counts = {len(measures) for measures in column}
    if counts != {max(counts)} or not max(counts):
        column = [[_joined(measures)] for measures in column]
    out: list[list[Measure]] = [[] for _ in column]
    for k in range(len(column[0])):
        bars = Counter(measures[k].bar for measures in column if measures[k].bar)
        bar = bars.most_common(1)[0][0] if bars else ""
        for staff, measures in zip(out, column, strict=True):
            staff.append(replace(measures[k], bar=bar))
    return out


def _without_empty_ends(staves: list[list[Measure]]) -> list[list[Measure]]:
    """Signs alone before a repeat bar belong to the measure after it; signs alone after the last bar are a courtesy."""

    def empty(m: int) -> bool:
        return not any(True for staff in staves for _ in staff[m].events())

    if staves and len(staves[0]) > 1 and empty(0):
        staves = [[_joined(s[:2]), *s[2:]] for s in staves]
    if staves and len(staves[0]) > 1 and empty(-1):
        staves = [staff[:-1] for staff in staves]
    return staves


def _joined(measures: list[Measure]) -> Measure:
    bar = measures[-1].bar if measures else "="
    logprobs = tuple(log for measure in measures for log in measure.logprobs)
    return Measure(tuple(item for measure in measures for item in measure.items), bar, logprobs)


def _headed(staff: list[Measure], s: int, staves: int) -> list[Measure]:
    """A staff whose first measure tells clef and key: treble over bass and no sharps where nothing was read."""
    if not staff:
        return staff
    first = staff[0]
    events = [i for i, item in enumerate(first.items) if isinstance(item, Event)]
    begin = events[0] if events else len(first.items)
    leading = {item.what: item for item in first.items[:begin] if isinstance(item, Change)}
    clef = leading.get("clef") or Change("clef", "F4" if s and s == staves - 1 else "G2")
    head: list[Change] = [clef, leading.get("key") or Change("key", "0")]
    if "meter" in leading:
        head.append(leading["meter"])
    return [replace(first, items=(*head, *first.items[begin:])), *staff[1:]]


def _same(staves: list[list[Measure]], what: str) -> list[list[Measure]]:
    """A change of key or meter stands in all staves or in none: what most show, measure by measure."""
    out: list[list[Measure]] = [[] for _ in staves]
    for column in zip(*staves, strict=True):
        shown = [measure.header.get(what) for measure in column]
        sure = {item.value: item.sure for m in column for item in m.items if isinstance(item, Change)}
        found = Counter(value for value in shown if value is not None)
        value, votes = found.most_common(1)[0] if found else ("", 0)
        wanted = value if 2 * votes >= len(column) and (votes == len(column) or not out[0] or votes > 1) else None
        for staff, measure in zip(out, column, strict=True):
            items = [i for i in measure.items if not (isinstance(i, Change) and i.what == what)]
            if wanted is not None:
                order = {"clef": 0, "key": 1, "meter": 2}
                at = 0
                while at < len(items):
                    item = items[at]
                    if not isinstance(item, Change) or order[item.what] > order[what]:
                        break
                    at += 1
                items.insert(at, Change(what, wanted, sure.get(wanted)))  # type: ignore[arg-type]
            staff.append(replace(measure, items=tuple(items)))
    return out


def _closed(staff: list[Measure]) -> list[Measure]:
    """Slurs that end without a start are taken out, as are those that start and never end; by voice.

    A slur may come in from the system before or go on into the next: one of each is left at the ends of the staff.
    """
    opened: list[list[tuple[int, int]]] = [[], []]
    drop_open: Counter[tuple[int, int]] = Counter()
    drop_close: Counter[tuple[int, int]] = Counter()
    for m, measure in enumerate(staff):
        for i, item in enumerate(measure.items):
            if not isinstance(item, Event):
                continue
            for _ in range(item.closes):
                if opened[item.voice]:
                    opened[item.voice].pop()
                elif opened[1 - item.voice]:
                    opened[1 - item.voice].pop()
                elif m > 0:
                    drop_close[m, i] += 1
            opened[item.voice] += [(m, i)] * item.opens
    for place in (p for voice in opened for p in voice):
        if place[0] < len(staff) - 1:
            drop_open[place] += 1
    out = []
    for m, measure in enumerate(staff):
        items = [
            replace(item, opens=item.opens - drop_open[m, i], closes=item.closes - drop_close[m, i])
            if isinstance(item, Event)
            else item
            for i, item in enumerate(measure.items)
        ]
        out.append(replace(measure, items=tuple(items)))
    return out
