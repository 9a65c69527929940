"""BLEU-4, for captions and reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from docpipe.metrics.words import words

ORDERS = 4


def bleu_4(answers: Sequence[str], truths: Sequence[Sequence[str]]) -> float:
    """BLEU of a corpus with n-grams of 1 to 4 words, 0..1, no smoothing (Papineni et al., BLEU, ACL 2002, section 2).

    truths: one or more references for each answer; an n-gram counts at most as often as in the one reference that
    has it most often. The brevity penalty compares the lengths of the whole corpus, each reference being the one of
    nearest length (the shorter of two as near). Raises ValueError when the sequences differ in length.

    A corpus's figure, not the mean of its sentences'. It sees words alone: neither synonyms nor whether what is said
    is true; and 0 for a small corpus may only mean that no four words in a row agree.
    """
    return bleu_of(np.sum([counts(a, t) for a, t in zip(answers, truths, strict=True)], axis=0))


def counts(answer: str, truths: Sequence[str]) -> npt.NDArray[np.float64]:
    """What one sentence adds to BLEU: hits by order, n-grams by order, words, words of the nearest reference."""
    said, references = words(answer), [words(truth) for truth in truths]
    hits, grams = [], []
    for order in range(1, ORDERS + 1):
        given = ngrams(said, order)
        most: Counter[tuple[str, ...]] = Counter()
        for reference in references:
            most |= ngrams(reference, order)
        hits.append((given & most).total())
        grams.append(given.total())
    nearest = min((len(r) for r in references), key=lambda n: (abs(n - len(said)), n), default=0)
    return np.array([*hits, *grams, len(said), nearest], dtype=np.float64)


def bleu_of(total: npt.NDArray[np.float64]) -> float:
    """BLEU of summed `counts`."""
    if np.ndim(total) == 0:
        return 0.0
    hits, grams, said, wanted = total[:ORDERS], total[ORDERS : 2 * ORDERS], float(total[-2]), float(total[-1])
    if not hits.all():
        return 0.0
    penalty = 1.0 if said >= wanted else float(np.exp(1 - wanted / said))
    return penalty * float(np.exp(np.log(hits / grams).mean()))


def ngrams(said: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    """How often each run of `order` words occurs."""
    return Counter(tuple(said[i : i + order]) for i in range(len(said) - order + 1))
