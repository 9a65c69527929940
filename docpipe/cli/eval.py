"""`docpipe eval`: an engine, a checkpoint or a pipeline measured on data with truths."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docpipe.cli.app import AsJson, Language, app
from docpipe.errors import DocpipeError

if TYPE_CHECKING:
    from rich.table import Table

    from docpipe.evaluate.bootstrap import Estimate
    from docpipe.evaluate.cases import Case
    from docpipe.evaluate.measures import Measure
    from docpipe.evaluate.report import Report
    from docpipe.evaluate.run import Resolution, System
    from docpipe.evaluate.sweep import Sweep

AXES = ("size", "resolution")


@app.command("eval")
def evaluate(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Such as molecule, table, text, score, question.")],
    data: Annotated[Path, typer.Option("--data", metavar="DIR|JSONL", help="Images with their truths.")],
    model: Annotated[
        list[str] | None, typer.Option("--model", metavar="NAME|FOLDER", help="A checkpoint; several for a sweep.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", help="One engine alone [default with --model: paligemma].")
    ] = None,
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", "-p", metavar="NAME|FILE", help="A pipeline, as `docpipe read` uses it.")
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option("--sweep", metavar="AXES", help="size, resolution, or both: compare them side by side."),
    ] = None,
    measure: Annotated[
        str | None, typer.Option("--measure", metavar="NAME", help="Of a sweep: which measure its table and plot show.")
    ] = None,
    resolution: Annotated[
        str, typer.Option("--resolution", metavar="LIST", help="Longest side in pixels, NNNdpi, or native.")
    ] = "native",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR", help="Write report.json, cases.parquet, worst.html and plots (extra: eval)."
        ),
    ] = None,
    n: Annotated[int | None, typer.Option("--n", min=1, help="So many cases, chosen by the seed.")] = None,
    seed: Annotated[int, typer.Option(help="Of the choice of cases and of the bootstrap.")] = 0,
    draws: Annotated[int, typer.Option("--bootstrap", min=1, help="Draws of the bootstrap.")] = 1000,
    worst: Annotated[int, typer.Option(min=0, help="Cases on the page of the worst.")] = 40,
    every: Annotated[
        bool, typer.Option("--no-gate", help="Take a checkpoint's answers however unsure it is of them.")
    ] = False,
    radgraph: Annotated[
        bool, typer.Option("--radgraph", help="RadGraph F1 of reports, by the package radgraph.")
    ] = False,
    language: Language = None,
    as_json: AsJson = False,
) -> None:
    """Measure an engine, a checkpoint or a pipeline: coverage, metrics with 95 % intervals, calibration."""
    from docpipe.evaluate import System, read_cases, sampled
    from docpipe.evaluate.run import Resolution
    from docpipe.tasks import get_task

    get_task(task)
    models: list[str | None] = [*model] if model else [None]
    shown = [Resolution.parse(part) for part in resolution.split(",") if part.strip()]
    axes = _axes(sweep, len(models), len(shown))
    if measure and not axes:
        raise DocpipeError("DP632", "--measure", "a report shows all measures; it is for --sweep")
    if out is not None:
        _need_extra()
    cases = sampled(read_cases(data, task), n, seed)
    systems = [System(engine, one, pipeline, gated=not every) for one in models]
    if axes:
        from docpipe.evaluate.sweep import run_sweep

        made = run_sweep(
            cases, task, systems, shown, measure=measure or "", language=language or "en", draws=draws, seed=seed
        )
        _print_sweep(made, as_json)
        if out is not None:
            from docpipe.evaluate.files import write_sweep

            write_sweep(made, out)
        return
    found = _run(cases, task, systems[0], shown[0], language or "en", draws, seed, radgraph)
    if as_json:
        print(json.dumps(found.to_json(), ensure_ascii=False, indent=1))
    else:
        _print(found)
    if out is not None:
        from docpipe.evaluate.files import write_report

        write_report(found, out, worst)


def _axes(sweep: str | None, models: int, resolutions: int) -> tuple[str, ...]:
    """The axes asked for. Raises DP632 for an unknown one, one with a single value, or values without their axis."""
    axes = tuple(part.strip() for part in (sweep or "").split(",") if part.strip())
    unknown = next((axis for axis in axes if axis not in AXES), None)
    if unknown:
        raise DocpipeError("DP632", unknown, "axes are " + ", ".join(AXES))
    for axis, count, option in (("size", models, "--model"), ("resolution", resolutions, "--resolution")):
        if axis in axes and count < 2:
            raise DocpipeError("DP632", axis, f"give several {option}")
        if axis not in axes and count != 1:
            raise DocpipeError("DP632", option, f"{count} values: say --sweep {axis}")
    return axes


def _need_extra() -> None:
    """Raises DP305 before any work when what --out writes with is missing."""
    import importlib.util

    for name in ("pyarrow", "matplotlib"):
        if importlib.util.find_spec(name) is None:
            raise DocpipeError("DP305", "--out", f"{name}: install docpipe[eval]")


def _run(
    cases: list[Case],
    task: str,
    system: System,
    resolution: Resolution,
    language: str,
    draws: int,
    seed: int,
    radgraph: bool,
) -> Report:
    from rich.console import Console
    from rich.progress import track

    from docpipe.evaluate.report import report
    from docpipe.evaluate.run import outcomes

    console = Console(stderr=True)
    made = track(
        outcomes(cases, task, system, resolution, language), system.name, len(cases), console=console,
        disable=not sys.stderr.isatty(),
    )  # fmt: skip
    extra: list[Measure] = []
    if radgraph:
        from docpipe.evaluate.radgraph import RADGRAPH_F1, graphs_of

        graphs_of(["no effusion"])  # before any work, so that a missing model is said at once
        extra.append(RADGRAPH_F1)
    return report(list(made), task, system.name, resolution=str(resolution), draws=draws, seed=seed, extra=extra)


def _print(found: Report) -> None:
    """The report as tables on standard output."""
    from rich.console import Console

    console = Console(highlight=False)
    counts = ", ".join(f"{count} {status}" for status, count in found.counts.items() if count)
    console.print(
        f"{found.task} by {found.system} at {found.resolution}: {len(found.outcomes)} cases, {counts}", markup=False
    )
    console.print(_measures(found))
    if found.calibration:
        c = found.calibration
        console.print(
            f"confidence of {c.count} emitted answers: ECE {c.ece:.3f}, Brier {c.brier:.3f}; "
            f"ECE against {found.first.name} {c.graded:.3f}",
            markup=False,
        )
    if found.groups:
        console.print(_groups(found))
    console.print(f"{found.seconds:.2f} CPU seconds a case", markup=False)


def _measures(found: Report) -> Table:
    from rich.table import Table

    table = Table("measure", "best", "over all", "of emitted", box=None, pad_edge=False)
    table.add_row("coverage", "1", _shown(found.coverage), "")
    if found.accuracy:
        table.add_row(f"accuracy ({found.right})", "1", _shown(found.accuracy.overall), _shown(found.accuracy.emitted))
    for figure in found.figures:
        best = "0" if figure.better == "lower" else "10" if figure.name.startswith("CIDEr") else "1"
        table.add_row(figure.name, best, _shown(figure.overall), _shown(figure.emitted))
    return table


def _groups(found: Report) -> Table:
    from rich.table import Table

    table = Table("folder", "cases", "coverage", found.first.name, box=None, pad_edge=False)
    for name, (count, covered, value) in found.groups.items():
        table.add_row(name or ".", str(count), _shown(covered), _shown(value))
    return table


def _shown(value: Estimate) -> str:
    if value.value is None:
        return "-"
    if value.low is None or value.high is None:
        return f"{value.value:.3f}"
    return f"{value.value:.3f}  ({value.low:.3f} to {value.high:.3f})"


def _print_sweep(made: Sweep, as_json: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    if as_json:
        print(json.dumps(made.to_json(), ensure_ascii=False, indent=1))
        return
    console = Console(highlight=False)
    first = made.figure(made.runs[0])
    console.print(
        f"{made.task}, {len(made.runs[0].report.outcomes)} cases: {first.name}, {first.better} is better", markup=False
    )
    table = Table("system", box=None, pad_edge=False)
    for heading in ("parameters", "side", *made.resolutions):
        table.add_column(heading, no_wrap=True)
    for system in made.systems:
        runs = [run for run in made.runs if run.report.system == system]
        million = f"{runs[0].parameters / 1e6:.1f} M" if runs[0].parameters else "-"
        side = f"{runs[0].side} px" if runs[0].side else "-"
        table.add_row(system, million, side, *(_stacked(made.figure(run).overall) for run in runs))
        table.add_row("  coverage", "", "", *(_stacked(run.report.coverage) for run in runs))
    console.print(table)


def _stacked(value: Estimate) -> str:
    """A figure with its interval below it."""
    return _shown(value).replace("  (", "\n").replace(")", "").replace(" to ", "-")
