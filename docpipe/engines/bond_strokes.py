"""Vector paths of a drawn molecule to its bonds: lines, doubled and tripled lines, wedges, hashes, circles in rings.

Points are complex numbers, x + yj with y downwards, in points of the page. What is no such stroke (an arrow, a wavy
bond, a frame) is counted as strange, and whoever reads the molecule must then say that it cannot.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, product

from docpipe.box import Box
from docpipe.engines.tapers import Taper, polygons_of, taper_of
from docpipe.page import Drawing

MOST = 400
"""Lines of a molecule; more are a plot, a map or a table, and comparing each with each would take minutes."""

SINGLE, WEDGE, HASH, DASHED, BOLD = "single", "wedge", "hash", "dashed", "bold"
"""Kinds of bonds. DASHED: a hash that does not show which of its ends is the narrow one; BOLD: a wedge of that sort."""

STUB = 0.1
"""Lines shorter than so many bonds that lie at an end of a longer one only round a corner."""

_LETTER = 1.3
"""Filled shapes up to so many bond lengths may be letters."""


@dataclass(frozen=True)
class Bond:
    """A drawn bond from `start` to `end`; of a wedge or a hash, `start` is the narrow end. order: 1 to 3. ink: of a
    stroked line, its colour.
    """

    start: complex
    end: complex
    order: int = 1
    kind: str = SINGLE
    ink: tuple[float, ...] | None = None

    @property
    def ends(self) -> tuple[complex, complex]:
        return self.start, self.end

    @property
    def length(self) -> float:
        return abs(self.end - self.start)

    @property
    def direction(self) -> complex:
        return (self.end - self.start) / (self.length or 1.0)


@dataclass
class Strokes:
    """bonds; unit: the length of a bond. letters: boxes of filled shapes. circles: centre and radius. strange: how many
    paths are none of these.
    """

    bonds: list[Bond] = field(default_factory=list)
    unit: float = 0.0
    letters: list[Box] = field(default_factory=list)
    circles: list[tuple[complex, float]] = field(default_factory=list)
    strange: int = 0


def strokes_of(drawings: Iterable[Drawing], box: Box) -> Strokes:
    """What the paths whose middle lies in a box are."""
    inside = [_unfilled(d) for d in drawings if _holds(box, d.box.center) and not _is_paper(d)]
    outlined = [d for d in inside if d.fill is None and d.curves and d.curves + len(d.segments) > 5]
    lines = [line for d in inside if d.fill is None and d not in outlined for line in _stroked(d)]
    if max(len(lines), len(inside)) > MOST:
        return Strokes(strange=len(inside))
    lines = _joined(lines, 0.0)
    shapes = [(d, [taper_of(p) for p in polygons_of(d)]) for d in inside if d.fill is not None]
    unit = unit_of([*lines, *(Bond(t.start, t.end) for d, ts in shapes for t in ts if t is not None and not d.curves)])
    found = Strokes(unit=unit)
    if not unit:
        found.strange = len(inside)
        return found
    tapers: list[Taper] = []
    for d, ts in shapes:
        small = max(d.box.width, d.box.height) < _LETTER * unit
        if not d.curves and ts and all(t is not None and _is_bond(t, unit) for t in ts):
            tapers += [t for t in ts if t is not None]
        elif small:
            found.letters.append(d.box)
        else:
            found.strange += 1
    contours = [d for d in outlined if max(d.box.width, d.box.height) < _LETTER * unit]
    found.letters += [d.box for d in contours]
    lines += [line for d in outlined if d not in contours for line in _stroked(d)]
    for curve in _curved([d for d in inside if d.fill is None and d.curves and d not in contours], 0.1 * unit):
        if abs(curve.width - curve.height) < 0.15 * curve.width and 0.5 * unit < curve.width < 2.6 * unit:
            found.circles.append((complex(*curve.center), curve.width / 2))
        else:
            found.strange += 1
    # A hash drawn by a dash pattern is one broad stroke here.
    found.strange += sum(d.fill is None and d.width > 0.16 * unit for d in inside)
    lines = _without_stubs(lines, unit)
    lines += [Bond(t.start, t.end) for t in tapers if t.broad < 0.12 * unit and t.narrow > 0.6 * t.broad]
    wedges = _wedges([t for t in tapers if not (t.broad < 0.12 * unit and t.narrow > 0.6 * t.broad)], unit)
    found.bonds, strange = bonds_of(_distinct(lines, unit), wedges, unit)
    found.strange += strange
    return found


def bonds_of(lines: Sequence[Bond], wedges: Sequence[Bond], unit: float) -> tuple[list[Bond], int]:
    """Single lines and filled wedges to bonds: rungs to hashes, lines side by side to double and triple bonds; and how
    many bundles are of more than three lines, or lines there are when they are too many.
    """
    if len(lines) > MOST:
        return [], len(lines)
    whole, hashes = _hashes(_joined(list(lines), unit), unit)
    multiple, strange = _multiple(whole, [*wedges, *hashes], unit)
    return [*multiple, *wedges, *hashes], strange


def _holds(box: Box, point: tuple[float, float]) -> bool:
    return box.x0 - 1 <= point[0] <= box.x1 + 1 and box.y0 - 1 <= point[1] <= box.y1 + 1


def _is_paper(d: Drawing) -> bool:
    """White ink alone: a background, or the halo of a label."""
    inks = [ink for ink in (d.fill, d.stroke) if ink is not None]
    return all(min(ink, default=1.0) > 0.97 for ink in inks)


def _unfilled(d: Drawing) -> Drawing:
    """A single line without the fill that it has no room for."""
    alone = len(d.segments) == 1 and not d.curves and not d.rectangles and d.stroke is not None
    return replace(d, fill=None) if alone else d


def _curved(drawings: Sequence[Drawing], near: float) -> list[Box]:
    """The boxes of curves; arcs that touch are one curve."""
    boxes: list[Box] = []
    for d in drawings:
        around = d.box
        touching = [b for b in boxes if _apart(b, around) < near]
        for b in touching:
            around = Box(min(b.x0, around.x0), min(b.y0, around.y0), max(b.x1, around.x1), max(b.y1, around.y1))
        boxes = [*(b for b in boxes if b not in touching), around]
    return boxes


def _apart(a: Box, b: Box) -> float:
    return max(a.x0 - b.x1, b.x0 - a.x1, a.y0 - b.y1, b.y0 - a.y1)


def _without_stubs(lines: Sequence[Bond], unit: float) -> list[Bond]:
    ends = [e for line in lines if line.length > 3 * STUB * unit for e in line.ends]
    near = STUB * unit
    return [
        line
        for line in lines
        if line.length > near or not all(any(abs(e - other) < near for other in ends) for e in line.ends)
    ]


def _stroked(d: Drawing) -> Iterator[Bond]:
    for x0, y0, x1, y1 in d.segments:
        if (x0, y0) != (x1, y1):
            yield Bond(complex(x0, y0), complex(x1, y1), ink=d.stroke)


def _is_bond(t: Taper, unit: float) -> bool:
    """Whether a filled stroke is a bond or a piece of one, and no letter (an l, a 1, an I)."""
    if t.length > 0.55 * unit:
        return t.broad < 0.45 * unit
    return t.broad < 0.45 * unit and t.narrow < 0.8 * t.broad


def unit_of(lines: Sequence[Bond]) -> float:
    """The length of a bond, of all lines that are no rungs, indices or halves of double bonds in rings."""
    lengths = sorted(line.length for line in lines if line.length > 1.0)
    if not lengths:
        return 0.0
    while len(lengths) > 2 and lengths[-1] > 1.8 * lengths[-2]:  # no bond, but an arrow or a rule
        lengths.pop()
    long = [x for x in lengths if x >= 0.4 * lengths[-1]]
    longer = [x for x in long if x >= 0.6 * long[int(0.9 * (len(long) - 1))]]
    return longer[int(0.6 * len(longer))]  # bonds are shortened by labels, never lengthened


def _distinct(lines: Sequence[Bond], unit: float) -> list[Bond]:
    """Without lines drawn twice."""
    kept, near = list[Bond](), 0.02 * unit
    for line in lines:
        if not any(
            (abs(k.start - line.start) < near and abs(k.end - line.end) < near)
            or (abs(k.start - line.end) < near and abs(k.end - line.start) < near)
            for k in kept
        ):
            kept.append(line)
    return kept


def _parallel(a: Bond, b: Bond, degrees: float) -> bool:
    return abs((a.direction * b.direction.conjugate()).imag) < math.sin(math.radians(degrees))


def _joined(lines: list[Bond], unit: float) -> list[Bond]:
    """Halves of bonds that change their colour in the middle, put together again. With the length of a bond known, also
    pieces of one colour that make no more than a bond.
    """
    while True:
        ends = [(i, e) for i, line in enumerate(lines) for e in line.ends]
        for i, j in combinations(range(len(lines)), 2):
            a, b = lines[i], lines[j]
            whole = a.length + b.length
            if not _parallel(a, b, 2.5) or (a.ink == b.ink and whole > 1.25 * unit):
                continue
            if min(a.length, b.length) < 0.1 * max(unit, whole):
                continue
            near = 0.04 * whole
            meeting = [(p, q) for p in a.ends for q in b.ends if abs(p - q) < near]
            if len(meeting) != 1:
                continue
            p, q = meeting[0]
            (first,) = (e for e in a.ends if e != p)
            (last,) = (e for e in b.ends if e != q)
            others = [k for k, e in ends if k not in (i, j) and abs(e - p) < near]
            if not others and abs(first - last) > max(a.length, b.length):
                lines = [line for k, line in enumerate(lines) if k not in (i, j)] + [Bond(first, last)]
                break
        else:
            return lines


def _wedges(tapers: Sequence[Taper], unit: float) -> list[Bond]:
    """Filled wedges; those of two colours come in two pieces."""
    left, made = list(tapers), []
    while left:
        t = min(left, key=lambda one: one.narrow)
        left.remove(t)
        for more in left:
            straight = abs(cmath.phase((more.end - more.start) / (t.end - t.start))) < 0.09
            if abs(more.start - t.end) < 0.06 * unit and straight:
                t = replace(t, end=more.end, broad=more.broad)
                left.remove(more)
                break
        made.append(Bond(t.start, t.end, kind=WEDGE))
    return made


def _hashes(lines: Sequence[Bond], unit: float) -> tuple[list[Bond], list[Bond]]:
    """Rungs and dashes taken out of the lines and made bonds."""
    short = [line for line in lines if line.length < 0.5 * unit]
    taken: list[set[int]] = []
    for i, j in combinations(range(len(short)), 2):
        if _in_a_row(short[i], short[j], unit):
            groups = [g for g in taken if i in g or j in g]
            taken = [g for g in taken if g not in groups] + [{i, j}.union(*groups)]
    made, used = [], set()
    for group in taken:
        found = _hash([short[k] for k in group])
        first, *_, last = sorted((short[k] for k in group), key=lambda line: line.length)
        double = first.length > 0.85 * last.length and abs((found.direction / last.direction).real) < 0.5
        if len(group) >= 3 or (last.length < 0.3 * unit and not double):
            made.append(found)
            used |= group
    return [line for line in lines if line not in [short[k] for k in used]], made


def _in_a_row(a: Bond, b: Bond, unit: float) -> bool:
    """Whether two short lines may be neighbours in a hash: side by side, or one after the other."""
    between = (b.start + b.end - a.start - a.end) / 2
    dots = max(a.length, b.length) < 0.12 * unit  # which hardly have a direction
    if not 1e-6 < abs(between) < 0.4 * unit or not _parallel(a, b, 30 if dots else 15):
        return False
    across = abs((between * a.direction.conjugate()).real) < (0.5 if dots else 0.35) * abs(between)
    along = abs((between * a.direction.conjugate()).imag) < (0.5 if dots else 0.25) * abs(between)
    dashes = max(a.length, b.length) < 0.3 * unit and abs(between) > 1.1 * (a.length + b.length) / 2
    return (across and abs(between) < 0.3 * unit) or (along and dashes)


def _hash(rungs: Sequence[Bond]) -> Bond:
    middles = {rung: (rung.start + rung.end) / 2 for rung in rungs}
    first, last = max(combinations(rungs, 2), key=lambda pair: abs(middles[pair[0]] - middles[pair[1]]))
    if first.length > last.length:
        first, last = last, first
    span = middles[last] - middles[first]
    step = span / (len(rungs) - 1)
    along = abs((span * first.direction.conjugate()).imag) < 0.5 * abs(span)
    kind = DASHED if along or first.length > 0.8 * last.length else HASH
    return Bond(middles[first] - 0.5 * step, middles[last] + 0.5 * step, kind=kind)


def _multiple(lines: Sequence[Bond], others: Sequence[Bond], unit: float) -> tuple[list[Bond], int]:
    """Lines that run side by side as one bond each; how many bundles there are of more than three."""
    bundles: list[set[int]] = [{i} for i in range(len(lines))]
    for i, j in combinations(range(len(lines)), 2):
        if _beside(lines[i], lines[j], unit) and not _two_bonds(i, j, lines, unit):
            both = [b for b in bundles if i in b or j in b]
            bundles = [b for b in bundles if b not in both] + [set().union(*both)]
    made, strange = [], 0
    for bundle in bundles:
        members = [lines[i] for i in bundle]
        if len(members) == 1:
            made += members
            continue
        rest = [e for k, line in enumerate(lines) if k not in bundle for e in line.ends]
        rest += [e for bond in others for e in bond.ends]
        axis = _axis(members, rest, unit)
        made += _cut(replace(axis, order=min(3, len(members))), members, unit)
        strange += len(members) > 3
    return made, strange


def _beside(a: Bond, b: Bond, unit: float) -> bool:
    if not _parallel(a, b, 6) or min(a.length, b.length) < 0.3 * unit:
        return False
    way = a.direction.conjugate()
    first, second = ((e - a.start) * way for e in b.ends)
    apart = abs(first.imag + second.imag) / 2
    overlap = min(a.length, max(first.real, second.real)) - max(0.0, min(first.real, second.real))
    return 0.03 * unit < apart < 0.36 * unit and overlap > 0.6 * min(a.length, b.length)


def _two_bonds(i: int, j: int, lines: Sequence[Bond], unit: float) -> bool:
    """Whether two lines side by side both go from atom to atom: others end at all four of their ends."""
    apart = min(abs(p - q) for p, q in product(lines[i].ends, lines[j].ends)) > 0.1 * unit
    rest = [e for k, line in enumerate(lines) if k not in (i, j) for e in line.ends]
    return apart and all(any(abs(e - r) < 0.05 * unit for r in rest) for e in (*lines[i].ends, *lines[j].ends))


def _axis(members: Sequence[Bond], rest: Sequence[complex], unit: float) -> Bond:
    """Which line of a bundle goes from atom to atom: one of them or the middle; whose ends meet others best."""
    first = members[0]
    turned = [m if (m.direction * first.direction.conjugate()).real > 0 else Bond(m.end, m.start) for m in members]
    longest = max(m.length for m in turned)
    count = len(turned)
    middle = Bond(sum(m.start for m in turned) / count, sum(m.end for m in turned) / count)

    def apart(bond: Bond) -> float:
        ends = (min((abs(e - r) for r in rest), default=unit) for e in bond.ends)
        return sum(min(d, 0.5 * unit) for d in ends) + 0.3 * (longest - bond.length)

    if count == 3:
        return sorted(turned, key=lambda m: ((sum(m.ends) / 2 - first.start) * first.direction.conjugate()).imag)[1]
    return min([middle, *turned], key=apart)


def _cut(axis: Bond, members: Sequence[Bond], unit: float) -> list[Bond]:
    """The axis where other lines run beside it, and where it goes on by itself, as in a nitrile drawn in one stroke."""
    way = axis.direction
    beside = [
        ((e - axis.start) * way.conjugate()).real
        for m in members
        for e in m.ends
        if m.length < axis.length - 0.5 * unit
    ]
    if not beside:
        return [axis]
    first, last = min(beside) - 0.05 * unit, max(beside) + 0.05 * unit
    first, last = (0.0 if first < 0.5 * unit else first), (axis.length if axis.length - last < 0.5 * unit else last)
    pieces = [(0.0, first, 1), (first, last, axis.order), (last, axis.length, 1)]
    return [Bond(axis.start + a * way, axis.start + b * way, order) for a, b, order in pieces if b > a]
