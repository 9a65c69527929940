"""A study of sizes and input resolutions over nano configurations: its recipes and its cases.

    DOCPIPE_SMILES=<lists> python benchmarks/sizes.py --out DIR [--cases 60]

writes a recipe a cell (DIR/small-64.toml …) and DIR/cases: small molecules kept from training, each once, drawn at
128 px without noise, with truth.jsonl. docs/benchmarks/sizes.md says how they are trained and compared, by the public
commands alone.
"""

from __future__ import annotations

import argparse
import json
from itertools import islice
from pathlib import Path

from PIL import Image

from docpipe.train.domains.molecules import Molecules

SIZES = {"small": (64, 3), "medium": (128, 3)}
"""Width and layers of both towers."""

SIDES = (64, 128)
LOW, HIGH = 3, 6
"""Heavy atoms: what can begin to be learnt in minutes."""

RECIPE = """# {name}: a cell of the study in docs/benchmarks/sizes.md; trained for a minute or two, not for use.
name = "{name}"
domain = "molecules"
seed = 1

[options]
side = {side}
low = {low}
high = {high}
noise = 0.0
bond = [{shortest}, {longest}]

[architecture]
size = {side}
patch = 16
vision_width = {width}
vision_layers = {layers}
text_width = {width}
text_layers = {layers}

[schedule]
batch = 32
warmup = 30
ema = 0.98

[evaluation]
every = 100000
count = 64
max_tokens = 24
best = "held_out.exact"

[ship]
name = "{name}"
task = "molecule"
prompt = "smiles"
prepare = "drawing-square"
max_tokens = 24
summary = "A cell of a study; not for use."

[ship.options]
bond = {bond}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=60)
    given = parser.parse_args()
    (given.out / "cases").mkdir(parents=True, exist_ok=True)
    for size, (width, layers) in SIZES.items():
        for side in SIDES:
            name, scale = f"{size}-{side}", side / max(SIDES)  # a bond as long in the picture at either side
            recipe = RECIPE.format(
                name=name, side=side, low=LOW, high=HIGH, width=width, layers=layers,
                shortest=16 * scale, longest=22 * scale, bond=19 * scale,
            )  # fmt: skip
            (given.out / f"{name}.toml").write_text(recipe)
    drawn = Molecules(max(SIDES), LOW, HIGH, noise=0.0, bond=(16.0, 22.0)).drawings(seed=1, held_out=True)
    lines: list[str] = []
    seen: set[str] = set()
    for drawing in islice(drawn, 10 * given.cases):
        if drawing.smiles in seen:  # there are few small molecules, and each is to count once
            continue
        name = f"{len(seen):03}.png"
        seen.add(drawing.smiles)
        Image.fromarray(drawing.pixels).save(given.out / "cases" / name)
        lines.append(json.dumps({"image": name, "smiles": drawing.smiles}))
        if len(seen) == given.cases:
            break
    (given.out / "cases" / "truth.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
