"""The closed world of words in which scenes are asked about and answered, and how things are named in it.

A word has the blank before it in its token, so that an answer's tokens join to a text. A prompt with any other word
cannot be spelt, and so is refused rather than misread.
"""

from __future__ import annotations

from collections.abc import Sequence

from docpipe.notation.tokens import loc, seg
from docpipe.train.synth.scene.canvas import Thing
from docpipe.train.synth.scene.colours import COLOURS
from docpipe.train.synth.scene.outlines import OUTLINES

STEPS = 31
"""Coordinates are told in steps of a 31st of the image's side: 32 of the 1024 location tokens."""

CODES = 64
"""Mask codes in use, of the 128 of the published codebook."""

KINDS = ("molecule", "score", "chart", "photo", "table", "text", "other")
"""Kinds of figures."""

_PLURALS = {"cross": "crosses", "fish": "fish", "box": "boxes"}
PLURALS = {name: _PLURALS.get(name, name + "s") for name in (*OUTLINES, "bar", "line", "slice", "column", "thing")}

_WORDS = """
a an the is are of in at on to and or with it there this that there's
what which who where how many much does do has have can you see not no yes
colour color colours colors shape shapes thing things object objects kind sort name image picture pictures page pages
scene figure drawing graph chart charts bar bars line lines slice slices pie column columns row rows title titles
table tables text photo
left right above below over under beside between top bottom middle centre center corner side
large larger largest small smaller smallest big bigger biggest little tall taller tallest short shorter shortest
high higher highest low lower lowest up down go goes rise rises fall falls than more most fewer all number from
background white only each both same other else any some first last show shows
true false
0 1 2 3 4 5 6 7 8 9
""".split()

FIRST = ("answer", "detect", "segment", "caption", "cap", "describe", "kind", "question")
"""Words that begin a prompt."""

LOCATIONS = tuple(loc(step / STEPS) for step in range(STEPS + 1))
_MARKS = (" ", "?", ".", ",", " ;", " en")
_SPOKEN = dict.fromkeys(" " + word for word in (*_WORDS, *COLOURS, *KINDS, *OUTLINES, *PLURALS.values()))
_KNOWN = [*_MARKS, " True", " False", *_SPOKEN]
_ROWS = 448

VOCABULARY: tuple[str, ...] = (
    *FIRST,
    *_KNOWN,
    *(f"<free{i}>" for i in range(_ROWS - len(_KNOWN) - len(FIRST) - len(LOCATIONS) - CODES)),
    *LOCATIONS,
    *(seg(code) for code in range(CODES)),
)
"""448 rows, some of them free for words to come; with five special tokens before them."""

WORLD = (
    f"shapes ({', '.join(OUTLINES)}) in {', '.join(COLOURS)}; bar, line and pie charts; thumbnails of pages; English"
)
"""What the answers are about, in words."""


def article(label: str) -> str:
    """The label with "a" or "an" before it."""
    return ("an " if label[0] in "aeiou" else "a ") + label


def listed(words: Sequence[str]) -> str:
    """Words as one says them one after the other: "a, b and c"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def zone(thing: Thing, side: int) -> str:
    """Where in the picture it lies, in thirds: "top left", "top", "centre" …"""
    x, y = thing.center
    across = ("left", "", "right")[min(2, int(3 * x / side))]
    down = ("top", "", "bottom")[min(2, int(3 * y / side))]
    return f"{down} {across}".strip() or "centre"


def clear(thing: Thing, side: int, margin: float = 0.02) -> bool:
    """Whether nobody would argue about its zone."""
    return all(abs(value / side - third) > margin for value in thing.center for third in (1 / 3, 2 / 3))
