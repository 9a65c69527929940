"""How well a run or checkpoint of the scores recipe reads scanned systems that nothing in its training came from.

    DOCPIPE_BENCH_DATA=data python benchmarks/scores.py --weights runs/scores/best.pt [--step 1] [--out answers]

Cuts every system into strips, reads them, puts the readings together and prints, with the count of systems: symbol
error rate, note and pitch F1 of strips whose bars were found, staves and bars found, and CPU seconds per system.
With --out it writes one .krn a system, for any other scorer. --cuts measures the cutting alone, without a model.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from docpipe.engines.staves import Cut, cut_system, joined
from docpipe.metrics.ser import ser
from docpipe.models.strips import fold
from docpipe.notation.kern_reading import read_staves
from docpipe.notation.kern_tokens import encode, split
from docpipe.train.domains.scores import score


def reader(weights: Path) -> Any:
    """A function from strips to their tokens."""
    import numpy as np
    import torch

    from docpipe.train.batches import Collator
    from docpipe.train.decoding import answers
    from docpipe.train.domains import domain
    from docpipe.train.export import read_run

    torch.set_num_threads(1)
    model, recipe, _ = read_run(weights)
    collate = Collator(domain(recipe.domain, **recipe.options), recipe.architecture.grid, recipe.architecture.patch)
    prefix = collate.prefix("kern")

    def read(strips: Sequence[Any]) -> list[list[str]]:
        pixels = torch.from_numpy(np.stack([fold(s) for s in strips])).float().div_(127.5).sub_(1.0)
        ids = torch.tensor([prefix] * len(strips))
        inputs = {
            "pixel_values": pixels[:, None].expand(-1, 3, -1, -1),
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "token_type_ids": torch.zeros_like(ids),
        }
        said, _ = answers(model, collate, inputs, len(prefix), recipe.evaluation.max_tokens)
        return [split("".join(tokens)) for tokens in said]

    return read


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--step", type=int, default=1, help="every so many-th system")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--cuts", action="store_true")
    given = parser.parse_args()
    data = os.environ.get("DOCPIPE_BENCH_DATA")
    if not data:
        parser.error("set DOCPIPE_BENCH_DATA to the folder that holds scores/scan-*")
    paths = sorted(Path(data).glob("scores/scan-*/*.png"))[:: given.step]
    read = None if given.cuts else reader(given.weights)
    truths: list[tuple[str, ...]] = []
    said: list[tuple[str, ...]] = []
    errors: list[float] = []
    staves = bars = 0
    begun = time.process_time()
    for path in paths:
        text = path.with_suffix(".krn").read_text()
        printed = read_staves(text)
        cuts = cut_system(Image.open(path))
        found = (_count(cuts, "staff"), _count(cuts, "measure"))
        staves += found[0] == len(printed)
        bars += found == (len(printed), len(printed[0]))
        if read is None:
            continue
        readings = read([cut.pixels for cut in cuts]) if cuts else []
        answer = joined(cuts, readings) if cuts else ""
        errors.append(ser(answer, text))
        if given.out:
            target = given.out / path.parent.name / path.with_suffix(".krn").name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(answer)
        if found == (len(printed), len(printed[0])):
            for cut, tokens in zip(cuts, readings, strict=True):
                measure = printed[cut.staff][cut.measure]
                if measure is not None:
                    truths.append(tuple(encode([measure])))
                    said.append(tuple(tokens))
    count = len(paths)
    print(f"systems {count}, staves right {staves / count:.3f}, staves and bars right {bars / count:.3f}")
    if errors:
        strips = score(truths, said, ["scan"] * len(truths))
        print(f"SER, mean over systems {sum(errors) / count:.3f}")
        names = ("ser", "exact", "note_f1", "pitch_f1", "clef", "key")
        print(f"{len(truths)} strips: " + ", ".join(f"{name} {strips[name]:.3f}" for name in names))
    print(f"CPU seconds a system {(time.process_time() - begun) / count:.2f}")


def _count(cuts: Sequence[Cut], what: str) -> int:
    return max((getattr(cut, what) for cut in cuts), default=-1) + 1


if __name__ == "__main__":
    main()
