"""ANLS, for answers read off documents."""

from __future__ import annotations

from docpipe.metrics.levenshtein import distance


def anls(answer: str, truth: str, threshold: float = 0.5) -> float:
    """Normalised Levenshtein similarity, 0 below the threshold (DocVQA; Biten et al., ICCV 2019, section 4.2).

    Case and runs of white space do not count. Forgives a misread letter; sees no meaning: 1999 for 1998 scores 0.75.
    """
    given, wanted = (" ".join(text.casefold().split()) for text in (answer, truth))
    longest = max(len(given), len(wanted))
    similarity = 1 - distance(given, wanted) / longest if longest else 1.0
    return similarity if similarity >= threshold else 0.0
