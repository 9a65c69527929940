"""Nano as the trainer sees it: a small model from scratch on a generated domain, with the two auxiliary losses."""

from __future__ import annotations

import dataclasses
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from docpipe.train import state as files
from docpipe.train.architecture import build
from docpipe.train.auxiliary import Auxiliary
from docpipe.train.batches import IGNORED, Batch, Collator
from docpipe.train.decoding import evaluate
from docpipe.train.domains import domain
from docpipe.train.growth import grown
from docpipe.train.job import Scores
from docpipe.train.loader import DomainBatches, Loader
from docpipe.train.loss import smoothed
from docpipe.train.precision import native_bfloat16
from docpipe.train.recipe import Recipe


class NanoJob:
    """A recipe's model, domain and heads, on the CPU."""

    random = False

    def __init__(self, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.domain = domain(recipe.domain, **recipe.options)
        a = recipe.architecture
        self.collate = Collator(self.domain, a.grid, a.patch)
        self.native = native_bfloat16()
        self.model = build(a, len(self.collate.vocabulary))
        self.auxiliary = Auxiliary(self.model, a, len(self.domain.labels), recipe.losses)
        self.averaged: dict[str, Tensor] = {}

    @property
    def heads(self) -> list[nn.Module]:
        return [self.auxiliary]

    def steps(self) -> int:
        return self.recipe.schedule.steps

    def batches(self, start: int) -> Loader:
        r = self.recipe
        a = r.architecture
        return Loader(DomainBatches(r.domain, r.options, a.grid, a.patch, r.seed, r.schedule.batch), start)

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast("cpu", torch.bfloat16) if self.native else nullcontext()

    def tensors(self, batch: Batch) -> dict[str, Tensor]:
        """The model's inputs. Pixels go to [-1, 1]; grey ones to three equal channels."""
        pixels = torch.from_numpy(batch.pixels).float().div_(127.5).sub_(1.0)
        grey = pixels.ndim == 3
        return {
            "pixel_values": pixels[:, None].expand(-1, 3, -1, -1) if grey else pixels.permute(0, 3, 1, 2),
            "input_ids": torch.from_numpy(batch.tokens),
            "attention_mask": torch.from_numpy(batch.mask),
            "token_type_ids": torch.from_numpy(batch.kinds),
            "labels": torch.from_numpy(batch.targets),
        }

    def share(self, part: Batch, batch: Batch) -> float:
        """By tokens asked, as the loss is a mean over them; the auxiliary losses are weighed alike."""
        return float((part.targets != IGNORED).sum() / max(1, (batch.targets != IGNORED).sum()))

    def loss(self, part: Batch, step: int, share: float) -> tuple[Tensor, dict[str, float]]:
        labels = torch.from_numpy(part.labels).float()
        with self.autocast():
            if step < self.recipe.losses.vision_first:
                self.model.model.vision_tower(self.tensors(part)["pixel_values"])
                total = self.auxiliary.label_loss(labels)
                return total * share, {"labels": float(total.detach())}
            loss = self._language(self.tensors(part))
            extra, figures = self.auxiliary(labels, torch.from_numpy(part.pointers))
            return (loss + extra) * share, {"loss": float(loss.detach())} | figures

    def _language(self, inputs: dict[str, Tensor]) -> Tensor:
        smoothing = self.recipe.losses.smoothing
        if not smoothing:
            plain: Tensor = self.model(**inputs, use_cache=False).loss
            return plain
        wanted = inputs.pop("labels")[:, 1:]
        logits = self.model(**inputs, use_cache=False).logits[:, :-1]
        asked = wanted != IGNORED
        return smoothed(logits[asked].float(), wanted[asked], smoothing).mean()

    def validate(self) -> Scores:
        plan = self.recipe.evaluation
        if not hasattr(self, "_sets"):
            self._sets = self.domain.validation(plan.count)
        with self.autocast():
            return {
                name: evaluate(self.model, self.domain, self.collate, samples, plan.max_tokens, self.tensors)
                for name, samples in self._sets.items()
            }

    def state(self) -> dict[str, Any]:
        return {
            "recipe": dataclasses.asdict(self.recipe),
            "vocabulary": self.collate.vocabulary,
            "model": self.model.state_dict(),
            "auxiliary": self.auxiliary.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> dict[str, Any]:
        state = grown(state, self.recipe, self.model, self.auxiliary)
        self.model.load_state_dict(state["model"])
        self.auxiliary.load_state_dict(state["auxiliary"])
        return state

    def best(self, folder: Path, said: dict[str, Any]) -> None:
        kept = {"averaged": {n: p.detach() for n, p in self.model.named_parameters()}}
        about = {"recipe": dataclasses.asdict(self.recipe), "vocabulary": self.collate.vocabulary}
        files.save(folder / "best.pt", kept | about | said)
