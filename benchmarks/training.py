"""How fast nano recipes train, and how much of the machine's arithmetic that is; one thread.

    python benchmarks/training.py [RECIPE ...] [--steps 6] [--batch N]

For each recipe: samples a second of a whole step (forward, backward, both optimizers), of drawing and collating its
batches, the step's GFLOP (counted by torch from the matrix products of forward and backward) and the share of the peak,
which is that of a 1024 x 1024 matrix product in the step's type, measured in the same run before and after each
recipe. Times are CPU seconds of this thread, the least over the steps: wall time on a busy machine says little, though
shared caches and memory still make both slower than on a quiet one.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from docpipe.train.batches import Collator, batches
from docpipe.train.domains import domain
from docpipe.train.plan import is_fine_tune
from docpipe.train.precision import native_bfloat16
from docpipe.train.recipe import read_recipe, read_table, shipped_recipes
from docpipe.train.trainer import Trainer


def peak(dtype: torch.dtype, seconds: float = 0.4) -> float:
    """GFLOP/s of a square matrix product on this thread: the best of as many as fit."""
    side = 1024
    a, b = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
    best, begun = float("inf"), time.thread_time()
    while time.thread_time() - begun < seconds:
        start = time.thread_time()
        a @ b
        best = min(best, time.thread_time() - start)
    return 2 * side**3 / best / 1e9


def measure(name: str, steps: int, batch: int) -> dict[str, object]:
    """One recipe's figures. Raises what its domain raises when it lacks its data."""
    recipe = read_recipe(name)
    if batch:
        recipe = replace(recipe, schedule=replace(recipe.schedule, batch=batch))
    # From the first step on, the whole model learns: the steps of the vision tower alone are cheaper.
    recipe = replace(recipe, losses=replace(recipe.losses, vision_first=0))
    size, a = recipe.schedule.batch, recipe.architecture
    kind = torch.bfloat16 if native_bfloat16() else torch.float32
    drawn = domain(recipe.domain, **recipe.options)
    begun = time.thread_time()
    some = list(islice(batches(drawn, Collator(drawn, a.grid, a.patch), recipe.seed, size), 8))
    drawing = (time.thread_time() - begun) / (8 * size)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(recipe, Path(folder), threads=1)
        trainer.model.train()
        middle = sorted(some, key=lambda b: b.tokens.shape[1])[len(some) // 2]
        with FlopCounterMode(display=False) as counter:
            trainer.take_step(middle, 0.1)
        peaks, times = [peak(kind)], []
        for _ in range(steps):
            begun = time.thread_time()
            trainer.take_step(middle, 0.1)
            times.append(time.thread_time() - begun)
        peaks.append(peak(kind))
        parameters = sum(p.numel() for p in trainer.model.parameters())
    flop = counter.get_total_flops() / 1e9
    return {
        "recipe": name,
        "parameters": parameters,
        "batch": size,
        "tokens": int(middle.tokens.shape[1]),
        "type": str(kind).removeprefix("torch."),
        "samples/s": round(size / min(times), 1),
        "drawing samples/s": round(1 / drawing, 1),
        "GFLOP a step": round(flop, 1),
        "GFLOP/s": round(flop / min(times), 1),
        "peak GFLOP/s": round(max(peaks), 1),
        "share of peak": round(flop / min(times) / max(peaks), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", help="names of nano recipes; none: all that ship")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--batch", type=int, default=0, help="instead of the recipe's")
    given = parser.parse_args()
    torch.set_num_threads(1)
    names = given.recipes or [name for name in shipped_recipes() if not is_fine_tune(read_table(name))]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, torch {torch.__version__}")
    for name in names:
        try:
            print(json.dumps(measure(name, given.steps, given.batch)), flush=True)
        except (ValueError, OSError) as error:
            print(json.dumps({"recipe": name, "skipped": str(error)}), flush=True)


if __name__ == "__main__":
    main()
