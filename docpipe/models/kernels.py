"""Linear layers whose weights are int8 or prepacked bfloat16: one function a backend, and a test of each at first use.

W8A8: weights symmetric per output channel, activations per token (LLM.int8(), arXiv 2208.07339, sec. 3; one scale for
the whole tensor destroys rows beside an outlier token). The backends are operators that PyTorch's own quantization
emits; neither is a documented interface, so each is looked for and tried before it is used.

On a processor without VNNI the kernels add pairs of products in 16 bits and saturate without a word. A self-test with
uniform data would see that (mean error 18 % against below 1 %); activations then keep 7 bits.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

Backend = Literal["fbgemm", "onednn"]

TOLERANCE = 0.03
"""Relative error of a self-test above which a kernel is not believed: exact int8 arithmetic stays below 0.01."""


ROWS_AT_ONCE = 8192
"""Rows of a matrix that are held in float32 while it is quantized."""


class Packed(Protocol):
    """A weight made ready for a backend: rows of activations in, rows of outputs out, without bias."""

    def __call__(self, x: Tensor) -> Tensor: ...


def quantize_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A weight [out, in] of any float type as int8 in [-127, 127] and its scales, float32 [out]."""
    scale = torch.empty(len(weight))
    made = torch.empty(weight.shape, dtype=torch.int8)
    for first in range(0, len(weight), ROWS_AT_ONCE):  # an embedding in float32 would be 2.4 GB
        rows = slice(first, first + ROWS_AT_ONCE)
        scale[rows] = weight[rows].abs().amax(1).float().div_(127).clamp_min_(1e-12)
        made[rows] = (weight[rows].float() / scale[rows, None]).round_().to(torch.int8)
    return made, scale


class _Fbgemm:
    """`quantized::linear_dynamic`, the fastest at one row; it quantizes activations itself, over what it is given."""

    def __init__(self, weight: Tensor, scale: Tensor, bits: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the quantized types are to go; until then this is their fastest kernel
            made = torch._make_per_channel_quantized_tensor(
                weight, scale.double(), torch.zeros(len(scale), dtype=torch.long), 0
            )
            self.packed = torch.ops.quantized.linear_prepack(made, None)
        self.reduced = bits < 8
        self.range = torch.tensor([1.0, -1.0])

    def __call__(self, x: Tensor) -> Tensor:
        # Rows of one size make the kernel's one scale a scale for each, and a row more that spans the whole range makes
        # it the same scale whoever shares the batch: an answer must not depend on that. One row costs 3 % by it.
        count, width = x.shape
        size = x.abs().amax(1, keepdim=True).clamp_min_(1e-12)
        rows = x.new_empty(count + 1, width)
        torch.div(x, size, out=rows[:count])
        rows[count].zero_()[:2] = self.range
        out: Tensor = torch.ops.quantized.linear_dynamic(rows, self.packed, self.reduced)
        return out[:count].mul_(size)


class _Onednn:
    """`onednn::qlinear_pointwise`, what Inductor emits; on plain int8 tensors."""

    def __init__(self, weight: Tensor, scale: Tensor, bits: int) -> None:
        self.packed = torch.ops.onednn.qlinear_prepack(weight, None)
        self.scale, self.zero = scale, torch.zeros(len(scale), dtype=torch.int32)
        self.top = 2 ** (bits - 1) - 1

    def __call__(self, x: Tensor) -> Tensor:
        size = x.abs().amax(1, keepdim=True).clamp_min_(1e-12)
        rows = (x * (self.top / size)).round_().add_(self.top + 1).to(torch.uint8)
        given = (rows, 1 / self.top, self.top + 1, self.packed, self.scale, self.zero, None, 1.0, 0, torch.float32)
        out: Tensor = torch.ops.onednn.qlinear_pointwise(*given, "none", [], "")
        return out.mul_(size)


_BACKENDS: dict[Backend, Callable[[Tensor, Tensor, int], Packed]] = {"fbgemm": _Fbgemm, "onednn": _Onednn}


@cache
def bits_of(backend: Backend) -> int | None:
    """Bits of activations at which a backend is right on this machine: 8, or 7 where it saturates; None: not at all."""
    if backend == "fbgemm":
        if (
            "fbgemm" not in torch.backends.quantized.supported_engines
            and "x86" not in torch.backends.quantized.supported_engines
        ):
            return None
        engine = "x86" if "x86" in torch.backends.quantized.supported_engines else "fbgemm"
        torch.backends.quantized.engine = engine
    return next((bits for bits in (8, 7) if self_test(_BACKENDS[backend], bits) < TOLERANCE), None)


def self_test(make: Callable[[Tensor, Tensor, int], Packed], bits: int) -> float:
    """Mean relative error of a kernel on uniform data, which saturates 16 bits where Gaussian data does not.

    Several rows, so that the path of prefill is tried, and one, the path of decoding. Infinity when it does not run.
    """
    seeded = torch.Generator().manual_seed(5)
    weight = torch.rand(64, 512, generator=seeded) * 2 - 1
    x = torch.rand(8, 512, generator=seeded)
    try:
        run = make(*quantize_rows(weight), bits)
        right = x @ weight.T
        found = torch.cat([run(x), run(x[:1])])
    except (RuntimeError, AttributeError, NotImplementedError):
        return float("inf")
    right = torch.cat([right, right[:1]])
    return float((found - right).abs().mean() / right.abs().mean())


@cache
def best_backend() -> tuple[Backend, int] | None:
    """The backend for W8A8 on this machine and the bits of its activations; None when none is right."""
    for backend in ("fbgemm", "onednn"):
        bits = bits_of(backend)
        if bits is not None:
            return backend, bits
    return None


class Int8Linear(nn.Module):
    """x W' + b with int8 weights and activations quantized for each token.

    weight: int8 [out, in], scale: float32 [out], bias: float32 [out]. columns: input channels that stay in float32
    (outliers that calibration found), with their weights [out, columns]; `weight` is 0 there. Any leading shape, any
    float type in; the same type out. Raises RuntimeError when no kernel on this machine is right.
    """

    def __init__(
        self, weight: Tensor, scale: Tensor, bias: Tensor | None = None,
        columns: Tensor | None = None, exact: Tensor | None = None, backend: Backend | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        chosen = (backend, bits_of(backend)) if backend is not None else best_backend()
        if chosen is None or chosen[1] is None:
            raise RuntimeError("no int8 kernel of PyTorch is right on this processor")
        self.out_features, self.in_features = weight.shape
        self.backend, self.bits = chosen
        self.run = _BACKENDS[self.backend](weight, scale, chosen[1])
        self.bias = None if bias is None else bias.float()
        self.columns, self.exact = columns, None if exact is None else exact.float().T.contiguous()

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.in_features).float()
        if self.columns is not None and self.exact is not None:
            kept = rows[:, self.columns] @ self.exact
            rows = rows.index_fill(1, self.columns, 0.0)
            out = self.run(rows).add_(kept)
        else:
            out = self.run(rows)
        if self.bias is not None:
            out += self.bias
        return out.view(*x.shape[:-1], self.out_features).to(x.dtype)


class WeightOnlyLinear(nn.Module):
    """x W' + b with int8 weights and bfloat16 activations: the safer mode, for decoding a row at a time.

    Shapes as `Int8Linear`.
    """

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.weight, self.scale = weight.contiguous(), scale.to(torch.bfloat16)
        self.bias = None if bias is None else bias.float()

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.in_features)
        # The kernel is for few rows (many are faster with the weights unpacked), and reads beyond odd sizes.
        if rows.shape[0] > 16 or self.out_features % 16 or self.in_features % 32:
            out = (rows.float() @ self.weight.float().T) * self.scale.float()
        else:
            out = torch._weight_int8pack_mm(rows.to(torch.bfloat16), self.weight, self.scale).float()
        if self.bias is not None:
            out += self.bias
        return out.view(*x.shape[:-1], self.out_features).to(x.dtype)


class PackedLinear(nn.Module):
    """x W' + b in bfloat16 with the weight laid out once as oneDNN wants it: exact, and faster than `nn.Linear`."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.packed: Any = torch.ops.mkldnn._reorder_linear_weight(weight.to(torch.bfloat16))
        self.bias = None if bias is None else bias.to(torch.bfloat16)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.in_features).to(torch.bfloat16)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.packed, self.bias, "none", [], "")
        return out.view(*x.shape[:-1], self.out_features).to(x.dtype)
