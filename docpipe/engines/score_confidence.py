"""How sure each measure and each note of a score is that was put together of strips."""

from __future__ import annotations

import math
from collections.abc import Sequence

from docpipe.document import PartConfidence
from docpipe.notation.kern_system import Row, System
from docpipe.notation.staff import Change, Event, Measure

Logprobs = tuple[float, ...]
"""Natural logarithms of probabilities."""


def measure_logprobs(system: System) -> tuple[Logprobs, ...]:
    """For each measure that sounds, in order, the log-probabilities of all that it depends on: of the tokens of its
    strips, staff by staff, and of the clef and key that hold from a measure before and make its pitches.

    They are counted as `ScoreContent.measures` counts the measures of the written text.
    """
    out: list[Logprobs] = []
    holding: list[dict[str, float]] = [{} for _ in system.staves]
    for column in zip(*system.staves, strict=True):
        found: list[float] = []
        for measure, holds in zip(column, holding, strict=True):
            found += [*measure.logprobs, *holds.values()]
            signs = (item for item in measure.items if isinstance(item, Change) and item.what != "meter")
            holds |= {sign.what: sign.sure for sign in signs if sign.sure is not None}
        if _sounds(column):
            out.append(tuple(found))
    return tuple(out)


def note_parts(system: System, rows: Sequence[Row]) -> tuple[PartConfidence, ...]:
    """For each note and rest of a system's written lines its least sure token; chords and rests are one each."""
    out = []
    for line, row in enumerate(rows):
        for spine, (said, owner) in enumerate(zip(row.fields, row.owners, strict=False)):
            if owner is None:
                continue
            staff, measure, index = owner
            item = system.staves[staff][measure].items[index]
            if isinstance(item, Event) and item.sure is not None:
                sure = min(1.0, math.exp(item.sure))
                out.append(PartConfidence(where=f"line {line}, spine {spine}", text=said, confidence=sure))
    return tuple(out)


def _sounds(column: Sequence[Measure]) -> bool:
    return any(True for measure in column for _ in measure.events())
