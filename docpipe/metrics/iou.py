"""Overlap of detected things with the true ones, both written as location tokens."""

from __future__ import annotations

from itertools import product

from docpipe.document import Box
from docpipe.notation.tokens import Found, read_objects


def box_f1(answer: str, truth: str, least: float = 0.5) -> float:
    """F1 of things found: a pair of one label whose boxes overlap by at least `least` (intersection over union), each
    thing in one pair at most, best pairs first. 1 when both hold nothing. IoU >= 0.5 is Pascal VOC's criterion
    (Everingham et al., IJCV 2010). It does not rank by score as `ap` does: the answers of `detect` carry
    none. It cannot see how well a box fits beyond `least`, nor a label that means the same in another word.
    """
    given, wanted = read_objects(answer)[0], read_objects(truth)[0]
    if not given and not wanted:
        return 1.0
    hits = sum(overlap >= least for overlap in _pairs(given, wanted))
    return 2 * hits / (len(given) + len(wanted))


def box_iou(answer: str, truth: str) -> float:
    """Mean intersection over union of the true things' boxes with those found of the same label; a thing that was not
    found, or found without being there, counts 0. The overlap is Jaccard's index. It cannot tell one box that is half
    right from two of which one is missing.
    """
    given, wanted = read_objects(answer)[0], read_objects(truth)[0]
    most = max(len(given), len(wanted))
    return sum(_pairs(given, wanted)) / most if most else 1.0


def mask_iou(first: tuple[int, ...], second: tuple[int, ...]) -> float:
    """Intersection over union of two masks of one size, as run lengths (`document.Detection`): Jaccard's index, as
    referring segmentation is scored. Two empty ones agree. It cannot see where the pixels differ: a ragged edge all
    around may cost as much as a missing limb.

    Raises ValueError when they are of unequal length.
    """
    if sum(first) != sum(second):
        raise ValueError(f"masks of {sum(first)} and {sum(second)} pixels")
    runs = [_ends(first), _ends(second)]
    edges = sorted({end for ends in runs for end, _ in ends})
    shared = either = start = 0
    places = [0, 0]
    for edge in edges:
        on = []
        for which, ends in enumerate(runs):
            while ends[places[which]][0] <= start:
                places[which] += 1
            on.append(ends[places[which]][1])
        shared += (edge - start) * (on[0] and on[1])
        either += (edge - start) * (on[0] or on[1])
        start = edge
    return shared / either if either else 1.0


def _ends(runs: tuple[int, ...]) -> list[tuple[int, bool]]:
    """Where each run that is not empty ends, and whether it is of the mask."""
    ends, total = [], 0
    for index, length in enumerate(runs):
        total += length
        if length:
            ends.append((total, index % 2 == 1))
    return ends


def _pairs(given: list[Found], wanted: list[Found]) -> list[float]:
    """The overlaps of the best pairs of one label, each thing in one pair at most."""
    every = [
        (Box(*given[i].place).iou(Box(*wanted[j].place)), i, j)
        for i, j in product(range(len(given)), range(len(wanted)))
        if given[i].label.casefold() == wanted[j].label.casefold()
    ]
    taken: list[float] = []
    left, right = set(range(len(given))), set(range(len(wanted)))
    for overlap, i, j in sorted(every, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if overlap > 0 and i in left and j in right:
            taken.append(overlap)
            left.discard(i)
            right.discard(j)
    return taken
