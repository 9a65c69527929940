"""Recipes: a TOML file that says everything about a training run but where its files lie."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docpipe.errors import DocpipeError
from docpipe.train.architecture import Architecture

SHAPES = ("trunk", "constant", "cosine", "linear")
OPTIMIZERS = ("muon", "adamw")


@dataclass(frozen=True)
class Schedule:
    """Steps and rates. A trunk warms up and then keeps its rate for good; a decay branch takes it to `final`.

    lr: peak rate of Muon and AdamW. warmup: steps. final: share of the rate at the end of a branch. decay: steps of a
    branch where the caller names none. ema: of the averaged weights that are evaluated and shipped; 0 averages
    nothing. batch: samples of a step, over all its parts and all processes.
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
    """"muon": matrices inside layers by Muon and all else by AdamW; "adamw": everything by AdamW."""
    steps: int = 0
    """Stop there; 0 goes on until it is stopped, or for `epochs`."""
    epochs: float = 0.0
    """Passes over the data, where steps are not given; for runs whose data end."""
    accumulate: int = 1
    """Parts that a batch is run in, one after another; their gradients are summed. Memory goes down, nothing else."""
    shape: str = "trunk"
    """Of the rate after the warm-up: "trunk" and "constant" stay, "cosine" and "linear" go to `final` at the end."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Of AdamW."""
    warmup_share: float = 0.0
    """Warm-up as a share of the run, where `warmup` is 0."""

    def rate(self, step: int, last: int) -> float:
        """The share of `lr` for step number `step` (from 0) of a run that ends at `last` (0: never)."""
        warmup = self.warmup or round(self.warmup_share * last)
        if step < warmup:
            return (step + 1) / warmup
        if self.shape in ("trunk", "constant") or last <= warmup:
            return 1.0
        done = min(1.0, (step - warmup) / (last - warmup))
        left = 1.0 - done if self.shape == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
        return self.final + (1.0 - self.final) * left


@dataclass(frozen=True)
class Losses:
    """Weights beside the language loss 1: patch labels, pointer from the middle text layer and from the last one.

    vision_first: steps at the start in which only the vision tower learns, from its patch labels. The rest cannot
    learn before there is something to see, and these steps cost less than half.
    """

    vision_first: int = 0
    smoothing: float = 0.0
    """Of the language loss: the share of a token's weight that all other tokens get."""
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

    prepare: one of models.preprocess.ARRANGEMENTS, with `options` of its own. card: Markdown at the card's end. tasks:
    of a checkpoint with several, a table each, with those of task, prompt, prepare, max_tokens and options that differ.
    world: of one with a closed vocabulary, what can be asked about.
    """

    name: str = ""
    task: str = ""
    prompt: str = ""
    prepare: str = "white-square"
    max_tokens: int = 64
    options: dict[str, float] = field(default_factory=dict)
    summary: str = ""
    card: str = ""
    tasks: list[dict[str, Any]] = field(default_factory=list)
    world: str = ""


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
    """A nano recipe from a file, or a shipped one by its name.

    Raises DP621 on an unknown name, DP620 on what is not valid, naming the known keys.
    """
    return parse_recipe(read_table(place))


def read_table(place: str | Path) -> dict[str, Any]:
    """A recipe's TOML as it is, from a file or a shipped one by its name. Raises DP620, DP621."""
    path = Path(place)
    shipped = shipped_recipes().get(str(place))
    if path.suffix == ".toml":
        if not path.is_file():
            raise DocpipeError("DP621", str(place), "there is no such file")
        text = path.read_text(encoding="utf-8")
    elif shipped is not None:
        text = shipped.read_text(encoding="utf-8")
    else:
        raise DocpipeError("DP621", str(place), "shipped are " + ", ".join(shipped_recipes()))
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DocpipeError("DP620", str(place), str(error)) from error


def shipped_recipes() -> dict[str, Path]:
    """The recipes that ship with docpipe, by name: nano's, and those for real checkpoints in `paper/`."""
    folder = Path(__file__).parent / "recipes"
    return {path.stem: path for path in (*sorted(folder.glob("*.toml")), *sorted(folder.glob("paper/*.toml")))}


def parse_recipe(table: dict[str, Any]) -> Recipe:
    """A nano recipe from its parsed TOML. Raises DP620."""
    values = dict(table)
    for name, kind in _TABLES.items():
        if name in values:
            values[name] = filled(kind, name, values[name])
    made: Recipe = filled(Recipe, "recipe", values)
    return made


def filled(kind: Any, name: str, values: Any) -> Any:
    """The dataclass `kind` from a table of TOML. Raises DP620, naming the known keys."""
    if not isinstance(values, dict):
        raise DocpipeError("DP620", name, f"a table is needed, it is {values!r}")
    known = [f.name for f in dataclasses.fields(kind)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise DocpipeError("DP620", name, f"unknown {', '.join(unknown)}; there are {', '.join(known)}")
    try:
        made = kind(**{key: tuple(v) if key == "betas" else v for key, v in values.items()})
    except TypeError as error:  # a field without a default is missing
        raise DocpipeError("DP620", name, str(error).partition(")")[2].strip() or str(error)) from error
    for field_ in dataclasses.fields(kind):
        _typed(name, field_.name, getattr(made, field_.name), str(field_.type))
    if isinstance(made, Schedule):
        _sound(made)
    return made


_PLAIN: dict[str, type | tuple[type, ...]] = {"int": int, "str": str, "bool": bool, "float": (int, float)}


def _typed(table: str, name: str, value: Any, said: str) -> None:
    wanted = _PLAIN.get(said)
    if wanted is None:
        return
    if not isinstance(value, wanted) or (isinstance(value, bool) and said != "bool"):
        raise DocpipeError("DP620", table, f"{name} = {value!r}, which is no {said}")


def _sound(plan: Schedule) -> None:
    for name, known in (("shape", SHAPES), ("optimizer", OPTIMIZERS)):
        if getattr(plan, name) not in known:
            raise DocpipeError("DP620", "schedule", f"{name} = {getattr(plan, name)!r}; there are {', '.join(known)}")
    if min(plan.batch, plan.accumulate, plan.lr) <= 0 or plan.batch % plan.accumulate:
        raise DocpipeError(
            "DP620", "schedule", f"a batch of {plan.batch} does not part into {plan.accumulate} equal parts"
        )
