"""Old type: Fraktur's long s, ch and e, which the recognition network takes for modern letters.

The network was trained on modern type. On old type its second choice is often the right letter, and a close one; on
modern type the same second choice is thousands of times less likely. So a page is told to be in old type by how
many of its f are nearly s, and then the close rivals are taken. A long s is written as s, as editions do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from docpipe.engines.ocr_models import RIVALS, Character

CLOSE = 0.01
"""A rival this likely beside the network's choice is close. Of f in modern type hardly any has an s this close."""

LEAST_F, SHARE = 6, 0.3
"""A page is in old type when it has so many f, and this share of them has a close s."""

_TAKEN = {"f": 0.006, "d": 0.002, "c": 0.05, "å": 0.01}
"""From which likelihood beside the network's choice its rival is taken, on a page in old type."""


def is_old_type(lines: Sequence[Sequence[Character]]) -> bool:
    """Whether these lines, a page's, are set in old type."""
    every = [letter for line in lines for letter in line if letter.text == "f"]
    return len(every) >= LEAST_F and sum(letter.rival > CLOSE for letter in every) >= SHARE * len(every)


def modernized(line: Sequence[Character]) -> list[Character]:
    """A line in old type with its close rivals taken."""
    return [_taken(letter, line[n + 1].text if n + 1 < len(line) else "") for n, letter in enumerate(line)]


def _taken(letter: Character, following: str) -> Character:
    if letter.text not in _TAKEN or letter.rival < _TAKEN[letter.text]:
        return letter
    if (letter.text == "d" and following not in "hk") or (letter.text == "c" and following in ("h", "k")):
        return letter
    rival = {"å": "ä", "f": "s"}.get(letter.text, RIVALS[letter.text][0])
    return replace(letter, text=rival)
