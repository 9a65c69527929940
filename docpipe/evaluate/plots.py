"""Plots of evaluations as PNG: reliability, and sweeps over checkpoints and resolutions."""

from __future__ import annotations

import io
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
    """The task's own measure with its intervals: against resolution, a line a system; and, where there are several
    checkpoints, against their parameters, a line a resolution. Raises DP305 without the extra `eval`.
    """
    sized = len({run.parameters for run in sweep.runs if run.parameters}) > 1
    figure, panels = _figure(1 + sized)
    first = sweep.runs[0].report.first
    title = f"{first.name} ({first.better} is better), n = {len(sweep.runs[0].report.outcomes)}"
    axes = panels[0]
    places = {name: place for place, name in enumerate(sweep.resolutions)}
    for index, system in enumerate(sweep.systems):
        runs = [run for run in sweep.runs if run.report.system == system]
        label = system + (f" ({runs[0].parameters / 1e6:.1f} M, {runs[0].side} px)" if runs[0].parameters else "")
        offset = 0.06 * (index - (len(sweep.systems) - 1) / 2)
        _line(axes, [places[run.report.resolution] + offset for run in runs], runs, label, index)
    axes.set_xticks(range(len(places)), list(places), fontsize=8)
    axes.set(xlabel="longest side shown", ylabel=title)
    axes.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.02 + 0.06 * len(sweep.systems)))
    if sized:
        axes = panels[1]
        for index, resolution in enumerate(sweep.resolutions):
            runs = sorted(
                (r for r in sweep.runs if r.report.resolution == resolution and r.parameters),
                key=lambda r: r.parameters or 0,
            )
            _line(axes, [(run.parameters or 0) / 1e6 for run in runs], runs, resolution, index)
        axes.set_xscale("log")
        axes.set(xlabel="parameters in millions", ylabel=title)
        axes.legend(
            fontsize=7,
            frameon=False,
            loc="upper center",
            ncols=4,
            bbox_to_anchor=(0.5, 1.02 + 0.06 * len(sweep.systems)),
        )
    figure.suptitle(sweep.task, fontsize=10)
    return _png(figure)


def _line(axes: Any, places: list[float], runs: list[Run], label: str, index: int) -> None:
    values = [run.report.first.overall for run in runs]
    middle = [v.value or 0.0 for v in values]
    below = [m - (v.low if v.low is not None else m) for m, v in zip(middle, values, strict=True)]
    above = [(v.high if v.high is not None else m) - m for m, v in zip(middle, values, strict=True)]
    spread = [[max(0.0, b) for b in below], [max(0.0, a) for a in above]]
    axes.errorbar(
        places, middle, yerr=spread, label=label, marker=MARKS[index % len(MARKS)], markersize=5, linewidth=1, capsize=2
    )


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
