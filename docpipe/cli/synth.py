"""`docpipe synth`: made-up examples as files, with their truth: the same seed, the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from docpipe.cli.app import app


@app.command()
def synth(
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="molecules, scores, tables, text, …; --list names all.")
    ] = "",
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="The folder to write.")] = None,
    count: Annotated[int, typer.Option("--n", "-n", help="How many.")] = 100,
    seed: Annotated[int, typer.Option("--seed", help="Another seed gives other examples.")] = 1,
    start: Annotated[int, typer.Option("--start", help="The number of the first one.")] = 0,
    noise: Annotated[float, typer.Option("--noise", min=0.0, max=1.0, help="0 clean to 1 as worn as scans.")] = 1.0,
    fonts: Annotated[str | None, typer.Option("--fonts", metavar="DIR", help="TrueType and OpenType files.")] = None,
    smiles: Annotated[
        str | None, typer.Option("--smiles", metavar="DIR", help="Lists of SMILES, for molecules.")
    ] = None,
    names: Annotated[bool, typer.Option("--list", help="List what can be made.")] = False,
) -> None:
    """Make images with their truth: DIR/images/*.png, DIR/truth.jsonl, DIR/manifest.json."""
    from docpipe.train.synth.examples import SYNTHESIZERS, Options
    from docpipe.train.synth.folder import write_folder

    if names:
        print("\n".join(sorted(SYNTHESIZERS)))
        return
    if not what:
        raise typer.BadParameter("say what to make: " + ", ".join(sorted(SYNTHESIZERS)))
    print(write_folder(what, out or Path(what), count, seed=seed, start=start,
                       options=Options(noise=noise, fonts=fonts, smiles=smiles)))  # fmt: skip
