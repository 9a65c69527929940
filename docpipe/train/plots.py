"""A run's curves as a PNG: the losses above, the scores of its validation sets below, over steps."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docpipe.train.logs import read_log

FILE = "curve.png"
SHOWN = 6
"""Scores drawn at most; the one that chooses the checkpoint comes first."""


def series(lines: Sequence[dict[str, Any]]) -> tuple[dict[str, list[tuple[int, float]]], ...]:
    """Losses of training and scores of validation by name, as (step, value); of a step told twice the last counts."""
    losses: dict[str, dict[int, float]] = {}
    scores: dict[str, dict[int, float]] = {}
    for line in lines:
        step = line.get("step")
        if step is None or line.get("event") in ("begin", "end"):
            continue
        if line.get("event") == "validation":
            for name, found in line.items():
                if isinstance(found, dict):
                    for metric, value in found.items():
                        scores.setdefault(f"{name}.{metric}", {})[step] = value
        else:
            for name, value in line.items():
                if name == "loss" or name.startswith(("pointer", "labels")):
                    losses.setdefault(name, {})[step] = value
    return tuple({n: sorted(points.items()) for n, points in some.items()} for some in (losses, scores))


def plot(folder: Path, best: str = "") -> Path | None:
    """Draw the run's log to curve.png in its folder; None without matplotlib or before there is anything to draw.

    best: the score (`set.metric`) that chooses the checkpoint.
    """
    losses, scores = series(read_log(folder))
    if not (losses or scores) or find_spec("matplotlib") is None:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 7), dpi=100, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for name, points in losses.items():
        above.plot(*zip(*points, strict=True), label=name, linewidth=1.2)
    losing = [name for name in scores if name.endswith(".loss")]
    for name in losing:
        above.plot(*zip(*scores[name], strict=True), "o--", markersize=3, linewidth=0.8, label=name)
    metrics = sorted((n for n in scores if n not in losing), key=lambda n: (n != best, "." in best and n not in best))
    for name in metrics[:SHOWN]:
        style = {"linewidth": 2.0} if name == best else {"linewidth": 1.0, "alpha": 0.8}
        below.plot(*zip(*scores[name], strict=True), "o-", markersize=3, label=name, **style)
    above.set_ylabel("loss")
    below.set_ylabel("score")
    below.set_xlabel("step")
    for axes in (above, below):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=8)
    path = folder / FILE
    beside = path.with_name("curve.new.png")
    # Without metadata the same log gives the same bytes.
    canvas: Any = FigureCanvasAgg(figure)
    canvas.print_png(str(beside), metadata={"Software": None})
    beside.replace(path)
    return path
