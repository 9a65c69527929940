"""Muon: momentum, orthogonalized (K. Jordan and others, 2024, "Muon: an optimizer for hidden layers").

Matrices of one shape are orthogonalized together by batched Newton-Schulz steps: at these widths one matrix alone
leaves the CPU idle. Update scale 0.2 * sqrt(max(rows, columns)), which matches AdamW's (Liu and others, 2025,
arXiv 2502.16982), so that both optimizers share one learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic x -> a x + b x^3 + c x^5 that drives singular values to about 1 (Jordan 2024)."""


def orthogonalized(stack: Tensor, steps: int = 5) -> Tensor:
    """The matrices of `stack` [count, rows, columns] with their singular values driven to about 1."""
    a, b, c = COEFFICIENTS
    tall = stack.shape[1] > stack.shape[2]
    x = stack.mT if tall else stack
    x = x / (x.float().norm(dim=(1, 2), keepdim=True).to(x.dtype) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + torch.baddbmm(gram, gram, gram, beta=b, alpha=c) @ x
    result: Tensor = x.mT if tall else x
    return result


class Muon(Optimizer):
    """params: 2-D weights of layers. precision: of the Newton-Schulz steps; bfloat16 only where the CPU has it."""

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.precision = precision
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = closure() if closure else None
        for group in self.param_groups:
            shapes: dict[tuple[int, ...], list[Tensor]] = {}
            for weight in group["params"]:
                if weight.grad is not None:
                    shapes.setdefault(tuple(weight.shape), []).append(weight)
            for shape, weights in shapes.items():
                self._update(weights, group, scale=0.2 * math.sqrt(max(shape)))
        return loss

    def _update(self, weights: list[Tensor], group: dict[str, Any], scale: float) -> None:
        momentum, lr = group["momentum"], group["lr"]
        grads = [w.grad for w in weights if w.grad is not None]
        buffers = []
        for weight in weights:
            state = self.state[weight]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(weight)
            buffers.append(state["momentum"])
        torch._foreach_lerp_(buffers, grads, 1 - momentum)
        ahead = torch._foreach_lerp(grads, buffers, momentum)  # Nesterov
        stack = torch.stack(tuple(ahead)).to(self.precision)
        update = orthogonalized(stack).to(weights[0].dtype)
        torch._foreach_mul_(weights, 1 - lr * group["weight_decay"])
        torch._foreach_add_(weights, list(update.unbind(0)), alpha=-lr * scale)
