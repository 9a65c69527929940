"""What this processor can do: the instruction sets that decide which arithmetic is right and fast, and its cores."""

from __future__ import annotations

import math
import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Features:
    """int8: multiplies int8 without saturating in 16 bits (VNNI or AMX). bfloat16: multiplies it in hardware.

    named: the instruction sets found, as /proc/cpuinfo names them. cores: physical ones that this process may use.
    """

    int8: bool
    bfloat16: bool
    named: tuple[str, ...]
    cores: int


_LOOKED_FOR = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp", "bf16")


@cache
def features() -> Features:
    """The features of this machine; on systems without /proc/cpuinfo none are taken for granted."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        flags = set()
    named = tuple(flag for flag in _LOOKED_FOR if flag in flags)
    arm = platform.machine().lower() in {"arm64", "aarch64"}
    return Features(
        int8=bool({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"} & set(named)) or arm,
        bfloat16=bool({"avx512_bf16", "amx_bf16", "bf16"} & set(named)),
        named=named,
        cores=physical_cores(),
    )


def usable_cores() -> int:
    """Processors, threads of cores counted, that this process may keep busy: those of its affinity, and no more than
    the time that its container is allowed, where it is in one.
    """
    count = len(_affinity() or ()) or os.cpu_count() or 1
    allowed = quota()
    return count if allowed is None else max(1, min(count, math.ceil(allowed)))


def quota(groups: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Processors' worth of time that the control group of this process may use; None without such a limit.

    A container is given its share so, and sees all processors of its host. Control groups of version 2 say it in
    cpu.max, those of version 1 in cpu.cfs_quota_us (Linux, Documentation/admin-guide/cgroup-v2.rst).
    """
    try:
        if (groups / "cpu.max").is_file():
            time, period = (groups / "cpu.max").read_text().split()
        else:
            time, period = ((groups / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(time) / int(period) if int(time) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):  # "max", or no such file
        return None


def _affinity() -> set[int] | None:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None


def physical_cores() -> int:
    """Cores that this process may keep busy, each counted once whatever its threads."""
    usable = _affinity()
    if usable is None:
        return usable_cores()
    seen = set()
    for cpu in usable:
        place = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        try:
            seen.add(((place / "physical_package_id").read_text(), (place / "core_id").read_text()))
        except OSError:
            seen.add(("", str(cpu)))
    return max(1, min(len(seen), usable_cores()))
