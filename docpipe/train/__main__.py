"""`python -m docpipe.train RECIPE --out DIR`: what `docpipe train` does, for launchers such as torchrun."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from docpipe.errors import DocpipeError
from docpipe.train.start import Wishes, start


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docpipe.train", description="Train a recipe.")
    parser.add_argument("recipe", help="a TOML file, or the name of a shipped recipe")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; goes on with what is there")
    parser.add_argument("--model", default="", help="the checkpoint to fine-tune, or a nano to begin with")
    parser.add_argument("--data", action="append", default=[], help="a place, NAME=PLACE, or corrections.jsonl")
    parser.add_argument("--layout", default="", help="of the data, instead of the recipe's")
    parser.add_argument("--learn", default="", help="full, frozen-vision, lora or qlora, instead of the recipe's")
    parser.add_argument("--batch", type=int, default=0, help="samples of a step, over all processes")
    parser.add_argument("--accumulate", type=int, default=0, help="parts that a batch is run in")
    parser.add_argument("--steps", type=int, default=0, help="stop at this step")
    parser.add_argument("--decay", type=int, default=0, help="make a decay branch of so many steps instead")
    parser.add_argument("--threads", type=int, default=1, help="0: as many as are idle")
    parser.add_argument("--no-resume", dest="resume", action="store_false", help="begin anew")
    parser.add_argument("--offline", action="store_true", help="take the checkpoint from the local cache alone")
    given = vars(parser.parse_args())
    recipe, out, data = given.pop("recipe"), given.pop("out"), tuple(given.pop("data"))
    try:
        result = start(recipe, out, Wishes(data=data, **given))
    except DocpipeError as error:
        sys.exit(str(error))
    if os.environ.get("RANK", "0") == "0":
        print(result)


if __name__ == "__main__":
    main()
