"""What is asked of the machine that a run is on."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

THREADS = """
import ctypes, sys, threading
from docpipe.run.machine import one_arena
if sys.argv[2] == "one":
    one_arena()
here = threading.Barrier(6)
def work():
    kept = [bytes(2000) for _ in range(500)]
    here.wait()
threads = [threading.Thread(target=work) for _ in range(6)]
[t.start() for t in threads]
[t.join() for t in threads]
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no arenas")
def test_threads_take_memory_from_one_place(tmp_path: Path) -> None:
    def arenas(how: str) -> int:
        told = tmp_path / how
        subprocess.run([sys.executable, "-c", THREADS, str(told), how], check=True, timeout=60)
        return told.read_text().count("<heap nr=")

    assert arenas("one") == 1
    assert arenas("many") > 1
