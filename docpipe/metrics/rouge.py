"""ROUGE-L, for captions and reports."""

from __future__ import annotations

from docpipe.metrics.subsequence import common_share
from docpipe.metrics.words import words


def rouge_l(answer: str, truth: str) -> float:
    """F1 of the longest common subsequence of words, 0..1 (Lin, ROUGE, ACL workshop 2004, section 3, beta = 1).

    COCO's captions are scored with beta = 1.2, which weighs recall more: its figures are not these. It sees neither
    meaning nor truth: a fluent sentence that says the opposite with the same words scores high, a right one in other
    words scores low.
    """
    return common_share(words(answer), words(truth))
