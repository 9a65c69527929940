"""Note-level F1 of music, from **kern."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable

from docpipe.notation.kern import read
from docpipe.notation.rhythm import Placed, rhythm


def note_f1(answer: str, truth: str) -> float:
    """F1 of the multisets of (spine, onset from the start, pitch, duration), 0..1; two without notes agree.

    Onsets and durations in quarter notes. Tied notes are separate notes, rests are none, grace notes take no time.
    Beams, stems, slurs and how a rest is written do not count, so it says whether the notes are right where `ser`
    says whether the encoding is. One note of a wrong length moves all that follow in its voice, and those are then
    wrong too: `note_bar_f1` counts anew in each measure. A right note on the wrong staff is wrong.
    """
    return _f1(answer, truth, lambda note, _bar: (note.path.spine, note.onset, note.note.pitch, note.note.quarters))


def note_bar_f1(answer: str, truth: str) -> float:
    """As `note_f1`, the onset counted from the last bar line and the measure by its place: a measure that is too long
    or too short spoils itself alone. A measure left out still spoils all after it.
    """
    return _f1(
        answer, truth, lambda note, bar: (note.path.spine, bar, note.note.pitch, note.note.quarters),
        by_bar=True,
    )  # fmt: skip


def pitch_f1(answer: str, truth: str) -> float:
    """F1 of the multisets of pitches (letter, octave, accidental), 0..1: neither when, how long, nor on which staff."""
    return _f1(answer, truth, lambda note, _bar: note.note.pitch)


def _f1(
    answer: str, truth: str, key: Callable[[Placed, Hashable], Hashable], *, by_bar: bool = False
) -> float:  # fmt: skip
    given, wanted = (Counter(key(note, place) for note, place in _notes(kern, by_bar)) for kern in (answer, truth))
    total = given.total() + wanted.total()
    return 2 * (given & wanted).total() / total if total else 1.0


def _notes(kern: str, by_bar: bool) -> list[tuple[Placed, Hashable]]:
    """The sounding notes; with `by_bar` each with its measure's place and its onset within it."""
    time = rhythm(read(kern))
    notes = [note for note in time.notes if not note.note.is_rest]
    if not by_bar:
        return [(note, None) for note in notes]
    places: list[tuple[Placed, Hashable]] = []
    index = 0
    for note in notes:
        while index < len(time.bars) - 1 and note.line > time.bars[index].last_line:
            index += 1
        start = time.bars[index].onset if time.bars else 0
        places.append((note, (index, note.onset - start)))
    return places
