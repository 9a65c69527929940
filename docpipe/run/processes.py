"""What a process has used so far, as Linux tells it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Held:
    """cpu: processor seconds, those of ended children counted. size, peak: bytes of memory held now, and at most."""

    cpu: float
    size: int
    peak: int


def held(pid: int | None = None) -> Held | None:
    """What a process (this one: None) holds and has used; None when it is gone or the system does not tell."""
    folder = Path("/proc", str(pid) if pid is not None else "self")
    try:
        # The name, in parentheses, may hold anything: fields are counted from behind it.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        lines = (folder / "status").read_text().splitlines()
        told = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
        ticks = sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime
        return Held(ticks / os.sysconf("SC_CLK_TCK"), int(told["VmRSS"][0]) * 1024, int(told["VmHWM"][0]) * 1024)
    except (OSError, KeyError, ValueError, IndexError):
        return None
