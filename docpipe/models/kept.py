"""What is kept on disk beside the cache of readings: the quantized forms of checkpoints, told and thrown away."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import NamedTuple

from docpipe.models.file_hashes import FOLDER
from docpipe.models.quantized import HEADER, KEPT
from docpipe.resources import cache_folder


class Kept(NamedTuple):
    """Where quantized weights lie, how many checkpoints' they are, and their bytes (unfinished ones among them)."""

    path: Path
    checkpoints: int
    size: int


def kept_weights() -> Kept:
    """What is kept of quantized checkpoints. Never raises."""
    place, size = cache_folder() / KEPT, 0
    for path in place.rglob("*"):
        with contextlib.suppress(OSError):
            size += path.stat().st_size if path.is_file() else 0
    return Kept(place, sum(1 for _ in place.glob(f"[!.]*/{HEADER}")), size)


def forget_weights() -> None:
    """Throw quantized weights and the hashes of files away. Who has weights mapped goes on with them."""
    for name in (KEPT, FOLDER):
        shutil.rmtree(cache_folder() / name, ignore_errors=True)
