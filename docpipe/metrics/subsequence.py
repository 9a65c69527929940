"""The longest common subsequence, the base of ROUGE-L and of GriTS's text similarity."""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def common(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """The length of the longest sequence that both hold in order, gaps allowed.

    Bit-parallel: a column of the dynamic programme is one integer (Hyyrö, Bit-parallel LCS-length computation
    revisited, 2004); time is about len(first) * len(second) / 64.
    """
    places: dict[Hashable, int] = {}
    for index, item in enumerate(first):
        places[item] = places.get(item, 0) | 1 << index
    everywhere = (1 << len(first)) - 1
    unmatched = everywhere
    for item in second:
        step = unmatched & places.get(item, 0)
        unmatched = ((unmatched + step) | (unmatched - step)) & everywhere
    return len(first) - unmatched.bit_count()


def common_share(first: Sequence[Hashable], second: Sequence[Hashable]) -> float:
    """Twice the longest common subsequence over both lengths, 0..1. Two empty sequences agree."""
    total = len(first) + len(second)
    return 2 * common(first, second) / total if total else 1.0
