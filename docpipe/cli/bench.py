"""`docpipe bench` and `docpipe quantize`: how fast PaliGemma 2 is on this machine, and checkpoints made smaller."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docpipe.cli.app import AsJson, app
from docpipe.errors import DocpipeError

if TYPE_CHECKING:
    from docpipe.models.speed import Speed

Quantize = Annotated[
    str,
    typer.Option("--quantize", metavar="MODE", help="none, auto, int8, int8-weight or bf16; auto asks the processor."),
]


@app.command()
def bench(
    shape: Annotated[
        str | None,
        typer.Option("--shape", metavar="NAME", help="A published size with random weights, as paligemma2-3b-224."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="NAME|FOLDER", help="A checkpoint instead.")] = None,
    quantize: Quantize = "auto",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="[default: physical cores]")] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Prompts decoded together.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Measure this machine, then PaliGemma 2's vision, prefill and decoding beside the bound that memory sets."""
    import torch

    from docpipe.models.cpu import features
    from docpipe.models.quantize import choose
    from docpipe.models.quantized import load
    from docpipe.models.registry import find_checkpoint, locate
    from docpipe.models.speed import measure, random_network
    from docpipe.models.speed import shape as shape_of

    if (shape is None) == (model is None):
        raise DocpipeError("DP207", "bench", "give either --shape or --model")
    torch.set_num_threads(threads or features().cores)
    chosen = choose(quantize)
    if model is not None:
        found = locate(find_checkpoint(model))
        assert found.folder is not None
        network, chosen = load(found.folder, chosen.mode)
    else:
        assert shape is not None
        network = random_network(shape_of(shape), chosen)
    speed = measure(network, chosen, batch=batch)
    asked = {"shape": shape, "model": model, "quantize": chosen.mode, "why": chosen.why, "batch": batch}
    said = {**asked, "threads": torch.get_num_threads(), **asdict(speed)}
    print(json.dumps(said) if as_json else _told(said, speed))


def _told(said: dict[str, object], speed: Speed) -> str:
    lines = [f"{name.replace('_', ' ')}: {value}" for name, value in said.items() if value is not None]
    lines += [f"one answer of {n} tokens: {speed.seconds(n):.1f} s" for n in (64, 200, 512)]
    if said["shape"] == "paligemma2-3b-224":
        from docpipe.run.machines import PAPER

        lines += ["", "the paper's CPUs (gemma.cpp, table 9): vision s, prefill s, tok/s"]
        lines += [f"  {name}: {vision}, {prefill}, {rate}" for name, vision, prefill, rate in PAPER]
    return "\n".join(lines)


@app.command()
def quantize(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="A folder, a registered or a hub name.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to write.")],
    mode: Annotated[str, typer.Option("--mode", metavar="MODE", help="int8, int8-weight, bf16 or auto.")] = "auto",
    pages: Annotated[
        Path | None,
        typer.Option("--pages", metavar="FOLDER", help="Images to calibrate on: layers that int8 hurts stay exact."),
    ] = None,
) -> None:
    """Write a checkpoint with quantized layers: a plain folder that --model takes, with a card of measured errors."""
    from docpipe.models.calibrate import quantize_folder
    from docpipe.models.registry import find_checkpoint, locate

    found = locate(find_checkpoint(checkpoint))
    if found.folder is None:
        raise DocpipeError("DP301", checkpoint, "it has neither a folder nor a hub name")
    for line in quantize_folder(found.folder, out, mode, pages):
        print(line)
