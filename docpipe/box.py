"""Boxes: where on a page something stands."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import PlainSerializer

Coordinate = Annotated[float, PlainSerializer(lambda v: round(v, 2), return_type=float)]


class Box(NamedTuple):
    """A rectangle in points on the page as displayed; written to JSON as [x0, y0, x1, y1]."""

    x0: Coordinate
    y0: Coordinate
    x1: Coordinate
    y1: Coordinate

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def area(self) -> float:
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def center(self) -> tuple[float, float]:
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def intersection(self, other: Box) -> float:
        """The area shared with another box, in square points; 0 when they do not overlap."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return width * height if width > 0 and height > 0 else 0.0

    def union(self, other: Box) -> Box:
        """The smallest box that holds both."""
        return Box(min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1))

    def iou(self, other: Box) -> float:
        """Intersection over union, 0..1."""
        shared = self.intersection(other)
        whole = self.area + other.area - shared
        return shared / whole if whole > 0 else 0.0

    def covers(self, other: Box, share: float = 0.5) -> bool:
        """Whether at least `share` of the other box's area lies inside this one."""
        return other.area > 0 and self.intersection(other) >= share * other.area

    def grown(self, by: float) -> Box:
        """The box moved outward by `by` points on every side."""
        return Box(self.x0 - by, self.y0 - by, self.x1 + by, self.y1 + by)
