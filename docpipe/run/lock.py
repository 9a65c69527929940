"""One run to an output folder: a lock that dies with its process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from docpipe.errors import DocpipeError

LOCK = "run.lock"


class FolderLock:
    """Holds an output folder for this process. The system lets go of it when the process ends, however that comes.

    A context manager. The file stays behind: a lock whose file could vanish could be held twice.
    """

    def __init__(self, folder: Path) -> None:
        """Raises DP404 when another run holds the folder, DP401 when it cannot be written."""
        self._file: IO[str] | None = None
        path = folder / LOCK
        try:
            file = path.open("a+", encoding="ascii")
        except OSError as error:
            raise DocpipeError("DP401", str(path), error.strerror or str(error)) from error
        try:
            _hold(file)
        except OSError as error:
            holder = _number(path)
            file.close()
            raise DocpipeError("DP404", str(folder), f"process {holder}" if holder else "") from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def close(self) -> None:
        """Let go of the folder."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _number(path: Path) -> str:
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return text if text.isdecimal() else ""


def is_held(folder: Path) -> bool:
    """Whether a run is at work in the folder."""
    if not (folder / LOCK).is_file():
        return False
    try:
        with (folder / LOCK).open("a+", encoding="ascii") as file:
            _hold(file)
    except OSError:
        return True
    return False


def _hold(file: IO[str]) -> None:
    """Take the lock or raise OSError at once. Not SQLite's own: a run that only looks must not wait for one at work."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        return
    fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
