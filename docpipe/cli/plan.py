"""`docpipe plan`: what converting documents will take, before it is begun."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from docpipe.cli.app import (
    AsJson,
    Jobs,
    Language,
    Model,
    PageDeadline,
    Pages,
    Password,
    PipelineName,
    Quantize,
    Sources,
    app,
)
from docpipe.cli.convert import find_all

if TYPE_CHECKING:
    from docpipe.run.plan import Estimate, Plan


@app.command()
def plan(
    sources: Sources,
    pipeline: PipelineName = "default",
    sample: Annotated[int, typer.Option("--sample", min=1, metavar="N", help="Pages to try.")] = 24,
    pages: Pages = None,
    to: Annotated[str, typer.Option("--to", metavar="LIST", help="Formats, as of convert.")] = "md",
    model: Model = None,
    quantize: Quantize = None,
    language: Language = None,
    jobs: Jobs = None,
    password: Password = None,
    page_deadline: PageDeadline = 60.0,
    price: Annotated[
        float | None, typer.Option("--price-per-hour", min=0.0, metavar="X", help="Of the machine, in any currency.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="FILE|NAME",
            help="Another machine: its description (TOML, JSON), what `docpipe bench --json` printed, or a known name.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the choice of pages.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Predict time, memory, cost and what will be found, from pages of a sample that are really converted.

    Nothing is kept. The interval is that of the choice of pages: a document of a kind that the sample lacks is not in
    it, nor what else the machine is doing meanwhile.
    """
    from docpipe.api import plan as make_plan
    from docpipe.errors import DocpipeError
    from docpipe.export import check_formats

    files, refused = find_all(sources)
    for line in refused:
        print(line, file=sys.stderr)
    if not files:
        raise typer.Exit(1) if refused else DocpipeError("DP535", "plan", "no document was named")
    made = make_plan(
        files, pipeline, sample=sample, pages=pages, model=model, quantize=quantize, language=language, jobs=jobs,
        password=password,
        formats=check_formats(name for name in to.split(",") if name and name != "json"),
        page_deadline=page_deadline, price_per_hour=price, on=on, seed=seed,
    )  # fmt: skip
    print(json.dumps(made.to_dict(), ensure_ascii=False) if as_json else told(made))
    if refused:
        raise typer.Exit(1)


def told(made: Plan) -> str:
    """A plan in words: one figure a line, with its interval."""
    held = sum(made.refused.values())
    no = f", {held} of them cannot be opened ({_counted(made.refused)})" if held else ""
    lines = [
        f"on {made.machine}, {_many(made.jobs, 'worker')}, pipeline {made.pipeline}",
        f"{_many(made.documents, 'document')}, {made.opened} looked at{no}; {_many(made.tried, 'page')} tried",
        "",
        _line("pages", made.pages, _number),
        _line("wall time", made.wall_s, duration),
        _line("processor time", made.cpu_s, duration) if made.cpu_s is not None else "processor time: not known here",
        _line("pages a second", made.pages_per_s, _number),
        f"{'memory':18}{_number(made.memory_gb)} GB" if made.memory_gb is not None else "memory: not known here",
        _line("output", made.output_gb, lambda x: f"{_number(1000 * x)} MB"),
    ]
    if made.crops.value:
        lines += [
            _line("crops to the model", made.crops, _number),
            _line("its tokens", made.tokens, _number),
            _line("its time", made.model_s, duration),
        ]
    if made.cost is not None and made.cost_per_1000_pages is not None:
        lines += [_line("cost", made.cost, _number), _line("of 1,000 pages", made.cost_per_1000_pages, _number)]
    lines += [""] + [
        line
        for title, found in (("pages", made.statuses), ("regions", made.regions), ("read by", made.engines))
        for line in _listed(title, found)
    ]
    lines.append("time by stage: " + ", ".join(f"{name} {share:.0%}" for name, share in made.stages.items()))
    lines += [f"note: {note}" for note in made.notes]
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def _line(name: str, estimate: Estimate, said: object) -> str:
    assert callable(said)
    between = ""
    if estimate.low is not None and estimate.high is not None and estimate.low < estimate.high:
        between = f"  ({said(estimate.low)} to {said(estimate.high)})"
    return f"{name:18}{said(estimate.value)}{between}"


def _listed(title: str, found: Mapping[str, Estimate]) -> list[str]:
    whole = sum(estimate.value for estimate in found.values())
    if not whole:
        return []
    said = ", ".join(f"{name} {_number(e.value)} ({e.value / whole:.0%})" for name, e in found.items() if e.value)
    return [f"{title}: {said}"]


def _number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _many(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{code} {count}" for code, count in sorted(counts.items()))
