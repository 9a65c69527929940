"""Accuracy of short answers."""

from __future__ import annotations

import re
import unicodedata

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_SIGNS = re.compile(r"[^\w\s.%-]|(?<!\d)\.|\.(?!\d)")


def normalized(answer: str) -> str:
    """An answer without case, articles and punctuation, as the VQA evaluation compares (Antol et al., ICCV 2015);
    numbers keep their point, sign and per cent. Number words are not made digits here.
    """
    text = unicodedata.normalize("NFC", answer).casefold().replace(",", "")
    return " ".join(_ARTICLES.sub(" ", _SIGNS.sub(" ", text)).split())


def same_answer(answer: str, truth: str) -> float:
    """1 when both answers are the same after `normalized`, else 0. A synonym is wrong here."""
    return float(normalized(answer) == normalized(truth))


def vqa_accuracy(answer: str, truths: list[str]) -> float:
    """min(1, people who gave this answer / 3), the mean over all choices of leaving one of them out (Antol et al.,
    ICCV 2015, section 4). Raises ValueError without truths.
    """
    if not truths:
        raise ValueError("no truths to compare with")
    hits = [same_answer(answer, truth) for truth in truths]
    if len(hits) == 1:
        return hits[0]
    return sum(min(1.0, (sum(hits) - hit) / 3) for hit in hits) / len(hits)


def relaxed_accuracy(answer: str, truth: str, tolerance: float = 0.05) -> float:
    """1 when numbers differ by at most 5 % of the truth, or words are the same (ChartQA, Masry et al., 2022)."""
    given, wanted = number(answer), number(truth)
    if given is None or wanted is None:
        return same_answer(answer, truth)
    return float(given == wanted if wanted == 0 else abs(given - wanted) <= tolerance * abs(wanted))


def number(text: str) -> float | None:
    """The number that a text is, thousands' commas, currency and per cent signs left out; None when it is none."""
    bare = re.sub(r"[,\s$€£¥%]", "", text.replace("\u2212", "-"))
    return float(bare) if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", bare) else None
