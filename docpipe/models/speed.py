"""How fast PaliGemma 2 is on this machine: its memory's read rate, then vision, prefill and decoding beside the bound
that reading every weight once a token sets (the roofline).

Weights may be random: speed does not depend on them. All times are wall times, best of a few.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from docpipe.errors import DocpipeError
from docpipe.models.decode import prefill, step
from docpipe.models.memory import published_config
from docpipe.models.quantize import Choice, finish, linear_names, put_module, remade, set_parameter

if TYPE_CHECKING:
    from docpipe.models.network import Network, NetworkConfig

PROMPT = 10
"""Tokens of the prompt beside the image's: <bos>, a few words, a newline."""

SHAPES = tuple(f"paligemma2-{size}-{side}" for size in ("3b", "10b", "28b") for side in (224, 448, 896))


def shape(name: str) -> NetworkConfig:
    """The configuration of a published size, as "paligemma2-3b-224". Raises DP301 for another name."""
    parts = name.removeprefix("google/").split("-")
    if name.removeprefix("google/") not in SHAPES:
        raise DocpipeError("DP301", name, "shapes: " + ", ".join(SHAPES))
    return published_config(parts[1], int(parts[2]))


def random_network(config: NetworkConfig, choice: Choice, seed: int = 0) -> Network:
    """A network of random weights in the form that `choice` says, made a layer at a time: never two copies."""
    from docpipe.models.network import Network

    torch.manual_seed(seed)
    with torch.device("meta"):
        network = Network(config)
    exact = torch.float32 if choice.mode in {"none", "int8", "int8-weight"} else torch.bfloat16
    v, t = config.vision, config.text
    # Zeros that no one writes to take no memory, as rows of a mapped file that no one reads take none.
    kind = torch.float32 if choice.mode == "none" else torch.bfloat16
    set_parameter(network, "words", torch.zeros(t.vocabulary, t.width, dtype=kind))
    for name in linear_names(network):
        linear: Any = network.get_submodule(name)
        bias = torch.randn(linear.out_features) * 0.02 if linear.bias is not None else None
        put_module(network, name, _random_linear(linear.out_features, linear.in_features, bias, choice))
    network.unembed = _random_linear(t.vocabulary, t.width, None, choice)
    for name, value in list(network.named_parameters()):
        if value.is_meta:
            is_scale = "norm" in name and not name.endswith("bias")
            made = torch.ones(value.shape) if is_scale else torch.randn(value.shape) * 0.02
            set_parameter(network, name, made if name.endswith(".scale") else made.to(exact))
    assert v.tokens == network.places.shape[0]
    network.head = None
    return finish(network, choice)


def _random_linear(rows: int, columns: int, bias: Tensor | None, choice: Choice) -> torch.nn.Module:
    if choice.mode == "none":
        linear = torch.nn.Linear(columns, rows, bias=bias is not None)
        linear.weight.data.normal_(0, 0.02)
        return linear.requires_grad_(False)
    if choice.mode == "bf16":
        return remade({"weight": torch.randn(rows, columns, dtype=torch.bfloat16) * 0.02} | _given(bias), choice)
    int8 = torch.randint(-127, 128, (rows, columns), dtype=torch.int8)
    return remade({"int8": int8, "scale": torch.full((rows,), 2e-4)} | _given(bias), choice)


def _given(bias: Tensor | None) -> dict[str, Tensor]:
    return {} if bias is None else {"bias": bias}


def best(run: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest of a few runs."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return min(found)


def bandwidth(gigabytes: float = 2.0, times: int = 5) -> float:
    """The best rate at which this process reads memory with its threads, in 10^9 bytes a second."""
    values = torch.ones(int(gigabytes * 1e9 / 4))
    return float(values.numel() * 4 / 1e9 / min(best(values.sum, times), best(values.amax, 2)))


def arithmetic(choice: Choice) -> float:
    """10^9 multiply-adds twice a second of the layers' matrix product at 266 rows, on this process's threads."""
    layer = _random_linear(4608, 2304, None, choice)
    x = torch.randn(266, 2304)
    with torch.inference_mode():
        layer(x)
        return 2 * 266 * 2304 * 4608 / 1e9 / best(lambda: layer(x), 5)


def weight_bytes(config: NetworkConfig, choice: Choice) -> int:
    """Bytes of weights that decoding one token reads: every matrix of the language model, and the head."""
    t = config.text
    each = t.width * (t.heads + 2 * t.kv_heads) * t.head + t.heads * t.head * t.width + 3 * t.width * t.hidden
    size = {"int8": 1, "int8-weight": 1, "bf16": 2, "none": 4}[choice.mode]
    return (t.layers * each + t.vocabulary * t.width) * size


@dataclass(frozen=True)
class Speed:
    """What was measured. Seconds are wall time for one image; prefill is the language model's alone."""

    bandwidth_gb_s: float
    gflop_s: float
    vision_s: float
    prefill_s: float
    prefill_tokens: int
    decode_tok_s: float
    roofline_tok_s: float
    decode_fraction: float
    peak_rss_gb: float

    def seconds(self, tokens: int) -> float:
        """Of one answer of so many tokens."""
        return self.vision_s + self.prefill_s + tokens / self.decode_tok_s


@torch.inference_mode()
def measure(network: Network, choice: Choice, *, batch: int = 1, tokens: int = 16, times: int = 2) -> Speed:
    """Measure a network. batch: prompts decoded together; decode_tok_s counts the tokens of all of them."""
    config = network.config
    side = config.vision.side
    pixels = torch.randn(batch, 3, side, side).clamp_(-1, 1)
    prompts = [[config.bos, *range(5, 5 + PROMPT - 2), 4]] * batch
    network.see(pixels[:1])  # the first call lays out what later ones use
    vision = best(lambda: network.see(pixels), times)
    whole = best(lambda: prefill(network, pixels, prompts, tokens + 2), times)
    state = prefill(network, pixels, prompts, 3 * tokens + 8)
    token = state.logits.argmax(-1)

    def decode() -> None:
        nonlocal token
        for _ in range(tokens):
            token = step(network, state, token).argmax(-1)

    step(network, state, token)
    rate = batch * tokens / best(decode, 2)
    held = peak_rss()  # before the memory's own measurement, which holds 2 GB
    speed = bandwidth()
    roofline = batch * speed * 1e9 / weight_bytes(config, choice)
    return Speed(
        bandwidth_gb_s=round(speed, 2),
        gflop_s=round(arithmetic(choice), 1),
        vision_s=round(vision, 3),
        prefill_s=round(max(0.0, whole - vision), 3),
        prefill_tokens=config.vision.tokens + PROMPT,
        decode_tok_s=round(rate, 2),
        roofline_tok_s=round(roofline, 2),
        decode_fraction=round(rate / roofline, 3),
        peak_rss_gb=round(held, 2),
    )


def peak_rss() -> float:
    """The most memory that this process has held, in 10^9 bytes.

    Linux counts that of the program that started this one to its resource usage, but not to its status.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e9
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e9 if sys.platform == "darwin" else most * 1024 / 1e9
