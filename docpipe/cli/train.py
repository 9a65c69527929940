"""`docpipe train`: nano recipes, and fine-tuning a PaliGemma 2 checkpoint."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from docpipe.cli.app import app
from docpipe.errors import DocpipeError


class Learn(StrEnum):
    """Which weights learn."""

    full = "full"
    frozen_vision = "frozen-vision"
    lora = "lora"
    qlora = "qlora"


@app.command()
def train(
    recipe: Annotated[
        str | None, typer.Argument(metavar="RECIPE", help="A shipped recipe's name (see --list), or a TOML file.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="The run's folder. What is there is gone on with."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME|FOLDER", help="The checkpoint to fine-tune, or the nano to begin with."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            "--data",
            metavar="[NAME=]PLACE",
            help="Where a data set of the recipe lies; its name is needed where there are several. A corrections.jsonl "
            "of the review page, or the output folder that holds it, is learnt beside them. Repeatable.",
        ),
    ] = None,
    layout: Annotated[
        str | None, typer.Option("--layout", help="How the data are laid out, instead of what the recipe says.")
    ] = None,
    learn: Annotated[
        Learn | None, typer.Option("--learn", help="Which weights learn, instead of what the recipe says.")
    ] = None,
    batch: Annotated[
        int, typer.Option("--batch", min=0, help="Samples of a step, over all processes. 0: the recipe's.")
    ] = 0,
    accumulate: Annotated[
        int, typer.Option("--accumulate", min=0, help="Parts that a batch is run in, for memory. 0: the recipe's.")
    ] = 0,
    steps: Annotated[int, typer.Option("--steps", min=0, help="Stop at this step. 0: the recipe's, or never.")] = 0,
    decay: Annotated[
        int,
        typer.Option("--decay", min=0, help="Of a nano run: make a decay branch of so many steps from its state."),
    ] = 0,
    threads: Annotated[int, typer.Option("--threads", min=0, help="Of each process. 0: as many as are idle.")] = 1,
    processes: Annotated[
        int, typer.Option("--processes", min=1, help="Processes of this machine: one a GPU, or CPU processes.")
    ] = 1,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on with the run in --out, or begin it anew.")
    ] = True,
    offline: Annotated[bool, typer.Option("--offline", help="Take the checkpoint from the local cache alone.")] = False,
    list_recipes: Annotated[bool, typer.Option("--list", help="List the shipped recipes and data layouts.")] = False,
) -> None:
    """Train a nano recipe, or fine-tune a PaliGemma 2 checkpoint.

    The run's folder gets log.jsonl, curve.png, the state that it goes on from after any stop, and the best weights by
    the recipe's metric: best.pt of nano, best/ of fine-tuning, which --model of other commands takes.

    docpipe train molecules-small --out runs/molecules

    docpipe train transfer-table --model google/paligemma2-3b-pt-896 --data pubtabnet=DIR --learn lora --out runs/table
    """
    if list_recipes:
        _print_recipes()
        return
    if recipe is None:
        raise DocpipeError("DP621", "RECIPE", "none is named")
    if out is None:
        raise DocpipeError("DP401", "--out", "no folder is named for the run")
    from docpipe.train.start import Wishes, launch, start

    wishes = Wishes(
        model or "", tuple(data or ()), layout or "", learn.value if learn else "", batch, accumulate, steps, decay,
        threads, resume, offline,
    )  # fmt: skip
    if processes > 1:
        raise typer.Exit(launch(recipe, out, wishes, processes))
    print(start(recipe, out, wishes))


def _print_recipes() -> None:
    from docpipe.train.readers import layouts
    from docpipe.train.start import recipes

    for name, said in recipes():
        print(f"{name:22} {said}")
    print(f"\nlayouts: {', '.join(layouts())}")
