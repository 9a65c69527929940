"""Word F1 regardless of order."""

from __future__ import annotations

import unicodedata
from collections import Counter


def word_f1(answer: str, truth: str) -> float:
    """F1 of the two multisets of words (NFC, split at white space); 1 is best, and two empty texts agree.

    The "bag of words" of text recognition's evaluation (Pletschacher, Clausner and Antonacopoulos, Europeana Newspapers
    OCR workflow evaluation, HIP 2015).

    The fair figure where the order of the truth is arbitrary (forms, receipts). It cannot see order, nor nearly right
    words: one wrong letter loses the word.
    """
    given = Counter(unicodedata.normalize("NFC", answer).split())
    wanted = Counter(unicodedata.normalize("NFC", truth).split())
    total = given.total() + wanted.total()
    return 2 * (given & wanted).total() / total if total else 1.0
