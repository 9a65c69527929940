"""Recipes for fine-tuning a real checkpoint: what is learnt from which data, which weights move, and how fast."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from docpipe.errors import DocpipeError
from docpipe.models.preprocess import ARRANGEMENTS
from docpipe.tasks.base import task_names
from docpipe.train.recipe import Evaluation, Schedule, filled, read_table

Learning = Literal["full", "frozen-vision", "lora", "qlora"]


@dataclass(frozen=True)
class Data:
    """One data set of the mixture.

    name: by which --data NAME=DIR gives its place. layout: of docpipe.train.readers, with `options` of its own. task:
    of its examples. weight: its share of the samples, relative to the others'. split, validation: as its layout names
    them; where it has no validation split (""), every `hold_out`th example is kept for it.
    """

    name: str
    task: str
    layout: str = "folder"
    weight: float = 1.0
    split: str = "train"
    validation: str = ""
    hold_out: int = 50
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskPlan:
    """How the fine-tune will be asked one task, where it differs from the task's own file; its docpipe.json says so.

    prompt: with blanks such as {question}. max_tokens: of an answer; examples with a longer one are left out.
    prepare: one of `preprocess.ARRANGEMENTS`.
    """

    prompt: str = ""
    max_tokens: int = 0
    prepare: str = ""


@dataclass(frozen=True)
class Adaptation:
    """Which weights learn, and how.

    train: "full"; "frozen-vision" (all but the vision tower); "lora" (adapters alone, peft); "qlora" (the same on a
    base in 4 bits, CUDA alone). rank, alpha, dropout: of the adapters, on every linear layer of the language model,
    and of the vision tower where `vision`. weights: type of the frozen base under adapters, "float32" or "bfloat16"
    (taken only where it is native). final_cap: train with the final soft-cap. smoothing: of labels. checkpointing:
    compute activations anew in the backward pass, for memory.
    """

    train: Learning = "full"
    rank: int = 8
    alpha: int = 16
    dropout: float = 0.05
    vision: bool = False
    weights: str = "float32"
    final_cap: bool = False
    smoothing: float = 0.0
    checkpointing: bool = False


@dataclass(frozen=True)
class FineTune:
    """A fine-tuning recipe. side: pixels of the square input that it is meant for; the checkpoint decides.

    language: fills {language} in prompts where an example names none. source: where its values come from.
    """

    name: str
    data: tuple[Data, ...]
    side: int = 224
    seed: int = 1
    language: str = "en"
    source: str = ""
    tasks: dict[str, TaskPlan] = field(default_factory=dict)
    adapt: Adaptation = field(default_factory=Adaptation)
    schedule: Schedule = field(default_factory=lambda: Schedule(**PAPER))
    evaluation: Evaluation = field(default_factory=lambda: Evaluation(**MEASURED))


PAPER: dict[str, Any] = {
    "batch": 256, "lr": 1e-5, "warmup": 0, "warmup_share": 0.05, "final": 0.0, "ema": 0.0, "weight_decay": 0.0,
    "optimizer": "adamw", "shape": "cosine", "betas": (0.9, 0.999),
}  # fmt: skip
"""What [schedule] of a fine-tuning recipe leaves out: the papers' transfers, as far as they are known."""

MEASURED: dict[str, Any] = {"every": 1000, "count": 0, "max_tokens": 0, "best": "", "higher": True}
"""What [evaluation] leaves out. count 0: the whole validation set. best "": the first data set's metric."""


def is_fine_tune(table: dict[str, Any]) -> bool:
    """Whether a recipe's TOML is for fine-tuning; nano's name a domain."""
    return "domain" not in table


def read_fine_tune(place: str | Path) -> FineTune:
    """A fine-tuning recipe from a file, or a shipped one by its name. Raises DP620, DP621."""
    return parse_fine_tune(read_table(place))


def parse_fine_tune(table: dict[str, Any]) -> FineTune:
    """A fine-tuning recipe from its parsed TOML. Raises DP620."""
    values = dict(table)
    given = values.get("data")
    if not isinstance(given, list) or not given:
        raise DocpipeError("DP620", "recipe", "it has no [[data]], and no domain as nano's have")
    values["data"] = tuple(filled(Data, "data", one) for one in given)
    tasks = values.get("tasks", {})
    if not isinstance(tasks, dict):
        raise DocpipeError("DP620", "tasks", "tables [tasks.NAME] are needed")
    values["tasks"] = {name: filled(TaskPlan, f"tasks.{name}", one) for name, one in tasks.items()}
    if "adapt" in values:
        values["adapt"] = filled(Adaptation, "adapt", values["adapt"])
    for name, kind, base in (("schedule", Schedule, PAPER), ("evaluation", Evaluation, MEASURED)):
        said = values.get(name, {})
        values[name] = filled(kind, name, {**base, **said} if isinstance(said, dict) else said)
    made: FineTune = filled(FineTune, "recipe", values)
    _check(made)
    return made


def _check(made: FineTune) -> None:
    known = task_names()
    names = [one.name for one in made.data]
    wrong = [t for t in [*(one.task for one in made.data), *made.tasks] if t not in known]
    if wrong:
        raise DocpipeError("DP620", made.name, f"no task is called {wrong[0]}; tasks: {', '.join(known)}")
    if len(set(names)) != len(names):
        raise DocpipeError("DP620", made.name, "two data sets have one name")
    if min(one.weight for one in made.data) <= 0 or min(one.hold_out for one in made.data) < 2:
        raise DocpipeError("DP620", made.name, "weights must be above 0, hold_out 2 or more")
    if made.adapt.train not in get_args(Learning):
        raise DocpipeError("DP620", "adapt", f"train = {made.adapt.train!r}; there are {', '.join(get_args(Learning))}")
    if made.adapt.weights not in ("float32", "bfloat16"):
        raise DocpipeError("DP620", "adapt", f"weights = {made.adapt.weights!r}; there are float32, bfloat16")
    for name, plan in made.tasks.items():
        if plan.prepare and plan.prepare not in ARRANGEMENTS:
            raise DocpipeError("DP620", f"tasks.{name}", f"prepare: there are {', '.join(sorted(ARRANGEMENTS))}")
    if made.schedule.shape == "trunk" or (made.schedule.steps, made.schedule.epochs) == (0, 0.0):
        raise DocpipeError("DP620", made.name, "[schedule] needs steps or epochs, and a shape that ends")


def to_table(made: FineTune) -> dict[str, Any]:
    """The recipe as plain values, as a run's state keeps it."""

    def plain(value: Any) -> Any:
        if hasattr(value, "__dataclass_fields__"):
            return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value

    table: dict[str, Any] = plain(made)
    return table
