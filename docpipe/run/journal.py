"""The journal of an output folder, OUT/run.journal: what was asked for, every finished page, what came of each file.

SQLite with a write-ahead log and `synchronous = FULL`: a page is on the disk when `keep` returns, a record torn by
a crash is dropped whole, and others can look while a run writes. Why not a plain file: docs/running.md.

A page is kept as the page stages left it; the stages that see pages in order are run again from the kept ones, so that
a document ends with the same bytes wherever its run was cut. The pages of a finished document are let go.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from docpipe.errors import DocpipeError
from docpipe.run.opening import Opening
from docpipe.run.records import packed, unpacked
from docpipe.run.stopping import StoppedError
from docpipe.run.worker import Finished

T = TypeVar("T")

JOURNAL = "run.journal"
FORMAT = 1

_TABLES = """
CREATE TABLE run (one INTEGER PRIMARY KEY CHECK (one = 1), asked TEXT NOT NULL);
CREATE TABLE document (
    folder TEXT PRIMARY KEY, place INTEGER NOT NULL, source TEXT NOT NULL, sha256 TEXT, identity TEXT, limits TEXT,
    opening BLOB, pages INTEGER, wanted INTEGER,
    state TEXT NOT NULL DEFAULT 'waiting', outcome TEXT, formats TEXT NOT NULL DEFAULT '[]',
    files TEXT NOT NULL DEFAULT '[]'
) WITHOUT ROWID;
CREATE TABLE page (
    folder TEXT NOT NULL, number INTEGER NOT NULL, status TEXT NOT NULL, record BLOB NOT NULL,
    PRIMARY KEY (folder, number)
) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Entry:
    """What the journal says of one document. folder: its name within OUT. state: waiting (nothing kept), open (pages
    kept, not finished), finished, refused (it cannot be opened). outcome: what is told of it at the end.
    """

    folder: str
    source: str
    sha256: str | None = None
    identity: str | None = None
    limits: str | None = None
    pages: int | None = None
    wanted: int | None = None
    state: str = "waiting"
    outcome: dict[str, Any] = field(default_factory=dict)
    formats: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Journal:
    """An open journal. One run writes at a time (`FolderLock`); its methods may be called from several threads.

    Raises DP405 for a damaged one or one of another format, from whatever method meets it, and DP401 when it cannot be
    written.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the journal, or make it. read_only: look only; raises DP406 when there is none."""
        self.path = path
        self._lock = threading.RLock()
        self._stopped = False
        if read_only and not path.is_file():
            raise DocpipeError("DP406", str(path.parent))
        with self._coded():
            self._base = sqlite3.connect(path, timeout=20.0, check_same_thread=False, isolation_level=None)
            try:
                self._prepare(read_only)
            except BaseException:
                self._base.close()
                raise

    def _prepare(self, read_only: bool) -> None:
        if read_only:
            self._base.execute("PRAGMA query_only = ON")
        else:
            # Where the system has no shared memory (network disks) SQLite stays with its rollback journal: as safe.
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = FULL")
            (whole,) = self._base.execute("PRAGMA quick_check(1)").fetchone()
            if whole != "ok":
                raise DocpipeError("DP405", str(self.path), str(whole))
        (found,) = self._base.execute("PRAGMA user_version").fetchone()
        if found == 0 and not read_only:
            self._base.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")
        elif found != FORMAT:
            raise DocpipeError("DP405", str(self.path), f"its format is {found}, this docpipe knows {FORMAT}")

    def close(self) -> None:
        """Close the file; what comes after is dropped (see `stop`)."""
        with self._lock:
            self._stopped = True
            self._base.close()

    def stop(self) -> None:
        """Take no more: the run is being ended, and what its dying workers leave behind says nothing of the pages."""
        self._stopped = True

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the run -------------------------------------------------------------------------------------------

    @property
    def asked(self) -> dict[str, Any]:
        """What the latest run was asked for. Raises DP406 when none was."""
        with self._coded():
            row = self._base.execute("SELECT asked FROM run").fetchone()
        if row is None:
            raise DocpipeError("DP406", str(self.path.parent))
        return self._told(row[0], dict)

    def begin(self, asked: dict[str, Any], documents: Sequence[tuple[str, str]]) -> None:
        """A run begins. documents: for each its folder's name and its source's path, in order."""
        with self._writing() as base:
            base.execute("INSERT OR REPLACE INTO run VALUES (1, ?)", (json.dumps(asked),))
            base.execute("UPDATE document SET place = -1")
            for place, (folder, source) in enumerate(documents):
                base.execute(
                    "INSERT INTO document (folder, place, source) VALUES (?, ?, ?)"
                    " ON CONFLICT (folder) DO UPDATE SET place = excluded.place",
                    (folder, place, _stored(source)),
                )

    def entries(self) -> list[Entry]:
        """The documents of the latest run, in order."""
        return [self._entry(row) for row in self._rows("WHERE place >= 0 ORDER BY place")]

    def entry(self, folder: str) -> Entry | None:
        """What is known of the document of a folder."""
        return next((self._entry(row) for row in self._rows("WHERE folder = ?", folder)), None)

    def counts(self, folder: str) -> dict[str, int]:
        """How many pages of an unfinished document are kept, by status."""
        with self._coded():
            return dict(
                self._base.execute("SELECT status, count(*) FROM page WHERE folder = ? GROUP BY status", (folder,))
            )

    # --- one document --------------------------------------------------------------------------------------

    def opening(self, folder: str) -> Opening | None:
        """What the first look at a document found, when it is kept."""
        with self._coded():
            row = self._base.execute("SELECT opening FROM document WHERE folder = ?", (folder,)).fetchone()
        try:
            found = unpacked(row[0]) if row and row[0] else None
        except ValueError:
            return None
        return found if isinstance(found, Opening) else None

    def open(self, entry: Entry, opening: Opening) -> None:
        """Work on a document begins: from now on its pages are kept. What was kept of it before is let go."""
        with self._writing() as base:
            base.execute("DELETE FROM page WHERE folder = ?", (entry.folder,))
            base.execute(
                "UPDATE document SET source = ?, sha256 = ?, identity = ?, limits = ?, opening = ?, pages = ?,"
                " wanted = ?, state = 'open', outcome = NULL, formats = '[]' WHERE folder = ?",
                (_stored(entry.source), entry.sha256, entry.identity, entry.limits, packed(opening),
                 len(opening.wanted) + len(opening.skipped), len(opening.wanted), entry.folder),
            )  # fmt: skip

    def finish(self, folder: str, outcome: dict[str, Any], formats: Sequence[str], files: Sequence[str]) -> None:
        """A document is written: its outcome is known, its pages are let go."""
        with self._writing() as base:
            base.execute("DELETE FROM page WHERE folder = ?", (folder,))
            base.execute(
                "UPDATE document SET state = 'finished', opening = NULL, outcome = ?, formats = ?, files = ?"
                " WHERE folder = ?",
                (json.dumps(outcome), json.dumps(list(formats)), json.dumps(list(files)), folder),
            )

    def refuse(self, folder: str, error: str) -> None:
        """Nothing can come of a document. It is tried again by the next run."""
        with self._writing() as base:
            base.execute("DELETE FROM page WHERE folder = ?", (folder,))
            base.execute(
                "UPDATE document SET state = 'refused', opening = NULL, pages = NULL, wanted = NULL, outcome = ?"
                " WHERE folder = ?",
                (json.dumps({"error": error}), folder),
            )

    def forget(self, folder: str) -> None:
        """Let go of what is kept of a document, but for the names of the files that were written of it."""
        with self._writing() as base:
            base.execute("DELETE FROM page WHERE folder = ?", (folder,))
            base.execute(
                "UPDATE document SET sha256 = NULL, identity = NULL, opening = NULL, state = 'waiting', outcome = NULL,"
                " formats = '[]' WHERE folder = ?",
                (folder,),
            )

    # --- pages ---------------------------------------------------------------------------------------------

    def drop_failed(self, folder: str, limits: str) -> None:
        """Let go of the failed pages of a document: what a page may cost has changed, to `limits`."""
        with self._writing() as base:
            base.execute("DELETE FROM page WHERE folder = ? AND status = 'failed'", (folder,))
            base.execute("UPDATE document SET limits = ? WHERE folder = ?", (limits, folder))

    def keep(self, folder: str, pages: Sequence[Finished]) -> None:
        """Finished pages, on the disk when this returns."""
        rows = [(folder, done.page.number, done.page.status, packed(done)) for done in pages]
        with self._writing() as base:
            base.executemany("INSERT OR REPLACE INTO page VALUES (?, ?, ?, ?)", rows)

    def kept(self, folder: str) -> set[int]:
        """The numbers of the pages kept of a document."""
        with self._coded():
            return {number for (number,) in self._base.execute("SELECT number FROM page WHERE folder = ?", (folder,))}

    def page(self, folder: str, number: int) -> Finished | None:
        """A kept page; None when there is none that can be read."""
        with self._coded():
            row = self._base.execute(
                "SELECT record FROM page WHERE folder = ? AND number = ?", (folder, number)
            ).fetchone()
        try:
            found = unpacked(row[0]) if row else None
        except ValueError:
            return None
        return found if isinstance(found, Finished) and found.page.number == number else None

    # --- the file ------------------------------------------------------------------------------------------

    def _rows(self, where: str, *values: str) -> list[tuple[Any, ...]]:
        columns = "folder, source, sha256, identity, limits, pages, wanted, state, outcome, formats, files"
        with self._coded():
            return self._base.execute(f"SELECT {columns} FROM document {where}", values).fetchall()

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        folder, source, sha256, identity, limits, pages, wanted, state, outcome, formats, files = row
        return Entry(
            folder, os.fsdecode(source), sha256, identity, limits, pages, wanted, state,
            self._told(outcome or "{}", dict), tuple(self._told(formats, list)), tuple(self._told(files, list)),
        )  # fmt: skip

    def _told(self, text: str, form: type[T]) -> T:
        """JSON of this form. Raises DP405."""
        try:
            found = json.loads(text)
        except ValueError as error:
            raise DocpipeError("DP405", str(self.path), str(error)) from error
        if not isinstance(found, form):
            raise DocpipeError("DP405", str(self.path), f"{form.__name__} expected")
        return found

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._coded():
            if self._stopped:
                raise StoppedError
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
                self._base.execute("COMMIT")
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _coded(self) -> Iterator[None]:
        """SQLite's errors as docpipe's own; one thread at a time."""
        with self._lock:
            try:
                yield
            except sqlite3.ProgrammingError as error:
                if self._stopped:  # the file was closed under a thread that is being ended
                    raise StoppedError from error
                raise
            except sqlite3.OperationalError as error:
                if any(sign in str(error) for sign in _DAMAGE):
                    raise DocpipeError("DP405", str(self.path), str(error)) from error
                raise DocpipeError("DP401", str(self.path), str(error)) from error
            except sqlite3.DatabaseError as error:
                raise DocpipeError("DP405", str(self.path), str(error)) from error


def _stored(path: str) -> str | bytes:
    """A path as SQLite can hold it: its bytes where they are no text, as file names may be."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


_DAMAGE = ("no such table", "no such column", "has no column")


def set_aside(path: Path) -> None:
    """Put a damaged journal out of the way, so that a run can start over."""
    for end in ("", "-wal", "-shm"):
        file = path.with_name(path.name + end)
        if file.exists():
            file.replace(path.with_name(f"{path.name}.damaged{end}"))
