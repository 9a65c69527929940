"""Voices that stop before their measure does: a page shows nothing there, **kern wants the time accounted for."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from docpipe.notation.kern_system import System, gap_recips
from docpipe.notation.staff import Event, Measure


def filled(system: System, *, strict: bool = False) -> System:
    """The system with unprinted rests (`ryy`) after each voice that stops before another one of its staff does.

    They come after all other items of a measure, so those keep their numbers. A staff with a voice alone stays as it
    is, for nothing but a reader's mistake leaves it short; so does a gap that plain durations cannot say (strict:
    ValueError).
    """
    return System(tuple(tuple(_filled(measure, strict) for measure in staff) for staff in system.staves))


def _filled(measure: Measure, strict: bool) -> Measure:
    gaps: list[Event] = []
    for voice in range(measure.voices):
        events = list(measure.events(voice))
        left = measure.lasts - sum((e.lasts for e in events), Fraction(0))
        if left > 0 and not any(e.kind == "whole" for e in events):
            recips = gap_recips(left)
            if strict and not recips:
                raise ValueError(f"a gap of {left} quarter notes")
            gaps += [Event("space", recip, voice=voice) for recip in recips]
    return replace(measure, items=(*measure.items, *gaps)) if gaps else measure
