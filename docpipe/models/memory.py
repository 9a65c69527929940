"""How much memory a checkpoint needs: weights, key/value cache, and what prefill holds at its fullest moment.

Counted from the shapes of `models.network`, whose layers free what they no longer need; tests hold it to measured
sizes. What Python and PyTorch take for themselves (0.25 to 0.4 GB) is not in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from docpipe.errors import DocpipeError

if TYPE_CHECKING:
    from docpipe.models.network import NetworkConfig
    from docpipe.models.quantize import Mode

BYTES = {"float32": 4, "bfloat16": 2}

OWN = 400_000_000
"""Bytes that Python, PyTorch and docpipe take for themselves, at most."""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}

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


def size_of(said: str) -> int:
    """Bytes that a budget such as "6G", "800M" or "1.5 GiB" names. Raises DP340 for what is no size."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", said.lower())
    size = round(float(found[1]) * _UNITS[found[2]]) if found and found[2] in _UNITS else 0
    if size <= 0:
        raise DocpipeError("DP340", said)
    return size


def predicted(
    config: NetworkConfig, *, batch: int = 1, prompt: int = 16, tokens: int = 128, dtype: str = "float32",
    mode: Mode = "none", beams: int = 1,
) -> Memory:  # fmt: skip
    """The memory that answers of up to `tokens` tokens to prompts of `prompt` tokens take, `batch` at once.

    mode: how the layers are quantized (`models.quantize`); dtype is then the mode's. beams: answers searched for each
    prompt. Raises KeyError for a dtype other than float32 and bfloat16.
    """
    if mode != "none":
        dtype = "bfloat16" if mode == "bf16" else "float32"
    size, given = BYTES[dtype], config.vision.tokens + prompt
    text, vision = config.text, config.vision
    cache = 2 * text.layers * batch * beams * text.kv_heads * (given + tokens) * text.head * size
    # Held all the while: pixels, image tokens, the prompt beside them, and both joined.
    held = 3 * vision.side**2 * 4 + (2 * given + vision.tokens) * text.width * size
    most = max(_vision(config, size), _prefill(config, given, size))
    if mode == "int8":  # rows brought to one size, and as bytes
        most += 5 * max(given * text.hidden, vision.tokens * vision.hidden)
    # Many rows of the safer mode are computed by unpacked weights.
    unpacked = 4 * 2 * text.hidden * text.width if mode == "int8-weight" else 0
    weights = _parameters(config, size) if mode == "none" else _quantized(config, mode)
    return Memory(weights, cache, batch * (held + most) + unpacked)


def most_at_once(budget: int, config: NetworkConfig, most: int, *, others: int = 0, **shape: Any) -> int:
    """How many answers at once keep to a budget of bytes, at most `most`; 0 when not even one does.

    others: bytes of weights of other checkpoints held beside. shape: as for `predicted`.
    """
    one = predicted(config, **shape)
    left = budget - OWN - others - one.weights
    return max(0, min(most, left // (one.cache + one.activations)))


@cache
def _parameters(config: NetworkConfig, size: int) -> int:
    """Bytes of the weights; the scales of Gemma's norms are float32 always."""
    import torch

    from docpipe.models.network import Network

    with torch.device("meta"):
        network = Network(config)
    return sum(p.numel() * (4 if name.endswith(".scale") else size) for name, p in network.named_parameters())


@cache
def _quantized(config: NetworkConfig, mode: Mode) -> int:
    """Bytes of quantized weights: each with two scales or sums a row; the embedding is mapped, and hardly touched."""
    import torch

    from docpipe.models.network import Network

    with torch.device("meta"):
        network = Network(config)
    each, whole = (2 if mode == "bf16" else 1), 0
    exact = 2 if mode == "bf16" else 4
    linears = {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, torch.nn.Linear)}
    for name, value in network.named_parameters():
        if name in linears:
            whole += value.numel() * each + (8 * value.shape[0] if each == 1 else 0)
        elif name not in {"words", "head"}:
            whole += value.numel() * (4 if name.endswith(".scale") else exact)
    return whole + config.text.vocabulary * (config.text.width * each + (8 if each == 1 else 0))


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
