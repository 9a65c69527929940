"""The app that the commands belong to, and the options that several of them share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="docpipe",
    help="Turns PDFs and page images into checked structured data: text, tables, molecules, music, figures.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Sources = Annotated[list[Path], typer.Argument(metavar="SRC...", help="PDFs, images, or folders of them.")]
PipelineName = Annotated[
    str, typer.Option("--pipeline", "-p", metavar="NAME|FILE", help="A pipeline's name, or the path of a TOML file.")
]
Pages = Annotated[
    str | None, typer.Option("--pages", metavar="RANGE", help="Pages such as 3-7 or 1,4-6; others are skipped.")
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="NAME|FOLDER", help="A PaliGemma 2 checkpoint: registered, a folder, or a hub name."
    ),
]
Quantize = Annotated[
    str | None,
    typer.Option(
        "--quantize", metavar="MODE",
        help="How a checkpoint computes on the CPU: none, int8, int8-weight, bf16 or auto [default: auto].",
    ),
]  # fmt: skip
Password = Annotated[str | None, typer.Option("--password", help="Of encrypted PDFs.")]
Language = Annotated[str | None, typer.Option("--language", metavar="XX", help="Of prompts, two letters.")]
Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Worker processes [default: one a core, at most 4].")
]
PageDeadline = Annotated[
    float, typer.Option("--page-deadline", min=0.1, metavar="SECONDS", help="A page may take so long.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print docpipe's version.")] = False) -> None:
    """Turns PDFs and page images into checked structured data: text, tables, molecules, music, figures."""
    if version:
        import docpipe

        typer.echo(f"docpipe {docpipe.__version__}")
        raise typer.Exit


def default_jobs() -> int:
    """One worker a usable core, at most four: each holds its own models."""
    from docpipe.models.cpu import usable_cores

    return min(4, usable_cores())
