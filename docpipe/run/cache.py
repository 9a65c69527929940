"""The cache of readings: what model engines answered, by all that the answer depends on; on disk, bounded, shared.

SQLite, since several workers and several runs write at the same time. A cache never fails a run: what goes wrong with
it makes it forget. Least recently used answers go first.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from docpipe.engines.base import Answer
from docpipe.resources import cache_folder
from docpipe.run.records import packed, unpacked

FORMAT = 1
FILE = "readings.sqlite"
SIZE = 2_000_000_000
"""Bytes of answers kept, unless told otherwise."""

LEAVE = 0.9
"""Share of its size that is left when room is made."""


def cache_file() -> Path:
    """Where the cache is: in the folder DOCPIPE_CACHE, else where the system keeps caches of its user."""
    return cache_folder() / FILE


def cache_size() -> int:
    """Its greatest size in bytes: DOCPIPE_CACHE_BYTES or SIZE."""
    with contextlib.suppress(ValueError):
        return max(0, int(os.environ["DOCPIPE_CACHE_BYTES"])) if "DOCPIPE_CACHE_BYTES" in os.environ else SIZE
    return SIZE


class Content(NamedTuple):
    """What a cache holds: how many answers, and their bytes."""

    answers: int
    size: int


class AnswerCache:
    """A memory of answers (`stages.answers.Memory`) in a file. A context manager."""

    def __init__(self, path: Path, size: int = SIZE) -> None:
        """size: bytes of answers that are kept at most. A file that is damaged or of another format is made anew."""
        self.path, self.size = path, size
        self.hits = self.misses = 0

    @cached_property
    def _base(self) -> sqlite3.Connection | None:
        """The file, opened or made when first asked for; None when that cannot be."""
        for again in (False, True):
            try:
                return self._opened()
            except (sqlite3.Error, OSError) as error:
                if again or not isinstance(error, sqlite3.DatabaseError) or isinstance(error, sqlite3.OperationalError):
                    return None
                _remove(self.path)
        return None

    def _opened(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        base = sqlite3.connect(self.path, timeout=10.0, isolation_level=None, check_same_thread=False)
        try:
            base.execute("PRAGMA journal_mode = WAL")
            base.execute("PRAGMA synchronous = NORMAL")
            (found,) = base.execute("PRAGMA user_version").fetchone()
            if found not in {0, FORMAT}:
                raise sqlite3.DatabaseError(f"format {found}")
            base.execute(
                "CREATE TABLE IF NOT EXISTS answer"
                " (key TEXT PRIMARY KEY, used INTEGER NOT NULL, size INTEGER NOT NULL, record BLOB NOT NULL)"
            )
            base.execute("CREATE INDEX IF NOT EXISTS by_use ON answer (used)")
            base.execute("CREATE TABLE IF NOT EXISTS total (one INTEGER PRIMARY KEY, size INTEGER NOT NULL)")
            base.execute("INSERT OR IGNORE INTO total VALUES (1, 0)")
            base.execute(f"PRAGMA user_version = {FORMAT}")
        except BaseException:
            base.close()
            raise
        return base

    def get(self, key: str) -> Answer | None:
        """The answer put under a key, or None."""
        try:
            if self._base is not None:
                row = self._base.execute("SELECT record FROM answer WHERE key = ?", (key,)).fetchone()
                if row is not None:
                    found = unpacked(row[0])
                    if isinstance(found, Answer):
                        self._base.execute("UPDATE answer SET used = ? WHERE key = ?", (time.time_ns(), key))
                        self.hits += 1
                        return found
        except (sqlite3.Error, ValueError):
            pass
        self.misses += 1
        return None

    def put(self, key: str, answer: Answer) -> None:
        """Remember an answer; the least recently used go when there is no room."""
        if self._base is None:
            return
        record = packed(answer)
        if len(record) > self.size:
            return
        with contextlib.suppress(sqlite3.Error), self._writing() as base:
            (old,) = base.execute("SELECT coalesce(sum(size), 0) FROM answer WHERE key = ?", (key,)).fetchone()
            base.execute(
                "INSERT OR REPLACE INTO answer VALUES (?, ?, ?, ?)", (key, time.time_ns(), len(record), record)
            )
            base.execute("UPDATE total SET size = size + ?", (len(record) - old,))
            (total,) = base.execute("SELECT size FROM total").fetchone()
            if total > self.size:
                self._make_room(base, total)

    def _make_room(self, base: sqlite3.Connection, total: int) -> None:
        gone: list[tuple[str]] = []
        freed = 0
        for key, size in base.execute("SELECT key, size FROM answer ORDER BY used"):
            if total - freed <= self.size * LEAVE:
                break
            gone.append((key,))
            freed += size
        base.executemany("DELETE FROM answer WHERE key = ?", gone)
        base.execute("UPDATE total SET size = size - ?", (freed,))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        assert self._base is not None
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield self._base
            self._base.execute("COMMIT")
        except BaseException:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")
            raise

    @property
    def content(self) -> Content:
        """What it holds."""
        if self._base is None:
            return Content(0, 0)
        with contextlib.suppress(sqlite3.Error):
            return Content(*self._base.execute("SELECT count(*), coalesce(sum(size), 0) FROM answer").fetchone())
        return Content(0, 0)

    def forget(self) -> bool:
        """Forget all answers and give back the room; whether that went well."""
        if self._base is None:
            return False
        try:
            with self._writing() as base:
                base.execute("DELETE FROM answer")
                base.execute("UPDATE total SET size = 0")
            self._base.execute("VACUUM")
        except sqlite3.Error:
            return False
        return True

    def close(self) -> None:
        """Close the file."""
        base, self.__dict__["_base"] = self.__dict__.get("_base"), None
        if base is not None:
            base.close()

    def __enter__(self) -> AnswerCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def clear(path: Path) -> None:
    """Forget all answers. Runs that are using the cache go on, and fill it again."""
    if not path.exists():
        return
    with AnswerCache(path) as cache:
        if not cache.forget():
            _remove(path)


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            path.with_name(path.name + end).unlink()
