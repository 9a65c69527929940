"""Reading order and calibration by hand-worked values."""

from __future__ import annotations

import pytest

from docpipe.metrics.calibration import brier, ece, reliability
from docpipe.metrics.order import kendall_tau, order_similarity


def test_kendall_s_tau_counts_pairs() -> None:
    assert kendall_tau("abcd", "abcd") == 1
    assert kendall_tau("dcba", "abcd") == -1
    assert kendall_tau("bacd", "abcd") == pytest.approx(1 - 2 / 6)
    # Kendall's example with ranks 1 2 3 4 5 against 2 1 4 3 5: 8 of 10 pairs agree.
    assert kendall_tau([2, 1, 4, 3, 5], [1, 2, 3, 4, 5]) == pytest.approx(0.6)
    assert kendall_tau("axc", "abc") == 1
    assert kendall_tau("", "abc") == 1
    with pytest.raises(ValueError, match="twice"):
        kendall_tau("aa", "ab")


def test_order_similarity_sees_what_is_missing() -> None:
    assert order_similarity("abc", "abcd") == pytest.approx(3 / 4)
    assert order_similarity("bcda", "abcd") == pytest.approx(1 - 2 / 4)
    assert order_similarity("", "") == 1


SURE, RIGHT = [0.1, 0.3, 0.35, 0.8, 0.9, 0.9], [0, 0, 1, 1, 1, 0]


def test_bins_of_equal_width() -> None:
    low, high = reliability(SURE, RIGHT, 2, "width")
    assert (low.low, low.high, low.count) == (0.0, 0.5, 3)
    assert low.confidence == pytest.approx(0.25)
    assert low.accuracy == high.accuracy - 1 / 3 == pytest.approx(1 / 3)
    # |0.25 - 1/3| and |13/15 - 2/3|, half the answers in each.
    assert ece(SURE, RIGHT, 2, "width") == pytest.approx((1 / 12 + 1 / 5) / 2)


def test_an_edge_belongs_to_the_bin_below() -> None:
    (only,) = reliability([0.5], [1], 2, "width")
    assert only.low == 0.0
    assert reliability([0.0], [0], 2, "width")[0].low == 0.0


def test_bins_of_equal_mass_do_not_depend_on_the_order_of_equal_confidences() -> None:
    assert [b.count for b in reliability(SURE, RIGHT, 3)] == [2, 2, 2]
    assert ece([0.5] * 4, [1, 1, 0, 0], 2) == ece([0.5] * 4, [0, 1, 0, 1], 2) == 0


def test_brier_is_the_mean_square() -> None:
    assert brier([1.0, 0.0], [1, 0]) == 0
    assert brier([0.8, 0.4], [1, 1]) == pytest.approx((0.04 + 0.36) / 2)
    assert brier([], []) == ece([], []) == 0


def test_what_cannot_be_confidences_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        ece([1.2], [1])
    with pytest.raises(ValueError, match="2 confidences"):
        ece([0.1, 0.2], [1])
    with pytest.raises(ValueError, match="2 confidences"):
        brier([0.1, 0.2], [1])
