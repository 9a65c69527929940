"""The tokens in which a nano checkpoint reads one strip: one measure (or two) of one staff.

Column by column, left to right: ``x<column>`` says where the column stands, then each voice's event there: ``+`` for
the second voice, a duration with its beam (``8L`` opens a beam, ``8M`` goes on, ``8J`` ends it, ``8`` has none), a rest
(``r4``), a grace note (``q8``), an unprinted gap (``y4``) or the whole-measure rest (``R``); then marks and slurs, then
the heads from the lowest up: accidental, staff position ``p-3``, tie ``[``. Clefs ``*G2``, keys ``k-2`` and meters
``M3/4`` stand where they are printed. A bar token ends the measure. Positions are steps from the middle line, so a
strip reads the same under any clef.

Left out: stems, more than two voices, secondary beam breaks, cross-staff notes, ottava signs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from docpipe.notation.staff import (
    ACCIDENTALS,
    BARS,
    CLEFS,
    MARKS,
    METERS,
    REACH,
    RECIPS,
    Beam,
    Change,
    Event,
    Head,
    Kind,
    Measure,
    flags,
)

COLUMNS = 40
"""Columns of the grid that places are told in: a strip's width is cut into so many."""

GRACES = ("8", "16", "32", "4")
_BEAMED = tuple(r + b for r in RECIPS if flags(r) for b in "LMJ")

VOCABULARY: tuple[str, ...] = (
    *("*" + clef for clef in CLEFS),
    *(f"k{sharps}" for sharps in range(-7, 8)),
    *("M" + meter for meter in METERS),
    *BARS,
    *RECIPS,
    *_BEAMED,
    *("r" + r for r in RECIPS),
    *("y" + r for r in RECIPS),
    *("q" + r for r in GRACES),
    "R",
    "+",
    *(f"p{p}" for p in range(-REACH, REACH + 1)),
    *("a" + a for a in ACCIDENTALS),
    "[",
    "(",
    ")",
    *("m" + m for m in MARKS),
    *(f"x{c}" for c in range(COLUMNS)),
)
"""Every content token, in the order of the ids of the checkpoint; append, never reorder."""

_KNOWN = frozenset(VOCABULARY)
_EVENT = re.compile(r"([ryq]?)(\d+\.*)([LMJ]?)$")
_KINDS: dict[str, Kind] = {"": "note", "r": "rest", "y": "space", "q": "grace"}


@dataclass(frozen=True)
class Placed:
    """A token and what it was written for: an index into the measure's items and, for heads, into its heads."""

    token: str
    item: int | None
    head: int | None = None


def encode(measures: Sequence[Measure]) -> list[str]:
    """The tokens of consecutive measures of one staff. Raises ValueError on what the vocabulary cannot say."""
    return [placed.token for measure in measures for placed in encode_placed(measure)]


def encode_placed(measure: Measure) -> list[Placed]:
    """The tokens of one measure with what each stands for. Raises ValueError on what the vocabulary cannot say."""
    out: list[Placed] = []
    column: int | None = None
    for index, item in enumerate(measure.items):
        if isinstance(item, Change):
            out.append(Placed({"clef": "*", "key": "k", "meter": "M"}[item.what] + item.value, index))
            continue
        if item.x is not None and item.x != column:
            column = item.x
            out.append(Placed(f"x{column}", index))
        if item.voice:
            out.append(Placed("+", index))
        out.append(Placed(_event_token(item), index))
        out += [Placed("m" + mark, index) for mark in MARKS if mark in item.marks]
        out += [Placed(sign, index) for sign in ")" * item.closes + "(" * item.opens]
        for h, head in enumerate(item.heads):
            if head.accidental:
                out.append(Placed("a" + head.accidental, index, h))
            out.append(Placed(f"p{head.position}", index, h))
            if head.tied:
                out.append(Placed("[", index, h))
    if measure.bar:
        out.append(Placed(measure.bar, None))
    unknown = next((p.token for p in out if p.token not in _KNOWN), None)
    if unknown is not None:
        raise ValueError(f"the vocabulary has no {unknown!r}")
    return out


def _event_token(event: Event) -> str:
    if event.kind == "whole":
        return "R"
    sign = {"note": "", "rest": "r", "space": "y", "grace": "q"}[event.kind]
    return sign + event.recip + (event.beam if event.kind == "note" else "")


def split(text: str) -> list[str]:
    """The tokens of an answer's text, which has a blank after each; what the vocabulary lacks is passed over."""
    return [token for token in text.split() if token in _KNOWN]


def decode(tokens: Sequence[str], logprobs: Sequence[float] = ()) -> list[Measure]:
    """The measures that tokens say. Whatever a model may emit is taken: a token out of place is passed over.

    A strip holds one measure; where a bar line was not seen in cutting it holds two, parted by a bar token. What
    comes after the last bar token is a measure of its own with `bar` "". logprobs: of the tokens, natural logarithms,
    kept with the events and measures that they say; those beyond the last token, as of <eos>, go to the last measure.
    """
    measures: list[Measure] = []
    state, first = _Decoder(), 0
    for index, token in enumerate(tokens):
        if token in BARS:
            measures.append(Measure(state.finish(), token, tuple(logprobs[first : index + 1])))
            state, first = _Decoder(), index + 1
        else:
            state.take(token, logprobs[index] if index < len(logprobs) else None)
    rest, left = state.finish(), tuple(logprobs[first:])
    if rest:
        measures.append(Measure(rest, "", left))
    elif measures:
        measures[-1] = replace(measures[-1], logprobs=(*measures[-1].logprobs, *left))
    return measures


class _Decoder:
    """Collects the items of one measure."""

    def __init__(self) -> None:
        self.items: list[Event | Change] = []
        self.voice = 0
        self.x: int | None = None
        self.accidental = ""
        self.event: Event | None = None
        self.said: list[float] = []
        self.leading: list[float] = []

    def take(self, token: str, logprob: float | None = None) -> None:
        said = [] if logprob is None else [logprob]
        if token[0] == "x" and token[1:].isdigit():
            self.x = int(token[1:])
        elif token == "+":
            self.voice, self.leading = 1, said
        elif token == "R":
            self._start("whole", "1", "", said)
        elif (match := _EVENT.match(token)) is not None:
            sign, recip, beam = match.groups()
            self._start(_KINDS[sign], recip, beam, said)
        elif token[0] in "*kM" and token in _KNOWN:
            self._flush()
            what = {"*": "clef", "k": "key", "M": "meter"}[token[0]]
            self.items.append(Change(what, token[1:], logprob))  # type: ignore[arg-type]
        elif self.event is not None:
            self._detail(token, self.event)
            self.said += said

    def _start(self, kind: Kind, recip: str, beam: str, said: list[float]) -> None:
        self._flush()
        shown: Beam = beam if beam in ("L", "M", "J") else ""  # type: ignore[assignment]
        self.event = Event(kind, recip, voice=self.voice, beam=shown, x=self.x)
        self.said, self.leading = self.leading + said, []
        self.voice, self.accidental = 0, ""

    def _detail(self, token: str, event: Event) -> None:
        heads = event.heads
        if token[0] == "p" and event.kind in ("note", "grace"):
            position = int(token[1:])
            if all(head.position != position for head in heads):
                event = replace(event, heads=(*heads, Head(position, self.accidental)))
            self.accidental = ""
        elif token[0] == "a":
            self.accidental = token[1:]
        elif token == "[" and heads:
            event = replace(event, heads=(*heads[:-1], replace(heads[-1], tied=True)))
        elif token == "(":
            event = replace(event, opens=event.opens + 1)
        elif token == ")":
            event = replace(event, closes=event.closes + 1)
        elif token[0] == "m" and token[1:] not in event.marks:
            event = replace(event, marks=event.marks + token[1:])
        self.event = event

    def _flush(self) -> None:
        event, self.event = self.event, None
        if event is None or (event.kind in ("note", "grace") and not event.heads):
            return
        marks = "".join(mark for mark in MARKS if mark in event.marks)
        self.items.append(replace(event, marks=marks, sure=min(self.said, default=None)))

    def finish(self) -> tuple[Event | Change, ...]:
        self._flush()
        return tuple(self.items)
