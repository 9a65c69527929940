"""document.json: written page by page in bounded memory, each page held against the schema; and read back.

The text is UTF-8 JSON with an indent of one blank, fields in the models' order, and on one line whatever is short and
holds no further objects (a word, a cell, a box, a finding), so that a change of one word is a change of one line. A
word's confidence and style are left out when there are none: words are most of a document.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from docpipe.document import Document, ErrorItem, Metadata, Page, SourceInfo, Status
from docpipe.errors import DocpipeError
from docpipe.export.atomic import unwritable, whole_file, write_whole
from docpipe.export.schema import InvalidError, document_validator, manifest_validator, page_validator
from docpipe.manifest import Manifest

DOCUMENT = "document.json"
MANIFEST = "manifest.json"

LINE = 200
"""A flat object is written on one line up to about this many characters."""

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


class Pages(Protocol):
    """What exports need of a document: its head, and its pages one after another, as often as they are asked for."""

    @property
    def source(self) -> SourceInfo: ...
    @property
    def status(self) -> Status: ...
    @property
    def errors(self) -> tuple[ErrorItem, ...]: ...
    @property
    def metadata(self) -> Metadata: ...
    @property
    def pages(self) -> Iterable[Page]: ...


# --- writing -----------------------------------------------------------------------------------------------


def json_text(value: Any, indent: int = 0) -> str:
    """Plain JSON values as text. Raises ValueError for numbers that JSON lacks (nan, infinity)."""
    if isinstance(value, dict | list) and value and not _is_flat(value):
        pad, foot = "\n" + " " * (indent + 1), "\n" + " " * indent
        if isinstance(value, dict):
            fields = [f"{_encode(key)}: {json_text(v, indent + 1)}" for key, v in value.items()]
            return "{" + pad + ("," + pad).join(fields) + foot + "}"
        return "[" + pad + ("," + pad).join([json_text(v, indent + 1) for v in value]) + foot + "]"
    return _encode(value)


def _is_flat(value: dict[str, Any] | list[Any]) -> bool:
    """Whether a value holds only scalars and lists of numbers or short strings, and is short itself."""
    length = 0
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, str):
            length += len(item)
        elif isinstance(item, dict):
            return False
        elif isinstance(item, list):
            if any(isinstance(v, dict | list) for v in item):
                return False
            length += sum(len(v) if isinstance(v, str) else 6 for v in item)
        else:
            length += 5
        if length > LINE:
            return False
    return True


def _plain(model: BaseModel, subject: str) -> dict[str, Any]:
    """A model as plain JSON values. Raises DP402 when it holds what JSON cannot (a lone surrogate)."""
    try:
        plain: dict[str, Any] = model.model_dump(mode="json")
    except (PydanticSerializationError, UnicodeError) as error:
        raise DocpipeError("DP402", subject, str(error)) from error
    return plain


def _lean(page: dict[str, Any]) -> dict[str, Any]:
    """The page with what is null or empty left out of its words."""
    for region in page["regions"]:
        readings = [region["reading"], *region["alternatives"]] if region["reading"] else region["alternatives"]
        for reading in readings:
            for word in (reading["content"] or {}).get("words", ()):
                if word["confidence"] is None:
                    del word["confidence"]
                if not word["style"]:
                    del word["style"]
    return page


class DocumentWriter:
    """Writes document.json page by page: `append` each page in order, then `finish`. A context manager.

    The pages wait in an unnamed temporary file, since what is said of the document as a whole comes before them and
    is known after them; so memory is bounded by a page, and a run that is killed leaves no trace. The file takes its
    name in `finish`, whole and synced; leaving the context without `finish` writes nothing.
    """

    def __init__(self, path: Path, source: SourceInfo) -> None:
        """Raises DP401 when the folder cannot be made or written."""
        self.path, self.source = path, source
        self.page_count = 0
        self._last = 0
        with unwritable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_dir():
                raise DocpipeError("DP401", str(path), "it is a folder")
            self._pages: IO[bytes] = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 (open until closed)

    def append(self, page: Page) -> None:
        """Write the next page. Raises DP402 when it does not meet the schema or is out of order.

        A page that is refused has left no trace: the caller may append it again as failed, or give up.
        """
        subject = f"{self.source.name} page {page.number}"
        if page.number <= self._last:
            raise DocpipeError("DP402", subject, f"page {self._last} was written before it")
        plain = _lean(_plain(page, subject))
        try:
            page_validator()(plain)
            data = json_text(plain, 2).encode("utf-8")
        except (InvalidError, ValueError) as error:
            raise DocpipeError("DP402", subject, str(error)) from error
        with unwritable(self.path):
            self._pages.write((b"" if self.page_count == 0 else b",") + b"\n  " + data)
        self.page_count += 1
        self._last = page.number

    def finish(
        self,
        status: Status = "complete",
        errors: tuple[ErrorItem, ...] = (),
        metadata: Metadata | None = None,
    ) -> Path:
        """Write the file with what is said of the document as a whole. Raises DP401, DP402."""
        try:
            head = Document(source=self.source, status=status, errors=errors, metadata=metadata or Metadata())
            plain = _plain(head, self.source.name)
            document_validator()(plain)
            del plain["pages"]
            text = json_text(plain)
            before = (text[: -len("\n}")] + ',\n "pages": [').encode("utf-8")
        except (InvalidError, ValueError) as error:
            raise DocpipeError("DP402", self.source.name, str(error)) from error
        with whole_file(self.path) as file:
            file.write(before)
            self._pages.seek(0)
            shutil.copyfileobj(self._pages, file, 1 << 20)
            file.write(b"\n ]\n}\n" if self.page_count else b"]\n}\n")
        self.close()
        return self.path

    def close(self) -> None:
        """Drop the pages that were not written out."""
        self._pages.close()

    def __enter__(self) -> DocumentWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_document(document: Pages, path: Path) -> Path:
    """Write a whole document. Raises DP401, DP402."""
    with DocumentWriter(path, document.source) as writer:
        for page in document.pages:
            writer.append(page)
        return writer.finish(document.status, document.errors, document.metadata)


def write_manifest(manifest: Manifest, path: Path) -> Path:
    """Write manifest.json, held against its schema. Raises DP401, DP402."""
    plain = _plain(manifest, path.name)
    try:
        manifest_validator()(plain)
        text = json_text(plain)
    except (InvalidError, ValueError) as error:
        raise DocpipeError("DP402", path.name, str(error)) from error
    return write_whole(path, [text, "\n"])


# --- reading -----------------------------------------------------------------------------------------------


def document_path(path: Path) -> Path:
    """The document.json meant by its own path or its folder's. Raises DP403 when it is not there."""
    file = path / DOCUMENT if path.is_dir() else path
    if not file.is_file():
        raise DocpipeError("DP403", str(path))
    return file


def read_document(path: str | Path) -> Document:
    """The document of a file or an output folder, whole. Raises DP403 when there is none or it is damaged."""
    file = document_path(Path(path))
    with _unreadable(file):
        return Document.model_validate_json(file.read_bytes())


def read_manifest(path: str | Path) -> Manifest:
    """The manifest of a file or an output folder. Raises DP403 when there is none or it is damaged."""
    file = Path(path) / MANIFEST if Path(path).is_dir() else Path(path)
    with _unreadable(file):
        return Manifest.model_validate_json(file.read_bytes())


@contextlib.contextmanager
def _unreadable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DocpipeError("DP403", str(path), error.strerror or str(error)) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "/".join(str(step) for step in first["loc"])
        raise DocpipeError("DP403", str(path), f"{where}: {first['msg']}" if where else first["msg"]) from error
    except ValueError as error:
        raise DocpipeError("DP403", str(path), str(error)) from error


class StoredDocument:
    """A document on disk, its pages read one at a time each time they are asked for, in memory bounded by a page.

    A file that was laid out by something else than `DocumentWriter` is read whole instead.
    """

    def __init__(self, path: str | Path) -> None:
        """Raises DP403 when there is no document or its head is damaged."""
        self.path = document_path(Path(path))
        self._head  # noqa: B018 (a damaged file is refused at once)

    @cached_property
    def _head(self) -> Document:
        with _unreadable(self.path), self.path.open("rb") as file:
            lines: list[bytes] = []
            for line in file:
                if line == b' "pages": [\n':
                    return Document.model_validate_json(b"".join(lines) + b'"pages": []}')
                lines.append(line)
            return Document.model_validate_json(b"".join(lines))

    @property
    def source(self) -> SourceInfo:
        return self._head.source

    @property
    def status(self) -> Status:
        return self._head.status

    @property
    def errors(self) -> tuple[ErrorItem, ...]:
        return self._head.errors

    @property
    def metadata(self) -> Metadata:
        return self._head.metadata

    @property
    def pages(self) -> Iterable[Page]:
        """The pages in order; each loop over them reads the file anew. Raises DP403 at a damaged page."""
        return _StoredPages(self)


class _StoredPages:
    def __init__(self, document: StoredDocument) -> None:
        self._document = document

    def __iter__(self) -> Iterator[Page]:
        document = self._document
        if document._head.pages:
            yield from document._head.pages
            return
        with _unreadable(document.path), document.path.open("rb") as file:
            for line in file:
                if line == b' "pages": [\n':
                    break
            lines: list[bytes] = []
            for line in file:
                if line == b" ]\n":
                    return
                lines.append(line)
                # JSON has no line ends within strings: this one ends a page.
                if line.startswith((b"  }", b"  {")) and line.rstrip(b",\n").endswith(b"}"):
                    yield Page.model_validate_json(b"".join(lines).rstrip(b",\n"))
                    lines = []
            if lines:
                raise ValueError("the file ends within a page")
