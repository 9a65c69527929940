"""Error rate of formulas."""

from __future__ import annotations

import re

from docpipe.metrics.levenshtein import error_rate

_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|[^\s]")


def latex_error(answer: str, truth: str) -> float:
    r"""Edits to tokens per token of the truth; 0 is best. A token is a command or one character; blanks do not count.

    As the edit distance of Im2LaTeX (Deng et al., Image-to-markup generation, ICML 2017), which divides by the longer
    sequence; here by the truth, as in all error rates of docpipe. Nothing is normalised: x^2 and x^{2} differ by two
    tokens though they print alike.
    """
    return error_rate(_TOKEN.findall(answer), _TOKEN.findall(truth))
