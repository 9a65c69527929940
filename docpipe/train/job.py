"""What the trainer trains. A job is a model with its data, loss and scores; the trainer knows nothing else of it.

`nano.NanoJob` trains a small model of its own on a generated domain, `finetune.FineTuneJob` a PaliGemma 2 folder on
files. Steps, accumulation, processes, optimizers, averaging, saving, resuming and logging are the trainer's, for both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from docpipe.train.loader import Loader
from docpipe.train.processes import Processes

Scores = dict[str, dict[str, float]]
"""Of each validation set, by its name, what was measured."""


class Job(Protocol):
    """A model and what it learns."""

    model: Any

    @property
    def heads(self) -> Sequence[nn.Module]:
        """Modules that learn beside the model and are for training alone."""
        ...

    @property
    def random(self) -> bool:
        """Whether a step draws random numbers (dropout), so that the trainer must seed each."""
        ...

    def batches(self, start: int) -> Loader:
        """Batches number `start` and on: dataclasses of arrays whose first axis is the sample."""
        ...

    def share(self, part: Any, batch: Any) -> float:
        """The weight of a part of a batch in the whole batch's loss, over all processes."""
        ...

    def loss(self, part: Any, step: int, share: float) -> tuple[Tensor, dict[str, float]]:
        """The part's loss, already times its share, and its figures for the log, not yet times it."""
        ...

    def validate(self) -> Scores:
        """Measure the model as it is on the whole of every validation set."""
        ...

    def state(self) -> dict[str, Any]:
        """What a run must keep beside optimizers and averages to go on."""
        ...

    def restore(self, state: dict[str, Any]) -> dict[str, Any]:
        """Take such a state in; gives it back, changed where the job had to change it."""
        ...

    def best(self, folder: Path, said: dict[str, Any]) -> None:
        """Keep the model as it is, the best so far, in the run's folder. said: step, samples, scores and such."""
        ...

    def steps(self) -> int:
        """How many steps the recipe asks for; 0: no end."""
        ...


def rows(batch: Any, chosen: slice) -> Any:
    """Some samples of a batch, as a batch."""
    cut = {f.name: getattr(batch, f.name)[chosen] for f in dataclasses.fields(batch)}
    return dataclasses.replace(batch, **cut)


def parts(batch: Any, count: int, among: Processes, *, mine_alone: bool = False) -> list[Any]:
    """This process's samples of a batch, in `count` parts. mine_alone: the batch holds no other process's samples."""
    size = len(getattr(batch, dataclasses.fields(batch)[0].name))
    first, last = 0, size
    if not mine_alone:
        first, last = size * among.rank // among.count, size * (among.rank + 1) // among.count
    if count == 1 and last - first == size:
        return [batch]
    mine = last - first
    edges = [first + mine * i // count for i in range(count + 1)]
    return [rows(batch, slice(a, b)) for a, b in pairwise(edges) if b > a]
