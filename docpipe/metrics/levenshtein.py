"""Edit distance between two sequences, the base of every error rate here."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple


def distance(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """The least number of insertions, deletions and substitutions that turn one sequence into the other.

    Bit-parallel: one column of the dynamic programme is held as two bit vectors (Myers, J. ACM 46(3), 1999, in
    Hyyrö's form for the edit distance, 2003). Python's integers have no word size, so any length works; time is about
    len(first) * len(second) / 64.
    """
    if len(first) > len(second):
        first, second = second, first
    if not first:
        return len(second)
    places: dict[Hashable, int] = {}
    for index, item in enumerate(first):
        places[item] = places.get(item, 0) | 1 << index
    everywhere, last = (1 << len(first)) - 1, 1 << (len(first) - 1)
    up, down, score = everywhere, 0, len(first)
    for item in second:
        same = places.get(item, 0)
        vertical = same | down
        horizontal = (((same & up) + up) ^ up) | same
        rise = down | ~(horizontal | up) & everywhere
        fall = up & horizontal
        if rise & last:
            score += 1
        elif fall & last:
            score -= 1
        rise, fall = (rise << 1 | 1) & everywhere, fall << 1 & everywhere
        up, down = fall | ~(vertical | rise) & everywhere, rise & vertical
    return score


class Edits(NamedTuple):
    """The edits of an answer and the items of its truth. Summed over a corpus they give its error rate."""

    edits: int
    of: int


def edits(answer: Sequence[Hashable], truth: Sequence[Hashable]) -> Edits:
    """The edit distance from the answer, and the length of the truth."""
    return Edits(distance(answer, truth), len(truth))


def error_rate(answer: Sequence[Hashable], truth: Sequence[Hashable]) -> float:
    """Edits per item of the truth: 0 for equal sequences, above 1 where the answer runs on.

    Of an empty truth it is 0 when the answer is empty too, else 1: an invention is one whole error.
    """
    if not truth:
        return 1.0 if answer else 0.0
    return distance(answer, truth) / len(truth)
