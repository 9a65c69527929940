"""What the manifest says of the machine and the versions that a run used."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path

from docpipe.models.cpu import usable_cores

LIBRARIES = (
    "lxml", "music21", "numpy", "onnxruntime", "pillow", "pydantic", "pymupdf", "rapid-layout", "rapidocr", "rdkit",
    "torch", "transformers", "verovio",
)  # fmt: skip

_TELLING = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "amx_bf16", "neon", "asimd")


def version() -> str:
    """docpipe's version, as installed."""
    return version_of("docpipe")


def python_version() -> str:
    return platform.python_version()


@cache
def library_versions() -> dict[str, str]:
    """The versions of the libraries that shape the output, those that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version_of(name)
        except PackageNotFoundError:
            continue
    return found


@cache
def cpu_facts() -> dict[str, str | int | list[str]]:
    """The processor's name, how many of it this process may use, and the instructions that change what is computed."""
    facts: dict[str, str | int | list[str]] = {"machine": platform.machine(), "count": usable_cores()}
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return facts
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    facts["model"] = told.get("model name", "")
    flags = set(told.get("flags", told.get("Features", "")).split())
    facts["features"] = [name for name in _TELLING if name in flags]
    return facts


LEAST_MEMORY = 8 << 30
"""Address space that a worker is given on the smallest machine: libraries reserve more of it than they use."""


@cache
def memory_of_machine() -> int | None:
    """Bytes of memory that this machine, or the container on it, has; None where that cannot be told."""
    try:
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on this system
        return None
    with contextlib.suppress(OSError, ValueError):
        size = min(size, int(Path("/sys/fs/cgroup/memory.max").read_text("ascii")))
    return max(size, LEAST_MEMORY)


def one_arena() -> None:
    """Let all threads of this process take memory from one place, where the C library is glibc; else nothing.

    It gives each thread a place of its own, which keeps the most that was ever held there; with a thread for each open
    document the process then grows over thousands of pages (mallopt(3), M_ARENA_MAX). Call it before threads start.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


_M_ARENA_MAX = -8
