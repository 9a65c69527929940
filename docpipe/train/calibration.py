"""From how sure a model says it is to how often it is right: fitted on answers whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from docpipe.metrics.calibration import ece
from docpipe.models.confidence import Calibration, Measure, measured

MEASURES: tuple[Measure, ...] = get_args(Measure)

COARSE = 1e-3
"""A measure that is below this for three answers in four is not used."""


@dataclass(frozen=True)
class Judged:
    """An answer's log-probabilities, token by token, and whether it was exactly right.

    given: false where a checkpoint said that it has no answer. wanted: false where there was none to give. parts: of
    an answer that is judged in parts (a score's measures), each by itself.
    """

    logprobs: tuple[float, ...]
    right: bool
    given: bool = True
    wanted: bool = True
    parts: tuple[Judged, ...] = ()


def rising_means(values: np.ndarray) -> np.ndarray:
    """The closest never-falling sequence in least squares (pool adjacent violators; Barlow and others, 1972)."""
    blocks: list[list[float]] = []
    for value in values.astype(float):
        blocks.append([value, 1.0])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            mean, count = blocks.pop()
            before, many = blocks.pop()
            blocks.append([(before * many + mean * count) / (many + count), many + count])
    return np.concatenate([np.full(int(count), mean) for mean, count in blocks]) if blocks else np.zeros(0)


def separation(scores: np.ndarray, right: np.ndarray) -> float:
    """Area under the ROC curve: how likely a right answer scores above a wrong one; 0.5 where one kind is missing."""
    good, bad = scores[right], scores[~right]
    if not len(good) or not len(bad):
        return 0.5
    ranks = np.searchsorted(np.sort(bad), good, side="left") + np.searchsorted(np.sort(bad), good, side="right")
    return float(ranks.mean() / (2 * len(bad)))


def fit(answers: Sequence[Judged], points: int = 12) -> dict[str, Any]:
    """The map `{"measure", "x", "y"}` that docpipe.json holds, by the measure that tells right from wrong best.

    One right and one wrong answer are added at either end, so that no confidence is 0 or 1 outright. Raises ValueError
    when there are fewer than 20 answers.
    """
    if len(answers) < 20:
        raise ValueError(f"{len(answers)} answers are too few to calibrate on")
    right = np.array([a.right for a in answers])
    by_measure = {m: np.array([measured(a.logprobs, m) for a in answers]) for m in MEASURES}
    # The joint probability of a long answer is next to nothing whatever it is: no map has points fine enough for it.
    told = [m for m in MEASURES if np.quantile(by_measure[m], 0.75) > COARSE] or MEASURES[:1]
    measure = max(told, key=lambda m: separation(by_measure[m], right))
    order = np.argsort(by_measure[measure], kind="stable")
    scores, hits = by_measure[measure][order], right[order].astype(float)
    padded = rising_means(np.concatenate(([0.0, 1.0], hits, [0.0, 1.0])))[2:-2]
    chosen = np.unique(np.linspace(0, len(scores) - 1, min(points, len(scores))).round().astype(int))
    x = [0.0, *(round(float(scores[i]), 5) for i in chosen), 1.0]
    y = [round(float(padded[i]), 4) for i in (chosen[0], *chosen, chosen[-1])]
    return {"measure": measure, "x": x, "y": y, "separation": round(separation(scores, hits > 0), 4)}


PART_POINTS = 24
"""Of the map of parts, of which there are many more than answers."""


def fit_parts(judged: Mapping[str, Sequence[Judged]], threshold: float = 0.9) -> dict[str, Any] | None:
    """The map of docpipe.json's `part_confidence` from the parts of answers set by set, None where there are too few.

    It holds `measured` beside it: of each set how many parts, the share exactly right, the expected calibration error
    by this map and by the plain joint probability, and from which confidence on `threshold` of them are right (above 1
    where nowhere). All on the parts that it is fitted on: docpipe's benchmarks cross-validate.
    """
    parts = {name: [part for answer in some for part in answer.parts] for name, some in judged.items()}
    every = [part for some in parts.values() for part in some]
    if len(every) < 20:
        return None
    said = fit(every, PART_POINTS)
    sure = Calibration.from_json(said, "the map of parts")
    said["measured"] = {}
    for name, some in parts.items():
        right = [part.right for part in some]
        confidence = [sure(part.logprobs) for part in some]
        said["measured"][name] = {
            "n": len(some),
            "exact": round(sum(right) / max(1, len(some)), 4),
            "ece": round(ece(confidence, right), 4),
            "ece_before": round(ece([measured(part.logprobs, "joint") for part in some], right), 4),
            "right_from": round(abstain_below(confidence, right, threshold), 4),
        }
    return said


FEWEST = 5
"""Answers that a threshold of abstention must rest on."""


def abstain_below(confidences: Sequence[float], right: Sequence[bool], precision: float = 0.9) -> float:
    """The lowest confidence from which on at least `precision` of the answers are right; 1.01 where none is, or where
    fewer than `FEWEST` answers say so, which may be luck.
    """
    order = np.argsort(-np.asarray(confidences), kind="stable")
    sure, hits = np.asarray(confidences)[order], np.asarray(right)[order]
    share = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    last_of_tie = np.append(sure[:-1] != sure[1:], True) if len(sure) else np.zeros(0, bool)
    kept = np.nonzero((share >= precision) & last_of_tie & (np.arange(1, len(hits) + 1) >= FEWEST))[0]
    return float(sure[kept[-1]]) if len(kept) else 1.01


def silent_below(confidences: Sequence[float], total: int, share: float = 0.05) -> float:
    """The lowest confidence from which on at most `share` of `total` questions that have no answer would get one.

    confidences: of the answers that were given. To four decimals, as docpipe.json has it.
    """
    falling = sorted(confidences, reverse=True)
    allowed = int(share * total)
    if len(falling) <= allowed:
        return 0.0
    return round(falling[allowed] + 0.0001, 4)
