"""A run in several processes at once (GPUs, or CPU processes over gloo), through Hugging Face's accelerate.

Each process takes its rows of every batch; gradients are summed, so that all hold the same weights and the run is the
one that a single process would make. Started by `docpipe train --processes N`, `accelerate launch` or `torchrun`.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn

from docpipe.errors import DocpipeError


class Processes:
    """This process among those of the run: `rank` of `count`. One process alone does nothing here."""

    rank, count = 0, 1

    def total(self, values: Tensor) -> Tensor:
        """The sum of all processes' values, the same in each."""
        return values

    def gather(self, items: list[Any]) -> list[Any]:
        """All processes' items, in order of rank."""
        return items

    def wait(self) -> None:
        """Go on when all have come here."""

    def sum_gradients(self, parameters: list[nn.Parameter]) -> None:
        """Put the sum of all processes' gradients into each. A parameter that no process used keeps none."""
        if self.count == 1:
            return
        used = self.total(torch.tensor([float(p.grad is not None) for p in parameters]))
        shared = [p for p, times in zip(parameters, used.tolist(), strict=True) if times > 0]
        flat = torch.cat([torch.zeros(p.numel(), device=p.device) if p.grad is None else p.grad.float().flatten()
                          for p in shared])  # fmt: skip
        flat, place = self.total(flat), 0
        for parameter in shared:
            part = flat[place : place + parameter.numel()].view_as(parameter).to(parameter.dtype)
            parameter.grad = part.clone()
            place += parameter.numel()


class _Several(Processes):
    def __init__(self) -> None:
        from accelerate import Accelerator

        self._accelerator = Accelerator(cpu=not torch.cuda.is_available())
        self.rank, self.count = self._accelerator.process_index, self._accelerator.num_processes

    def total(self, values: Tensor) -> Tensor:
        home = values.device
        summed: Tensor = self._accelerator.reduce(values.to(self._accelerator.device), reduction="sum")
        return summed.to(home)

    def gather(self, items: list[Any]) -> list[Any]:
        from accelerate.utils import gather_object

        gathered: list[Any] = gather_object(items)
        return gathered

    def wait(self) -> None:
        self._accelerator.wait_for_everyone()


def processes() -> Processes:
    """The processes of this run, as the launcher's environment says. Raises DP305 without accelerate."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    try:
        return _Several()
    except ImportError as error:
        raise DocpipeError("DP305", "accelerate", "docpipe[train] brings it") from error
