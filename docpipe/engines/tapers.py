"""Filled shapes as strokes from end to end, with their width at each: bonds that are drawn as polygons, and wedges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from docpipe.page import Drawing


@dataclass(frozen=True)
class Taper:
    """A filled shape from end to end, with its width at each."""

    start: complex
    end: complex
    narrow: float
    broad: float

    @property
    def length(self) -> float:
        return abs(self.end - self.start)


def polygons_of(d: Drawing) -> Iterator[list[complex]]:
    """The closed polygons of a filled path, rectangles among them."""
    for r in d.rectangles:
        yield [complex(r.x0, r.y0), complex(r.x1, r.y0), complex(r.x1, r.y1), complex(r.x0, r.y1)]
    points: list[complex] = []
    last = None
    for x0, y0, x1, y1 in d.segments:
        a, b = complex(x0, y0), complex(x1, y1)
        if last is None or abs(a - last) > 1e-3:
            if len(points) > 2:
                yield points
            points = [a]
        points.append(b)
        last = b
    if len(points) > 2:
        yield points


def taper_of(polygon: Sequence[complex]) -> Taper | None:
    """The polygon as a stroke with a width at either end; None where it is no stroke."""
    points = list(dict.fromkeys(complex(round(p.real, 4), round(p.imag, 4)) for p in polygon))
    if not 3 <= len(points) <= 6:
        return None
    a, b = max(combinations(points, 2), key=lambda pair: abs(pair[0] - pair[1]))
    at = sorted(points, key=lambda p: ((p - a) * (b - a).conjugate()).real)
    near = [p for p in at if abs(p - at[0]) <= abs(p - at[-1])]
    far = [p for p in at if abs(p - at[0]) > abs(p - at[-1])]
    ends = [(sum(some) / len(some), max((abs(p - q) for p in some for q in some), default=0.0)) for some in (near, far)]
    (start, narrow), (end, broad) = sorted(ends, key=lambda e: e[1])
    if abs(end - start) < 1.2 * broad:
        return None
    return Taper(start, end, narrow, broad)
