"""Output folders as a shelf of documents: finished ones and those still being written, their pages one at a time.

A document is named by the name of its folder. document.json is never read whole to show a page of it: an index of
where each page begins is made once, and made anew when the file changes.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from docpipe.document import Document, Page
from docpipe.errors import DocpipeError
from docpipe.export.corrections import Correction, read_corrections
from docpipe.export.json import DOCUMENT, StoredDocument
from docpipe.run.journal import JOURNAL, Entry, Journal
from docpipe.run.outputs import source_of
from docpipe.source import SourceRef

_KEPT_PAGES = 64
_SIZE = re.compile(rb'"(number|width|height|status)": ("?)([^",\n]+)\2')


@dataclass(frozen=True)
class PageSize:
    """What is known of a page before it is read: number, width and height in points, status."""

    number: int
    width: float
    height: float
    status: str


class Shelved:
    """A finished document in its folder. Raises DP403 when it cannot be read."""

    def __init__(self, folder: Path, name: str | None = None, source: Path | None = None) -> None:
        """name: what it is called on the shelf, by default as its folder. source: the file it was made from."""
        self.folder, self.name, self._given = folder, name or folder.name, source
        self.file = folder / DOCUMENT
        self._stamp = _stamp(self.file)
        self.document = StoredDocument(folder)
        self._places = dict(_index(self.file))
        self._pages: OrderedDict[int, Page] = OrderedDict()
        self._lock = threading.Lock()
        if not self._places:  # laid out by something else: read whole
            self._pages.update((page.number, page) for page in self.document.pages)

    @property
    def is_current(self) -> bool:
        """Whether the file is still the one that was indexed."""
        try:
            return _stamp(self.file) == self._stamp
        except OSError:
            return False

    def sizes(self) -> list[PageSize]:
        """Every page of the document, in order, without reading them."""
        if not self._places:
            return [PageSize(p.number, p.width, p.height, p.status) for p in self._pages.values()]
        found = []
        with self.file.open("rb") as file:
            for number, (start, length) in self._places.items():
                file.seek(start)
                head = {m[1]: m[3] for m in _SIZE.finditer(file.read(min(length, 400)))}
                width, height = float(head.get(b"width", 0)), float(head.get(b"height", 0))
                found.append(PageSize(number, width, height, head.get(b"status", b"complete").decode()))
        return found

    def page(self, number: int) -> Page | None:
        """A page; None when there is no such page. Raises DP403 when it is damaged."""
        with self._lock:
            if number in self._pages:
                if self._places:
                    self._pages.move_to_end(number)
                return self._pages[number]
        if number not in self._places:
            return None
        start, length = self._places[number]
        with self.file.open("rb") as file:
            file.seek(start)
            data = file.read(length)
        try:
            page = Page.model_validate_json(data)
        except ValidationError as error:
            raise DocpipeError("DP403", str(self.file), f"page {number} is damaged") from error
        with self._lock:
            self._pages[number] = page
            while len(self._pages) > _KEPT_PAGES:
                self._pages.popitem(last=False)
        return page

    def pages(self) -> Iterator[Page]:
        """Every page in order."""
        yield from self.document.pages if self._places else self._pages.values()

    def corrections(self) -> dict[str, Correction]:
        """The newest decision on each region. Raises DP410."""
        return read_corrections(self.folder)

    def source(self) -> SourceRef | None:
        """The file it was made from, when it is known and unchanged."""
        if not hasattr(self, "_source"):
            self._source = source_of(self.folder, self.document, self._given)
        return self._source


class Unfinished:
    """A document that a run is still working on: the pages that the journal holds of it."""

    def __init__(self, entry: Entry, journal: Path, name: str | None = None) -> None:
        """name: what it is called on the shelf, by default as its folder."""
        self.entry, self.name, self._journal = entry, name or entry.folder, journal

    def sizes(self) -> list[PageSize]:
        """The pages that are done, in order."""
        return [PageSize(p.number, p.width, p.height, p.status) for p in self.pages()]

    def page(self, number: int) -> Page | None:
        """A page that is done."""
        with Journal(self._journal, read_only=True) as journal:
            done = journal.page(self.entry.folder, number)
        return done.page if done is not None else None

    def pages(self) -> Iterator[Page]:
        """The pages that are done, in order."""
        with Journal(self._journal, read_only=True) as journal:
            done = [journal.page(self.entry.folder, number) for number in sorted(journal.kept(self.entry.folder))]
        yield from (one.page for one in done if one is not None)

    def corrections(self) -> dict[str, Correction]:
        """None: what is not finished may still change."""
        return {}

    def source(self) -> SourceRef | None:
        """The file it is made from."""
        path = Path(self.entry.source)
        return SourceRef(path.name, path=str(path)) if path.is_file() else None


Item = Shelved | Unfinished


class Library:
    """The documents of an output folder: the folder itself, or those right below it."""

    def __init__(self, root: Path) -> None:
        """Raises DP403 when there is neither a document nor a journal."""
        self.root = root.resolve()
        self._shelved: dict[str, Shelved] = {}
        self._lock = threading.Lock()
        if not self._folders() and not (self.root / JOURNAL).is_file():
            raise DocpipeError("DP403", str(root))

    def _folders(self) -> dict[str, Path]:
        if (self.root / DOCUMENT).is_file():
            return {self.root.name: self.root}
        return {path.parent.name: path.parent for path in sorted(self.root.glob(f"*/{DOCUMENT}"))}

    def _entries(self) -> list[Entry]:
        path = self.root / JOURNAL
        if not path.is_file():
            return []
        try:
            with Journal(path, read_only=True) as journal:
                return journal.entries()
        except DocpipeError:  # damaged, or being made this moment: what is finished is there all the same
            return []

    def items(self) -> list[Item | Entry]:
        """Finished documents by name; then those being worked on, and the entries of which nothing is there (yet)."""
        folders = self._folders()
        found: list[Item | Entry] = []
        for name in folders:
            try:
                item = self.get(name)
            except DocpipeError:
                continue  # damaged: asked for by name it says why
            if item is not None:
                found.append(item)
        for entry in self._entries():
            if entry.folder not in folders:
                found.append(Unfinished(entry, self.root / JOURNAL) if entry.state == "open" else entry)
        return found

    def get(self, name: str) -> Item | None:
        """A document by its name; None when there is none. Raises DP403 for a damaged one."""
        folder = self._folders().get(name)
        if folder is None:
            entry = next((e for e in self._entries() if e.folder == name and e.state == "open"), None)
            return Unfinished(entry, self.root / JOURNAL) if entry is not None else None
        with self._lock:
            known = self._shelved.get(name)
            if known is None or not known.is_current:
                known = self._shelved[name] = Shelved(folder)
            return known


def _stamp(file: Path) -> tuple[int, int, int]:
    stat = file.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _index(file: Path) -> Iterator[tuple[int, tuple[int, int]]]:
    """For each page its number, and where its JSON begins and how long it is; nothing for another layout than ours."""
    at, begun, head = 0, -1, b""
    inside = False
    with file.open("rb") as lines:
        for line in lines:
            if not inside:
                inside = line == b' "pages": [\n'
            elif line == b" ]\n":
                return
            else:
                if begun < 0:
                    begun, head = at, b""
                if len(head) < 400:
                    head += line
                # JSON has no line ends within strings: this one ends a page.
                if line.startswith((b"  }", b"  {")) and line.rstrip(b",\n").endswith(b"}"):
                    number = re.search(rb'"number": (\d+)', head)
                    if number is None:
                        return
                    yield int(number[1]), (begun, at + len(line.rstrip(b",\n")) - begun)
                    begun = -1
            at += len(line)


def head_of(item: Item) -> Document | None:
    """What is said of a finished document as a whole; None while it is being worked on."""
    if isinstance(item, Unfinished):
        return None
    d = item.document
    return Document(source=d.source, status=d.status, errors=d.errors, metadata=d.metadata)
