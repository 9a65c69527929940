"""Pixels of a drawn molecule to strokes: letters set apart, wedges found by their width, lines by their skeleton.

Points are complex numbers, x + yj with y downwards, in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from docpipe.box import Box
from docpipe.engines.bond_strokes import BOLD, DASHED, HASH, MOST, SINGLE, WEDGE, Bond, Strokes, bonds_of, unit_of
from docpipe.engines.skeleton import lines_in, under_others

Ink = NDArray[np.bool_]

UNIT = 60.0
"""Pixels of a bond that drawings are brought to before they are looked at."""

_LETTER = 0.85
"""Marks up to so many bonds may be letters."""


@dataclass(frozen=True)
class _Mark:
    """A piece of connected ink. length, breadth and axis: of the narrowest rectangle around it, in any direction."""

    number: int
    box: Box
    area: int
    length: float
    breadth: float
    axis: Bond

    def is_bar(self, pen: float) -> bool:
        """Whether it is one straight stroke and no letter but I, l, 1 or a minus."""
        thin = self.breadth < 1.6 * pen and self.area < 1.1 * pen * self.length
        return thin or (self.length > 1.3 * self.breadth and self.area > 0.75 * self.length * self.breadth)

    @property
    def is_oblique(self) -> bool:
        way = self.axis.direction
        return min(abs(way.real), abs(way.imag)) > 0.2


def strokes_in(ink: Ink, unit: float, *, exact: bool = False) -> Strokes:
    """The strokes of a drawing whose bonds are about `unit` pixels long; what they are is measured on the way, unless
    it is `exact`.
    """
    import cv2

    _, marked, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    numbers = marked.astype(np.int32)
    pen = _pen(ink)
    large = [n for n in range(1, len(stats)) if stats[n, cv2.CC_STAT_AREA] > 0.3 * pen * pen]
    if len(large) > MOST:
        return Strokes(strange=len(large), unit=unit)
    marks = [_mark(numbers, number, stats[number]) for number in large]
    found = _strokes(numbers, marks, unit, pen)
    lines = [b for b in found.bonds if b.length > 0.3 * unit]
    if lines and not exact:
        measured = unit_of(lines)
        if not 0.9 < measured / unit < 1.1:
            return _strokes(numbers, marks, measured, pen)
        found.unit = measured
    return found


def longer_unit(strokes: Strokes) -> float | None:
    """The length of a bond if the drawing's letters were so large that what they leave of bonds was taken for it."""
    long = sorted(bond.length for bond in strokes.bonds if 1.3 < bond.length / strokes.unit < 1.8)
    return long[len(long) // 2] if len(long) > 1 else None


def _strokes(numbers: NDArray[np.int32], marks: list[_Mark], unit: float, pen: float) -> Strokes:
    letters, boxes = _letters(numbers, marks, unit, pen)
    found = Strokes(unit=unit, letters=boxes)
    lines: list[Bond] = []
    wedges: list[Bond] = []
    for mark in marks:
        if mark.number in letters:
            continue
        x0, y0 = int(mark.box.x0), int(mark.box.y0)
        own = numbers[y0 : int(mark.box.y1), x0 : int(mark.box.x1)] == mark.number
        circle = _circle(own, mark, unit, pen)
        if circle is not None:
            found.circles.append(circle)
            continue
        if mark.breadth < 1.4 * pen:
            lines.append(mark.axis)
            continue
        broad = list(_wedges_in(own, unit, pen))
        for _, covered in broad:
            own = own & ~covered
        deep = _depth(own)
        tapers = [(line, _tapered(line, deep, unit, pen)) for line in lines_in(own, unit, pen)]
        its = [wedge for wedge, _ in broad] + [taper for _, taper in tapers if taper is not None]
        straight, its = _gathered([line for line, taper in tapers if taper is None], its, 0.32 * unit)
        lines += [_shifted(line, complex(x0, y0)) for line in straight]
        wedges += [_shifted(wedge, complex(x0, y0)) for wedge in its]
    lines, wedges = _gathered(lines, wedges, 0.12 * unit)
    lines = under_others(lines, unit)
    others = np.isin(numbers, [m.number for m in marks if m.number not in letters and not _is_ring(m, found.circles)])
    bonds, strange = bonds_of(lines, wedges, unit)
    bonds = _in_one(bonds, unit)
    found.strange = strange + _lost(others, [*lines, *wedges], unit, pen)
    crumb = max(0.15 * unit, 1.3 * pen)
    crumbs = [bond for bond in bonds if bond.kind == SINGLE and bond.length <= crumb]
    found.bonds = [bond for bond in bonds if bond not in crumbs]
    left = _tips(found.bonds, crumbs, unit)
    found.strange += len(left) if len(left) > 2 else 0  # rungs of a hash that was not made out; one or two are specks
    return found


def _in_one(bonds: list[Bond], unit: float) -> list[Bond]:
    """Wedges or hashes with those put together that are pieces of one: one goes straight on behind the other."""
    for a, b in combinations([bond for bond in bonds if bond.kind != SINGLE], 2):
        if (a.kind in (WEDGE, BOLD)) != (b.kind in (WEDGE, BOLD)):
            continue
        if a.kind == DASHED and b.kind != DASHED:
            a, b = b, a
        ends = [(a.start, a.end), (a.end, a.start)]
        (at, far), (to, last) = min(
            product(ends, ((b.start, b.end), (b.end, b.start))), key=lambda pair: abs(pair[0][0] - pair[1][0])
        )
        if abs(at - to) > 0.35 * unit or not 0.3 * unit < abs(far - last) < 2.5 * unit:
            continue
        way = (last - far) / abs(last - far)
        if max(abs(((e - far) / way).imag) for e in (at, to)) > 0.08 * unit:
            continue
        others = (e for c in bonds if c is not a and c is not b for e in c.ends)
        if any(min(abs(e - at), abs(e - to)) < 0.2 * unit for e in others):  # an atom
            continue
        if b.kind != DASHED and (at == a.start) == (to == b.start):  # their broad or narrow ends meet
            continue
        made = Bond(last, far, kind=a.kind) if at == a.start else Bond(far, last, kind=a.kind)
        return _in_one([*(c for c in bonds if c is not a and c is not b), made], unit)
    return bonds


def _tips(bonds: list[Bond], crumbs: list[Bond], unit: float) -> list[Bond]:
    """Hashes made as long as the crumbs at their ends, where rungs become dots; the crumbs that are left."""
    left = list(crumbs)
    for number, bond in enumerate(bonds):
        if bond.kind not in (HASH, DASHED):
            continue
        while True:
            for crumb in left:
                middle = (crumb.start + crumb.end) / 2
                at = (middle - bond.start) / bond.direction
                beyond = max(-at.real, at.real - bond.length, 0.0)
                if abs(at.imag) < 0.12 * unit and beyond < 0.25 * unit:
                    break
            else:
                break
            left.remove(crumb)
            tip = bond.start + at.real * bond.direction
            bond = replace(bond, start=tip) if at.real < 0 else replace(bond, end=tip) if beyond else bond
        bonds[number] = bond
    return left


def _is_ring(mark: _Mark, circles: list[tuple[complex, float]]) -> bool:
    return any(complex(*mark.box.center) == centre for centre, _ in circles)


def _lost(ink: Ink, strokes: list[Bond], unit: float, pen: float) -> int:
    """How many spots of ink, as much as a quarter of a bond, no stroke runs through: letters that were not seen."""
    import cv2

    left = ink.astype(np.uint8)
    for stroke in strokes:
        start, end = ((round(e.real), round(e.imag)) for e in stroke.ends)
        broad = 0.45 * unit if stroke.kind in (WEDGE, BOLD) else 2.6 * pen + 0.06 * unit
        cv2.line(left, start, end, 0, max(1, round(broad)))
    _, _, stats, _ = cv2.connectedComponentsWithStats(left, connectivity=8)
    return int((stats[1:, cv2.CC_STAT_AREA] > 0.25 * unit * pen).sum())


def _gathered(lines: list[Bond], wedges: list[Bond], near: float) -> tuple[list[Bond], list[Bond]]:
    """Ends that were cut off with a wedge, and the wedge's own, brought together at each of its ends."""
    for number, wedge in enumerate(wedges):
        for place, reach in ((wedge.start, 0.4), (wedge.end, 0.0)):  # the narrow end may be taken to lie too far out
            along = reach * (wedge.end - wedge.start)
            free = {e for line in lines for e in line.ends if _apart(e, place, place + along) < near}
            if not free:
                continue
            meeting = sum(free) / len(free)
            lines = [_moved(line, free, meeting) for line in lines]
            wedges[number] = _moved(wedges[number], {place}, meeting)
    return [line for line in lines if line.length > 0], wedges


def _apart(point: complex, start: complex, end: complex) -> float:
    """How far a point is from a line between two others."""
    way = end - start
    share = ((point - start) * way.conjugate()).real / abs(way) ** 2 if way else 0.0
    return abs(point - start - min(1.0, max(0.0, share)) * way)


def _shifted(bond: Bond, by: complex) -> Bond:
    return replace(bond, start=bond.start + by, end=bond.end + by)


def _moved(bond: Bond, ends: set[complex], to: complex) -> Bond:
    start, end = (to if e in ends else e for e in bond.ends)
    return Bond(start, end, bond.order, bond.kind)


def _pen(ink: Ink) -> float:
    """The width of a line in pixels: all ink over half of what borders on paper."""
    padded = np.pad(ink, 1)
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    border = int((ink & ~inside).sum())
    return max(1.0, 2.0 * float(ink.sum()) / border) if border else 1.0


def _mark(numbers: NDArray[np.int32], number: int, stats: NDArray[np.int32]) -> _Mark:
    """stats: left, top, width, height, as OpenCV gives them."""
    import cv2

    left, top, width, height = (int(v) for v in stats[:4])
    rows, columns = np.nonzero(numbers[top : top + height, left : left + width] == number)
    rows, columns = rows + top, columns + left
    rectangle = cv2.minAreaRect(np.column_stack([columns, rows]).astype(np.float32))
    corners = [complex(float(x), float(y)) for x, y in cv2.boxPoints(rectangle)]
    if abs(corners[1] - corners[0]) < abs(corners[2] - corners[1]):
        corners = [*corners[1:], corners[0]]
    axis = Bond((corners[0] + corners[3]) / 2, (corners[1] + corners[2]) / 2)
    sides = rectangle[1]
    box = Box(float(left), float(top), float(left + width), float(top + height))
    return _Mark(number, box, len(rows), max(sides) + 1, min(sides) + 1, axis)


def _letters(numbers: NDArray[np.int32], marks: list[_Mark], unit: float, pen: float) -> tuple[set[int], list[Box]]:
    """Numbers of the marks that are letters, and the boxes of these: compact marks; letters that touch; strokes beside
    others that are an l, an I or a minus.
    """
    small = [
        m for m in marks if 0.18 * unit < m.length < _LETTER * unit and max(m.box.width, m.box.height) < 0.8 * unit
    ]
    found = [m for m in small if m.breadth > max(1.9 * pen, 0.25 * m.length, 0.1 * unit) and not m.is_bar(pen)]
    high = float(np.median([m.box.height for m in found])) if found else 0.4 * unit
    boxes = [m.box for m in found]
    for m in marks:
        if m in found or m.breadth < 1.9 * pen:
            continue
        level = 0.8 * high < m.box.height < 1.2 * high and m.box.width < 2.2 * high
        if level and (m.box.width < high or m.area > 1.2 * pen * m.length):  # and not one bent line
            found.append(m)
            boxes.append(m.box)
        elif (
            1.7 * high < m.box.height < 2.7 * high and m.box.width < 1.25 * high and m.area > 3.5 * pen * high
        ):  # an H that touches its N, and not two bonds of a ring
            b, middle = m.box, m.box.center[1]
            found.append(m)
            boxes += [Box(b.x0, b.y0, b.x1, middle), Box(b.x0, middle, b.x1, b.y1)]
    for m in marks:
        if m not in found and (any(_belongs(m, box, pen) for box in boxes) or _is_iodine(m, numbers, high, unit, pen)):
            found.append(m)
            boxes.append(m.box)
    return {m.number for m in found}, boxes


def _belongs(m: _Mark, letter: Box, pen: float) -> bool:
    """Whether a stroke is a letter or a sign beside this one."""
    apart = max(m.box.x0, letter.x0) - min(m.box.x1, letter.x1)
    bar = m.is_bar(pen)
    if bar and m.is_oblique:
        return False
    if not 0 <= apart < 0.3 * letter.height:
        return False
    tall = m.box.width < 2 * pen and abs(m.box.height - letter.height) < 0.25 * letter.height
    if tall:
        return abs(m.box.y1 - letter.y1) < 0.2 * letter.height
    small = 0.35 * letter.height < m.box.height < 0.85 * letter.height and m.box.width < 0.8 * letter.height
    low = letter.y1 - 0.15 * letter.height < m.box.y1 < letter.y1 + 0.6 * letter.height
    if small and low and not bar and m.box.x0 > letter.center[0] and m.box.width > 1.5 * pen:  # an index, or Br's r
        return True
    minus = m.box.height < 2 * pen and m.box.width < 0.8 * letter.height and m.box.x0 > letter.center[0]
    return minus and -0.4 * letter.height < m.box.y1 - letter.y0 < 0.4 * letter.height


def _is_iodine(m: _Mark, numbers: NDArray[np.int32], high: float, unit: float, pen: float) -> bool:
    """Whether an upright stroke of a letter's height stands by itself, with nothing above and below it."""
    b = m.box
    if b.width > 1.9 * pen or not 0.8 * high < b.height < 1.2 * high:
        return False
    room = round(0.35 * unit)
    column = numbers[max(0, int(b.y0) - room) : int(b.y1) + room, int(b.x0) : int(b.x1)]
    return not ((column != 0) & (column != m.number)).any()


def _circle(own: Ink, mark: _Mark, unit: float, pen: float) -> tuple[complex, float] | None:
    """Centre and radius of a thin ring. own: the mark's ink in its box."""
    if abs(mark.box.width - mark.box.height) > 0.1 * mark.box.width or not 0.6 * unit < mark.box.width < 2.0 * unit:
        return None
    rows, columns = np.nonzero(own)
    x, y = mark.box.center
    away = np.hypot(columns + 0.5 - mark.box.width / 2, rows + 0.5 - mark.box.height / 2)
    if np.ptp(away) > 1.1 * pen + 1.6 or away.min() < 0.25 * unit:  # a hexagon is no circle
        return None
    return complex(x, y), mark.box.width / 2


def _depth(ink: Ink) -> NDArray[np.float32]:
    """How far each pixel is from paper, which is all around."""
    import cv2

    found = cv2.distanceTransform(np.pad(ink, 1).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(found, np.float32)[1:-1, 1:-1]


def _wedges_in(own: Ink, unit: float, pen: float) -> Iterator[tuple[Bond, Ink]]:
    """Filled wedges of a mark, each with the pixels that are its own."""
    import cv2

    radius = max(2, round(0.8 * pen))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    thick = cv2.morphologyEx(np.pad(own, radius).astype(np.uint8), cv2.MORPH_OPEN, disk)[radius:-radius, radius:-radius]
    count, numbers = cv2.connectedComponents(thick, connectivity=8)
    deep = _depth(own)
    for number in range(1, count):
        rows, columns = np.nonzero(numbers == number)
        points = np.column_stack([columns, rows]).astype(np.float32)
        middle = points.mean(axis=0)
        _, _, axes = np.linalg.svd(points - middle, full_matrices=False)
        along = (points - middle) @ axes[0]
        length = float(np.ptp(along))
        if length < 0.25 * unit:
            continue
        steps = np.linspace(along.min(), along.max(), 9)
        widths = [
            2 * float(deep[rows, columns][np.abs(along - step) < 0.07 * length].max(initial=0.0)) for step in steps
        ]
        slope = float(np.polyfit(steps[1:-1], widths[1:-1], 1)[0])
        if abs(slope) * unit < 1.2 * pen:
            if length > 0.45 * unit and float(np.median(widths)) > 1.7 * pen:
                yield _bold(middle, along, axes, max(widths), own)
            continue
        way = 1.0 if slope > 0 else -1.0
        broad = middle + axes[0] * (along.max() if way > 0 else along.min())
        zero = float(np.polyval(np.polyfit(steps[1:-1], widths[1:-1], 1), 0.0))
        tip_at = -(zero - pen) / slope  # where the fitted width is that of a line
        reach = min(1.25 * unit, max(0.6 * unit, abs(tip_at - (along.max() if way > 0 else along.min()))))
        tip = broad - axes[0] * way * reach
        across = axes[1] * (max(widths) / 2 + pen)
        shape = np.array([tip + axes[1] * pen, tip - axes[1] * pen, broad - across, broad + across])
        ahead = axes[0] * way * 0.5 * pen
        shape[2:] += ahead
        shape[:2] += axes[0] * way * 1.5 * pen
        covered = np.zeros(own.shape, np.uint8)
        cv2.fillPoly(covered, [np.round(shape).astype(np.int32)], 1)
        start, end = (complex(float(p[0]), float(p[1])) for p in (tip, broad))
        yield Bond(start, end, kind=WEDGE), covered.astype(bool)


def _bold(
    middle: NDArray[np.float32],
    along: NDArray[np.float32],
    axes: NDArray[np.float32],
    width: float,
    own: Ink,
) -> tuple[Bond, Ink]:
    """A bold line, and its pixels. axes: its direction and the one across; along: its pixels' places on the first."""
    import cv2

    first, last = (middle + axes[0] * at for at in (along.min(), along.max()))
    across = axes[1] * (width / 2 + 1)
    covered = np.zeros(own.shape, np.uint8)
    shape = np.array([first + across, first - across, last - across, last + across])
    cv2.fillPoly(covered, [np.round(shape).astype(np.int32)], 1)
    start, end = (complex(float(x), float(y)) for x, y in (first, last))
    return Bond(start, end, kind=BOLD), covered.astype(bool)


def _tapered(line: Bond, deep: NDArray[np.float32], unit: float, pen: float) -> Bond | None:
    """The line as a wedge, if its ink grows broader from end to end. deep: how far each pixel is from paper."""
    if line.length < 0.5 * unit:
        return None
    steps = np.linspace(0.15, 0.85, 11)
    widths = []
    for step in steps:
        at = line.start + step * (line.end - line.start)
        r, c = round(at.imag), round(at.real)
        widths.append(2 * float(deep[max(0, r - 1) : r + 2, max(0, c - 1) : c + 2].max(initial=0.0)))
    slope = float(np.polyfit(steps, widths, 1)[0])
    if abs(slope) < 0.9 * pen or max(widths) < 1.6 * pen or abs(float(np.corrcoef(steps, widths)[0, 1])) < 0.85:
        return None
    return Bond(*(line.ends if slope > 0 else line.ends[::-1]), kind=WEDGE)
