"""The words of a caption or report, as the metrics of captions count them."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Lower-cased runs of letters and digits.

    The evaluation code of COCO captions uses the Penn Treebank tokenizer, a Java program, and drops punctuation after
    it: the two differ in contractions ("don't" is `don t` here, `do n't` there) and words with hyphens. Figures
    computed with different tokenizers are not comparable to the last digit.
    """
    return _WORD.findall(text.lower())
