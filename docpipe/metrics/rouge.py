"""ROUGE-L, for captions and reports."""

from __future__ import annotations

import re


def rouge_l(answer: str, truth: str) -> float:
    """F1 of the longest common subsequence of words, 0..1 (Lin, ROUGE, ACL workshop 2004, section 3, beta = 1).

    Words are lower-cased runs of letters and digits. It sees neither meaning nor truth: a fluent sentence that says
    the opposite with the same words scores high, a right one in other words scores low.
    """
    given, wanted = _words(answer), _words(truth)
    if not given or not wanted:
        return float(given == wanted)
    row = [0] * (len(wanted) + 1)
    for word in given:
        diagonal = 0
        for index, other in enumerate(wanted, 1):
            above = row[index]
            row[index] = diagonal + 1 if word == other else max(above, row[index - 1])
            diagonal = above
    return 2 * row[-1] / (len(given) + len(wanted))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
