"""How sure a decoded answer is: from the soft-capped probabilities of its tokens to a calibrated number.

The final soft-cap changes no greedy token but every probability (docs/paligemma.md); docpipe always applies it, in
decoding as in calibration.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

from docpipe.errors import DocpipeError

Measure = Literal["mean", "minimum", "joint", "opening"]

OPENING = 4
"""Tokens of the measure of that name: as many as say where a thing is."""


def measured(logprobs: Sequence[float], measure: Measure = "mean") -> float:
    """One number (0..1) for a sequence of natural log-probabilities; 0 for an empty one.

    mean: the geometric mean of the tokens' probabilities. minimum: the least sure token. joint: their product, the
    probability of the whole answer. opening: that of its first four tokens, which of a mask are its box: the codes
    after it are many, and nearly alike.
    """
    if not logprobs:
        return 0.0
    if measure == "minimum":
        return math.exp(min(logprobs))
    if measure == "mean":
        return math.exp(math.fsum(logprobs) / len(logprobs))
    return math.exp(math.fsum(logprobs[:OPENING] if measure == "opening" else logprobs))


@dataclass(frozen=True)
class Calibration:
    """A map from a measure to how often such answers are right: straight lines through the points (x, y)."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    measure: Measure = "mean"

    @classmethod
    def from_json(cls, value: Mapping[str, Any], subject: str) -> Calibration:
        """Read `{"measure", "x", "y"}`. Raises DP302 when it is no map from 0..1 to 0..1 that never falls."""
        x, y = tuple(map(float, value.get("x", ()))), tuple(map(float, value.get("y", ())))
        rising = all(a <= b for axis in (x, y) for a, b in pairwise(axis))
        if not x or len(x) != len(y) or not rising or not all(0 <= v <= 1 for v in x + y):
            raise DocpipeError("DP302", subject, "its confidence map must rise from 0..1 to 0..1")
        if (measure := value.get("measure", "mean")) not in get_args(Measure):
            raise DocpipeError("DP302", subject, f"no such measure of confidence: {measure}")
        return cls(x, y, measure)

    def __call__(self, logprobs: Sequence[float]) -> float:
        """The calibrated confidence (0..1) of an answer with these log-probabilities."""
        value = measured(logprobs, self.measure)
        if value <= self.x[0]:
            return self.y[0]
        for (x0, y0), (x1, y1) in pairwise(zip(self.x, self.y, strict=True)):
            if value <= x1:
                return y0 if x1 == x0 else y0 + (y1 - y0) * (value - x0) / (x1 - x0)
        return self.y[-1]
