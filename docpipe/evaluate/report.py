"""What a system's outcomes come to: coverage, measures over all cases and of what was emitted, calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from docpipe.evaluate.bootstrap import DRAWS, SEED, Estimate, estimate, resamples
from docpipe.evaluate.cases import Case, Outcome
from docpipe.evaluate.measures import Better, Measure, Tally, measures_for, right
from docpipe.evaluate.run import NATIVE, Resolution, System, outcomes
from docpipe.metrics.calibration import Bin, brier, ece, reliability

STATUSES = ("emitted", "invalid", "abstained", "failed")


@dataclass(frozen=True)
class Figure:
    """A measure over all cases and over those that were emitted. each: its value for every case."""

    name: str
    better: Better
    overall: Estimate
    emitted: Estimate
    each: tuple[float, ...]


@dataclass(frozen=True)
class Calibration:
    """How confidence and outcome agree, over emitted answers that have a confidence.

    ece, brier, table: against right or wrong. graded: the ECE against the first measure's value (1 - error), for
    confidences that speak of letters rather than of the whole.
    """

    count: int
    ece: float
    graded: float
    brier: float
    table: tuple[Bin, ...]


@dataclass(frozen=True)
class Report:
    """A system measured on a task. coverage: the share of the cases that was emitted. accuracy: figures of `right`
    answers (None for tasks where no answer is simply right). groups: for each folder its cases, coverage, and the
    first figure. outcomes: in order of the cases.
    """

    task: str
    system: str
    resolution: str
    outcomes: tuple[Outcome, ...]
    counts: dict[str, int]
    coverage: Estimate
    figures: tuple[Figure, ...]
    right: str | None
    accuracy: Figure | None
    calibration: Calibration | None
    groups: dict[str, tuple[int, Estimate, Estimate]]
    seed: int
    draws: int

    @property
    def first(self) -> Figure:
        """The task's own measure."""
        return self.figures[0]

    @property
    def seconds(self) -> float:
        """CPU seconds a case."""
        return sum(o.seconds for o in self.outcomes) / max(1, len(self.outcomes))

    def to_json(self) -> dict[str, Any]:
        """The report without its cases; nothing in it changes from run to run."""
        return {
            "task": self.task,
            "system": self.system,
            "resolution": self.resolution,
            "cases": len(self.outcomes),
            "counts": self.counts,
            "coverage": _json(self.coverage),
            "right": self.right,
            "measures": [
                {"name": f.name, "better": f.better, "all": _json(f.overall), "emitted": _json(f.emitted)}
                for f in (*self.figures, *([self.accuracy] if self.accuracy else []))
            ],
            "calibration": _calibration_json(self.calibration),
            "groups": {
                name: {"cases": count, "coverage": _json(covered), self.first.name: _json(value)}
                for name, (count, covered, value) in self.groups.items()
            },
            "bootstrap": {"draws": self.draws, "seed": self.seed, "level": 0.95},
        }


def evaluate(
    cases: Sequence[Case],
    task: str,
    system: System,
    *,
    resolution: Resolution = NATIVE,
    language: str = "en",
    draws: int = DRAWS,
    seed: int = SEED,
    watch: Callable[[Outcome], None] | None = None,
) -> Report:
    """Run a system over cases and report. watch: called with each outcome as it comes. Raises as `outcomes` does."""
    made = []
    for outcome in outcomes(cases, task, system, resolution, language):
        made.append(outcome)
        if watch is not None:
            watch(outcome)
    return report(made, task, system.name, resolution=str(resolution), draws=draws, seed=seed)


def report(
    made: Sequence[Outcome],
    task: str,
    system: str,
    *,
    resolution: str = "native",
    draws: int = DRAWS,
    seed: int = SEED,
    extra: Sequence[Measure] = (),
) -> Report:
    """The report on outcomes. extra: measures beyond the task's own."""
    drawn = resamples(len(made), draws, seed)
    emitted = np.array([o.status == "emitted" for o in made], dtype=float)
    every = np.ones(len(made))
    ways = [*measures_for(task, made), *extra]

    def figure(name: str, better: Better, tally: Tally) -> Figure:
        return Figure(
            name, better, estimate(tally.total, every, drawn), estimate(tally.total, emitted, drawn),
            tuple(float(value) for value in tally.each),
        )  # fmt: skip

    tallies = [(way, way.tally(made)) for way in ways]
    figures = tuple(figure(way.name, way.better, tally) for way, tally in tallies)
    wanted = right(task)
    accuracy = None
    if wanted:
        hits = np.array([wanted[1](o) for o in made], dtype=float)
        accuracy = figure("accuracy", "higher", Tally(hits, _mean(hits)))
    groups: dict[str, tuple[int, Estimate, Estimate]] = {}
    names = sorted({o.case.group for o in made})
    for name in names if len(names) > 1 else []:
        mask = np.array([o.case.group == name for o in made], dtype=float)
        covered = estimate(_mean(emitted), mask, drawn)
        groups[name] = (int(mask.sum()), covered, estimate(tallies[0][1].total, mask, drawn))
    found = Counter(o.status for o in made)
    return Report(
        task, system, resolution, tuple(made), {status: found[status] for status in STATUSES},  # type: ignore[index]
        estimate(_mean(emitted), every, drawn), figures, wanted[0] if wanted else None, accuracy,
        _calibration(made, accuracy, figures[0]), groups, seed, draws,
    )  # fmt: skip


def _mean(each: np.ndarray) -> Callable[[np.ndarray], float]:
    return lambda w: float(w @ each / w.sum()) if w.sum() else float("nan")


def _calibration(made: Sequence[Outcome], accuracy: Figure | None, first: Figure) -> Calibration | None:
    if accuracy is None:
        return None
    rows = [
        (o.confidence, hit, max(0.0, 1 - value) if first.better == "lower" else value)
        for o, hit, value in zip(made, accuracy.each, first.each, strict=True)
        if o.status == "emitted" and o.confidence is not None
    ]
    if not rows:
        return None
    sure, hits, grades = ([row[i] for row in rows] for i in range(3))
    bins = min(15, max(1, len(rows) // 10))
    table = tuple(reliability(sure, hits, bins))
    return Calibration(len(rows), ece(sure, hits, bins), ece(sure, grades, bins), brier(sure, hits), table)


def _json(value: Estimate) -> list[float | None]:
    return [None if part is None else round(part, 6) for part in value]


def _calibration_json(value: Calibration | None) -> dict[str, Any] | None:
    if value is None:
        return None
    table = [
        {
            "low": round(b.low, 6), "high": round(b.high, 6), "count": b.count,
            "confidence": round(b.confidence, 6), "accuracy": round(b.accuracy, 6),
        }
        for b in value.table
    ]  # fmt: skip
    return {
        "count": value.count,
        "ece": round(value.ece, 6),
        "ece_graded": round(value.graded, 6),
        "brier": round(value.brier, 6),
        "bins": table,
    }
