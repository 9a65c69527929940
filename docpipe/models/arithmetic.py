"""What the engine's setting `quantize` comes to: by a checkpoint's size, type and device, and the processor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from docpipe.errors import DocpipeError
from docpipe.models.quantize import Choice, check_mode, choose

if TYPE_CHECKING:
    from docpipe.models.network import NetworkConfig


def is_small(config: NetworkConfig) -> bool:
    """Whether a network is of nano's size: there the cost of an operation, not its arithmetic, is the time."""
    from docpipe.models.small import MAX_VOCABULARY, MAX_WIDTH

    return config.text.width <= MAX_WIDTH and config.text.vocabulary <= MAX_VOCABULARY


@contextmanager
def steady_threads(config: NetworkConfig) -> Iterator[None]:
    """One thread of PyTorch's while a small network computes: sums then have the same last bits whatever number of
    workers shares the cores, and more threads would gain nothing. Larger networks take the threads that there are.
    """
    import torch

    before = torch.get_num_threads()
    if is_small(config):
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def choice_for(config: NetworkConfig, mode: str = "auto", dtype: str = "float32", device: str = "cpu") -> Choice:
    """How a checkpoint of this shape is computed.

    auto: W8A8 for a network beyond nano's size, on the CPU, where an int8 kernel passes its self-test and no other
    type than float32 was asked for; else as loaded. A nano network in int8 is slower for one request, and not the same.
    Raises DP313 for a mode that there is not, or that is not to be had on this device or processor.
    """
    check_mode(mode)
    plain = Choice("none", None, None, dtype)
    if mode == "none":
        return plain
    if device != "cpu":
        if mode == "auto":
            return plain
        raise DocpipeError("DP313", mode, f"the layers are made for the CPU, and device is {device}")
    if mode == "auto":
        if dtype != "float32":
            return plain
        if is_small(config):
            return Choice("none", None, None, "float32: the network is small")
    return choose(mode)


def told(choice: Choice) -> str:
    """The choice in a few words for the manifest, as "int8: W8A8 by fbgemm on a processor with avx2, avx512_vnni"."""
    return choice.why if choice.mode == "none" else f"{choice.mode}: {choice.why}"
