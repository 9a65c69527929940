"""`python -m docpipe.train RECIPE --out DIR`: start a run or go on with it."""

from __future__ import annotations

import argparse
from pathlib import Path

from docpipe.train.trainer import train


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docpipe.train", description="Train a nano recipe.")
    parser.add_argument("recipe", help="a TOML file, or the name of a shipped recipe")
    parser.add_argument("--out", type=Path, required=True, help="the run's folder; goes on with what is there")
    parser.add_argument("--steps", type=int, default=0, help="stop at this step")
    parser.add_argument("--decay", type=int, default=0, help="make a decay branch of so many steps instead")
    parser.add_argument("--threads", type=int, default=1, help="0: as many as are idle")
    given = parser.parse_args()
    print(train(given.recipe, given.out, steps=given.steps, decay=given.decay, threads=given.threads))


if __name__ == "__main__":
    main()
