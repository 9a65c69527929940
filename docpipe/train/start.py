"""Start a run, or go on with it: a nano recipe or fine-tuning, in this process or in several."""

from __future__ import annotations

import dataclasses
import math
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docpipe.errors import DocpipeError
from docpipe.models.registry import find_checkpoint, locate
from docpipe.train.plan import FineTune, is_fine_tune, parse_fine_tune, to_table
from docpipe.train.recipe import parse_recipe, read_table, shipped_recipes


@dataclass(frozen=True)
class Wishes:
    """What the command line says of a run, beside recipe and folder. "" and 0 leave it to the recipe."""

    model: str = ""
    data: tuple[str, ...] = ()
    layout: str = ""
    learn: str = ""
    batch: int = 0
    accumulate: int = 0
    steps: int = 0
    decay: int = 0
    threads: int = 1
    resume: bool = True
    offline: bool = False

    def arguments(self) -> list[str]:
        """The same as arguments of `python -m docpipe.train`."""
        made: list[str] = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "resume":
                made += [] if value else ["--no-resume"]
            elif isinstance(value, bool):
                made += [f"--{field.name}"] if value else []
            elif isinstance(value, tuple):
                made += [f"--{field.name}={item}" for item in value]
            elif value != field.default:
                made.append(f"--{field.name}={value}")
        return made


def start(recipe: str, out: Path, wishes: Wishes) -> Path:
    """Run in this process, or in its part of a run that a launcher started; the folder of the result.

    Raises DP620, DP621 for the recipe or for wishes that it cannot have, and what `trainer.train` and
    `finetune.fine_tune` raise.
    """
    table = read_table(recipe)
    from docpipe.train.processes import processes

    among = processes()
    if not is_fine_tune(table):
        said = [name for name in ("data", "layout", "learn") if getattr(wishes, name)]
        if said:
            raise DocpipeError("DP620", recipe, f"a nano recipe draws its data and learns whole: no --{said[0]}")
        from docpipe.train.trainer import train

        nano = parse_recipe(_sized(table, wishes))
        begin = locate(find_checkpoint(wishes.model), offline=wishes.offline).folder if wishes.model else None
        return train(nano, out, resume=wishes.resume, steps=wishes.steps, decay=wishes.decay, threads=wishes.threads,
                     among=among, begin=begin)  # fmt: skip
    if wishes.decay:
        raise DocpipeError("DP620", recipe, "its schedule ends by itself: no --decay")
    if not wishes.model:
        raise DocpipeError("DP303", recipe, "fine-tuning starts from a checkpoint")
    from docpipe.train.finetune import fine_tune

    plan = _learning(parse_fine_tune(_sized(table, wishes)), wishes.learn)
    return fine_tune(
        plan, wishes.model, wishes.data, out, layout=wishes.layout, resume=wishes.resume, steps=wishes.steps,
        threads=wishes.threads, offline=wishes.offline, among=among,
    )  # fmt: skip


def launch(recipe: str, out: Path, wishes: Wishes, count: int) -> int:
    """Run in `count` processes of this machine, through torch's launcher; the exit code."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    return subprocess.run(
        [*start, "-m", "docpipe.train", recipe, f"--out={out}", *wishes.arguments()], check=False
    ).returncode


def _sized(table: dict[str, Any], wishes: Wishes) -> dict[str, Any]:
    schedule = dict(table.get("schedule", {}))
    if wishes.batch:
        schedule |= {"batch": wishes.batch}
        schedule["accumulate"] = math.gcd(int(schedule.get("accumulate", 1)), wishes.batch)
    if wishes.accumulate:
        schedule["accumulate"] = wishes.accumulate
    return {**table, "schedule": schedule} if schedule else table


def _learning(plan: FineTune, learn: str) -> FineTune:
    if not learn:
        return plan
    table = to_table(plan)
    table["adapt"]["train"] = learn
    return parse_fine_tune(table)


def recipes() -> Sequence[tuple[str, str]]:
    """Name and first clause of what is said of each shipped recipe."""
    found = []
    for name, path in shipped_recipes().items():
        first = path.read_text(encoding="utf-8").splitlines()[0]
        found.append((name, re.split(r"[.:(]", first.removeprefix("#").strip())[0].strip()))
    return found
