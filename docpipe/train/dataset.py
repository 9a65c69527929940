"""From a recipe's [[data]] and the places given to shelves of examples in the run's folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from docpipe.errors import DocpipeError
from docpipe.train.examples import Example, Shelf
from docpipe.train.plan import Data, FineTune
from docpipe.train.readers import read

CORRECTIONS = "corrections.jsonl"
CORRECTED_SHARE = 0.1
"""Weight of people's corrections, all other data being 1: they are few, and must not be learnt by heart."""


@dataclass(frozen=True)
class Placed:
    """A data set and where it lies."""

    data: Data
    place: Path


@dataclass(frozen=True)
class Shelves:
    """Examples of one data set, to learn and to measure. left_out: how many have too long an answer or none."""

    name: str
    weight: float
    learning: Shelf
    validation: Shelf
    left_out: int


def place(plan: FineTune, given: Sequence[str], layout: str = "") -> list[Placed]:
    """Which of the recipe's data sets lie where. Those without a place are left out.

    given: a place alone where the recipe has one data set, else NAME=PLACE; a corrections.jsonl, or the output folder
    that it lies in, is added to the mixture. layout: instead of the recipe's. Raises DP625.
    """
    named = {one.name: one for one in plan.data}
    found: list[Placed] = []
    for said in given:
        name, equals, rest = said.partition("=")
        where = Path(rest if equals and name in named else said).expanduser()
        if not where.exists():
            raise DocpipeError("DP107", str(where))
        if where.name == CORRECTIONS or (where.is_dir() and (where / CORRECTIONS).is_file()):
            tasks = sorted({one.task for one in plan.data})
            number = sum(one.data.layout == "corrections" for one in found)
            one = Data(f"corrections{number or ''}", "", "corrections", options={"tasks": tasks})
        elif equals and name in named:
            one = named[name]
        elif len(plan.data) == 1:
            one = plan.data[0]
        else:
            raise DocpipeError("DP625", said, f"write NAME={said}; names: {', '.join(named)}")
        if any(one.name == other.data.name for other in found):
            raise DocpipeError("DP625", said, f"{one.name} has a place already")
        found.append(Placed(replace(one, layout=layout) if layout and one.layout != "corrections" else one, where))
    if not found:
        raise DocpipeError(
            "DP625", plan.name, "it learns from " + ", ".join(f"{d.name} ({d.layout})" for d in plan.data)
        )
    others = sum(one.data.weight for one in found if one.data.layout != "corrections")
    share = CORRECTED_SHARE * others or 1.0
    return [replace(p, data=replace(p.data, weight=share)) if p.data.layout == "corrections" else p for p in found]


def fill(placed: Sequence[Placed], folder: Path, fits: Callable[[Example], bool], *, writes: bool = True) -> None:
    """Fill the shelves in a folder, unless they are there from the same data. Raises DP625, DP627.

    writes: false only checks, in all processes of a run but the first.
    """
    said = [{**asdict(one.data), "place": str(one.place.resolve())} for one in placed]
    note = folder / "mixture.json"
    if note.is_file():
        if json.loads(note.read_text())["data"] != json.loads(json.dumps(said)):
            raise DocpipeError("DP627", str(folder.parent), "it was begun with other data")
        return
    if not writes:
        raise DocpipeError("DP627", str(folder.parent), "its data are not there")
    folder.mkdir(parents=True, exist_ok=True)
    left_out = {}
    for one in placed:
        name = one.data.name
        kept, beside = folder / f"{name}.jsonl", folder / f"{name}.validation.jsonl"
        validation = list(_validation(one))
        held = None if validation else one.data.hold_out
        first, out = Shelf.fill(kept, _learning(one, held), fits)
        second, more = Shelf.fill(beside, validation or _held(one, held or 2), fits)
        if not len(first) or not len(second):
            whole = len(first) + len(second)
            raise DocpipeError(
                "DP625", str(one.place), f"{whole} usable examples of {whole + out + more} as {one.data.layout}"
            )
        left_out[name] = out + more
    note.write_text(json.dumps({"data": said, "left_out": left_out}, indent=1) + "\n")


def shelves(placed: Sequence[Placed], folder: Path) -> list[Shelves]:
    """The shelves that `fill` has filled."""
    left_out = json.loads((folder / "mixture.json").read_text())["left_out"]
    return [
        Shelves(d.name, d.weight, Shelf(folder / f"{d.name}.jsonl"), Shelf(folder / f"{d.name}.validation.jsonl"),
                left_out[d.name])
        for d in (one.data for one in placed)
    ]  # fmt: skip


def _read(one: Placed, split: str) -> Iterator[Example]:
    return read(one.data.layout, one.place, split=split, task=one.data.task, options=one.data.options)


def _validation(one: Placed) -> Iterator[Example]:
    if one.data.validation:
        yield from _read(one, one.data.validation)


def _learning(one: Placed, held: int | None) -> Iterator[Example]:
    for number, example in enumerate(_read(one, one.data.split)):
        if held is None or number % held:
            yield example


def _held(one: Placed, held: int) -> Iterator[Example]:
    for number, example in enumerate(_read(one, one.data.split)):
        if number % held == 0:
            yield example
