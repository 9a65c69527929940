"""How fast examples are made up, a process on one core: of each synthesizer as files are, and as training samples.

    python benchmarks/synth.py [--seconds 8] [--only tables text]

Seconds are those of the processor, so that a busy machine does not matter. The first examples, which fill caches of
letters, are left out. A synthesizer must be faster than the trainer that eats it (about 40 samples a second at 128 px).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

from docpipe.errors import DocpipeError
from docpipe.train.domains import BUILT_IN, domain
from docpipe.train.recipe import read_recipe, shipped_recipes
from docpipe.train.synth.examples import SYNTHESIZERS, Options, synthesizer

WARM_UP = 40


def rate(stream: Iterator[Any], seconds: float) -> tuple[int, float]:
    """How many were made, and how many a second of the processor."""
    for _ in range(WARM_UP):
        next(stream)
    count, begun = 0, time.process_time()
    while (spent := time.process_time() - begun) < seconds:
        next(stream)
        count += 1
    return count, count / spent


def row(what: str, made: Callable[[], Iterator[Any]], seconds: float) -> None:
    try:
        count, each = rate(made(), seconds)
    except (ValueError, ImportError) as error:  # no lists, no library
        print(f"{what:40} {error}")
        return
    print(f"{what:40} {each:8.1f} /s/core   n {count:5}   {1000 / each:7.2f} ms each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=8.0, help="of the processor, for each row")
    parser.add_argument("--only", nargs="*", default=[], help="names of synthesizers and domains")
    given = parser.parse_args()
    for name in sorted(SYNTHESIZERS):
        if not given.only or name in given.only:
            row(f"files: {name}", lambda name=name: synthesizer(name)(1, 0, Options()), given.seconds)  # type: ignore[misc]
    for recipe_name in shipped_recipes():
        try:
            recipe = read_recipe(recipe_name)
        except DocpipeError:  # a recipe of another form, for real checkpoints
            continue
        if recipe.domain in BUILT_IN and (not given.only or recipe.domain in given.only):
            row(
                f"samples: {recipe_name}, {recipe.architecture.size} px",
                lambda recipe=recipe: domain(recipe.domain, **recipe.options).stream(1),  # type: ignore[misc]
                given.seconds,
            )


if __name__ == "__main__":
    main()
