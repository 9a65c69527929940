"""`docpipe convert`: documents into folders of checked JSON and exports."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

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
    Quiet,
    app,
    default_jobs,
)
from docpipe.errors import DocpipeError

if TYPE_CHECKING:
    from docpipe.pipeline import Pipeline
    from docpipe.run.batch import Outcome
    from docpipe.run.events import Event, Watcher
    from docpipe.run.partitions import Form
    from docpipe.urls import Place


@app.command()
def convert(
    sources: Annotated[list[str], typer.Argument(metavar="SRC...", help="PDFs, images, folders of them, or URLs.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="The folder to write into.")],
    pipeline: PipelineName = "default",
    pages: Pages = None,
    to: Annotated[
        str, typer.Option("--to", metavar="LIST", help="Formats beside document.json, such as md,html,overlay.")
    ] = "md",
    model: Model = None,
    quantize: Quantize = None,
    language: Language = None,
    jobs: Jobs = None,
    password: Password = None,
    page_deadline: PageDeadline = 60.0,
    deadline: Annotated[
        float,
        typer.Option("--deadline", min=0.1, metavar="SECONDS", help="Without a page read, a document is given up."),
    ] = 100.0,
    memory: Annotated[
        float | None,
        typer.Option("--memory", min=0.5, metavar="GB", help="Address space of a worker [default: the machine's]."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", "--force", help="Convert finished documents, too.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Ask models anew, whatever they said before.")] = False,
    on: Annotated[
        Literal["local", "ray"], typer.Option("--on", help="Where: this machine, or a Ray cluster (see RAY_ADDRESS).")
    ] = "local",
    partitions: Annotated[
        Literal["jsonl", "parquet"] | None,
        typer.Option("--partitions", help="Gather the documents in OUT/partitions, too."),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Convert documents into OUT/<name>/document.json and exports. Exit code 0 only when nothing is missing.

    A run that was cut goes on when the same command is given again; finished documents are left as they are.
    """
    from docpipe.api import converting_pipeline
    from docpipe.export import check_formats

    formats = check_formats(name for name in to.split(",") if name and name != "json")
    chosen = converting_pipeline(pipeline, model, language, quantize)
    files, refused = find_places(sources)
    options: dict[str, Any] = {
        "pipeline": pipeline,
        "pages": pages,
        "model": model,
        "quantize": quantize,
        "language": language,
    }
    options["formats"] = list(formats)
    asked = Asked(options, chosen, pages, formats, jobs, page_deadline, deadline, memory, not no_cache, on, partitions)
    report(run(files, out, asked, password=password, again=again, quiet=quiet or as_json), refused, quiet, as_json)


@dataclass(frozen=True)
class Asked:
    """What a run is asked for, as it is kept in the journal so that `docpipe resume` needs no more than the folder."""

    options: dict[str, Any]
    pipeline: Pipeline
    pages: str | None
    formats: tuple[str, ...]
    jobs: int | None
    page_deadline: float
    deadline: float
    memory: float | None
    cache: bool
    on: Literal["local", "ray"] = "local"
    partitions: Form | None = None

    def plain(self) -> dict[str, Any]:
        """As plain JSON values."""
        assert self.pipeline.file is not None
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        return plain | {"pipeline": self.pipeline.file.model_dump(mode="json")}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Asked:
        """What was asked for, from the journal. Raises DP405 when it says something else."""
        from docpipe.pipeline import Pipeline
        from docpipe.pipeline_file import PipelineFile

        try:
            pipeline = Pipeline.from_file(PipelineFile.model_validate(plain["pipeline"]))
            return cls(**(plain | {"pipeline": pipeline, "formats": tuple(plain["formats"])}))
        except (KeyError, TypeError, ValueError) as error:
            raise DocpipeError("DP405", "run.journal", f"what was asked for cannot be read: {error}") from error


def run(
    files: Sequence[Place], out: Path, asked: Asked, *, password: str | None, again: bool = False, quiet: bool = False
) -> list[Outcome]:
    """Convert files. On Ctrl-C or SIGTERM this process ends, with what is done kept."""
    from docpipe.run.batch import BatchSettings, convert_files
    from docpipe.run.cache import cache_file, cache_size
    from docpipe.run.crew import Limits
    from docpipe.run.machine import memory_of_machine, one_arena
    from docpipe.run.start import Terms
    from docpipe.run.stopping import Interrupted

    one_arena()
    memory = int(asked.memory * 1e9) if asked.memory else None
    if memory is None and asked.pipeline.devices <= {"cpu"}:  # other devices map far more than they use
        memory = memory_of_machine()
    terms = Terms(cache=(cache_file(), cache_size()) if asked.cache else None)
    workers = asked.jobs or (default_jobs() if asked.on == "local" else 0)
    settings = BatchSettings(
        pages=asked.pages, password=password, formats=asked.formats, jobs=workers,
        deadline=asked.deadline, limits=Limits(asked.page_deadline, memory, terms=terms), options=asked.options,
        again=again, asked=asked.plain(),
    )  # fmt: skip
    try:
        with progress(shown=not quiet and sys.stderr.isatty()) as watch:
            if asked.on == "ray":
                from docpipe.run.ray_batch import convert_on_ray

                outcomes = convert_on_ray(files, out, asked.pipeline, settings, watch)
            else:
                outcomes = convert_files(files, out, asked.pipeline, settings, watch)
            if asked.partitions is not None:
                from docpipe.run.partitions import write_partitions

                write_partitions(outcomes, out, asked.partitions, password)
            return outcomes
    except Interrupted as stop:
        print(f"stopped; `docpipe resume {out}` goes on from here", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(128 + stop.number)  # nothing is left to be written, and no thread is waited for


def report(outcomes: Sequence[Outcome], refused: Sequence[str], quiet: bool, as_json: bool) -> None:
    """Tell what came of a run; exit code 1 when anything is missing."""
    for line in (*refused, *(o.error for o in outcomes if o.error)):
        print(line, file=sys.stderr)
    if as_json:
        print(json.dumps([_plain(o) for o in outcomes], ensure_ascii=False))
    else:
        for outcome in outcomes:
            if outcome.note and not quiet:
                print(f"{outcome.source}: {outcome.note}", file=sys.stderr)
            for line in (*outcome.page_errors, *outcome.export_errors):
                print(line, file=sys.stderr)
        if not quiet and any(o.error is None for o in outcomes):
            print_summary(outcomes)
    if refused or not all(o.whole for o in outcomes):
        raise typer.Exit(1)


def find_all(sources: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The files that sources name, in order and each once, and a line for each source that names none."""
    from docpipe.source import find_files

    files: dict[Path, None] = {}
    refused = []
    for source in sources:
        try:
            files.update(dict.fromkeys(find_files(source)))
        except DocpipeError as error:
            refused.append(str(error))
    return list(files), refused


def find_places(sources: Sequence[str]) -> tuple[list[Place], list[str]]:
    """`find_all` for sources that may be URLs."""
    from docpipe.source import find_sources

    files: dict[Place, None] = {}
    refused = []
    for source in sources:
        try:
            files.update(dict.fromkeys(find_sources(source)))
        except DocpipeError as error:
            refused.append(str(error))
    return list(files), refused


@contextmanager
def progress(shown: bool) -> Iterator[Watcher]:
    """A watcher that shows a bar for each document being worked on, on standard error."""
    from docpipe.run.events import Closed, Opened, PageDone, nobody

    if not shown:
        yield nobody
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def watch(event: Event) -> None:
            if isinstance(event, Opened):
                tasks[event.name] = bars.add_task(Path(event.name).name, total=event.pages)
            elif isinstance(event, PageDone):
                bars.advance(tasks[event.name])
            elif isinstance(event, Closed) and event.name in tasks:
                bars.remove_task(tasks.pop(event.name))

        yield watch


def print_summary(outcomes: Sequence[Outcome]) -> None:
    """A table of what was converted: pages, regions by kind, verdicts, failures, pages a second."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=None, box=None, pad_edge=False)
    for name in ("document", "status", "pages", "regions", "verdicts", "pages/s"):
        table.add_column(name, justify="right" if name == "pages/s" else "left", overflow="fold")
    for outcome in outcomes:
        if outcome.error is not None:
            table.add_row(str(outcome.source), "failed", "", outcome.error.split(" ", 1)[0], "", "")
            continue
        done = outcome.pages["complete"] + outcome.pages["partial"]
        table.add_row(
            str(outcome.folder),
            outcome.status,
            _counts(outcome.pages),
            _counts(outcome.kinds),
            _counts(outcome.verdicts),
            f"{done / outcome.seconds:.1f}" if outcome.seconds else "",
        )
    Console(soft_wrap=False, highlight=False).print(table)


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {
        "source": str(outcome.source),
        "folder": str(outcome.folder) if outcome.error is None else None,
        "status": outcome.status,
        "error": outcome.error,
        "pages": dict(outcome.pages),
        "regions": dict(outcome.kinds),
        "verdicts": dict(outcome.verdicts),
        "page_errors": outcome.page_errors,
        "export_errors": outcome.export_errors,
        "known": outcome.known,
        "note": outcome.note,
        "seconds": round(outcome.seconds, 3),
    }
