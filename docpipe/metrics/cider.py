"""CIDEr-D, for captions with several references."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from docpipe.metrics.bleu import ORDERS, ngrams
from docpipe.metrics.words import words

SPREAD = 6.0
"""The standard deviation, in words, of the penalty for a wrong length."""

Vector = dict[tuple[str, ...], float]


def cider_d(answers: Sequence[str], truths: Sequence[Sequence[str]]) -> float:
    """CIDEr-D of a corpus: the mean of `cider_scores`; 0 to 10, and above 1 (often written 100) is usual on COCO."""
    scores = cider_scores(answers, truths)
    return sum(scores) / len(scores) if scores else 0.0


def cider_scores(answers: Sequence[str], truths: Sequence[Sequence[str]]) -> list[float]:
    """CIDEr-D of each answer against its references (Vedantam, Zitnick and Parikh, CIDEr, CVPR 2015).

    Cosines of tf-idf vectors of n-grams of 1 to 4 words, clipped to the reference's counts, times a Gaussian penalty
    on the difference in length, mean over orders and references, times 10. A gram's weight comes from how many of
    the images given here have it in a reference: scores of different corpora do not compare, and of a corpus of one
    image all are 0. No stemming, as in COCO's code; tokens as in `words`. Raises ValueError when the sequences differ
    in length. It rewards what sets an image apart from others; it does not see grammar or truth.
    """
    if len(answers) != len(truths):
        raise ValueError(f"{len(answers)} answers, {len(truths)} truths")
    references = [[_grams(truth) for truth in several] for several in truths]
    seen: Counter[tuple[str, ...]] = Counter()
    for several in references:
        seen.update({gram for one in several for order in one for gram in order})
    images = math.log(len(answers)) if answers else 0.0
    scores = []
    for answer, several in zip(answers, references, strict=True):
        given = _grams(answer)
        total = sum(_likeness(given, one, seen, images) for one in several)
        scores.append(10 * total / len(several) if several else 0.0)
    return scores


def _grams(text: str) -> list[Counter[tuple[str, ...]]]:
    said = words(text)
    return [ngrams(said, order) for order in range(1, ORDERS + 1)]


def _likeness(
    given: Sequence[Counter[tuple[str, ...]]],
    wanted: Sequence[Counter[tuple[str, ...]]],
    seen: Counter[tuple[str, ...]],
    images: float,
) -> float:
    # COCO's code takes the number of bigrams for the length: one less than the words, the difference is the same but
    # for texts of no word at all.
    gap = given[1].total() - wanted[1].total()
    total = 0.0
    for one, other in zip(given, wanted, strict=True):
        a, b = (_weighed(grams, seen, images) for grams in (one, other))
        product = sum(min(weight, b[gram]) * b[gram] for gram, weight in a.items() if gram in b)
        lengths = math.sqrt(sum(w * w for w in a.values())) * math.sqrt(sum(w * w for w in b.values()))
        total += product / lengths if lengths else 0.0
    return total / ORDERS * math.exp(-(gap**2) / (2 * SPREAD**2))


def _weighed(grams: Counter[tuple[str, ...]], seen: Counter[tuple[str, ...]], images: float) -> Vector:
    return {gram: count * (images - math.log(max(1, seen[gram]))) for gram, count in grams.items()}
