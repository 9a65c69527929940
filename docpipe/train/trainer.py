"""One trainer for every nano task: a trunk that never ends, and short decay branches that give what ships.

The trunk warms up and keeps a constant rate; its whole state is written atomically every few minutes, so a run can be
killed at any time and goes on to the same loss curve. An exponential average of the weights is what gets evaluated.
A branch starts from a trunk's state, takes the rate down to almost nothing and leaves the trunk as it was.

    python -m docpipe.train RECIPE --out runs/molecules              # start, or go on
    python -m docpipe.train RECIPE --out runs/molecules --decay 800  # a branch, in runs/molecules/branch-<step>
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from docpipe.train.architecture import build
from docpipe.train.auxiliary import Auxiliary
from docpipe.train.batches import Batch, Collator
from docpipe.train.decoding import evaluate
from docpipe.train.domains import domain
from docpipe.train.growth import grown
from docpipe.train.loader import Loader
from docpipe.train.muon import Muon
from docpipe.train.recipe import Recipe, read_recipe

SAVE_EVERY = 240.0
"""Seconds between writes of a run's state."""


def native_bfloat16() -> bool:
    """Whether this machine multiplies bfloat16 in hardware; emulated it is 12 times slower than float32."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def spare_threads() -> int:
    """How many threads pay now: on a busy machine a second one makes a step slower, not faster."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    return max(1, min(cores, round(cores - max(0.0, load - torch.get_num_threads()))))


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Write through a file beside it, so that a kill leaves the old file or the new one, never half of one."""
    beside = path.with_name(path.name + ".new")
    write(beside)
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    beside.replace(path)


class Trainer:
    """A run in a folder: state.pt (everything), best.pt (the averaged weights that measured best), log.jsonl."""

    def __init__(self, recipe: Recipe, out: Path, *, threads: int = 1, resume: bool = True) -> None:
        self.threads = threads
        torch.set_num_threads(threads or spare_threads())
        torch.manual_seed(recipe.seed)
        self.recipe, self.out = recipe, out
        out.mkdir(parents=True, exist_ok=True)
        self.domain = domain(recipe.domain, **recipe.options)
        a = recipe.architecture
        self.collate = Collator(self.domain, a.grid, a.patch)
        self.native = native_bfloat16()
        self.model = build(a, len(self.collate.vocabulary))
        self.auxiliary = Auxiliary(self.model, a, len(self.domain.labels), recipe.losses)
        self.averaged = {n: p.detach().clone() for n, p in self.model.named_parameters()}
        self.step, self.samples, self.cpu, self.best = 0, 0, 0.0, None
        self.optimizers: list[torch.optim.Optimizer] = []
        state = torch.load(out / "state.pt", weights_only=False) if resume and (out / "state.pt").exists() else None
        if state is not None:
            state = grown(state, recipe, self.model, self.auxiliary)
            self.model.load_state_dict(state["model"])
            self.auxiliary.load_state_dict(state["auxiliary"])
        self._make_optimizers()
        if state is not None:
            self.averaged = state["averaged"]
            self.step, self.samples, self.cpu = state["step"], state["samples"], state["cpu"]
            self.best = state["best"]
            for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
                if kept is not None:
                    optimizer.load_state_dict(kept)
        self._cpu_before = self.cpu - _cpu_seconds()
        self.data_start = int(state["data_start"]) if state is not None and "data_start" in state else 0

    def _make_optimizers(self) -> None:
        plan = self.recipe.schedule
        matrices: list[Tensor] = []
        others: list[Tensor] = []
        for name, weight in self.model.named_parameters():
            hidden = weight.ndim == 2 and ".layers." in name and plan.optimizer == "muon"
            (matrices if hidden else others).append(weight)
        others += list(self.auxiliary.parameters())
        self._clipped = others
        self.optimizers = [
            torch.optim.AdamW(others, lr=plan.lr, betas=(0.9, 0.98), weight_decay=plan.weight_decay, fused=True)
        ]
        if matrices:
            precision = torch.bfloat16 if self.native else torch.float32
            self.optimizers.append(Muon(matrices, plan.lr, weight_decay=plan.weight_decay, precision=precision))

    # --- one step ------------------------------------------------------------------------------------------

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast("cpu", torch.bfloat16) if self.native else nullcontext()

    def tensors(self, batch: Batch) -> dict[str, Tensor]:
        """The model's inputs. Grey pixels go to three equal channels in [-1, 1]."""
        pixels = torch.from_numpy(batch.pixels).float().div_(127.5).sub_(1.0)
        return {
            "pixel_values": pixels[:, None].expand(-1, 3, -1, -1),
            "input_ids": torch.from_numpy(batch.tokens),
            "attention_mask": torch.from_numpy(batch.mask),
            "token_type_ids": torch.from_numpy(batch.kinds),
            "labels": torch.from_numpy(batch.targets),
        }

    def take_step(self, batch: Batch, rate: float) -> dict[str, float]:
        """One update at `rate` times the peak learning rate; the losses before it."""
        plan = self.recipe.schedule
        labels = torch.from_numpy(batch.labels).float()
        with self.autocast():
            if self.step < self.recipe.losses.vision_first:
                self.model.model.vision_tower(self.tensors(batch)["pixel_values"])
                total = self.auxiliary.label_loss(labels)
                parts = {"labels": float(total.detach())}
            else:
                loss = self.model(**self.tensors(batch), use_cache=False).loss
                extra, parts = self.auxiliary(labels, torch.from_numpy(batch.pointers))
                total, parts = loss + extra, {"loss": float(loss.detach())} | parts
        total.backward()
        torch.nn.utils.clip_grad_norm_(self._clipped, plan.clip)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = plan.lr * rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.samples += len(batch.tokens)
        first = self.recipe.losses.vision_first
        age = self.step if self.step <= first else self.step - first  # the text's weights before that say nothing
        keep = min(plan.ema, (1 + age) / (10 + age))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.averaged.values()), [p.detach() for _, p in self.model.named_parameters()], 1 - keep
            )
        return parts

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Inside, the model holds the averaged weights."""
        kept = {n: p.detach().clone() for n, p in self.model.named_parameters()}
        self._put(self.averaged)
        try:
            yield
        finally:
            self._put(kept)

    def _put(self, weights: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(weights[name])

    # --- the loop ------------------------------------------------------------------------------------------

    def loader(self) -> Loader:
        r = self.recipe
        return Loader(
            r.domain,
            r.options,
            grid=r.architecture.grid,
            patch=r.architecture.patch,
            seed=r.seed,
            size=r.schedule.batch,
            start=self.step,
        )

    def run(self, *, steps: int = 0, decay: int = 0, validate: bool = True) -> None:
        """Train until `steps` in all (0: for ever), or a branch of `decay` steps. SIGTERM and SIGINT end it cleanly."""
        stopping: list[int] = []
        old = {s: signal.signal(s, lambda number, _: stopping.append(number)) for s in (signal.SIGTERM, signal.SIGINT)}
        last = self.step + decay if decay else steps or self.recipe.schedule.steps
        begun, saved, means = self.step, time.monotonic(), _Means()
        r = self.recipe
        every = r.evaluation.every
        loader = self.loader()
        self.log(event="begin", step=self.step, parameters=sum(p.numel() for p in self.model.parameters()),
                 bfloat16=self.native, decay=decay, pid=os.getpid())  # fmt: skip
        self.model.train()
        try:
            for batch in loader:
                if last and self.step >= last:
                    break
                rate = min(1.0, (self.step + 1) / self.recipe.schedule.warmup)
                if decay:
                    rate = max(self.recipe.schedule.final, 1.0 - (self.step - begun) / decay)
                means.add(self.take_step(batch, rate))
                if self.step % 50 == 0 or self.step == last:
                    self.log(step=self.step, samples=self.samples, rate=round(rate, 4), **means.values())
                if validate and self.step % every == 0 and self.step != last and self.step > r.losses.vision_first:
                    self.validate()
                if time.monotonic() - saved > SAVE_EVERY:
                    self.save()
                    saved = time.monotonic()
                if not self.threads and self.step % 20 == 0:
                    torch.set_num_threads(spare_threads())
                if stopping or (self.out / "STOP").exists():
                    break
            if validate and decay:
                self.validate()
        finally:
            loader.close()
            for number, handler in old.items():
                signal.signal(number, handler)
        self.save()
        self.log(event="end", step=self.step, stopped=bool(stopping))

    def validate(self) -> dict[str, dict[str, float]]:
        """Scores of the averaged weights on every validation set; keeps them in best.pt when they are the best yet."""
        plan = self.recipe.evaluation
        if not hasattr(self, "_sets"):
            self._sets = self.domain.validation(plan.count)
        began = time.process_time()
        with self.averaged_weights(), self.autocast():
            self.model.eval()
            found = {
                name: evaluate(self.model, self.domain, self.collate, samples, plan.max_tokens, self.tensors)
                for name, samples in self._sets.items()
            }
            self.model.train()
        self._cpu_before -= time.process_time() - began  # the curve's x-axis is training alone
        set_name, _, metric = plan.best.partition(".")
        value = found[set_name][metric] * (1 if plan.higher else -1)
        better = self.best is None or value > self.best
        if better:
            self.best = value
            write_atomically(self.out / "best.pt", lambda p: torch.save(self._shippable(found), p))
        self.log(event="validation", step=self.step, samples=self.samples, best=better, **found)
        return found

    def _shippable(self, scores: dict[str, Any]) -> dict[str, Any]:
        return {
            "averaged": self.averaged,
            "recipe": dataclasses.asdict(self.recipe),
            "vocabulary": self.collate.vocabulary,
            "step": self.step,
            "samples": self.samples,
            "cpu": self.cpu_seconds(),
            "scores": scores,
        }

    def cpu_seconds(self) -> float:
        """CPU seconds spent on training in this folder, over all its sessions; evaluation not counted."""
        return self._cpu_before + _cpu_seconds()

    def save(self) -> None:
        """Write state.pt atomically."""
        state = self._shippable({}) | {
            "model": self.model.state_dict(),
            "auxiliary": self.auxiliary.state_dict(),
            "optimizers": [o.state_dict() for o in self.optimizers],
            "best": self.best,
        }
        write_atomically(self.out / "state.pt", lambda path: torch.save(state, path))

    def log(self, **values: Any) -> None:
        line = {"time": round(time.time(), 1), "cpu": round(self.cpu_seconds(), 1)} | values
        with (self.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(_rounded(line)) + "\n")


class _Means:
    """Running means of the losses, each new value counting for a thirtieth."""

    def __init__(self) -> None:
        self._now: dict[str, float] = {}

    def add(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._now[name] = value if name not in self._now else self._now[name] + (value - self._now[name]) / 30

    def values(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in self._now.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return round(value, 4) if isinstance(value, float) else value


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
) -> Path:
    """Train a recipe in a folder, going on from what is there; the folder of the result.

    steps: stop at that step (0: the recipe's, or never). decay: instead make a branch of so many steps from the
    trunk's present state, in `branch-<step>` beside it; it takes the rate to almost nothing, for weights that ship.
    threads: of this process; 0 takes as many as the machine has to spare, looked at again every 20 steps.
    """
    made = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    folder = Path(out)
    if decay:
        state = torch.load(folder / "state.pt", weights_only=False)
        branch = folder / f"branch-{state['step']}"
        branch.mkdir(exist_ok=True)
        if not (branch / "state.pt").exists():
            write_atomically(branch / "state.pt", lambda path: torch.save(state | {"best": None}, path))
        made = dataclasses.replace(made, schedule=dataclasses.replace(made.schedule, ema=0.99))
        folder = branch
    Trainer(made, folder, threads=threads, resume=resume or bool(decay)).run(steps=steps, decay=decay)
    return folder
