"""A system of music, measures by staves as printed, written as **kern text.

The text is in the style of reference encodings: lowest staff first, `*^` where a staff divides into two voices and
`*v` before the bar where they join again, beams by level, a tie mark at both ends, and `*-` at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from docpipe.notation.staff import (
    METER_SIGNS,
    Alterations,
    Beam,
    Change,
    Event,
    Measure,
    Pitch,
    duration,
    flags,
    key_signature,
)

Place = tuple[int, int, int]
"""Which item: staff from the top, measure, index into the measure's items."""


@dataclass(frozen=True)
class System:
    """The measures of each staff, staves from the top down; all staves have equally many measures."""

    staves: tuple[tuple[Measure, ...], ...]


@dataclass
class Row:
    """One line of **kern: its fields and, for data, which item each field says (None for a dot or a sign)."""

    fields: list[str]
    owners: list[Place | None] = field(default_factory=list)


@dataclass
class _Note:
    """A sounding head: its pitch, the sign to show after it, and whether a tie starts and ends here."""

    pitch: Pitch
    shown: str
    starts: bool
    ends: bool = False


@dataclass
class _Entry:
    """An item with its time: onset in quarter notes from the measure's start, and the order among one onset."""

    onset: Fraction
    rank: int
    place: Place
    item: Event | Change
    lasts: Fraction = Fraction(0)
    notes: list[_Note] = field(default_factory=list)
    beam: str = ""


def write_system(system: System) -> str:
    """The **kern text of a system, ending in a line feed."""
    return text_of(system_rows(system))


def text_of(rows: Sequence[Row]) -> str:
    """Lines as **kern text."""
    return "".join("\t".join(row.fields) + "\n" for row in rows)


def system_rows(system: System) -> list[Row]:
    """The lines of the **kern text, with what each field stands for. Raises ValueError for staves of unequal length."""
    counts = {len(staff) for staff in system.staves}
    if len(counts) > 1:
        raise ValueError(f"staves of unequal length: {sorted(counts)} measures")
    count = counts.pop() if counts else 0
    lengths = _lengths(system, count)
    timed = [[_timed(staff, s, m, lengths[m]) for m in range(count)] for s, staff in enumerate(system.staves)]
    for measures in timed:
        _sound(measures, lengths)
    return _Writer(system, timed, lengths).rows(count)


def _lengths(system: System, count: int) -> list[Fraction]:
    """The length of each measure: what its staves hold; where all rest, the meter's or the last measure's."""
    out: list[Fraction] = []
    meter = Fraction(0)
    for m in range(count):
        for staff in system.staves:
            sign = staff[m].header.get("meter")
            if sign:
                over, under = METER_SIGNS.get(sign, (sign, ""))[0].split("/")
                meter = Fraction(4 * int(over), int(under))
        held = max(staff[m].lasts for staff in system.staves)
        out.append(held or meter or (out[-1] if out else Fraction(4)))
    return out


def _timed(staff: Sequence[Measure], s: int, m: int, length: Fraction) -> list[_Entry]:
    """The items of a measure in order of time, with grace notes before what they lead to."""
    now = [Fraction(0), Fraction(0)]
    waiting: list[list[_Entry]] = [[], []]
    entries: list[_Entry] = []
    moves: list[tuple[_Entry, int]] = []
    for i, item in enumerate(staff[m].items):
        if isinstance(item, Change):
            entry = _Entry(Fraction(0), -100, (s, m, i), item)
            moves.append((entry, len(entries)))
            entries.append(entry)
            continue
        entry = _Entry(now[item.voice], 0, (s, m, i), item)
        entry.lasts = length if item.kind == "whole" else item.lasts
        now[item.voice] += entry.lasts
        if item.kind == "grace":
            waiting[item.voice].append(entry)
        else:
            _rank(waiting[item.voice])
        entries.append(entry)
    for graces in waiting:
        _rank(graces)
    for entry, index in moves:  # a change holds from the next event on
        after = [e.onset for e in entries[index + 1 :] if isinstance(e.item, Event)]
        started = any(isinstance(e.item, Event) for e in entries[:index])
        entry.onset = after[0] if after else (max(now) if started else Fraction(0))
    for voice in (0, 1):
        _beam([e for e in entries if isinstance(e.item, Event) and e.item.voice == voice and e.item.kind == "note"])
    entries.sort(key=lambda e: (e.onset, e.rank, e.item.voice if isinstance(e.item, Event) else -1))
    return entries


def _rank(graces: list[_Entry]) -> None:
    for back, entry in enumerate(reversed(graces), 1):
        entry.rank = -back
    graces.clear()


def _beam(entries: list[_Entry]) -> None:
    """Writes the beam letters of one voice, level by level, from which notes a beam joins."""
    group: list[_Entry] = []
    for entry in [*entries, None]:
        shape: Beam = entry.item.beam if entry and isinstance(entry.item, Event) else ""
        if group and shape in ("", "L"):
            _join(group)
            group = []
        if entry and shape:
            group.append(entry)
            if shape == "J":
                _join(group)
                group = []


def _join(group: list[_Entry]) -> None:
    if len(group) < 2:
        return
    levels = [flags(e.item.recip) for e in group if isinstance(e.item, Event)]
    opened, closed, hooks = ([""] * len(group) for _ in range(3))
    for level in range(1, max(levels) + 1):
        start: int | None = None
        for i in range(len(group) + 1):
            if i < len(group) and (levels[i] >= level or level == 1):
                start = i if start is None else start
            elif start is not None:
                if i - start > 1:
                    opened[start] += "L"
                    closed[i - 1] += "J"
                else:
                    forward = start == 0 or (start < len(group) - 1 and "." not in _recip(group[start - 1]))
                    hooks[start] += "K" if forward else "k"
                start = None
    for entry, a, b, c in zip(group, opened, closed, hooks, strict=True):
        entry.beam = a + b + c


def _recip(entry: _Entry) -> str:
    return entry.item.recip if isinstance(entry.item, Event) else ""


def _sound(measures: list[list[_Entry]], lengths: list[Fraction]) -> None:
    """Gives every head its pitch: clef, key, accidentals of the measure, and ties, which carry over the bar."""
    state = Alterations()
    sharps = 0
    pending: dict[int, tuple[_Note, Fraction]] = {}
    begin = Fraction(0)
    for entries, length in zip(measures, lengths, strict=True):
        state.next_measure()
        for entry in entries:
            item = entry.item
            if isinstance(item, Change):
                if item.what == "clef":
                    state.clef = item.value
                elif item.what == "key":
                    sharps = int(item.value)
                    state.key = Alterations(state.clef, sharps).key
                continue
            at = begin + entry.onset
            for head in item.heads:
                number = state.number(head.position)
                source = pending.pop(number, None)
                held = source is not None and source[1] == at and item.kind == "note" and not head.accidental
                if source is not None and not held:
                    source[0].starts = False
                if held and source is not None:
                    alter, shown = source[0].pitch.alter, ""
                else:
                    plain = state.current(number)
                    alter = state.printed(number, head.accidental)
                    shown = "n" if head.accidental == "n" else "X" if head.accidental and plain == alter else ""
                note = _Note(Pitch(number, alter), shown, head.tied and item.kind == "note", held)
                entry.notes.append(note)
                if note.starts:
                    pending[number] = (note, at + entry.lasts)
        begin += length
    for note, until in pending.values():  # a tie into the next system stays open
        note.starts = until >= begin


class _Writer:
    """Lays the entries out in spines, lowest staff first."""

    def __init__(self, system: System, timed: list[list[list[_Entry]]], lengths: list[Fraction]) -> None:
        self.system, self.timed, self.lengths = system, timed, lengths
        self.order = list(range(len(system.staves)))[::-1]
        self.width = dict.fromkeys(self.order, 1)
        self.out: list[Row] = []

    def rows(self, count: int) -> list[Row]:
        self._signs({s: ["**kern"] for s in self.order})
        for m in range(count):
            voices = {s: self.system.staves[s][m].voices for s in self.order}
            self._leading(m)
            self._split(voices)
            self._data(m)
            following = {s: self.system.staves[s][m + 1].voices for s in self.order} if m + 1 < count else voices
            self._merge(following)
            bar = self._bar(m) or ("=" if m + 1 < count else "")  # one was cut at, whether or not it was read
            if bar:
                self._signs({s: [bar] * self.width[s] for s in self.order})
        self._merge(dict.fromkeys(self.order, 1))
        self._signs({s: ["*-"] for s in self.order})
        return self.out

    def _bar(self, m: int) -> str:
        return next((staff[m].bar for staff in self.system.staves if staff[m].bar), "")

    def _signs(self, cells: dict[int, list[str]]) -> None:
        fields = [cell for s in self.order for cell in cells[s]]
        self.out.append(Row(fields, [None] * len(fields)))

    def _leading(self, m: int) -> None:
        """Clef, key and meter at the start of a measure, one line for each kind."""
        for what in ("clef", "key", "meter"):
            found = {s: self._sign_at_start(s, m, what) for s in self.order}
            for part in range(2 if what == "meter" else 1):
                row = {s: [_interpretation(what, found[s], part)] * self.width[s] for s in self.order}
                if any(cell != "*" for cells in row.values() for cell in cells):
                    self._signs(row)

    def _sign_at_start(self, s: int, m: int, what: str) -> str | None:
        entries = self.timed[s][m]
        for entry in entries:
            if isinstance(entry.item, Event):
                break
            if entry.item.what == what and entry.onset == 0:
                return entry.item.value
        return None

    def _split(self, voices: dict[int, int]) -> None:
        grow = {s for s in self.order if voices[s] > self.width[s]}
        if grow:
            self._signs({s: ["*^"] if s in grow else ["*"] * self.width[s] for s in self.order})
            self.width.update(dict.fromkeys(grow, 2))

    def _merge(self, voices: dict[int, int]) -> None:
        for s in self.order:
            if voices[s] < self.width[s]:
                self._signs({o: ["*v", "*v"] if o == s else ["*"] * self.width[o] for o in self.order})
                self.width[s] = 1

    def _data(self, m: int) -> None:
        table: dict[tuple[Fraction, int], dict[int, list[_Entry]]] = {}
        for s in self.order:
            body = False
            for entry in self.timed[s][m]:
                body = body or isinstance(entry.item, Event)
                if body or entry.onset > 0:
                    table.setdefault((entry.onset, entry.rank), {}).setdefault(s, []).append(entry)
        for key in sorted(table):
            if key[1] == -100:
                self._changes(table[key])
            else:
                self._row(table[key])

    def _changes(self, found: dict[int, list[_Entry]]) -> None:
        for what in ("clef", "key", "meter"):
            signs = {
                s: next((e.item.value for e in es if isinstance(e.item, Change) and e.item.what == what), None)
                for s, es in found.items()
            }
            row = {s: [_interpretation(what, signs.get(s), 0)] * self.width[s] for s in self.order}
            if any(cell != "*" for cells in row.values() for cell in cells):
                self._signs(row)

    def _row(self, found: dict[int, list[_Entry]]) -> None:
        fields: list[str] = []
        owners: list[Place | None] = []
        for s in self.order:
            cells: list[tuple[str, Place | None]] = [(".", None)] * self.width[s]
            for entry in found.get(s, []):
                if isinstance(entry.item, Event):
                    cells[entry.item.voice] = (_token(entry, entry.item), entry.place)
            fields += [text for text, _ in cells]
            owners += [place for _, place in cells]
        self.out.append(Row(fields, owners))


def _interpretation(what: str, value: str | None, part: int) -> str:
    if value is None:
        return "*"
    if what == "clef":
        return "*clef" + value
    if what == "key":
        return key_signature(int(value))
    meter, sign = METER_SIGNS.get(value, (value, ""))
    if part:
        return f"*met({sign})" if sign else "*"
    return "*M" + meter


def _token(entry: _Entry, event: Event) -> str:
    if event.kind == "whole":
        return recip_of(entry.lasts) + "r"
    if event.kind in ("rest", "space"):
        return event.recip + ("ryy" if event.kind == "space" else "r" + event.marks)
    parts = []
    last = len(entry.notes) - 1
    for i, note in enumerate(entry.notes):
        tie = "_" if note.starts and note.ends else "]" if note.ends else ""
        parts.append(
            ("(" * event.opens if i == 0 else "")
            + ("[" if note.starts and not note.ends else "")
            + event.recip
            + ("q" if event.kind == "grace" else "")
            + note.pitch.kern
            + note.shown
            + (event.marks if i == 0 or event.marks in ("'", "`") else "")
            + (entry.beam if i == last else "")
            + tie
            + (")" * event.closes if i == last else "")
        )
    return " ".join(parts)


def recip_of(length: Fraction) -> str:
    """A length in quarter notes as a **kern duration; with "%" where no dots say it (nine eighths: 8%9)."""
    for dots in range(3):
        base = length / (2 - Fraction(1, 2**dots))
        if base == 8:
            return "0" + "." * dots
        whole = Fraction(4) / base if base else Fraction(0)
        if whole.denominator == 1 and whole > 0:
            return f"{whole.numerator}" + "." * dots
    parts = length / 4
    return f"{parts.denominator}%{parts.numerator}"


def gap_recips(length: Fraction) -> list[str]:
    """Durations that add up to a length in quarter notes, longest first; empty when plain ones cannot say it."""
    out: list[str] = []
    for recip in ("1", "2", "4", "8", "16", "32", "12", "24", "48"):
        while length >= duration(recip) and (length.denominator % 3 == 0) == (recip in ("12", "24", "48")):
            out.append(recip)
            length -= duration(recip)
    return out if length == 0 else []
