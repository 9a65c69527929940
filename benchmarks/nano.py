"""What the shipped nano checkpoints take: CPU milliseconds a molecule crop and a system of music, one thread.

    DOCPIPE_SMILES=… DOCPIPE_FONTS=… python benchmarks/nano.py [--count 20] [--quantize none] [--profile]

Held-out renders, each asked of the engine by itself as `docpipe read` asks: decoding the PNG, arranging, cutting into
strips, the network, and putting the answer together are counted. Of three runs of each the shortest counts, for others
on the machine only lengthen it. Targets: 50 ms a molecule, 500 ms a system of 300 tokens (the mean of those of 250 to
350). --profile prints where the time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import pstats
import time
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from PIL import Image

from docpipe.document import Box, Kind, Page, Region
from docpipe.engines.base import Request
from docpipe.engines.paligemma import PaliGemmaEngine
from docpipe.sheet import Sheet
from docpipe.source import SourceRef
from docpipe.tasks import get_task
from docpipe.train.domains.molecules import Molecules
from docpipe.train.score_systems import rendered

RUNS = 3


def request(image: Image.Image, task: Kind) -> Request:
    """A crop asked for a task."""
    held = io.BytesIO()
    image.convert("RGB").save(held, "PNG")
    sheet = Sheet(Page(number=1, width=image.width, height=image.height), SourceRef("a.png", data=held.getvalue()))
    region = Region(id="p1.r1", kind=task, box=Box(0, 0, image.width, image.height))
    return Request(get_task(task), sheet, region, dpi=72)


def molecules(count: int) -> Iterator[Request]:
    for sample in Molecules(side=128, low=3, high=10, noise=0.5, bond=(13.0, 22.0)).validation(count)["held_out"]:
        yield request(Image.fromarray(sample.pixels), "molecule")


def scores(count: int) -> Iterator[Request]:
    return (request(image, "score") for image, _ in islice(rendered(), count))


def spent(engine: PaliGemmaEngine, asked: Sequence[Request]) -> tuple[list[float], list[int]]:
    """Milliseconds and tokens of each request."""
    times, tokens = [], []
    for one in asked:
        runs = []
        for _ in range(RUNS):
            began = time.process_time()
            (answer,) = engine.read([one])
            runs.append(1000 * (time.process_time() - began))
        times.append(min(runs))
        tokens.append(answer.origin.tokens or 0)
    return times, tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--quantize", default="none")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, one thread, {given.count} crops each, quantize = {given.quantize}")
    for name, asked in (("molecule", list(molecules(given.count))), ("score", list(scores(given.count)))):
        engine = PaliGemmaEngine(batch=1, quantize=given.quantize)
        list(engine.read(asked[:1]))
        times, tokens = spent(engine, asked)
        print(f"{name}: median {np.median(times):.0f} ms, most {max(times):.0f} ms; "
              f"tokens: median {np.median(tokens):.0f}, most {max(tokens)}", flush=True)  # fmt: skip
        near = [(ms, n) for ms, n in zip(times, tokens, strict=True) if 250 <= n <= 350]
        if near:
            ms, mean = np.mean(near, axis=0)
            print(f"{name} of 250 to 350 tokens ({len(near)}; mean {mean:.0f}): {ms:.0f} ms", flush=True)
        if given.profile:
            with cProfile.Profile() as profile:
                for one in asked:
                    list(engine.read([one]))
            pstats.Stats(profile).sort_stats("tottime").print_stats(20)


if __name__ == "__main__":
    main()
