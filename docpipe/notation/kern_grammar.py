"""What may follow what in the tokens of a strip (kern_tokens.py), so that a decoder says nothing that is no music.

A finite walk: a `State` after each token, and from a state the groups of tokens that may come. It knows the order in
which `kern_tokens.encode` writes (column, voice, event, marks, slurs, heads from the lowest up) and how far both voices
have come: the voice that is behind goes on, and a bar comes where none is left behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Literal, NamedTuple

from docpipe.notation.kern_tokens import COLUMNS, VOCABULARY
from docpipe.notation.staff import BARS, MARKS, duration

END = ""
"""Stands for the end of the answer among the tokens that may come."""

TICKS = 6720
"""Of a quarter note: every duration of the vocabulary is a whole number of them."""

MOST_MEASURES = 2
"""In one strip, which holds two where a bar was not seen in cutting."""

MOST_SLURS = 3
"""That begin or end at one event."""

Kind = Literal["change", "column", "voice", "note", "rest", "space", "grace", "whole", "mark", "close", "open",
               "accidental", "head", "tie", "bar"]  # fmt: skip
Group = tuple[str, int]
"""A group of tokens and its bound: heads above a position, columns after one, events that last no longer …"""

_BY_LETTER: dict[str, Kind] = {"*": "change", "k": "change", "M": "change", "x": "column", "r": "rest", "y": "space",
                               "q": "grace", "m": "mark", "a": "accidental", "p": "head"}  # fmt: skip
_BY_TOKEN: dict[str, Kind] = {"+": "voice", "R": "whole", "[": "tie", "(": "open", ")": "close"}
KINDS: dict[str, Kind] = {
    token: _BY_TOKEN.get(token) or ("bar" if token in BARS else _BY_LETTER.get(token[0], "note"))
    for token in VOCABULARY
}
LASTS = {
    token: int(duration(token.lstrip("ry").rstrip("LMJ")) * TICKS)
    for token in VOCABULARY
    if KINDS[token] in ("note", "rest", "space")
}
_CHANGES = "*kM"
_EVENTS = ("note", "rest", "space", "grace", "whole")
_SOUNDING = ("note", "grace")


class State(NamedTuple):
    """Where a walk is.

    phase: the kind of the last token, "" at the start of a measure. event: the kind of the event that is being told.
    column: the last one named. heads: of the event; low: the last one's position. mark: how far in MARKS. slurs: how
    many of the last sign in a row. upper, lower: how far the voices have come in this measure, in ticks; -1 where one
    rests for all of it. begun: whether the upper voice has an event, second: whether the lower has. measures: bars so
    far. signs: which kinds of change stand here in a row, as bits.
    """

    phase: str = ""
    event: str = ""
    column: int = -1
    heads: int = 0
    low: int = -99
    mark: int = -1
    slurs: int = 0
    upper: int = 0
    lower: int = 0
    begun: bool = False
    second: bool = False
    measures: int = 0
    signs: int = 0


class Grammar(NamedTuple):
    """The rules. timed: a voice that is ahead waits for the other. length: of the first measure in ticks, 0 for any."""

    timed: bool = True
    length: int = 0

    def after(self, state: State, token: str) -> State:
        """The state after a token that may come."""
        kind = KINDS[token]
        if kind in _EVENTS:
            return self._event(state, token, kind)
        if kind == "head":
            return state._replace(phase="head", heads=state.heads + 1, low=int(token[1:]))
        if kind == "column":
            return state._replace(phase="column", event="", signs=0, column=int(token[1:]))
        if kind == "bar":
            return State(column=state.column, measures=state.measures + 1)
        if kind == "change":
            return state._replace(phase="change", event="", signs=state.signs | 1 << _CHANGES.index(token[0]))
        if kind == "mark":
            return state._replace(phase="mark", mark=MARKS.index(token[1:]))
        if kind in ("close", "open"):
            return state._replace(phase=kind, slurs=state.slurs + 1 if state.phase == kind else 1)
        return state._replace(phase=kind, event="" if kind == "voice" else state.event)

    def _event(self, state: State, token: str, kind: Kind) -> State:
        voice = state.phase == "voice"
        upper, lower = state.upper, state.lower
        if kind == "whole":
            upper, lower = (upper, -1) if voice else (-1, lower)
        elif kind != "grace":
            upper, lower = (upper, lower + LASTS[token]) if voice else (upper + LASTS[token], lower)
        timed = kind != "grace"
        return State(kind, kind, state.column, upper=upper, lower=lower, begun=state.begun or (timed and not voice),
                     second=state.second or (timed and voice), measures=state.measures)  # fmt: skip

    def follow(self, state: State) -> tuple[Group, ...]:
        """The groups of tokens that may come; `members` tells their tokens."""
        phase, event = state.phase, state.event
        if phase == "accidental":
            return (("head", state.low),)
        groups: list[Group] = []
        if event and phase != "column":
            self._details(state, groups)
            if event in _SOUNDING and not state.heads:
                return tuple(groups)
        if not phase and state.measures:
            groups.append(("end", 0))
            if state.measures >= MOST_MEASURES:
                return tuple(groups)
        self._items(state, groups)
        return tuple(groups)

    def _details(self, state: State, groups: list[Group]) -> None:
        """Marks, slurs and heads of the event that is being told."""
        phase, sounds = state.phase, state.event in _SOUNDING
        early = phase in _EVENTS or phase == "mark"
        if early and state.event != "space":
            groups.append(("mark", state.mark))
        if not sounds:
            return
        if early or (phase == "close" and state.slurs < MOST_SLURS):
            groups.append(("close", 0))
        if early or phase == "close" or (phase == "open" and state.slurs < MOST_SLURS):
            groups.append(("open", 0))
        if state.low < _HIGHEST:
            groups += [("accidental", 0), ("head", state.low)]
        if phase == "head" and state.event == "note":
            groups.append(("tie", 0))

    def _items(self, state: State, groups: list[Group]) -> None:
        """What a new item, or the bar, may begin with."""
        phase = state.phase
        upper, lower = self._room(state, state.upper), self._room(state, state.lower)
        if self.timed and state.second and 0 <= state.upper < state.lower:
            lower = 0
        if phase not in ("column", "voice"):
            groups.append(("change", state.signs))
            if (upper or lower) and state.column < _LAST_COLUMN:
                groups.append(("column", state.column))
            if self._may_end(state):
                groups.append(("bar", 0))
        if phase != "voice" and lower:
            groups.append(("voice", 0))
        now, room = (state.lower, lower) if phase == "voice" else (state.upper, upper)
        if room:
            groups += [("grace", 0), ("event", room)]
            if now == 0:
                groups.append(("whole", 0))

    def _room(self, state: State, reached: int) -> int:
        """How long the next event of a voice may last: -1 for any length, 0 where the voice has ended."""
        if reached < 0:
            return 0
        return -1 if not self.length or state.measures else max(0, self.length - reached)

    def _may_end(self, state: State) -> bool:
        if not state.begun and not state.second:
            return state.phase == "change"  # signs alone, before a bar that begins a repeat
        if self.timed and state.second and 0 <= state.upper < state.lower:
            return False
        reached = max(state.upper, state.lower)
        return not self.length or state.measures > 0 or reached <= 0 or reached == self.length


ANY = Grammar()
_HIGHEST = max(int(t[1:]) for t in VOCABULARY if KINDS[t] == "head")
_LAST_COLUMN = COLUMNS - 1


@cache
def members(group: Group) -> tuple[str, ...]:
    """The tokens of a group."""
    name, bound = group
    if name == "end":
        return (END,)
    if name == "event":
        return tuple(t for t, lasts in LASTS.items() if bound < 0 or lasts <= bound)
    tokens = tuple(t for t in VOCABULARY if KINDS[t] == name)
    if name == "mark":
        return tuple(t for t in tokens if MARKS.index(t[1:]) > bound)
    if name in ("head", "column"):
        return tuple(t for t in tokens if int(t[1:]) > bound)
    if name == "change":
        return tuple(t for t in tokens if not bound >> _CHANGES.index(t[0]) & 1)
    return tokens


def broken_at(tokens: Sequence[str], grammar: Grammar = ANY) -> int | None:
    """The index of the first token that may not stand where it does, len(tokens) where only the end may not; None."""
    state = State()
    for index, token in enumerate((*tokens, END)):
        if not any(token in members(group) for group in grammar.follow(state)):
            return index
        if token != END:
            state = grammar.after(state, token)
    return None
