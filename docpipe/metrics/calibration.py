"""Whether a confidence means what it says: expected calibration error, Brier score, reliability table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

By = Literal["width", "mass"]


@dataclass(frozen=True)
class Bin:
    """Answers of like confidence: the bin's edges, how many, their mean confidence, and the share that is right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability(confidences: Sequence[float], right: Sequence[float], bins: int = 15, by: By = "mass") -> list[Bin]:
    """The reliability table, lowest bin first, empty bins left out (DeGroot and Fienberg, The Statistician, 1983).

    confidences: 0..1. right: 1 for a right answer, 0 for a wrong one, or a score between. by width: bins of equal
    width (low exclusive, high inclusive, but 0 belongs to the first); by mass: bins of as equal counts as can be,
    answers in order of confidence (equal ones share their mean score, so their order does not count).

    Raises ValueError when the sequences differ in length, a confidence is outside 0..1, or bins < 1.
    """
    sure, hits = np.asarray(confidences, dtype=float), np.asarray(right, dtype=float)
    if sure.shape != hits.shape or bins < 1:
        raise ValueError(f"{sure.size} confidences, {hits.size} scores, {bins} bins")
    if sure.size and not (sure.min() >= 0 and sure.max() <= 1):
        raise ValueError("a confidence lies outside 0..1")
    if not sure.size:
        return []
    if by == "width":
        which = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
        parts = [(b / bins, (b + 1) / bins, np.flatnonzero(which == b)) for b in range(bins)]
    else:
        order = np.argsort(sure, kind="stable")
        _, inverse = np.unique(sure, return_inverse=True)
        hits = (np.bincount(inverse, hits) / np.bincount(inverse))[inverse]
        parts = [(sure[p].min(), sure[p].max(), p) for p in np.array_split(order, min(bins, sure.size))]
    return [
        Bin(float(low), float(high), len(p), float(sure[p].mean()), float(hits[p].mean()))
        for low, high, p in parts
        if len(p)
    ]


def ece(confidences: Sequence[float], right: Sequence[float], bins: int = 15, by: By = "mass") -> float:
    """Expected calibration error, 0..1, 0 is best: |confidence - accuracy| of each bin, weighed by its count.

    Naeini, Cooper and Hauskrecht, AAAI 2015; 15 bins of equal width is the form of Guo et al., ICML 2017, equal mass
    that of Nixon et al., 2019. It is biased upwards where answers are few, and a system that gives every answer the
    same right confidence scores 0 though it tells nothing apart: see `brier` beside it. 0 for no answers.
    """
    table = reliability(confidences, right, bins, by)
    total = sum(b.count for b in table)
    return sum(b.count * abs(b.confidence - b.accuracy) for b in table) / total if total else 0.0


def brier(confidences: Sequence[float], right: Sequence[float]) -> float:
    """The mean square of confidence less outcome, 0..1, 0 is best (Brier, Monthly Weather Review 78, 1950).

    Rewards being calibrated and telling right from wrong at once, so it does not say which of the two is amiss; and
    it depends on how often answers are right at all. 0 for no answers. Raises ValueError when the lengths differ.
    """
    if len(confidences) != len(right):
        raise ValueError(f"{len(confidences)} confidences, {len(right)} scores")
    if not confidences:
        return 0.0
    return float(np.mean((np.asarray(confidences, dtype=float) - np.asarray(right, dtype=float)) ** 2))
