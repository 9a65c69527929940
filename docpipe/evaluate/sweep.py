"""Checkpoints and input sizes side by side, as in the PaliGemma 2 paper's study (arXiv 2412.03555)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from docpipe.engines.paligemma import PaliGemmaEngine
from docpipe.errors import DocpipeError
from docpipe.evaluate.bootstrap import DRAWS, SEED
from docpipe.evaluate.cases import Case, Outcome
from docpipe.evaluate.measures import measures_for
from docpipe.evaluate.report import Figure, Report, evaluate
from docpipe.evaluate.run import Resolution, System
from docpipe.models.load import network_config
from docpipe.models.registry import find_checkpoint, locate


@dataclass(frozen=True)
class Run:
    """One cell of the sweep. parameters: of the checkpoint; side: of its square input in pixels (None: no checkpoint).

    shown: the longest side in pixels of what was given to read; None for native images and for a dpi.
    """

    report: Report
    parameters: int | None
    side: int | None
    shown: int | None


@dataclass(frozen=True)
class Sweep:
    """Every system at every resolution, on the same cases. measure: the one that tables and plots show."""

    task: str
    runs: tuple[Run, ...]
    measure: str

    @property
    def systems(self) -> list[str]:
        """The systems' names, in order."""
        return list(dict.fromkeys(run.report.system for run in self.runs))

    @property
    def resolutions(self) -> list[str]:
        """The resolutions, in order."""
        return list(dict.fromkeys(run.report.resolution for run in self.runs))

    def figure(self, run: Run) -> Figure:
        """What a run scored in the sweep's measure."""
        return next(figure for figure in run.report.figures if figure.name == self.measure)

    def to_json(self) -> dict[str, Any]:
        """The sweep as a record; nothing in it changes from run to run."""
        runs = [
            {"parameters": run.parameters, "side": run.side, "shown": run.shown, **run.report.to_json()}
            for run in self.runs
        ]
        return {"task": self.task, "measure": self.measure, "runs": runs}


def run_sweep(
    cases: Sequence[Case],
    task: str,
    systems: Sequence[System],
    resolutions: Sequence[Resolution],
    *,
    measure: str = "",
    language: str = "en",
    draws: int = DRAWS,
    seed: int = SEED,
) -> Sweep:
    """Evaluate each system at each resolution, with the same resamples, so that their figures pair.

    measure: which one to show, by its name in any case; the task's own by default. Raises DP632 where the task has no
    such measure, else as `outcomes` does.

    A checkpoint has one input size: to compare sizes as the paper does, name checkpoints trained at several. The
    resolutions limit what there is to see before the checkpoint's own resize.
    """
    shown = _measure(cases, task, measure)
    names = [system.name for system in systems]
    if len(set(names)) < len(names):
        systems = [replace(s, label=f"{i}: {s.name}") for i, s in enumerate(systems, 1)]
    sizes = [_size(system) for system in systems]  # loads each checkpoint: a broken one is said before any work
    runs = []
    for system, (parameters, side) in zip(systems, sizes, strict=True):
        for resolution in resolutions:
            found = evaluate(
                cases, task, system, resolution=resolution, language=language, draws=draws, seed=seed
            )  # fmt: skip
            runs.append(Run(found, parameters, side, resolution.side))
    return Sweep(task, tuple(runs), shown)


def _measure(cases: Sequence[Case], task: str, wanted: str) -> str:
    """The full name of a measure, looked up before any work."""
    known = [measure.name for measure in measures_for(task, [Outcome(case, "abstained") for case in cases])]
    found = [name for name in known if name.lower() == wanted.lower()] if wanted else known
    if not found:
        raise DocpipeError("DP632", wanted, f"measures of {task} are " + ", ".join(known))
    return found[0]


def _size(system: System) -> tuple[int | None, int | None]:
    """How many parameters a system's checkpoint has, and the side of its input."""
    if not system.model:
        return None, None
    if system.alone and isinstance(system.reader, PaliGemmaEngine):
        folder = system.reader.load(find_checkpoint(system.model)).checkpoint.folder
    else:
        folder = locate(find_checkpoint(system.model)).folder
    return (_parameters(folder), network_config(folder).vision.side) if folder else (None, None)


def _parameters(folder: Path) -> int:
    """The numbers in a folder's safetensors files, by their headers."""
    from math import prod

    from safetensors import safe_open

    total = 0
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="numpy") as held:
            total += sum(prod(held.get_slice(key).get_shape()) for key in held.keys())  # noqa: SIM118
    return total
