"""How a worker process starts: told what it lives under, and its threads bounded before any library is loaded.

PyMuPDF makes sessions of onnxruntime when it is imported, and OpenMP and BLAS look at the environment then, too: so
nothing but the standard library may be imported here before `bound_threads` has run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from docpipe.models.cpu import physical_cores

THREADS = "OMP_NUM_THREADS"
"""What a person says of threads: PyTorch, OpenMP and BLAS libraries heed it."""

_HEEDED = (THREADS, "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class Terms:
    """What a worker process lives under. memory: address space in bytes. cpu_seconds: of processor time from one page's
    beginning to the next one's; the system ends it after that, whether or not anybody watches. cache: the file of the
    cache of readings and its size in bytes. threads: those that it computes with; None as its libraries think.
    """

    memory: int | None = None
    cpu_seconds: float | None = None
    cache: tuple[Path, int] | None = None
    threads: int | None = None


def threads_of(workers: int, environment: Mapping[str, str] = os.environ) -> int:
    """Threads of each of so many workers on this machine: its physical cores shared out, at least one; fewer where
    OMP_NUM_THREADS says fewer.
    """
    share = max(1, physical_cores() // max(1, workers))
    return min(share, _said(environment.get(THREADS)) or share)


def _said(value: str | None) -> int | None:
    """The number of threads that a variable names; of a list, one for each level of nesting, the first."""
    first = (value or "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


def begin(connection: Connection, terms: Terms) -> None:
    """The body of a worker process: `worker.serve`, once its threads are bounded."""
    if terms.threads is not None:
        bound_threads(terms.threads)
    from docpipe.run.worker import serve

    serve(connection, terms)


def bound_threads(threads: int) -> None:
    """Let this process's libraries, and programs that it starts, use at most so many threads each."""
    for name in _HEEDED:
        os.environ[name] = str(min(threads, _said(os.environ.get(name)) or threads))
    if (torch := sys.modules.get("torch")) is not None:  # a script that starts workers may import it for itself
        torch.set_num_threads(threads)
    _bound_sessions()


def _bound_sessions() -> None:
    """Make one thread what a session of onnxruntime uses unless it is told another number.

    Else that is all cores, whose threads wait for work in a loop; no variable says otherwise, and PyMuPDF, which makes
    such sessions, lets nobody tell it a number. On two cores its layout then costs 1.7 times the processor time that it
    costs with one thread, and finds the same. Always one: what a page says may not hang on the number of workers.
    """
    try:
        import onnxruntime
    except ImportError:
        return

    class Options(onnxruntime.SessionOptions):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.intra_op_num_threads = 1

    onnxruntime.SessionOptions = Options
