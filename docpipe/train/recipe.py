"""Recipes: a TOML file that says everything about a training run but where its files lie."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from docpipe.train.architecture import Architecture


@dataclass(frozen=True)
class Schedule:
    """Steps and rates. The trunk warms up and then keeps its rate for good; a decay branch takes it to `final`.

    lr: peak rate of Muon and AdamW. warmup: steps. final: share of the rate at the end of a branch. decay: steps of a
    branch where the caller names none. ema: of the averaged weights that are evaluated and shipped.
    """

    batch: int = 32
    lr: float = 3e-3
    warmup: int = 100
    decay: int = 1000
    final: float = 0.02
    ema: float = 0.998
    weight_decay: float = 0.01
    clip: float = 1.0
    optimizer: str = "muon"
    steps: int = 0
    """Stop there; 0 goes on until it is stopped."""


@dataclass(frozen=True)
class Losses:
    """Weights beside the language loss 1: patch labels, pointer from the middle text layer and from the last one.

    vision_first: steps at the start in which only the vision tower learns, from its patch labels. The rest cannot
    learn before there is something to see, and these steps cost less than half.
    """

    vision_first: int = 0
    labels: float = 2.0
    pointer_middle: float = 0.4
    pointer_final: float = 0.2


@dataclass(frozen=True)
class Evaluation:
    """every: steps between evaluations. count: samples of each set. best: which metric chooses, and by which sign."""

    every: int = 1000
    count: int = 256
    max_tokens: int = 48
    best: str = "held_out.exact"
    higher: bool = True


@dataclass(frozen=True)
class Shipment:
    """What a shipped folder's docpipe.json and card say beside what the run knows.

    prepare: one of models.preprocess.ARRANGEMENTS, with `options` of its own. card: Markdown at the card's end.
    """

    name: str = ""
    task: str = ""
    prompt: str = ""
    prepare: str = "white-square"
    max_tokens: int = 64
    options: dict[str, float] = field(default_factory=dict)
    summary: str = ""
    card: str = ""


@dataclass(frozen=True)
class Recipe:
    """A run. `options` are handed to the domain; `seed` fixes weights and data."""

    name: str
    domain: str
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = 1
    architecture: Architecture = field(default_factory=Architecture)
    schedule: Schedule = field(default_factory=Schedule)
    losses: Losses = field(default_factory=Losses)
    evaluation: Evaluation = field(default_factory=Evaluation)
    ship: Shipment = field(default_factory=Shipment)


_TABLES = {
    "architecture": Architecture,
    "schedule": Schedule,
    "losses": Losses,
    "evaluation": Evaluation,
    "ship": Shipment,
}


def read_recipe(place: str | Path) -> Recipe:
    """A recipe from a file, or a shipped one by its name.

    Raises ValueError on an unknown name or key, naming the known keys.
    """
    path = Path(place)
    if path.suffix != ".toml":
        shipped = files("docpipe.train") / "recipes" / f"{place}.toml"
        if not shipped.is_file():
            raise ValueError(f"no recipe named {place}")
        return parse_recipe(tomllib.loads(shipped.read_text()))
    return parse_recipe(tomllib.loads(path.read_text()))


def parse_recipe(table: dict[str, Any]) -> Recipe:
    """A recipe from its parsed TOML."""
    values = dict(table)
    for name, kind in _TABLES.items():
        if name in values:
            values[name] = _filled(kind, name, values[name])
    made: Recipe = _filled(Recipe, "recipe", values)
    return made


def _filled(kind: Any, name: str, values: dict[str, Any]) -> Any:
    known = [f.name for f in dataclasses.fields(kind)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"{name}: unknown {', '.join(unknown)}; there are {', '.join(known)}")
    return kind(**values)
