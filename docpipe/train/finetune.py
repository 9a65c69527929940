"""Fine-tuning a PaliGemma 2 folder: its own tokenizer, its own image preparation, the papers' mask and loss.

What comes out is a folder that the engine takes for --model: a whole checkpoint, or a peft adapter.

    docpipe train transfer-table --model google/paligemma2-3b-pt-896 --data PUBTABNET --out runs/table
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from docpipe.errors import DocpipeError
from docpipe.models.load import digest
from docpipe.models.preprocess import Resize
from docpipe.models.registry import Checkpoint, find_checkpoint, locate
from docpipe.tasks.base import get_task, task_names
from docpipe.train.adapters import adapted, load_checkpoint, write_result
from docpipe.train.batches import IGNORED
from docpipe.train.dataset import Placed, Shelves, fill, place, shelves
from docpipe.train.examples import Example, Shelf
from docpipe.train.greedy import answers, judged
from docpipe.train.job import Scores
from docpipe.train.loader import Loader
from docpipe.train.loss import answer_losses
from docpipe.train.mixture import Asking, FileBatch, FileBatches, Preparation
from docpipe.train.plan import FineTune, read_fine_tune, to_table
from docpipe.train.precision import native_bfloat16
from docpipe.train.processes import Processes
from docpipe.train.trainer import Trainer

FILLING = 64
"""Rows of a published vocabulary from <image> on: they fill the table up, and big_vision does not have them."""

RESULT = "best"
"""The folder in a run's folder that holds what measured best."""


class FineTuneJob:
    """A checkpoint and its data. out: the run's folder, in which shelves and the result lie."""

    heads: Sequence[nn.Module] = ()

    def __init__(self, plan: FineTune, checkpoint: Checkpoint, placed: Sequence[Placed], out: Path,
                 among: Processes) -> None:  # fmt: skip
        assert checkpoint.folder is not None
        self.plan, self.checkpoint, self.folder, self.among = plan, checkpoint, checkpoint.folder, among
        self.tasks = {name: _asking(plan, name) for name in task_names()}
        self.prepare = Preparation(self.folder, self.tasks, cast(Resize, checkpoint.resize), plan.language)
        if among.rank == 0:
            fill(placed, out / "data", self.prepare.fits)
        among.wait()
        if among.rank:
            fill(placed, out / "data", self.prepare.fits, writes=False)
        self.shelves: list[Shelves] = shelves(placed, out / "data")
        local = int(os.environ.get("LOCAL_RANK", "0"))
        self.device = f"cuda:{local}" if torch.cuda.is_available() else "cpu"
        self.model = adapted(load_checkpoint(self.folder, plan.adapt, self.device), plan.adapt, plan.seed)
        lora = plan.adapt.train in ("lora", "qlora")
        self.core: Any = self.model.get_base_model() if lora else self.model
        self.random = lora and plan.adapt.dropout > 0
        self.native = native_bfloat16()
        config = self.prepare.config
        at_end = config.text.vocabulary - config.image_token <= FILLING
        self.answerable = config.image_token if at_end else config.text.vocabulary
        self.digest = digest(self.folder)

    def steps(self) -> int:
        plan = self.plan.schedule
        examples = sum(len(one.learning) for one in self.shelves)
        return plan.steps or math.ceil(plan.epochs * examples / plan.batch)

    def batches(self, start: int) -> Loader:
        return Loader(
            FileBatches(
                shelves=tuple(one.learning.path for one in self.shelves),
                weights=tuple(one.weight for one in self.shelves),
                folder=self.folder,
                tasks=self.tasks,
                resizing=self.prepare.resizing,
                language=self.plan.language,
                seed=self.plan.seed,
                size=self.plan.schedule.batch,
                rank=self.among.rank,
                count=self.among.count,
            ),
            start,
            ahead=4,
        )

    def autocast(self) -> AbstractContextManager[Any]:
        kind = torch.device(self.device).type
        return torch.autocast(kind, torch.bfloat16) if self.native else nullcontext()

    def inputs(self, batch: FileBatch) -> dict[str, Tensor]:
        """The model's inputs. token_type_ids make the prefix-LM mask: 0 sees all of the prefix, 1 what came before."""
        pixels = torch.from_numpy(batch.pixels).permute(0, 3, 1, 2).float() / 127.5 - 1.0
        made = {
            "pixel_values": pixels,
            "input_ids": torch.from_numpy(batch.tokens),
            "attention_mask": torch.from_numpy(batch.mask),
            "token_type_ids": torch.from_numpy(batch.kinds),
        }
        return {name: value.to(self.device) for name, value in made.items()}

    def answer_losses(self, batch: FileBatch, smoothing: float = 0.0) -> Tensor:
        """The loss of each answer, [B]. Only the places that are asked go through the head: the vocabulary is large."""
        wanted = torch.from_numpy(batch.targets).to(self.device)[:, 1:]
        asked = wanted != IGNORED
        with self.autocast():
            seen = self.core.model(**self.inputs(batch), use_cache=False).last_hidden_state[:, :-1][asked]
            logits = self.core.lm_head(seen)[:, : self.answerable].float()
        cap = self.prepare.config.text.final_cap
        if self.plan.adapt.final_cap and cap is not None:
            logits = torch.tanh(logits / cap) * cap
        rows = asked.nonzero()[:, 0]
        return answer_losses(logits, wanted[asked], rows, len(wanted), smoothing)

    def share(self, part: FileBatch, batch: FileBatch) -> float:  # noqa: ARG002  (the batch holds this process's rows)
        return len(part.tokens) / self.plan.schedule.batch

    def loss(self, part: FileBatch, step: int, share: float) -> tuple[Tensor, dict[str, float]]:  # noqa: ARG002
        mean = self.answer_losses(part, self.plan.adapt.smoothing).mean()
        return mean * share, {"loss": float(mean.detach())}

    @torch.no_grad()
    def validate(self) -> Scores:
        """By data set: loss, the mean of its tasks' metric, and the share of answers exactly right."""
        return {one.name: self._measured(one.validation) for one in self.shelves}

    def _measured(self, shelf: Shelf) -> dict[str, float]:
        limit = self.plan.evaluation.count
        chosen = list(range(len(shelf)))[: limit or None]
        size = max(1, self.plan.schedule.batch // self.plan.schedule.accumulate // self.among.count)
        mine = [shelf[i] for i in chosen[self.among.rank :: self.among.count]]
        found: list[tuple[float, float, float]] = []
        for first in range(0, len(mine), size):
            some = mine[first : first + size]
            losses = self.answer_losses(self.prepare(some)).tolist()
            found += [(loss, *judged(e, said)) for loss, e, said in zip(losses, some, self._said(some), strict=True)]
        every = self.among.gather(found)
        loss, metric, exact = (math.fsum(values) / len(every) for values in zip(*every, strict=True))
        return {"loss": loss, "metric": metric, "exact": exact, "examples": float(len(every))}

    def _said(self, some: Sequence[Example]) -> list[str]:
        limit = max(self.prepare.limit(e.task) for e in some)
        with self.autocast():
            return answers(self.core, self.prepare, some, limit, self.device)

    def state(self) -> dict[str, Any]:
        learnt = {n: p.detach() for n, p in self.model.named_parameters() if p.requires_grad}
        return {"recipe": to_table(self.plan), "base": self.digest, "learnt": learnt}

    def restore(self, state: dict[str, Any]) -> dict[str, Any]:
        learning = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        learnt = state.get("learnt", {})
        if state.get("base") != self.digest:
            raise DocpipeError("DP627", self.plan.name, "it was begun from another checkpoint")
        if {n: p.shape for n, p in learnt.items()} != {n: p.shape for n, p in learning.items()}:
            raise DocpipeError("DP627", self.plan.name, "it was begun with other weights that learn")
        with torch.no_grad():
            for name, parameter in learning.items():
                parameter.copy_(learnt[name])
        return state

    def best(self, folder: Path, said: dict[str, Any]) -> None:
        plan, name = self.plan, self.checkpoint.hub or str(self.folder)
        asked = {one.task for one in plan.data}
        about = {
            "family": "ft",
            "name": plan.name,
            "summary": f"Fine-tuned from {self.checkpoint.name} by the recipe {plan.name}.",
            "resize": self.checkpoint.resize,
            "tasks": {task: _said_of(self.tasks[task]) for task in sorted(asked)},
            "base": {"name": name, "digest": self.digest},
            "training": {"step": said["step"], "samples": said["samples"], "recipe": to_table(plan)},
            "measured": said["scores"],
        }
        write_result(self.model, self.folder, folder / RESULT, about, plan.adapt, name)


def _asking(plan: FineTune, name: str) -> Asking:
    task, said = get_task(name), plan.tasks.get(name)
    return Asking(
        prompt=said.prompt if said else "",
        max_tokens=(said.max_tokens if said else 0) or task.max_tokens,
        prepare=said.prepare if said else "",
    )


def _said_of(asked: Asking) -> dict[str, Any]:
    return {key: value for key, value in dataclasses.asdict(asked).items() if value}


def fine_tune(
    recipe: str | Path | FineTune,
    model: str,
    data: Sequence[str],
    out: str | Path,
    *,
    layout: str = "",
    resume: bool = True,
    steps: int = 0,
    threads: int = 1,
    offline: bool = False,
    among: Processes | None = None,
) -> Path:
    """Fine-tune a checkpoint; the folder of the best result, a checkpoint or a peft adapter.

    model: a folder, registered or hub name. data: see `dataset.place`. layout: instead of the recipe's. resume: go on
    with what is in `out`. steps: stop there. Raises DP620, DP621 for the recipe, DP622, DP625, DP628 for the data,
    DP626 for what this machine cannot do, DP627 when the run in `out` is another one.
    """
    plan = recipe if isinstance(recipe, FineTune) else read_fine_tune(recipe)
    folder, among = Path(out), among or Processes()
    checkpoint = locate(find_checkpoint(model), offline=offline)
    if checkpoint.adapter is not None:
        raise DocpipeError("DP626", model, "it is a base with an adapter; name the base alone")
    placed = place(plan, data, layout)
    if not plan.evaluation.best:
        best = f"{placed[0].data.name}.metric"
        plan = dataclasses.replace(plan, evaluation=dataclasses.replace(plan.evaluation, best=best))
    if among.rank == 0:
        folder.mkdir(parents=True, exist_ok=True)
        if not resume:
            _begin_anew(folder)
    among.wait()
    job = FineTuneJob(plan, checkpoint, placed, folder, among)
    trainer = Trainer(plan, folder, threads=threads, resume=resume, job=job, among=among)
    side = job.prepare.config.vision.side
    for one in job.shelves:
        trainer.log(event="data", name=one.name, weight=one.weight, learning=len(one.learning),
                    validation=len(one.validation), left_out=one.left_out)  # fmt: skip
    if side != plan.side:
        trainer.log(event="note", said=f"the recipe is for {plan.side} px, the checkpoint takes {side} px")
    trainer.run(steps=steps)
    return folder / RESULT


def _begin_anew(folder: Path) -> None:
    for name in ("state.pt", "log.jsonl", "data/mixture.json"):
        (folder / name).unlink(missing_ok=True)
