"""Columns and reading order: in which order would a person read these boxes?

A recursive cut in the manner of Nagy and Seth (Hierarchical representation of optically scanned documents, ICPR 1984,
the XY-cut), with two changes. Bands of a page that share a gutter are taken together before it is cut, so that a gap
that happens to run across two columns does not interleave them. Where no straight cut exists, or a gap could be a
boundary as well as not, the order in which the file draws its text decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from docpipe.document import Box

MOST_INTERLOCKED = 200


@dataclass(frozen=True, slots=True)
class Run:
    """Boxes of one column, top to bottom, as indices. `entangled`: no straight cut told them apart."""

    items: tuple[int, ...]
    entangled: bool = False


def reading_order(
    boxes: Sequence[Box], drawn: Sequence[int] | None = None, gutter: float = 8.0, right_to_left: bool = False
) -> list[Run]:
    """The boxes in reading order, as runs of one column each.

    drawn: the place of each box in the file's own order (by default the order given; -1 where the file says
    nothing). gutter: the least blank width between columns, in points.
    """
    drawn = list(range(len(boxes))) if drawn is None else drawn
    return list(_cut(list(range(len(boxes))), boxes, drawn, gutter, right_to_left)) if boxes else []


def _cut(items: list[int], boxes: Sequence[Box], drawn: Sequence[int], gutter: float, rtl: bool) -> list[Run]:
    if len(items) == 1:
        return [Run(tuple(items))]
    runs: list[Run] = []
    plain: list[int] = []
    for group in _groups(_bands(items, boxes), boxes, drawn, gutter):
        columns = _columns(group, boxes, gutter)
        if len(columns) == 1 and len(_bands(group, boxes)) == len(group):
            plain += sorted(group, key=lambda i: boxes[i].y0)
            continue
        if plain:
            runs.append(Run(tuple(plain)))
            plain = []
        if len(columns) > 1:
            for column in reversed(columns) if rtl else columns:
                runs += _cut(column, boxes, drawn, gutter, rtl)
        elif len(bands := _bands(group, boxes)) > 1:
            for band in bands:
                runs += _cut(band, boxes, drawn, gutter, rtl)
        else:
            runs += _entangled(group, boxes, drawn, rtl)
    if plain:
        runs.append(Run(tuple(plain)))
    return runs


def _bands(items: Sequence[int], boxes: Sequence[Box]) -> list[list[int]]:
    """Items cut at every blank height. Boxes that overlap by a little (tall accents) still count as apart."""
    bands: list[list[int]] = []
    bottom = 0.0
    for item in sorted(items, key=lambda i: (boxes[i].y0, boxes[i].x0)):
        slack = min(2.0, 0.25 * boxes[item].height)
        if bands and boxes[item].y0 < bottom - slack:
            bands[-1].append(item)
            bottom = max(bottom, boxes[item].y1)
        else:
            bands.append([item])
            bottom = boxes[item].y1
    return bands


def _columns(items: Sequence[int], boxes: Sequence[Box], gutter: float) -> list[list[int]]:
    """Items cut at every blank width of at least `gutter` points, left to right."""
    columns: list[list[int]] = []
    right = 0.0
    for item in sorted(items, key=lambda i: (boxes[i].x0, boxes[i].y0)):
        if columns and boxes[item].x0 < right + gutter:
            columns[-1].append(item)
            right = max(right, boxes[item].x1)
        else:
            columns.append([item])
            right = boxes[item].x1
    return columns


def _groups(bands: list[list[int]], boxes: Sequence[Box], drawn: Sequence[int], gutter: float) -> list[list[int]]:
    """Neighbouring bands joined while one gutter runs through all of them and the file does not end in between."""
    groups: list[list[int]] = []
    for band in bands:
        if groups:
            merged = groups[-1] + band
            before, after = _columns(groups[-1], boxes, gutter), _columns(merged, boxes, gutter)
            alone = len(before) == 1 and len(_columns(band, boxes, gutter)) == 1
            if len(after) > 1 and not alone and not _drawn_apart(groups[-1], band, after, drawn):
                groups[-1] = merged
                continue
        groups.append(band)
    return groups


def _drawn_apart(above: list[int], below: list[int], columns: list[list[int]], drawn: Sequence[int]) -> bool:
    """Whether the file draws all of `above` before all of `below` though a column could have run on.

    Only telling when both have text in more than one column: a column drawn as a whole would have mixed them.
    """
    first = [drawn[i] for i in above if drawn[i] >= 0]
    second = [drawn[i] for i in below if drawn[i] >= 0]
    if not first or not second or max(first) > min(second):
        return False
    place = {item: number for number, column in enumerate(columns) for item in column}
    return len({place[i] for i in above}) > 1 and len({place[i] for i in below}) > 1


def _entangled(items: list[int], boxes: Sequence[Box], drawn: Sequence[int], rtl: bool) -> list[Run]:
    """Boxes that no straight line parts: by what must come before what, or as drawn when they overlap."""
    if len(items) <= MOST_INTERLOCKED and not _overlap(items, boxes):
        return [Run(tuple(_by_precedence(items, boxes, drawn, rtl)))]
    return [Run(tuple(sorted(items, key=lambda i: (drawn[i] < 0, drawn[i], boxes[i].y0))), entangled=True)]


def _overlap(items: Sequence[int], boxes: Sequence[Box]) -> bool:
    return any(boxes[a].grown(-1).intersection(boxes[b].grown(-1)) > 0 for n, a in enumerate(items) for b in items[:n])


def _by_precedence(items: list[int], boxes: Sequence[Box], drawn: Sequence[int], rtl: bool) -> list[int]:
    """Order by what must come before what (Breuel, High performance document layout analysis, SDIUT 2003): above
    when two share width, ahead when they share height. The file's order breaks ties and cycles.
    """

    def precedes(a: Box, b: Box) -> bool:
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1:
            return a.y0 < b.y0
        if min(a.y1, b.y1) - max(a.y0, b.y0) > 1:
            return (a.x0 > b.x0) is rtl
        return False

    left = {i: {j for j in items if j != i and precedes(boxes[j], boxes[i])} for i in items}
    order: list[int] = []
    while left:
        free = [i for i in left if not left[i]] or list(left)
        follow = [i for i in free if order and drawn[i] == drawn[order[-1]] + 1]
        chosen = follow[0] if follow else min(free, key=lambda i: (drawn[i], boxes[i].y0))
        order.append(chosen)
        del left[chosen]
        for before in left.values():
            before.discard(chosen)
    return order
