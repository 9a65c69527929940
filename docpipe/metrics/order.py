"""Reading order: how near a sequence of blocks is to the true one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import combinations

from docpipe.metrics.levenshtein import distance


def kendall_tau(answer: Sequence[Hashable], truth: Sequence[Hashable]) -> float:
    """Kendall's tau of the items that both hold, -1..1: 1 in the same order, -1 reversed, about 0 at random.

    1 - 2 * pairs out of order / all pairs (Kendall, Biometrika 30, 1938; for the order of text Lapata, Computational
    Linguistics 32, 2006). Items that only one side has are left out: see `order_similarity` for what is missing. A
    block moved to the other end costs as many pairs as there are blocks between. With fewer than two items in common
    it is 1. Raises ValueError when an item stands twice in one sequence.
    """
    for sequence in (answer, truth):
        if len(set(sequence)) != len(sequence):
            raise ValueError("an item stands twice in a sequence")
    places = {item: index for index, item in enumerate(truth)}
    ranks = [places[item] for item in answer if item in places]
    pairs = len(ranks) * (len(ranks) - 1) // 2
    return 1 - 2 * sum(a > b for a, b in combinations(ranks, 2)) / pairs if pairs else 1.0


def order_similarity(answer: Sequence[Hashable], truth: Sequence[Hashable]) -> float:
    """1 - edit distance of the two sequences over the longer one, 0..1; two empty ones agree.

    Counts blocks that are missing or too many as well as misplaced ones; a block moved costs 2, however far.
    """
    longest = max(len(answer), len(truth))
    return 1 - distance(answer, truth) / longest if longest else 1.0
