"""Ties, slurs and beams of a score: is each that is begun also ended?"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction

from docpipe.checks.guard import Findings
from docpipe.notation.kern import Kern
from docpipe.notation.rhythm import Bar, Placed, Rhythm


def check_marks(kern: Kern, time: Rhythm, findings: Findings) -> None:
    """Add findings on ties, slurs and beams that do not close."""
    _ties(time, findings)
    _slurs(kern, time, findings)
    _beams(time, findings)


def _where(placed: Placed, bars: list[Bar]) -> str:
    bar = next((bar for bar in bars if bar.first_line <= placed.line <= bar.last_line), None)
    return f"measure {bar.number}, line {placed.line + 1}" if bar else f"line {placed.line + 1}"


def _ties(time: Rhythm, findings: Findings) -> None:
    """A tie joins two notes of one pitch, the second beginning where the first ends, in any voice or staff.

    A tie may come from before the text or go on after it, and may begin anew after a repeat sign. Two voices may be
    tied to one note in unison. A doubled mark ([[ and ]]) ties to a note further on, as in written-out arpeggios.
    """
    doors = {bar.onset + bar.quarters for bar in time.bars if ":" in bar.bar_line or "|" in bar.bar_line}
    doors |= {Fraction(0), time.end}
    waiting: dict[str, list[Placed]] = defaultdict(list)
    met: set[tuple[str, Fraction]] = set()
    for placed in time.notes:
        note = placed.note
        if note.is_rest or not note.ties:
            continue
        held = waiting[note.pitch]
        if "]" in note.ties or "_" in note.ties:
            far = "]]" in note.ties or "__" in note.ties
            match = [p for p in held if p.end == placed.onset or (far and _reaches_far(p))]
            match = [p for p in match if p.path.spine == placed.path.spine] or match[:1]
            waiting[note.pitch] = held = [p for p in held if p not in match]
            if match:
                met.add((note.pitch, placed.onset))
            elif placed.onset not in doors and (note.pitch, placed.onset) not in met:
                message = f"a tie ends at {note.pitch}, but no {note.pitch} before leads to it"
                findings.error("score.tie", message, _where(placed, time.bars))
        if "[" in note.ties or "_" in note.ties:
            held.append(placed)
    for held in waiting.values():
        for placed in held:
            if placed.end not in doors:
                message = f"a tie begins at {placed.note.pitch}, but the next note is no tied {placed.note.pitch}"
                findings.error("score.tie", message, _where(placed, time.bars))


def _reaches_far(placed: Placed) -> bool:
    return "[[" in placed.note.ties or "__" in placed.note.ties


def _slurs(kern: Kern, time: Rhythm, findings: Findings) -> None:
    """Slurs, which may run from staff to staff. What is open at an edge of the text goes on over it.

    Only a whole piece (a meter at its start, a final bar line at its end) has no edges to go over.
    """
    begun = arrived = 0
    for placed in sorted(time.notes, key=lambda p: (p.line, -p.note.slurs_begun)):
        begun += placed.note.slurs_begun - placed.note.slurs_ended
        if begun < 0:
            arrived, begun = arrived - begun, 0
    ends = bool(time.bars) and time.bars[-1].bar_line.startswith("==")
    first = min((placed.line for placed in time.notes), default=0)
    starts = any(cell.startswith("*M") for row in kern.rows if row.line < first for cell in row.cells)
    if arrived:
        tell = findings.error if starts and ends else findings.note
        tell("score.slur-arriving", f"{arrived} slur(s) end that did not begin here")
    if begun:
        tell = findings.error if ends else findings.note
        tell("score.slur-open", f"{begun} slur(s) begin that do not end here")


def _beams(time: Rhythm, findings: Findings) -> None:
    """Beams by staff: what a measure opens it also closes; a beam may go on over the bar line only if it then ends."""
    depth: dict[int, int] = defaultdict(int)
    places: dict[int, Placed] = {}
    seen: set[tuple[int, int]] = set()
    for placed in time.notes:
        note, spine = placed.note, placed.path.spine
        if (placed.line, placed.column) in seen and (note.beams_begun or note.beams_ended):
            continue  # some write the beam at each note of a chord
        if note.beams_begun or note.beams_ended:
            seen.add((placed.line, placed.column))
            if not note.grace and note.quarters >= 1:
                findings.note("score.beam", "a beam at a note of a quarter or more", _where(placed, time.bars))
        depth[spine] += note.beams_begun - note.beams_ended
        if depth[spine] > 0:
            places.setdefault(spine, placed)
        elif depth[spine] == 0:
            places.pop(spine, None)
    for spine, count in sorted(depth.items()):
        if count:
            place = places.get(spine)
            what = (
                f"{abs(count)} beam(s) begun that do not end"
                if count > 0
                else f"{-count} beam(s) end that did not begin"
            )
            findings.error("score.beam", what, _where(place, time.bars) if place else f"staff {spine + 1}")
