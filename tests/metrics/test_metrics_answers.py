"""Metrics of answers, boxes, masks, chart data and formulas: by hand-worked cases."""

from __future__ import annotations

import numpy as np
import pytest

from docpipe.metrics.anls import anls
from docpipe.metrics.chart import entry_f1
from docpipe.metrics.iou import box_f1, box_iou, mask_iou
from docpipe.metrics.latex import latex_error
from docpipe.metrics.vqa import relaxed_accuracy, same_answer, vqa_accuracy
from docpipe.notation.masks import from_run_lengths, run_lengths

CAT = "<loc0000><loc0000><loc0512><loc0512> cat"
HALF = "<loc0000><loc0000><loc0512><loc0256> cat"
FAR = "<loc0600><loc0600><loc0900><loc0900> cat"


def test_answers_are_compared_without_case_articles_and_punctuation():
    assert same_answer("The  Beach!", "beach") == 1
    assert same_answer("1,000", "1000") == 1
    assert same_answer("0.5", "05") == 0
    assert same_answer("cow", "cat") == 0


def test_vqa_accuracy_leaves_each_person_out_in_turn():
    assert vqa_accuracy("a cat", ["cat"] * 10) == 1
    assert vqa_accuracy("cat", ["cat"] * 2 + ["dog"] * 8) == pytest.approx((2 * (1 / 3) + 8 * (2 / 3)) / 10)
    assert vqa_accuracy("hen", ["cat"] * 10) == 0
    with pytest.raises(ValueError, match="no truths"):
        vqa_accuracy("x", [])


def test_relaxed_accuracy_allows_a_twentieth():
    assert relaxed_accuracy("$1,040", "1000") == 1
    assert relaxed_accuracy("1060", "1000") == 0
    assert relaxed_accuracy("0.01", "0") == 0
    assert relaxed_accuracy("Rome", "rome") == 1


def test_anls_forgives_a_letter_and_nothing_beyond_half():
    assert anls("1999", "1998") == 0.75
    assert anls("abc", "xyz") == 0
    assert anls("", "") == 1


def test_boxes_pair_by_label_best_first():
    assert box_f1(CAT, CAT) == 1
    assert box_f1(f"{CAT} ; {FAR}", CAT) == pytest.approx(2 / 3)
    assert box_f1(CAT.replace("cat", "dog"), CAT) == 0
    assert box_f1("nothing", "") == 1
    assert box_iou(HALF, CAT) == pytest.approx(0.5)
    assert box_iou(f"{HALF} ; {CAT}", CAT) == pytest.approx(0.5)  # the whole one is taken, the other is one too many
    assert box_iou(FAR, CAT) == 0


def test_masks_overlap_as_their_pixels_do():
    random = np.random.default_rng(1)
    for _ in range(40):
        a, b = (random.random((5, 7)) < random.random() for _ in range(2))
        wanted = (a & b).sum() / (a | b).sum() if (a | b).any() else 1.0
        assert mask_iou(run_lengths(a), run_lengths(b)) == pytest.approx(wanted)
    with pytest.raises(ValueError, match="pixels"):
        mask_iou((3, 1), (3, 2))


def test_run_lengths_begin_with_zeros_and_come_back():
    mask = np.array([[True, True, False], [False, True, True]])
    assert run_lengths(mask) == (0, 2, 2, 2)
    assert run_lengths(np.zeros((2, 2), bool)) == (4,)
    random = np.random.default_rng(0)
    for _ in range(40):
        mask = random.random((6, 4)) < random.random()
        assert (from_run_lengths(run_lengths(mask), (4, 6)) == mask).all()
    with pytest.raises(ValueError, match="fill"):
        from_run_lengths((3, 1), (2, 3))


def test_chart_entries_count_by_headers_and_value():
    truth = "Year | Sales | Cost\n2020 | 100 | 50\n2021 | 200 | 60"
    assert entry_f1(truth, truth) == 1
    assert entry_f1(truth.replace("200", "208"), truth) == 1
    assert entry_f1(truth.replace("200", "300"), truth) == pytest.approx(0.75)
    assert entry_f1(truth.replace("Sales", "Profit"), truth) == pytest.approx(0.5)
    assert entry_f1("no table", "none") == 1


def test_formulas_count_by_token():
    assert latex_error(r"\frac {a} {b}", r"\frac{a}{b}") == 0
    assert latex_error(r"\frac{a}{c}", r"\frac{a}{b}") == pytest.approx(1 / 7)
