"""Which arithmetic this machine does natively, and how many of its threads are idle."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from docpipe.models.cpu import usable_cores


def native_bfloat16() -> bool:
    """Whether this machine multiplies bfloat16 in hardware; emulated it is 12 times slower than float32."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def spare_threads() -> int:
    """How many threads pay now: on a busy machine a second one makes a step slower, not faster."""
    load, cores = os.getloadavg()[0], usable_cores()
    return max(1, min(cores, round(cores - max(0.0, load - torch.get_num_threads()))))
