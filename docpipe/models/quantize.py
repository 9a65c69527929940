"""Quantized networks: the linear layers of `docpipe.models.network` swapped for others, in one of several modes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from docpipe.errors import DocpipeError
from docpipe.models.cpu import features

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from docpipe.models.network import Network, VisionLayer

Mode = Literal["none", "auto", "int8", "int8-weight", "bf16"]
MODES: tuple[Mode, ...] = ("none", "auto", "int8", "int8-weight", "bf16")

WORDS = "words"


@dataclass(frozen=True)
class Choice:
    """How to compute: the mode, the kernel and bits of activations of W8A8, and why, in a sentence."""

    mode: Mode
    backend: str | None
    bits: int | None
    why: str


def check_mode(mode: str) -> None:
    """Raises DP313 for a mode that there is not."""
    if mode not in MODES:
        raise DocpipeError("DP313", str(mode), "modes: " + ", ".join(MODES))


def choose(mode: str = "auto") -> Choice:
    """What a mode means on this processor. Raises DP313 for a mode that there is not or that is not right here.

    auto: W8A8 where a kernel passes its self-test (with 7 bits of activations where it saturates at 8), else float32,
    since bfloat16 is emulated on most processors that lack one.
    """
    from docpipe.models.kernels import best_backend

    check_mode(mode)
    found = features()
    named = ", ".join(found.named) or "no instruction sets known to it"
    if mode == "none":
        return Choice("none", None, None, "as loaded")
    if mode == "bf16":
        slow = "" if found.bfloat16 else ", which emulates bfloat16: slow"
        return Choice("bf16", None, None, f"bfloat16 on a processor with {named}{slow}")
    if mode == "int8-weight":
        return Choice("int8-weight", None, None, f"int8 weights, bfloat16 activations, on a processor with {named}")
    best = best_backend()
    if best is None:
        if mode == "int8":
            raise DocpipeError("DP313", "int8", f"no int8 kernel of PyTorch is right on this processor ({named})")
        return Choice("none", None, None, f"float32: no int8 kernel is right on a processor with {named}")
    backend, bits = best
    note = "" if bits == 8 else "; without VNNI its kernels saturate, so activations have 7 bits"
    return Choice("int8", backend, bits, f"W8A8 by {backend} on a processor with {named}{note}")


@dataclass(frozen=True)
class Treatment:
    """What calibration decided for single linear layers, by name: those that stay in bfloat16, and the input channels
    that stay in float32."""

    kept: tuple[str, ...] = ()
    columns: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def reduced(
    name: str, weight: Tensor, bias: Tensor | None, choice: Choice, treatment: Treatment | None = None
) -> dict[str, Tensor]:
    """What is kept of a linear layer in this mode: what `remade` makes a layer of."""
    import torch

    from docpipe.models.kernels import quantize_rows

    treatment = treatment or Treatment()
    if choice.mode == "bf16" or name in treatment.kept:
        kept = {"weight": weight.to(torch.bfloat16)}
    else:
        kept = {}
        if name in treatment.columns and choice.mode == "int8":
            columns = torch.tensor(treatment.columns[name])
            kept = {"columns": columns, "exact": weight[:, columns].float().clone()}
            weight = weight.float().index_fill(1, columns, 0.0)
        quantized, scale = quantize_rows(weight)
        kept |= {"int8": quantized, "scale": scale}
    if bias is not None:
        kept["bias"] = bias.float().clone()
    return kept


def remade(kept: Mapping[str, Tensor], choice: Choice) -> nn.Module:
    """The layer made of the tensors that `reduced` gave."""
    from docpipe.models.kernels import Int8Linear, PackedLinear, WeightOnlyLinear

    if "weight" in kept:
        return PackedLinear(kept["weight"], kept.get("bias"))
    if choice.mode == "int8-weight":
        return WeightOnlyLinear(kept["int8"], kept["scale"], kept.get("bias"))
    backend: Any = choice.backend
    return Int8Linear(
        kept["int8"], kept["scale"], kept.get("bias"), kept.get("columns"), kept.get("exact"), backend
    )  # fmt: skip


def linear_names(network: Network) -> list[str]:
    """The names of the network's linear layers, in the order of the computation."""
    from torch import nn

    return [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]


def quantize(network: Network, choice: Choice, treatment: Treatment | None = None) -> Network:
    """Swap the linear layers of a loaded network, which is changed; the network. For tests and calibration: `load`
    never holds two copies."""
    import torch

    if choice.mode == "none":
        return network
    for name in linear_names(network):
        linear: Any = network.get_submodule(name)
        put_module(network, name, remade(reduced(name, linear.weight, linear.bias, choice, treatment), choice))
    head = network.words if network.head is None else network.head
    network.unembed = remade(reduced("unembed", head.to(torch.bfloat16), None, choice, treatment), choice)
    network.head = None
    set_parameter(network, WORDS, network.words.to(torch.bfloat16))
    return finish(network, choice)


def finish(network: Network, choice: Choice) -> Network:
    """Give what is left the type that the mode computes in, and the network is ready for inference."""
    import torch

    exact = torch.bfloat16 if choice.mode == "bf16" else torch.float32
    for name, value in list(network.named_parameters()):
        if name != WORDS and value.dtype != exact and not name.endswith(".scale"):
            set_parameter(network, name, value.to(exact))
    network.computes_in = exact
    if choice.mode != "bf16" and features().bfloat16:
        for layer in network.vision_layers:
            cast("VisionLayer", layer).attends_in = torch.bfloat16
    return network.eval().requires_grad_(False)


def put_module(network: Network, name: str, module: nn.Module) -> None:
    """Put a module in place of the one of that name."""
    owner, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(owner), leaf, module)


def set_parameter(network: Network, name: str, value: torch.Tensor) -> None:
    """Give the parameter of that name its value."""
    import torch

    owner, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(owner), leaf, torch.nn.Parameter(value, requires_grad=False))
