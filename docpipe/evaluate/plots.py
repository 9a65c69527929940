"""Plots of evaluations as PNG: reliability, and sweeps over checkpoints and resolutions."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from docpipe.errors import DocpipeError
from docpipe.evaluate.report import Report

if TYPE_CHECKING:
    from docpipe.evaluate.sweep import Run, Sweep

MARKS = "osD^vP*X"


def reliability_plot(report: Report) -> bytes | None:
    """Accuracy against confidence, bin by bin, the area of a point by its count; None without confidences.

    Raises DP305 without the extra `eval`.
    """
    found = report.calibration
    if found is None:
        return None
    figure, (axes,) = _figure(1)
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--", label="calibrated")
    most = max(b.count for b in found.table)
    axes.plot([b.confidence for b in found.table], [b.accuracy for b in found.table], color="C0", linewidth=1)
    axes.scatter(
        [b.confidence for b in found.table], [b.accuracy for b in found.table],
        s=[20 + 80 * b.count / most for b in found.table], color="C0", zorder=3, label=f"{found.count} emitted answers",
    )  # fmt: skip
    axes.set(xlim=(0, 1.02), ylim=(-0.02, 1.02), xlabel="confidence", ylabel=f"share right ({report.right})")
    axes.set_title(f"{report.task} by {report.system}: ECE {found.ece:.3f}, Brier {found.brier:.3f}", fontsize=9)
    axes.legend(loc="upper left", fontsize=8, frameon=False)
    return _png(figure)


def sweep_plot(sweep: Sweep) -> bytes:
    """The sweep's measure with its intervals, a panel for each axis that has several values: against what was shown, a
    line a system; against the checkpoints' parameters, a line an input size; against their input size, a line a number
    of parameters (in tenths of a million: inputs of other sizes cost a few). Raises DP305 without the extra `eval`.
    """
    held = [run for run in sweep.runs if run.parameters and run.side]
    panels: list[tuple[str, Callable[[Run], str], Callable[[Run], float], int]] = []
    if len({_size(run) for run in held}) > 1:
        panels.append(("parameters in millions", lambda r: f"{r.side} px", lambda r: (r.parameters or 0) / 1e6, 1))
    if len({run.side for run in held}) > 1:
        panels.append(("side of the input in pixels", _size, lambda r: float(r.side or 0), 0))
    shown = len(sweep.resolutions) > 1 or not panels
    figure, axes = _figure(len(panels) + shown)
    if shown:
        _against_shown(axes[0], sweep)
    for panel, (label, line_of, place_of, digits) in zip(axes[shown:], panels, strict=True):
        for index, (line, runs) in enumerate(_lines(held, line_of, several=len(sweep.resolutions) > 1)):
            _line(panel, sweep, sorted(runs, key=place_of), place_of, line, index)
        ticks = {f"{place_of(run):.{digits}f}": place_of(run) for run in held}  # one for those that read alike
        panel.set_xscale("log")
        panel.set_xticks(list(ticks.values()), list(ticks), fontsize=8)
        panel.set_xticks([], minor=True)
        panel.set(xlabel=label)
    for panel in axes:
        panel.set_ylabel(_title(sweep))
        panel.legend(fontsize=7, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.suptitle(sweep.task, fontsize=10)
    return _png(figure)


def _size(run: Run) -> str:
    return f"{(run.parameters or 0) / 1e6:.1f} M"


def _title(sweep: Sweep) -> str:
    first = sweep.figure(sweep.runs[0])
    return f"{first.name} ({first.better} is better), n = {len(sweep.runs[0].report.outcomes)}"


def _lines(runs: Sequence[Run], line_of: Callable[[Run], str], *, several: bool) -> list[tuple[str, list[Run]]]:
    """Runs by what is the same along a line, in their order; with what was shown, where that differs."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(line_of(run) + (f", {run.report.resolution} shown" if several else ""), []).append(run)
    return list(found.items())


def _against_shown(axes: Any, sweep: Sweep) -> None:
    places = {name: place for place, name in enumerate(sweep.resolutions)}
    for index, system in enumerate(sweep.systems):
        runs = [run for run in sweep.runs if run.report.system == system]
        label = system + (f" ({_size(runs[0])}, {runs[0].side} px)" if runs[0].parameters else "")
        offset = 0.06 * (index - (len(sweep.systems) - 1) / 2)
        _line(axes, sweep, runs, lambda r, by=offset: places[r.report.resolution] + by, label, index)  # type: ignore[misc]
    axes.set_xticks(range(len(places)), list(places), fontsize=8)
    axes.set(xlabel="longest side shown")


def _line(
    axes: Any, sweep: Sweep, runs: Sequence[Run], place_of: Callable[[Run], float], label: str, index: int
) -> None:
    values = [sweep.figure(run).overall for run in runs]
    middle = [v.value or 0.0 for v in values]
    below = [m - (v.low if v.low is not None else m) for m, v in zip(middle, values, strict=True)]
    above = [(v.high if v.high is not None else m) - m for m, v in zip(middle, values, strict=True)]
    spread = [[max(0.0, b) for b in below], [max(0.0, a) for a in above]]
    axes.errorbar(
        [place_of(run) for run in runs], middle, yerr=spread, label=label, marker=MARKS[index % len(MARKS)],
        markersize=5, linewidth=1, capsize=2,
    )  # fmt: skip


def _figure(panels: int) -> tuple[Any, list[Any]]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DocpipeError("DP305", "plots", "matplotlib: install docpipe[eval]") from error
    figure = Figure(figsize=(5.2 * panels, 4.2), dpi=120, layout="constrained")
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def _png(figure: Any) -> bytes:
    held = io.BytesIO()
    figure.savefig(held, format="png", metadata={"Software": None})
    return held.getvalue()
