"""Confidence: measures of a sequence, and the calibrated map."""

from __future__ import annotations

import math

import pytest

from docpipe.errors import DocpipeError
from docpipe.models.confidence import Calibration, measured

HALF, TENTH = math.log(0.5), math.log(0.1)


def test_measures_of_a_sequence() -> None:
    assert measured([HALF, HALF, HALF]) == pytest.approx(0.5)
    assert measured([HALF, TENTH], "joint") == pytest.approx(0.05)
    assert measured([HALF, HALF, HALF, HALF, TENTH], "opening") == pytest.approx(0.0625)  # a box, then the mask's codes
    assert measured([HALF, TENTH], "mean") == pytest.approx(math.sqrt(0.05))
    assert measured([HALF, TENTH], "minimum") == pytest.approx(0.1)
    assert measured([]) == 0.0


def test_a_calibration_maps_along_straight_lines_and_holds_its_ends() -> None:
    given = Calibration((0.2, 0.6, 0.6, 0.9), (0.1, 0.2, 0.4, 1.0), "minimum")
    for probability, wanted in ((0.05, 0.1), (0.2, 0.1), (0.4, 0.15), (0.75, 0.7), (0.9, 1.0), (0.99, 1.0)):
        assert given([0.0, math.log(probability)]) == pytest.approx(wanted)


def test_a_calibration_of_one_point_is_constant() -> None:
    assert Calibration((0.5,), (0.7,))([HALF]) == 0.7


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"x": [0, 1], "y": [0]},
        {"x": [1, 0], "y": [0, 1]},
        {"x": [0, 1], "y": [0.9, 0.1]},
        {"x": [0, 2], "y": [0, 1]},
        {"x": [0, 1], "y": [0, 1], "measure": "mode"},
    ],
)
def test_a_map_that_falls_or_leaves_0_to_1_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(DocpipeError, match="DP302"):
        Calibration.from_json(said, "model")
