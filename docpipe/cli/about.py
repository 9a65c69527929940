"""`docpipe pipelines`, `schema`, `errors`: what docpipe knows of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from docpipe.cli.app import app
from docpipe.errors import CATALOGUE, DocpipeError


@app.command()
def pipelines() -> None:
    """List the pipelines that ship with docpipe."""
    from docpipe.pipeline import pipeline_names

    for name, summary in pipeline_names().items():
        print(f"{name:12} {summary}")


@app.command()
def schema(
    name: Annotated[str, typer.Argument(metavar="[document|pipeline|manifest]", help="Which schema.")] = "document",
    write: Annotated[
        Path | None, typer.Option("--write", metavar="DIR", help="Make all schemas anew, into DIR.")
    ] = None,
) -> None:
    """Print a published JSON Schema, or make all of them anew from the models."""
    from docpipe.export.schema import schema_text, write_schemas
    from docpipe.pipeline_file import pipeline_schema
    from docpipe.resources import resource, resource_names

    if write is not None:
        write_schemas(write)
        (write / "pipeline.v1.json").write_text(schema_text(pipeline_schema()), encoding="utf-8")
        return
    names = [file.split(".", 1)[0] for file in resource_names("schemas")]
    if name not in names:
        raise DocpipeError("DP203", name, "schemas: " + ", ".join(names))
    file = next(f for f in resource_names("schemas") if f.split(".", 1)[0] == name)
    print(resource("schemas", file).read_text("utf-8"), end="")


@app.command()
def errors() -> None:
    """List the codes of all errors: what happened and what to do."""
    for code, entry in CATALOGUE.items():
        print(f"{code}  {entry.what}; {entry.todo}")
