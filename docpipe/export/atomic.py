"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from docpipe.errors import DocpipeError


@contextlib.contextmanager
def unwritable(path: Path) -> Iterator[None]:
    """Turns an operating system's error within into DP401 about `path`."""
    try:
        yield
    except OSError as error:
        raise DocpipeError("DP401", str(path), error.strerror or str(error)) from error


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes its name only when all of it is on the disk; an exception leaves nothing behind.

    Folders above it are made. Raises DP401 when it cannot be written.
    """
    with unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Named after the process, so that a leftover of a killed one is never taken for this one's.
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Put the new name itself on the disk, where the system can open folders."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_whole(path: Path, chunks: Iterable[str | bytes]) -> Path:
    """Write text (as UTF-8) or bytes into a file, whole or not at all. Raises DP401."""
    with whole_file(path) as file:
        for chunk in chunks:
            file.write(chunk.encode("utf-8") if isinstance(chunk, str) else chunk)
    return path
