"""The decoding step of a small network in NumPy: there PyTorch's cost of an operation, not its arithmetic, is the time.

The same mathematics as `network.TextLayer` for one token a row, in float32 on the CPU, on the same cache; tests hold
the two to the same tokens. benchmarks/engine.py measures it: three times PyTorch's speed at the sizes of nano.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from docpipe.models.network import turn_table

if TYPE_CHECKING:
    from docpipe.models.network import Cache, Network, TextLayer

MAX_WIDTH, MAX_VOCABULARY = 256, 8192
"""Beyond these the arithmetic rules, and PyTorch is as fast."""

SMALL_PRODUCT = 1_000_000
"""Multiplications up to which NumPy's BLAS stays in one thread; larger products go to PyTorch, whose threads are set
by whoever runs docpipe. With others on the machine its own threads made a product thirty times slower.
"""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class _Layer:
    """A layer's weights as [in, out], and the scales of its norms."""

    qkv: Array
    out: Array
    gate_up: Array
    down: Array
    norms: tuple[Array, Array, Array, Array]

    @classmethod
    def of(cls, layer: TextLayer) -> _Layer:
        qkv, out, gate_up, down = (_turned(m.weight) for m in (layer.qkv, layer.out, layer.gate_up, layer.down))
        norms = (layer.before_attention, layer.after_attention, layer.before_mlp, layer.after_mlp)
        first, second, third, fourth = (norm.scale.detach().numpy() for norm in norms)
        return cls(qkv, out, gate_up, down, (first, second, third, fourth))


def _turned(weight: Tensor) -> Array:
    return np.ascontiguousarray(weight.detach().numpy().T)


def _times(x: Array, weight: Array) -> Array:
    """[B, in] times [in, out]."""
    if len(x) * weight.size <= SMALL_PRODUCT:
        small: Array = np.dot(x, weight)
        return small
    large: Array = torch.mm(torch.from_numpy(x), torch.from_numpy(weight)).numpy()
    return large


class SmallStep:
    """One step for all rows of a batch. Made once for a network; `fits` says whether it pays."""

    def __init__(self, network: Network) -> None:
        self.config = text = network.config.text
        self.layers = [_Layer.of(layer) for layer in network.text_layers]  # type: ignore[arg-type]
        self.words = network.words.detach().numpy()
        self.head = _turned(network.words if network.head is None else network.head)
        self.norm = network.text_norm.scale.detach().numpy()
        self.root, self.eps = np.float32(math.sqrt(text.width)), np.float32(text.eps * text.width)
        self.turns: NDArray[np.complex64] = np.zeros((0, 1, text.head // 2), np.complex64)

    @staticmethod
    def fits(network: Network) -> bool:
        """Whether a network is small, in float32 and on the CPU."""
        text, words = network.config.text, network.words
        plain = words.dtype is torch.float32 and words.device.type == "cpu"
        return plain and text.width <= MAX_WIDTH and text.vocabulary <= MAX_VOCABULARY

    def __call__(self, cache: Cache, tokens: Tensor, positions: Tensor, bias: Tensor | None) -> Tensor:
        """tokens, positions: [B]; bias: [B, 1, cache.length + 1] or None; gives logits [B, V], fills a slot."""
        if len(self.turns) <= cache.slots:
            self.turns = turn_table(self.config, max(cache.slots, 1024) * 3 // 2).numpy()
        turn, place = self.turns[positions.numpy()], cache.length
        hidden = None if bias is None else bias.numpy()[:, :, None]  # [B, 1, 1, S]
        cache.length = place + 1
        x = self.words[tokens.numpy()] * self.root
        for layer, (keys, values) in zip(self.layers, cache.layers, strict=True):
            before, after, before_mlp, after_mlp = layer.norms
            qkv = _times(self._normed(x, before), layer.qkv)
            mixed = self._attend(qkv, turn, keys.numpy(), values.numpy(), place, hidden)
            x += self._normed(_times(mixed, layer.out), after)
            inner = _gated(_times(self._normed(x, before_mlp), layer.gate_up))
            x += self._normed(_times(inner, layer.down), after_mlp)
        logits = _times(self._normed(x, self.norm), self.head)
        if (cap := self.config.final_cap) is not None:
            logits = np.tanh(logits / np.float32(cap)) * np.float32(cap)
        return torch.from_numpy(logits)

    def _normed(self, x: Array, scale: Array) -> Array:
        """RMSNorm of [B, D]: x * scale / sqrt(mean(x²) + eps), with the width moved out of the mean."""
        length = np.einsum("bd,bd->b", x, x)
        length += self.eps
        np.sqrt(length, out=length)
        np.divide(self.root, length, out=length)
        normed: Array = x * length[:, None]
        normed *= scale
        return normed

    def _attend(self, qkv: Array, turn: NDArray[np.complex64], keys: Array, values: Array, place: int,
                hidden: Array | None) -> Array:  # fmt: skip
        """Attention of one token a row. qkv: [B, (H + 2K) * E]; keys, values: [B, K, S, E]; gives [B, H * E]."""
        c, batch = self.config, len(qkv)
        heads = qkv.reshape(batch, c.heads + 2 * c.kv_heads, c.head)
        heads.view(np.complex64)[:, : c.heads + c.kv_heads] *= turn
        keys[:, :, place] = heads[:, c.heads : c.heads + c.kv_heads]
        values[:, :, place] = heads[:, c.heads + c.kv_heads :]
        q = heads[:, : c.heads].reshape(batch, c.kv_heads, -1, c.head)
        scores = np.matmul(q, keys[:, :, : place + 1].swapaxes(2, 3))  # [B, K, G, S]
        scale = c.scale_from**-0.5
        if c.attention_cap is None:
            scores *= np.float32(scale)
        else:
            scores *= np.float32(scale / c.attention_cap)
            np.tanh(scores, out=scores)
            scores *= np.float32(c.attention_cap)
        if hidden is not None:
            scores += hidden
        scores -= scores.max(-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(-1, keepdims=True)
        mixed: Array = np.matmul(scores, values[:, :, : place + 1]).reshape(batch, c.heads * c.head)
        return mixed


_ROOT = np.float32(math.sqrt(2 / math.pi))


def _gated(gate_up: Array) -> Array:
    """GeGLU of [B, 2 * hidden]: gelu(gate) * up, gelu in its tanh form."""
    gate, up = np.split(gate_up, 2, axis=1)
    inner: Array = gate * gate
    inner *= np.float32(0.044715)
    inner += np.float32(1)
    inner *= gate
    inner *= _ROOT
    np.tanh(inner, out=inner)
    inner += np.float32(1)
    inner *= gate
    inner *= up
    inner *= np.float32(0.5)
    return inner
