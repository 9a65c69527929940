"""Voices that stop before their measure does."""

from __future__ import annotations

import pytest

from docpipe.notation.kern_gaps import filled
from docpipe.notation.kern_system import System
from docpipe.notation.staff import Event, Head, Measure


def notes(*positions: int, tied: bool = False) -> Measure:
    return Measure(tuple(Event("note", "4", (Head(p, "", tied),)) for p in positions))


def test_a_voice_that_stops_early_is_filled_and_keeps_its_numbers() -> None:
    lower = Event("note", "4", (Head(-5),), voice=1)
    system = System(((Measure((*notes(1, 2, 3).items[:1], lower, *notes(2, 3).items)),),))
    whole = filled(system)
    (measure,) = whole.staves[0]
    assert measure.items[:4] == system.staves[0][0].items
    assert [(e.kind, e.recip, e.voice) for e in measure.events()][4:] == [("space", "2", 1)]
    assert filled(whole) == whole


def test_a_voice_alone_is_left_short_for_the_check_to_find() -> None:
    short = System(((Measure(notes(1).items),), (Measure(notes(1, 2, 3).items),)))
    assert filled(short) == short


def test_a_gap_that_no_duration_says_stays_or_is_told() -> None:
    odd = Event("note", "20", (Head(-5),), voice=1)
    system = System(((Measure((*notes(1).items, odd)),),))
    assert filled(system) == system
    with pytest.raises(ValueError, match="gap"):
        filled(system, strict=True)
