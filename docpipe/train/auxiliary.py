"""Two losses for training alone: without them a model this small does not learn to look at the image in CPU hours.

Patch labels: each patch of the vision tower says which of the domain's labels lie in it (binary cross-entropy).
Pointer: from the middle and the last text layer, the patch that the next token is read from (cross-entropy).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, rms_norm

from docpipe.train.architecture import Architecture
from docpipe.train.batches import IGNORED
from docpipe.train.recipe import Losses

if TYPE_CHECKING:
    from transformers import PaliGemmaForConditionalGeneration


class Auxiliary(nn.Module):
    """Heads on a model's hidden states, which hooks catch during its forward pass."""

    def __init__(
        self, model: PaliGemmaForConditionalGeneration, architecture: Architecture, labels: int, weights: Losses
    ) -> None:
        super().__init__()
        self.weights = weights
        self.labels = nn.Linear(architecture.vision_width, labels)
        self.middle = nn.Linear(architecture.text_width, architecture.patches)
        self.final = nn.Linear(architecture.text_width, architecture.patches)
        nn.init.constant_(self.labels.bias, -3.0)  # most labels are absent from most patches
        for head in (self.middle, self.final):
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)
        self._seen: dict[str, Tensor] = {}
        text = model.model.language_model
        text.layers[max(0, architecture.text_layers // 2 - 1)].register_forward_hook(self._catch("middle"))
        text.norm.register_forward_hook(self._catch("final"))
        model.model.vision_tower.register_forward_hook(self._catch("vision"))

    def _catch(self, name: str) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            if name == "vision":
                output = output.last_hidden_state
            self._seen[name] = output[0] if isinstance(output, tuple) else output

        return hook

    def forward(self, labels: Tensor, pointers: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The weighted sum for the model's last forward pass, and its parts. labels [B, N, K], pointers [B, T]."""
        wanted = pointers[:, 1:]
        asked = wanted != IGNORED
        seen = {name: self._seen[name][:, :-1][asked].float() for name in ("middle", "final")}
        middle = rms_norm(seen["middle"], (seen["middle"].shape[-1],))
        total = self._seen["vision"].new_zeros((), dtype=torch.float32)
        parts: dict[str, float] = {}
        if bool(asked.any()):
            losses = {
                "pointer_middle": cross_entropy(self.middle(middle).float(), wanted[asked]),
                "pointer_final": cross_entropy(self.final(seen["final"]).float(), wanted[asked]),
            }
            total = total + sum(getattr(self.weights, name) * loss for name, loss in losses.items())
            parts = {name: float(loss.detach()) for name, loss in losses.items()}
        found = self.label_loss(labels)
        self._seen.clear()
        return total + self.weights.labels * found, parts | {"labels": float(found.detach())}

    def label_loss(self, labels: Tensor) -> Tensor:
        """Of the vision tower's last forward pass: cross-entropy summed over labels, mean over patches."""
        logits = self.labels(self._seen["vision"]).float()
        lost: Tensor = binary_cross_entropy_with_logits(logits, labels, reduction="sum")
        mean: Tensor = lost / logits.shape[:2].numel()
        return mean
