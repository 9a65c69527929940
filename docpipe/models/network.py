"""The PaliGemma 2 forward pass, whole: SigLIP, projector, Gemma 2 with a static key/value cache.

Written from the papers (PaliGemma 2, arXiv 2412.03555; Gemma 2, arXiv 2408.00118; SigLIP, arXiv 2303.15343) and held
against two references: vectors of Google's big_vision (tests/golden) and transformers (tests/models). Where the two
differ it follows big_vision, which trained the published weights; docs/paligemma.md lists where.

Letters in shapes: B batch, N image tokens, T tokens given, S slots of the cache, D width, V vocabulary,
H query heads, K key/value heads, G = H / K, E size of a head.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, gelu, rms_norm, scaled_dot_product_attention

QUERY_BLOCK = 1024
"""Queries whose attention scores are held at once in prefill: 896 px (4096 tokens) would need 0.5 GB a layer."""


@dataclass(frozen=True)
class VisionConfig:
    """SigLIP's sizes. Defaults are those of So400m/14 that the published config.json files leave out."""

    width: int = 1152
    layers: int = 27
    heads: int = 16
    hidden: int = 4304
    patch: int = 14
    side: int = 224
    eps: float = 1e-6

    @property
    def tokens(self) -> int:
        """N: 256, 1024 and 4096 at 224, 448 and 896 px."""
        return (self.side // self.patch) ** 2


@dataclass(frozen=True)
class TextConfig:
    """Gemma 2's sizes. `scale_from` is query_pre_attn_scalar: the head size in 3B and 10B, width / heads in 28B.

    window and sliding describe what transformers would do: big_vision trained with full attention in every layer.
    """

    width: int = 2304
    layers: int = 26
    heads: int = 8
    kv_heads: int = 4
    head: int = 256
    hidden: int = 9216
    vocabulary: int = 257216
    scale_from: float = 256.0
    attention_cap: float | None = 50.0
    final_cap: float | None = 30.0
    rope_base: float = 10000.0
    eps: float = 1e-6
    window: int | None = 4096
    sliding: tuple[bool, ...] = ()
    longest: int = 8192


@dataclass(frozen=True)
class NetworkConfig:
    """A PaliGemma 2 config.json, as far as the forward pass needs it."""

    vision: VisionConfig
    text: TextConfig
    image_token: int = 257152
    bos: int = 2
    eos: int = 1
    pad: int = 0
    tied: bool = True

    @classmethod
    def from_json(cls, config: Mapping[str, Any]) -> NetworkConfig:
        """Read transformers' config.json, its defaults filled in. Raises ValueError when it is no PaliGemma 2."""
        text, vision = dict(config.get("text_config") or {}), dict(config.get("vision_config") or {})
        if config.get("model_type") != "paligemma" or text.get("model_type") not in ("gemma2", "gemma2_text"):
            found = f"{config.get('model_type')} with {text.get('model_type', 'no')} text model"
            raise ValueError(f"not a PaliGemma 2 checkpoint: {found}, paligemma with gemma2 is needed")
        if text.get("hidden_activation", "gelu_pytorch_tanh") != "gelu_pytorch_tanh":
            raise ValueError(f"activation {text['hidden_activation']} is not Gemma 2's gelu_pytorch_tanh")
        layers = text.get("num_hidden_layers", 26)
        kinds = text.get("layer_types")
        sliding = tuple(k == "sliding_attention" for k in kinds) if kinds else tuple(i % 2 == 0 for i in range(layers))
        rope: dict[str, Any] = text.get("rope_parameters") or {}
        return cls(
            vision=VisionConfig(
                width=vision.get("hidden_size", 768),
                layers=vision.get("num_hidden_layers", 12),
                heads=vision.get("num_attention_heads", 12),
                hidden=vision.get("intermediate_size", 3072),
                patch=vision.get("patch_size", 16),
                side=vision.get("image_size", 224),
                eps=vision.get("layer_norm_eps", 1e-6),
            ),
            text=TextConfig(
                width=text.get("hidden_size", 2304),
                layers=layers,
                heads=text.get("num_attention_heads", 8),
                kv_heads=text.get("num_key_value_heads", 4),
                head=text.get("head_dim", 256),
                hidden=text.get("intermediate_size", 9216),
                vocabulary=text.get("vocab_size", config.get("vocab_size", 256000)),
                scale_from=text.get("query_pre_attn_scalar", 256),
                attention_cap=text.get("attn_logit_softcapping", 50.0),
                final_cap=text.get("final_logit_softcapping", 30.0),
                rope_base=float(rope.get("rope_theta") or text.get("rope_theta") or 10000.0),
                eps=text.get("rms_norm_eps", 1e-6),
                window=text.get("sliding_window", 4096),
                sliding=sliding,
                longest=text.get("max_position_embeddings", 8192),
            ),
            image_token=config.get("image_token_index", config.get("image_token_id", 257152)),
            bos=config.get("bos_token_id", text.get("bos_token_id", 2)),
            eos=config.get("eos_token_id", text.get("eos_token_id", 1)),
            pad=config.get("pad_token_id", text.get("pad_token_id", 0)),
            tied=config.get("tie_word_embeddings", True),
        )


class Cache:
    """Keys and values, a pair of [B, K, S, E] for each layer, allocated once. `length` slots are filled."""

    def __init__(self, config: TextConfig, batch: int, slots: int, like: Tensor) -> None:
        shape = (batch, config.kv_heads, slots, config.head)
        self.layers = [(like.new_zeros(shape), like.new_zeros(shape)) for _ in range(config.layers)]
        self.slots, self.length = slots, 0

    def keep(self, rows: Tensor) -> None:
        """Keep these rows, in this order; a row may be named more than once."""
        for index, (keys, values) in enumerate(self.layers):
            self.layers[index] = (keys.index_select(0, rows), values.index_select(0, rows))


class LowRankLinear(nn.Module):
    """A linear layer and a low-rank term beside it, W x + B A x: the layer is shared with the base of the adapter.

    down: A [r, in]; up: B [out, r], the adapter's scale in it.
    """

    def __init__(self, shared: nn.Module, down: Tensor, up: Tensor) -> None:
        super().__init__()
        self.shared = shared
        self.down, self.up = nn.Parameter(down, requires_grad=False), nn.Parameter(up, requires_grad=False)

    @property
    def weight(self) -> Tensor:
        """W + B A, for whoever needs the one matrix. A quantized layer that is shared has none."""
        weight: Any = self.shared.weight
        whole: Tensor = weight + self.up @ self.down
        return whole

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.shared(x) + (x @ self.down.T) @ self.up.T
        return out


class RMSNorm(nn.Module):
    """x / rms(x) * (1 + w), in float32 whatever the model's type. `scale` holds 1 + w."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps, self.shape = eps, (width,)
        self.scale = nn.Parameter(torch.ones(width, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype is torch.float32:
            return rms_norm(x, self.shape, self.scale, self.eps)
        return rms_norm(x.float(), self.shape, self.scale, self.eps).to(x.dtype)


class VisionLayer(nn.Module):
    """A pre-norm transformer layer of SigLIP, fully bidirectional."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.attends_in: torch.dtype | None = None  # another type than the rest, where that is faster
        self.norm1 = nn.LayerNorm(config.width, config.eps)
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        self.norm2 = nn.LayerNorm(config.width, config.eps)
        self.up = nn.Linear(config.width, config.hidden)
        self.down = nn.Linear(config.hidden, config.width)

    def forward(self, x: Tensor) -> Tensor:  # [B, N, D]
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # [B, heads, N, E] each
        if self.attends_in is not None:
            q, k, v = (part.to(self.attends_in) for part in (q, k, v))
        mixed = scaled_dot_product_attention(q, k, v).to(x.dtype)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        after: Tensor = x + self.down(gelu(self.up(self.norm2(x)), approximate="tanh"))
        return after


class TextLayer(nn.Module):
    """A layer of Gemma 2: norms before and after each half, grouped-query attention with a soft-cap, GeGLU."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.scale = config.scale_from**-0.5
        self.before_attention = RMSNorm(config.width, config.eps)
        self.qkv = nn.Linear(config.width, (config.heads + 2 * config.kv_heads) * config.head, bias=False)
        self.out = nn.Linear(config.heads * config.head, config.width, bias=False)
        self.after_attention = RMSNorm(config.width, config.eps)
        self.before_mlp = RMSNorm(config.width, config.eps)
        self.gate_up = nn.Linear(config.width, 2 * config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)
        self.after_mlp = RMSNorm(config.width, config.eps)

    def forward(self, x: Tensor, turn: Tensor, bias: Tensor | None, cache: tuple[Tensor, Tensor],
                start: int) -> Tensor:  # fmt: skip
        """x: [B, T, D], fills the cache's slots from `start`; bias: [B, 1, T, start + T], added to the scores."""
        c, (batch, tokens, _) = self.config, x.shape
        qkv = self.qkv(self.before_attention(x)).view(batch, tokens, c.heads + 2 * c.kv_heads, c.head)
        turned = rotate(qkv[:, :, : c.heads + c.kv_heads], turn).transpose(1, 2)  # [B, H + K, T, E]
        for kept, new in zip(cache, (turned[:, c.heads :], qkv[:, :, -c.kv_heads :].transpose(1, 2)), strict=True):
            kept.narrow(2, start, tokens).copy_(new)
        keys, values = (kept.narrow(2, 0, start + tokens) for kept in cache)
        mixed = self.attend(turned[:, : c.heads], keys, values, bias)
        x = x + self.after_attention(self.out(mixed))
        gate, up = self.gate_up(self.before_mlp(x)).chunk(2, -1)
        after: Tensor = x + self.after_mlp(self.down(gelu(gate, approximate="tanh") * up))
        return after

    def attend(self, q: Tensor, keys: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """q: [B, H, T, E], keys and values: [B, K, S, E]; gives [B, T, H * E]. The cap comes before the mask."""
        c, (batch, _, tokens, _) = self.config, q.shape
        if c.attention_cap is None:
            mixed = scaled_dot_product_attention(q, keys, values, bias, scale=self.scale, enable_gqa=True)
            return mixed.transpose(1, 2).reshape(batch, tokens, c.heads * c.head)
        group, across, blocks = c.heads // c.kv_heads, keys.transpose(2, 3), []
        for first in range(0, tokens, QUERY_BLOCK):
            part = q[:, :, first : first + QUERY_BLOCK]
            count = part.shape[2]
            # The G query heads of a key head are rows of one product, so keys are never repeated.
            scores = part.reshape(batch, c.kv_heads, group * count, c.head) @ across
            scores = scores.mul_(self.scale / c.attention_cap).tanh_().mul_(c.attention_cap)
            if bias is not None:
                shape = (batch, c.kv_heads, group, count, -1)
                scores = (scores.view(shape) + bias[:, None, :, first : first + count]).flatten(2, 3)
            weights = scores.softmax(-1, dtype=torch.float32).to(q.dtype)
            del scores  # before the next block's are made: at 896 px they are the most of prefill's memory
            blocks.append((weights @ values).view(batch, c.heads, count, c.head))
            del weights
        mixed = blocks[0] if len(blocks) == 1 else torch.cat(blocks, 2)
        return mixed.transpose(1, 2).reshape(batch, tokens, c.heads * c.head)


def rotate(x: Tensor, turn: Tensor) -> Tensor:
    """Rotary positions. x: [B, T, heads, E], pairs side by side (`interleaved`); turn: [B, T, 1, E / 2]."""
    pairs = torch.view_as_complex(x.float().view(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)


def interleaved(weight: Tensor, heads: int, head: int) -> Tensor:
    """A projection [all heads * E, D] with the rows of its first `heads` reordered from halves to pairs.

    The published weights turn dimension i with i + E / 2. A reorder common to queries and keys changes no score.
    """
    rows = torch.arange(weight.shape[0])
    rows[: heads * head] = rows[: heads * head].view(heads, 2, head // 2).transpose(1, 2).reshape(-1)
    return weight[rows]


class Network(nn.Module):
    """PaliGemma 2. Weights come from `docpipe.models.load`; use it under torch.inference_mode()."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        v, t = config.vision, config.text
        self.patches = nn.Linear(3 * v.patch * v.patch, v.width)  # a convolution whose stride is its size
        self.places = nn.Parameter(torch.zeros(v.tokens, v.width))
        self.vision_layers = nn.ModuleList(VisionLayer(v) for _ in range(v.layers))
        self.vision_norm = nn.LayerNorm(v.width, v.eps)
        self.projector = nn.Linear(v.width, t.width)
        self.words = nn.Parameter(torch.zeros(t.vocabulary, t.width))
        self.text_layers = nn.ModuleList(TextLayer(t) for _ in range(t.layers))
        self.text_norm = RMSNorm(t.width, t.eps)
        self.head = None if config.tied else nn.Parameter(torch.zeros(t.vocabulary, t.width))
        self.unembed: nn.Module | None = None  # stands for the head when the layers are quantized
        self.computes_in: torch.dtype | None = None  # the type of activations when it is not that of the embedding
        self._turns: Tensor | None = None

    def see(self, pixels: Tensor) -> Tensor:
        """Images to image tokens. pixels: [B, 3, side, side] in [-1, 1]; gives [B, N, D]."""
        v, (batch, _, side, _) = self.config.vision, pixels.shape
        across = side // v.patch
        cut = pixels.to(self.computes_in or self.places.dtype).view(batch, 3, across, v.patch, across, v.patch)
        x = self.patches(cut.permute(0, 2, 4, 1, 3, 5).reshape(batch, across * across, -1)) + self.places
        for layer in self.vision_layers:
            x = layer(x)
        projected: Tensor = self.projector(self.vision_norm(x))
        return projected

    def embed(self, tokens: Tensor) -> Tensor:
        """Token ids [B, T] to [B, T, D], times sqrt(D). Image tokens come from `see` and are not scaled."""
        kind = self.computes_in or self.words.dtype
        scale = torch.tensor(math.sqrt(self.config.text.width), dtype=kind)
        return embedding(tokens, self.words).to(kind) * scale

    def forward(self, x: Tensor, positions: Tensor, cache: Cache, bias: Tensor | None = None,
                local: Tensor | None = None) -> Tensor:  # fmt: skip
        """Run Gemma 2 over the next tokens. x: [B, T, D] inputs, positions: [B, T] counted from 1.

        bias: [B, T, cache.length + T], added to every layer's scores (0: seen, -inf: hidden); None: all is seen.
        local: the same for the layers that slide, when transformers' window is wanted; None: those too use `bias`.
        Gives the final norm's output [B, T, D] and fills T slots of the cache.
        """
        start, turn = cache.length, self.turns(positions, cache.slots)
        cache.length = start + x.shape[1]
        full = None if bias is None else bias[:, None].to(x.dtype)
        near = full if local is None else local[:, None].to(x.dtype)
        for index, layer in enumerate(self.text_layers):
            slides = local is not None and self.config.text.sliding[index]
            x = layer(x, turn, near if slides else full, cache.layers[index], start)
        normed: Tensor = self.text_norm(x)
        return normed

    def logits(self, x: Tensor, *, cap: bool = True) -> Tensor:
        """[..., D] to float32 [..., V], soft-capped at 30.

        big_vision leaves the cap out in training and at the first decoded step; it changes no greedy token, and here
        it is always applied before a probability is taken, so that confidence means one thing.
        """
        if self.unembed is not None:
            out = self.unembed(x).float()
        else:
            out = (x @ (self.words if self.head is None else self.head).T).float()
        limit = self.config.text.final_cap
        return torch.tanh(out / limit) * limit if cap and limit is not None else out

    def turns(self, positions: Tensor, last: int) -> Tensor:
        """Rotary turns for positions [B, T], complex [B, T, 1, E / 2]; the table grows to `last` as needed."""
        if self._turns is None or self._turns.shape[0] <= last:
            self._turns = turn_table(self.config.text, max(last, 1024) * 3 // 2).to(positions.device)
        return self._turns[positions]


def turn_table(config: TextConfig, count: int) -> Tensor:
    """Rotary turns of the positions 0..count - 1 as complex numbers [count, 1, E / 2]."""
    speeds = 1.0 / config.rope_base ** (torch.arange(0, config.head, 2, dtype=torch.float32) / config.head)
    angles = torch.arange(count, dtype=torch.float32)[:, None] * speeds
    return torch.polar(torch.ones_like(angles), angles)[:, None]


def prefix_lm_mask(causal: Tensor, real: Tensor | None = None) -> Tensor:
    """Who sees whom. causal: [B, T], 0 shares the block of the token before, 1 starts a new one; real: 0 = padding.

    Gives bool [B, query, key]: a query sees the keys of its own block and of earlier ones, and no padding.
    """
    block = causal.cumsum(1)
    seen = block[:, None, :] <= block[:, :, None]
    return seen if real is None else seen & real.bool()[:, None, :]


def slide(seen: Tensor, window: int, causal: Tensor) -> Tensor:
    """The mask of transformers' sliding layers: suffix tokens see the last `window` columns, the prefix all of it."""
    column = torch.arange(seen.shape[-1], device=seen.device)
    near = column[None, :] > column[:, None] - window
    prefix = causal.cumsum(1) == 0
    return seen & (near[None] | (prefix[:, None, :] & prefix[:, :, None]))


def as_bias(seen: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """A bool mask as what is added to scores. Finite, so that a row of padding gives numbers and not NaN."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, torch.finfo(dtype).min)
