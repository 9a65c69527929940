"""One trainer for nano recipes and for fine-tuning a real checkpoint; what they train is a job (`docpipe.train.job`).

The whole state is written atomically every few minutes, so a run can be killed at any time and goes on to the same
loss curve. Where the recipe says so, an exponential average of the weights is what gets evaluated and kept.

A nano trunk never ends: it warms up and keeps its rate. A decay branch starts from its state, takes the rate down to
almost nothing and leaves the trunk as it was; that gives what ships.

    python -m docpipe.train RECIPE --out runs/molecules              # start, or go on
    python -m docpipe.train RECIPE --out runs/molecules --decay 800  # a branch, in runs/molecules/branch-<step>
"""

from __future__ import annotations

import dataclasses
import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from docpipe.errors import DocpipeError
from docpipe.train import state as files
from docpipe.train.job import Job, Scores, parts
from docpipe.train.logs import Log, Means, Progress
from docpipe.train.muon import Muon
from docpipe.train.nano import NanoJob
from docpipe.train.plots import plot
from docpipe.train.precision import native_bfloat16, spare_threads
from docpipe.train.processes import Processes
from docpipe.train.recipe import Evaluation, Recipe, Schedule, read_recipe
from docpipe.train.state import write_atomically
from docpipe.train.warm import begin_with

__all__ = ["Trainer", "native_bfloat16", "spare_threads", "train", "write_atomically"]

SAVE_EVERY = 240.0
"""Seconds between writes of a run's state."""


class Plan(Protocol):
    """What the trainer takes from a recipe, nano's or another."""

    @property
    def name(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def schedule(self) -> Schedule: ...
    @property
    def evaluation(self) -> Evaluation: ...


class Trainer:
    """A run in a folder: state.pt (everything), the job's best, log.jsonl, curve.png.

    job: None makes nano's from the recipe. among: the processes of the run; the first one alone writes.
    begin: a nano checkpoint whose weights a folder without a state begins with.
    """

    def __init__(
        self,
        recipe: Plan,
        out: Path,
        *,
        threads: int = 1,
        resume: bool = True,
        job: Job | None = None,
        among: Processes | None = None,
        begin: Path | None = None,
    ) -> None:
        self.threads, self.recipe, self.out, self.among = threads, recipe, out, among or Processes()
        self.writes = self.among.rank == 0
        torch.set_num_threads(threads or spare_threads())
        if self.writes:
            out.mkdir(parents=True, exist_ok=True)
        if job is None:
            assert isinstance(recipe, Recipe)
            job = NanoJob(recipe)
        self.job, self.model = job, job.model
        self.step, self.samples, self.cpu = 0, 0, 0.0
        self.best: float | None = None
        self.optimizers: list[torch.optim.Optimizer] = []
        there = resume and (out / "state.pt").exists()
        if begin is not None and not there and isinstance(job, NanoJob):
            learnt = begin_with(begin, job.recipe, job.model, job.collate.vocabulary)
            self.step, self.samples, self.cpu = learnt["step"], learnt["samples"], float(learnt["cpu_seconds"])
        self.averaged = {n: p.detach().clone() for n, p in self._learning()} if recipe.schedule.ema else {}
        state = self.job.restore(files.load(out / "state.pt")) if there else None
        self._make_optimizers()
        if state is not None:
            self._restore(state)
        self._cpu_before = self.cpu - _cpu_seconds()
        self._log = Log(out, quiet=not self.writes)

    def _restore(self, state: dict[str, Any]) -> None:
        try:
            self.averaged = state["averaged"]
            self.step, self.samples, self.cpu = state["step"], state["samples"], state["cpu"]
            self.best = state["best"]
            for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
                if kept is not None:
                    optimizer.load_state_dict(kept)
        except (KeyError, ValueError) as error:
            raise DocpipeError("DP627", str(self.out), f"its state is not of this recipe: {error}") from error

    def _learning(self) -> list[tuple[str, Any]]:
        return [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]

    def _make_optimizers(self) -> None:
        plan = self.recipe.schedule
        matrices: list[Tensor] = []
        others: list[Tensor] = []
        for name, weight in self._learning():
            hidden = weight.ndim == 2 and ".layers." in name and plan.optimizer == "muon"
            (matrices if hidden else others).append(weight)
        others += [p for head in self.job.heads for p in head.parameters()]
        self._clipped = others
        self.optimizers = [
            torch.optim.AdamW(others, lr=plan.lr, betas=plan.betas, weight_decay=plan.weight_decay, fused=True)
        ]
        if matrices:
            precision = torch.bfloat16 if native_bfloat16() else torch.float32
            self.optimizers.append(Muon(matrices, plan.lr, weight_decay=plan.weight_decay, precision=precision))

    # --- one step ------------------------------------------------------------------------------------------

    def take_step(self, batch: Any, rate: float) -> dict[str, float]:
        """One update at `rate` times the peak learning rate; the losses before it.

        Raises DP629 when the loss is no number; the weights are then as they were.
        """
        plan = self.recipe.schedule
        if self.job.random:
            torch.manual_seed(self.recipe.seed * 1_000_003 + self.step * self.among.count + self.among.rank)
        figures: dict[str, float] = {}
        whole = 0.0
        own = getattr(batch, "mine_alone", False)
        for part in parts(batch, plan.accumulate, self.among, mine_alone=own):
            share = self.job.share(part, batch)
            total, found = self.job.loss(part, self.step, share)
            total.backward()
            whole += float(total.detach())
            for name, value in found.items():
                figures[name] = figures.get(name, 0.0) + share * value
        if self.among.count > 1:
            figures, whole = self._together(figures, whole)
        if not math.isfinite(whole):
            raise DocpipeError("DP629", f"step {self.step}", f"{whole}")
        torch.nn.utils.clip_grad_norm_(self._clipped, plan.clip)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = plan.lr * rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.samples += plan.batch
        if self.averaged:
            self._average()
        return figures

    def _together(self, figures: dict[str, float], whole: float) -> tuple[dict[str, float], float]:
        """Sum gradients, figures and the loss over all processes."""
        self.among.sum_gradients([p for o in self.optimizers for g in o.param_groups for p in g["params"]])
        names = sorted(figures)
        summed = self.among.total(torch.tensor([whole, *(figures[n] for n in names)], dtype=torch.float64)).tolist()
        return dict(zip(names, summed[1:], strict=True)), summed[0]

    def _average(self) -> None:
        first = self.recipe.losses.vision_first if isinstance(self.recipe, Recipe) else 0
        age = self.step if self.step <= first else self.step - first  # the text's weights before that say nothing
        keep = min(self.recipe.schedule.ema, (1 + age) / (10 + age))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.averaged.values()), [p.detach() for _, p in self._learning()], 1 - keep)

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Inside, the model holds the averaged weights."""
        if not self.averaged:
            yield
            return
        kept = {n: p.detach().clone() for n, p in self._learning()}
        self._put(self.averaged)
        try:
            yield
        finally:
            self._put(kept)

    def _put(self, weights: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self._learning():
                parameter.copy_(weights[name])

    # --- the loop ------------------------------------------------------------------------------------------

    def run(self, *, steps: int = 0, decay: int = 0, validate: bool = True) -> None:
        """Train until `steps` in all (0: as the recipe says, or for ever), or a branch of `decay` steps.

        SIGTERM and SIGINT end it cleanly after the step, as a file named STOP in its folder does.
        """
        stopping: list[int] = []
        old = {s: signal.signal(s, lambda number, _: stopping.append(number)) for s in (signal.SIGTERM, signal.SIGINT)}
        plan, every = self.recipe.schedule, self.recipe.evaluation.every
        end = self.job.steps()
        last = self.step + decay if decay else steps or end
        first = self.recipe.losses.vision_first if isinstance(self.recipe, Recipe) else 0
        begun, saved, means = self.step, time.monotonic(), Means()
        loader = self.job.batches(self.step)
        self.log(event="begin", step=self.step, parameters=sum(p.numel() for p in self.model.parameters()),
                 learning=sum(p.numel() for _, p in self._learning()), bfloat16=native_bfloat16(), decay=decay,
                 processes=self.among.count, pid=os.getpid())  # fmt: skip
        self.model.train()
        bar = Progress(self.recipe.name, self.step, last, quiet=not self.writes)
        try:
            for batch in loader:
                if last and self.step >= last:
                    break
                rate = plan.rate(self.step, end)
                if decay:
                    rate = max(plan.final, 1.0 - (self.step - begun) / decay)
                means.add(self.take_step(batch, rate))
                bar.show(self.step, means.values())
                if self.step % 50 == 0 or self.step == last:
                    self.log(step=self.step, samples=self.samples, rate=round(rate, 4), **means.values())
                if validate and self.step % every == 0 and self.step != last and self.step > first:
                    self.validate()
                if time.monotonic() - saved > SAVE_EVERY:
                    self.save()
                    saved = time.monotonic()
                if not self.threads and self.step % 20 == 0:
                    torch.set_num_threads(spare_threads())
                if self._told_to_stop(bool(stopping)):
                    break
            if validate and (decay or (end and self.step >= end)):
                self.validate()
        finally:
            loader.close()
            bar.close()
            for number, handler in old.items():
                signal.signal(number, handler)
        self.save()
        self.log(event="end", step=self.step, stopped=bool(stopping))
        self._log.close()
        self.among.wait()

    def _told_to_stop(self, signalled: bool) -> bool:
        told = signalled or (self.out / "STOP").exists()
        if self.among.count > 1:  # all stop after the same step, or those left would wait for ever
            told = bool(self.among.total(torch.tensor([float(told)])).item())
        return told

    def validate(self) -> Scores:
        """Scores of the averaged weights on every validation set; the job keeps them when they are the best yet."""
        plan = self.recipe.evaluation
        began = time.process_time()
        with self.averaged_weights():
            self.model.eval()
            found = self.job.validate()
            self.model.train()
            set_name, _, metric = plan.best.partition(".")
            value = float(found[set_name][metric]) * (1 if plan.higher else -1)
            better = self.best is None or value > self.best
            if better:
                self.best = value
                if self.writes:
                    self.job.best(self.out, self._progress() | {"scores": found})
        self.log(event="validation", step=self.step, samples=self.samples, best=better, **found)
        if self.writes:
            plot(self.out, plan.best)
        self._cpu_before -= time.process_time() - began  # the curve's x-axis is training alone
        return found

    def _progress(self) -> dict[str, Any]:
        return {"step": self.step, "samples": self.samples, "cpu": self.cpu_seconds()}

    def cpu_seconds(self) -> float:
        """CPU seconds spent on training in this folder, over all its sessions; evaluation not counted."""
        return self._cpu_before + _cpu_seconds()

    def save(self) -> None:
        """Write state.pt atomically."""
        if not self.writes:
            return
        state = self.job.state() | self._progress()
        state |= {
            "averaged": self.averaged,
            "optimizers": [o.state_dict() for o in self.optimizers],
            "best": self.best,
        }
        files.save(self.out / "state.pt", state)

    def log(self, **values: Any) -> None:
        """Append a line to the run's log."""
        self._log.write({"time": round(time.time(), 1), "cpu": round(self.cpu_seconds(), 1)} | values)


def _cpu_seconds() -> float:
    used = os.times()
    return used.user + used.system


def train(
    recipe: str | Path | Recipe,
    out: str | Path,
    *,
    resume: bool = True,
    steps: int = 0,
    decay: int = 0,
    threads: int = 1,
    among: Processes | None = None,
    begin: Path | None = None,
) -> Path:
    """Train a nano recipe in a folder, going on from what is there; the folder of the result.

    begin: a nano checkpoint whose weights a new run begins with (`warm.begin_with`), instead of random ones.
    steps: stop at that step (0: the recipe's, or never). decay: instead make a branch of so many steps from the
    trunk's present state, in `branch-<step>` beside it; it takes the rate to almost nothing, for weights that ship.
    threads: of this process; 0 takes as many as the machine has to spare, looked at again every 20 steps.
    Raises DP620 and DP621 for the recipe, DP627 when there is no trunk to branch from or the folder's state is damaged.
    """
    made = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    folder = Path(out)
    if decay:
        if not (folder / "state.pt").exists():
            raise DocpipeError("DP627", str(folder), "there is no state.pt to make a branch of")
        state = files.load(folder / "state.pt")
        branch = folder / f"branch-{state['step']}"
        branch.mkdir(exist_ok=True)
        if not (branch / "state.pt").exists():
            files.save(branch / "state.pt", state | {"best": None})
        made = dataclasses.replace(made, schedule=dataclasses.replace(made.schedule, ema=0.99))
        folder = branch
    trainer = Trainer(made, folder, threads=threads, resume=resume or bool(decay), among=among, begin=begin)
    trainer.run(steps=steps, decay=decay)
    return folder
