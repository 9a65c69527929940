"""How much memory a checkpoint needs: weights, key/value cache, and what prefill holds at its fullest moment.

Counted from the shapes of `models.network`, whose layers free what they no longer need; tests hold it to measured
sizes. What Python and PyTorch take for themselves (0.25 to 0.4 GB) is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docpipe.models.network import NetworkConfig

BYTES = {"float32": 4, "bfloat16": 2}

_SHAPES = {
    "3b": {},
    "10b": {"width": 3584, "layers": 42, "heads": 16, "kv_heads": 8, "hidden": 14336},
    "28b": {"width": 4608, "layers": 46, "heads": 32, "kv_heads": 16, "head": 128, "hidden": 36864, "scale_from": 144},
}


@dataclass(frozen=True)
class Memory:
    """Bytes: of the weights, of the cache, and of what prefill holds beside both at its peak."""

    weights: int
    cache: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.activations


def published_config(size: str, side: int) -> NetworkConfig:
    """The shape of a published checkpoint: size 3b, 10b or 28b, side 224, 448 or 896. Raises KeyError for others."""
    from docpipe.models.network import NetworkConfig, TextConfig, VisionConfig

    return NetworkConfig(VisionConfig(side=side), TextConfig(**_SHAPES[size]))  # type: ignore[arg-type]


def predicted(
    config: NetworkConfig, *, batch: int = 1, prompt: int = 16, tokens: int = 128, dtype: str = "float32"
) -> Memory:
    """The memory that answers of up to `tokens` tokens to prompts of `prompt` tokens take, `batch` at once.

    Raises KeyError for a dtype other than float32 and bfloat16.
    """
    size, given = BYTES[dtype], config.vision.tokens + prompt
    text = config.text
    cache = 2 * text.layers * batch * text.kv_heads * (given + tokens) * text.head * size
    # Held all the while: pixels, image tokens, the prompt beside them, and both joined.
    held = 3 * config.vision.side**2 * 4 + (2 * given + config.vision.tokens) * text.width * size
    most = max(_vision(config, size), _prefill(config, given, size))
    return Memory(_parameters(config, size), cache, batch * (held + most))


def _parameters(config: NetworkConfig, size: int) -> int:
    """Bytes of the weights; the scales of Gemma's norms are float32 always."""
    import torch

    from docpipe.models.network import Network

    with torch.device("meta"):
        network = Network(config)
    return sum(p.numel() * (4 if name.endswith(".scale") else size) for name, p in network.named_parameters())


def _vision(config: NetworkConfig, size: int) -> int:
    """Bytes an image in a layer of SigLIP: its input, and the larger of attention and MLP."""
    v = config.vision
    attention = v.width + 3 * v.width + 2 * v.width  # normed, queries to values, mixed and its projection
    mlp = v.width + 2 * v.hidden  # normed, before and after GELU
    return v.tokens * size * (v.width + max(attention, mlp))


def _prefill(config: NetworkConfig, given: int, size: int) -> int:
    """Bytes a prompt in a layer of Gemma 2: its input, and the larger of attention and MLP; then the last logits."""
    from docpipe.models.network import QUERY_BLOCK

    t = config.text
    qkv = (t.heads + 2 * t.kv_heads) * t.head
    turned = (t.heads + t.kv_heads) * t.head
    block = min(given, QUERY_BLOCK)
    # Of one block of queries: scores, their softmax in float32, and that in the network's own type.
    scores = t.heads * block * given * (size + 4 + (size if size < 4 else 0)) if t.attention_cap is not None else 0
    attention = given * size * (t.width + qkv + turned + t.heads * t.head) + scores
    turning = given * (t.width + qkv) * size + given * turned * 2 * 4 + given * turned * size
    mlp = given * size * (t.width + 2 * t.hidden + 2 * t.hidden)
    return max(given * size * t.width + max(attention, turning, mlp), t.vocabulary * 4 * 3)
