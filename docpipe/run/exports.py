"""The exports of a finished document, made in a worker process like all else that looks at pages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from docpipe.document import Page
from docpipe.errors import DocpipeError
from docpipe.export import export
from docpipe.export.json import StoredDocument
from docpipe.source import SourceRef

_ONE_AT_A_TIME = threading.Lock()
"""Exports look at the source's pages, and MuPDF must not be called from two threads at once."""


@dataclass(frozen=True)
class Writing:
    """One format to be made of a document that lies in its folder."""

    document: Path
    form: str
    source: SourceRef

    def run(self, alive: Callable[[], None] = lambda: None) -> list[str]:
        """Make it; the names of the files, relative to the folder. alive: called at every page. Raises DP401, and what
        the format raises.
        """
        folder, stored = self.document.parent, _Watched(self.document, alive)
        with _ONE_AT_A_TIME:
            paths = export(stored, self.form, folder, source=self.source)
        return list(dict.fromkeys(p.relative_to(folder).as_posix() for p in paths if p.is_relative_to(folder)))


class _Watched(StoredDocument):
    def __init__(self, path: Path, alive: Callable[[], None]) -> None:
        super().__init__(path)
        self._alive = alive

    @property
    def pages(self) -> Iterable[Page]:
        return _Pages(super().pages, self._alive)


@dataclass(frozen=True)
class _Pages:
    pages: Iterable[Page]
    alive: Callable[[], None]

    def __iter__(self) -> Iterator[Page]:
        for page in self.pages:
            self.alive()
            yield page


@dataclass
class Written:
    """What was written of a document: names of files relative to its folder, formats, and why others were not."""

    files: list[str]
    formats: list[str]
    errors: list[str]


Write = Callable[[Writing], list[str]]


def write_formats(document: Path, formats: Sequence[str], source: SourceRef, write: Write = Writing.run) -> Written:
    """Write exports of a document that lies in its folder. One that cannot be made costs no other.

    write: makes one of them, here or elsewhere. Raises DP401: there the disk is at fault.
    """
    done = Written([], [], [])
    for name in formats:
        try:
            files = write(Writing(document, name, source))
        except DocpipeError as error:
            if error.code == "DP401":
                raise
            done.errors.append(str(error))
        else:
            done.formats.append(name)
            done.files += [file for file in files if file not in done.files]
    return done
