"""Bootstrap confidence intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

DRAWS, SEED, LEVEL = 1000, 0, 0.95

Weights = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A figure with the ends of its interval; all None where there is nothing to count."""

    value: float | None
    low: float | None
    high: float | None


def resamples(count: int, draws: int = DRAWS, seed: int = SEED) -> Weights:
    """How often each of `count` cases is drawn, with replacement: [draws, count]."""
    if not count:
        return np.zeros((draws, 0))
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws).astype(float)


def estimate(total: Callable[[Weights], float], mask: Weights, drawn: Weights, level: float = LEVEL) -> Estimate:
    """A figure of the cases in the mask (1 or 0 each), and its percentile interval over the resamples.

    Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 13.3. Cases are drawn, not symbols or boxes:
    a corpus's rate is computed anew of each draw. Draws that leave nothing to count are left out. The interval is
    that of the data set's chance choice of cases; with fewer than about 20 cases, or none wrong, it is too narrow, and
    of a single case there is none.
    """
    value = total(mask)
    if np.isnan(value):
        return Estimate(None, None, None)
    if mask.sum() < 2:  # of one case there is no spread to see
        return Estimate(float(value), None, None)
    drawn_values = np.array([total(weights) for weights in drawn * mask])
    kept = drawn_values[~np.isnan(drawn_values)]
    if not kept.size:
        return Estimate(float(value), None, None)
    low, high = np.percentile(kept, [50 * (1 - level), 50 * (1 + level)])
    return Estimate(float(value), float(low), float(high))
