"""SHA-256 of files, remembered: of a large one in docpipe's cache, so that a second start need not read gigabytes.

A file is taken for unchanged when its place, size, inode and both its times are what they were, as git does it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

from docpipe.resources import cache_folder

LARGE = 1 << 28
"""Bytes from which a file's hash is remembered on disk; smaller ones are read in a moment."""

FOLDER = "hashes"

_READ: dict[tuple[str, ...], str] = {}


def file_hash(path: Path, *, anew: bool = False) -> str:
    """SHA-256 of a file as lower-case hex. anew: read it, whatever is remembered. Raises OSError."""
    stat = path.stat()
    marks = (str(path.resolve()), *map(str, (stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns)))
    if anew or marks not in _READ:
        kept = cache_folder() / FOLDER / f"{hashlib.sha256(marks[0].encode()).hexdigest()[:32]}.json"
        found = None if anew or stat.st_size < LARGE else _remembered(kept, marks)
        _READ[marks] = found or _hashed(path)
        if found is None and stat.st_size >= LARGE:
            _remember(kept, marks, _READ[marks])
    return _READ[marks]


def _hashed(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remembered(kept: Path, marks: tuple[str, ...]) -> str | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads(kept.read_text("utf-8"))
        if said["marks"] == list(marks) and len(said["sha256"]) == 64:
            return str(said["sha256"])
    return None


def _remember(kept: Path, marks: tuple[str, ...], found: str) -> None:
    """A cache never fails a run: where it cannot be written the file is read again next time."""
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps({"marks": marks, "sha256": found}) + "\n", "utf-8")
        part.replace(kept)
