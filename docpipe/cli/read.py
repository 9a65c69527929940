"""`docpipe read`: what an image crop, or each region of a PDF for a task, says; on standard output and nothing else."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from docpipe.cli.app import AsJson, Language, Model, PageDeadline, Pages, Password, PipelineName, Quantize, Sources, app
from docpipe.cli.convert import find_all
from docpipe.errors import DocpipeError

if TYPE_CHECKING:
    from docpipe.api import Found


class TaskChoice(StrEnum):
    """What can be asked of a crop."""

    text = "text"
    table = "table"
    molecule = "molecule"
    score = "score"
    caption = "caption"
    short_caption = "short-caption"
    describe = "describe"
    chart = "chart"
    formula = "formula"


@app.command()
def read(
    sources: Sources,
    task: Annotated[TaskChoice, typer.Option("--task", "-t", help="What to read.")],
    model: Model = None,
    quantize: Quantize = None,
    pipeline: PipelineName = "default",
    pages: Pages = None,
    language: Language = None,
    password: Password = None,
    page_deadline: PageDeadline = 60.0,
    as_json: AsJson = False,
) -> None:
    """Print the text, HTML, SMILES or **kern of each image, or of each such region of a PDF.

    An image is taken for one region: no layout runs on it. With --json, one object a line for each region.
    """
    from docpipe.api import as_pipeline, found_in, kinds_wanted, reading_run
    from docpipe.run.pool import Limits, Pool
    from docpipe.source import SourceRef

    chosen = as_pipeline(pipeline, model, language, quantize)
    kinds = set(kinds_wanted(task, None))
    files, errors = find_all(sources)
    with Pool(1, Limits(page_deadline)) as pool:
        for file in files:
            ref = SourceRef(file.name, path=str(file), password=password)
            try:
                run = reading_run(ref, chosen, task, wanted=pages, pool=pool)
                for found in found_in(run, str(file), kinds):
                    _print(found, as_json)
            except DocpipeError as error:
                errors.append(str(error))
            else:
                errors += [f"{item.code} {item.message}" for item in run.errors]
    for line in errors:
        print(line, file=sys.stderr)
    if errors:
        raise typer.Exit(1)


def _print(found: Found, as_json: bool) -> None:
    if as_json:
        print(found.to_json(), flush=True)
    elif found.text:
        print(found.text, flush=True)
    else:
        reasons = "; ".join(finding.message for finding in found.reading.verdict.findings) or "nothing could be read"
        print(f"{found.source} {found.region.id}: {reasons}", file=sys.stderr)
