"""Average precision of boxes, as COCO counts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from docpipe.document import Box

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
RECALLS = np.linspace(0.0, 1.0, 101)
MOST_FOUND = 100


@dataclass(frozen=True)
class Scored:
    """A thing found in an image, or a true one, whose score does not count."""

    label: str
    box: Box
    score: float = 1.0


def average_precision(
    answers: Sequence[Sequence[Scored]],
    truths: Sequence[Sequence[Scored]],
    thresholds: Sequence[float] = THRESHOLDS,
    weights: Sequence[float] | None = None,
) -> float:
    """AP of boxes over a set of images, 0..1: the mean over labels and thresholds of IoU (COCO: 0.50 to 0.95).

    Lin et al., Microsoft COCO, ECCV 2014, and its evaluation code: for each label, things found are taken surest first
    over all images (at most 100 an image and label), each matched with the free true box of most overlap; precision
    at 101 recalls, each the best at that recall or more. Labels that no truth has are left out. weights: how often
    each image counts, for a bootstrap. 0 when there is no truth at all. Raises ValueError when lengths differ.

    It needs scores that rank: where all are equal, as with PaliGemma's answers, which hold none, the order given
    decides and the figure is near precision times recall. Crowds, areas and "difficult" truths are not told apart.
    """
    weigh = np.ones(len(truths)) if weights is None else np.asarray(weights, dtype=float)
    return ap_of(matches(answers, truths, thresholds), weigh)


@dataclass(frozen=True)
class Matches:
    """What things found of a label came to, surest first: image, and for each threshold whether it is a true one.

    wanted: the true things of the label in each image.
    """

    image: npt.NDArray[np.int64]
    hit: npt.NDArray[np.bool_]
    wanted: npt.NDArray[np.float64]


def matches(
    answers: Sequence[Sequence[Scored]], truths: Sequence[Sequence[Scored]], thresholds: Sequence[float] = THRESHOLDS
) -> dict[str, Matches]:
    """Things found matched with the true ones, for each label that a truth has."""
    if len(answers) != len(truths):
        raise ValueError(f"{len(answers)} answers, {len(truths)} truths")
    found: dict[str, Matches] = {}
    for label in sorted({thing.label for image in truths for thing in image}):
        rows: list[tuple[float, int, npt.NDArray[np.bool_]]] = []
        wanted = np.zeros(len(truths))
        for index, (given, true) in enumerate(zip(answers, truths, strict=True)):
            boxes = [thing.box for thing in true if thing.label == label]
            ranked = sorted((t for t in given if t.label == label), key=lambda t: -t.score)[:MOST_FOUND]
            wanted[index] = len(boxes)
            hits = _hits([t.box for t in ranked], boxes, thresholds)
            rows += [(t.score, index, hit) for t, hit in zip(ranked, hits, strict=True)]
        rows.sort(key=lambda row: -row[0])
        hit = np.array([h for _, _, h in rows], dtype=bool).reshape(len(rows), len(thresholds))
        found[label] = Matches(np.array([i for _, i, _ in rows], dtype=np.int64), hit, wanted)
    return found


def ap_of(table: Mapping[str, Matches], weights: npt.NDArray[np.float64]) -> float:
    """The mean over labels of the average precision of matches, each image counted by its weight."""
    values = []
    for found in table.values():
        total = float(weights @ found.wanted)
        if not total:
            continue
        if not len(found.image):
            values.append(0.0)
            continue
        weigh = weights[found.image]
        by_threshold = []
        for hit in found.hit.T:
            right, given = np.cumsum(weigh * hit), np.cumsum(weigh)
            precision = np.divide(right, given, out=np.zeros_like(right), where=given > 0)
            best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
            by_threshold.append(best[np.searchsorted(right / total, RECALLS, side="left")].mean())
        values.append(float(np.mean(by_threshold)))
    return float(np.mean(values)) if values else 0.0


def _hits(found: Sequence[Box], true: Sequence[Box], thresholds: Sequence[float]) -> npt.NDArray[np.bool_]:
    """For each thing found, surest first, and each threshold whether a free true box overlaps it enough."""
    hits = np.zeros((len(found), len(thresholds)), dtype=bool)
    overlaps = [[one.iou(other) for other in true] for one in found]
    for t, least in enumerate(thresholds):
        taken: set[int] = set()
        for index, row in enumerate(overlaps):
            best, which = min(least, 1 - 1e-10), -1
            for other, overlap in enumerate(row):
                if other not in taken and overlap >= best:
                    best, which = overlap, other
            if which >= 0:
                taken.add(which)
                hits[index, t] = True
    return hits
