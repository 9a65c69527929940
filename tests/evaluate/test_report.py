"""Reports on outcomes whose figures are known: what is not answered counts, intervals are the bootstrap's."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from docpipe.document import Box
from docpipe.evaluate.bootstrap import Estimate, estimate, resamples
from docpipe.evaluate.cases import Case, Outcome, Status
from docpipe.evaluate.measures import measures_for
from docpipe.evaluate.report import Report, report
from docpipe.metrics.ap import Scored, average_precision
from docpipe.metrics.bleu import bleu_4
from docpipe.metrics.spotting import Spotted


def outcome(
    name: str, text: str | None, truth: str, *, status: Status = "emitted", sure: float | None = None
) -> Outcome:
    case = Case(name, Path(name), (truth,))
    if text is None:
        return Outcome(case, "abstained" if status == "emitted" else status, message="not sure")
    return Outcome(case, status, text, sure)


MOLECULES = [
    outcome("a/1", "CCO", "OCC", sure=0.9),
    outcome("a/2", "CCN", "OCC", sure=0.4),
    outcome("a/3", None, "CCC"),
    outcome("b/4", None, "CCC", status="failed"),
    outcome("b/5", "C(C", "CC", status="invalid"),
]


def figure(found: Report, name: str) -> tuple[float | None, float | None]:
    one = next(f for f in found.figures if f.name == name)
    return one.overall.value, one.emitted.value


def test_abstentions_and_failures_count_over_all_and_not_of_what_was_emitted() -> None:
    found = report(MOLECULES, "molecule", "x")
    assert found.counts == {"emitted": 2, "invalid": 1, "abstained": 1, "failed": 1}
    assert found.coverage.value == pytest.approx(2 / 5)
    assert figure(found, "exact") == (pytest.approx(1 / 5), pytest.approx(1 / 2))
    assert found.accuracy is not None
    assert (found.accuracy.overall.value, found.accuracy.emitted.value) == (pytest.approx(0.2), pytest.approx(0.5))


def test_an_abstention_is_the_worst_answer_even_where_nothing_was_to_be_said() -> None:
    texts = [outcome("1", "abcd", "abcd"), outcome("2", None, "abcdef"), outcome("3", None, "")]
    found = report(texts, "text", "x")
    assert figure(found, "CER") == (pytest.approx(6 / 10), 0)
    assert figure(found, "word F1") == (pytest.approx(1 / 3), 1)
    silent = report([outcome("1", None, "abc"), outcome("2", None, "x")], "text", "x")
    assert figure(silent, "CER") == (1, None)
    assert silent.accuracy is not None
    assert silent.accuracy.emitted == Estimate(None, None, None)


def test_error_rates_are_those_of_the_corpus() -> None:
    texts = [outcome("1", "ab", "aa"), outcome("2", "xxxxxxxx", "xxxxxxxx"), outcome("3", "more", "")]
    assert figure(report(texts, "text", "x"), "CER")[0] == pytest.approx((1 + 0 + 4) / 10)


def test_folders_are_groups() -> None:
    found = report(MOLECULES, "molecule", "x")
    assert {name: (count, covered.value, value.value) for name, (count, covered, value) in found.groups.items()} == {
        "a": (3, pytest.approx(2 / 3), pytest.approx(1 / 3)),
        "b": (2, 0, 0),
    }
    assert report(MOLECULES[:3], "molecule", "x").groups == {}


def test_calibration_is_of_emitted_answers_with_a_confidence() -> None:
    found = report(MOLECULES, "molecule", "x").calibration
    assert found is not None
    assert found.count == 2
    assert found.brier == pytest.approx((0.01 + 0.16) / 2)
    assert report([outcome("1", "CC", "CC")], "molecule", "x").calibration is None


def test_captions_have_no_right_answer() -> None:
    found = report([outcome("1", "a cat", "a cat"), outcome("2", "a dog", "the dog")], "caption", "x")
    assert found.accuracy is None
    assert found.calibration is None
    assert found.first.name == "CIDEr-D"


def test_intervals_are_the_percentiles_of_the_resampled_means() -> None:
    hits = [1, 1, 1, 0, 1, 0, 1, 1, 0, 1]
    rows = [outcome(str(i), "CC" if hit else "CCC", "CC") for i, hit in enumerate(hits)]
    found = report(rows, "molecule", "x", draws=500, seed=7)
    drawn = resamples(10, 500, 7) @ np.array(hits) / 10
    assert found.first.overall == Estimate(0.7, *np.percentile(drawn, [2.5, 97.5]))
    assert report(rows, "molecule", "x", draws=500, seed=7).to_json() == found.to_json()
    # About the normal interval of a share of 0.7 in 10: 0.7 +- 1.96 * 0.145.
    assert found.first.overall.low == pytest.approx(0.42, abs=0.1)
    assert found.first.overall.high == pytest.approx(0.98, abs=0.1)


def test_a_single_case_has_no_interval_and_none_no_value() -> None:
    drawn = resamples(2, 10)
    assert estimate(lambda w: float(w[0] / w.sum()), np.array([1.0, 0.0]), drawn) == Estimate(1, None, None)
    assert estimate(lambda _: float("nan"), np.zeros(2), drawn) == Estimate(None, None, None)


def copies(times: list[int], rows: list[Outcome]) -> list[Outcome]:
    return [row for n, row in zip(times, rows, strict=True) for _ in range(n)]


def detections(seed: int) -> list[Outcome]:
    rng = random.Random(seed)
    rows = []
    for i in range(6):
        true = [Scored(rng.choice("ab"), Box(x := rng.random(), 0.0, x + 0.2, 0.5)) for _ in range(3)]
        found = [Scored(t.label, Box(t.box.x0 + rng.gauss(0, 0.02), 0.0, t.box.x1, 0.5), rng.random()) for t in true]
        words = tuple(Spotted(t.label, t.box) for t in true)
        case = Case(str(i), Path("x"), ("a b",), words=words, things=tuple(true))
        said = tuple(Spotted(rng.choice("ab"), t.box) for t in found)
        rows.append(Outcome(case, "emitted", "a b" if i % 2 else "a c", None, "", said, tuple(found)))
    return rows


@pytest.mark.parametrize("task", ["text", "detect", "caption", "score", "table"])
def test_a_weight_counts_as_that_many_copies_of_a_case(task: str) -> None:
    rows, times = detections(5), [2, 0, 1, 3, 0, 1]
    ways = measures_for(task, rows)
    for way, again in zip(ways, measures_for(task, copies(times, rows)), strict=True):
        if way.name == "CIDEr-D":
            continue  # its weights of words are those of the whole set
        weighed = way.tally(rows).total(np.array(times, dtype=float))
        assert weighed == pytest.approx(again.tally(copies(times, rows)).total(np.ones(sum(times)))), way.name


def test_corpus_measures_are_the_metrics_themselves() -> None:
    rows = detections(1)
    values = {f.name: f.overall.value for f in report(rows, "detect", "x", draws=5).figures}
    assert values["AP"] == pytest.approx(
        average_precision([o.things for o in rows], [o.case.things or () for o in rows])
    )
    said = [outcome(str(i), "the cat sat on the mat", "the cat sat on a mat today") for i in range(3)]
    values = {f.name: f.overall.value for f in report(said, "caption", "x", draws=5).figures}
    assert values["BLEU-4"] == pytest.approx(bleu_4([o.text for o in said], [o.case.truths for o in said]))
    assert "word spotting F1" in {way.name for way in measures_for("text", rows)}
