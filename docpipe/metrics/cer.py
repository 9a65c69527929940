"""Character and word error rate of running text."""

from __future__ import annotations

import unicodedata

from docpipe.metrics.levenshtein import Edits, edits, error_rate


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def cer(answer: str, truth: str) -> float:
    """Character error rate: edits to characters per character of the truth; 0 is best, above 1 is possible.

    Both texts are NFC and each run of white space counts as one blank (as in ISRI's and the ICDAR competitions'
    accuracy tools). Case and punctuation count. It cannot see meaning (a wrong digit costs as much as a wrong
    comma), and it punishes a block that was read right but in another order as if it were wrong.
    """
    return error_rate(_plain(answer), _plain(truth))


def wer(answer: str, truth: str) -> float:
    """Word error rate: edits to words per word of the truth; words are what white space separates, NFC.

    A word is right or wrong as a whole, so it says more than `cer` about search and less about legibility. Scripts
    written without blanks have no words here; use `cer` for them.
    """
    return error_rate(_plain(answer).split(), _plain(truth).split())


def character_edits(answer: str, truth: str) -> Edits:
    """What one text adds to the `cer` of a corpus."""
    return edits(_plain(answer), _plain(truth))


def word_edits(answer: str, truth: str) -> Edits:
    """What one text adds to the `wer` of a corpus."""
    return edits(_plain(answer).split(), _plain(truth).split())
