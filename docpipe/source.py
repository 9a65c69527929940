"""Opening what is to be read: a PDF, an image file, a folder of them, or bytes.

A `Source` yields its pages lazily (see `docpipe.page`). This is the one place where PyMuPDF opens a file.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pymupdf
from PIL import Image

from docpipe import imagefile
from docpipe.document import Metadata, SourceInfo
from docpipe.errors import DocpipeError
from docpipe.notation.characters import whole_characters
from docpipe.page import ImagePage, SourcePage
from docpipe.pdfpage import PdfPage
from docpipe.rescue import rescue
from docpipe.urls import Place, find_urls, is_url, read_url

MIN_PAGE_SIDE = 3.0
"""Pages narrower or lower than this many points hold nothing."""

pymupdf.TOOLS.mupdf_display_errors(False)
pymupdf.TOOLS.mupdf_display_warnings(False)


@dataclass(frozen=True)
class SourceRef:
    """How to open a source again, in this process or another: a path or a URL, or the bytes themselves."""

    name: str
    path: str | None = None
    data: bytes | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def read(self) -> bytes:
        """The file's bytes. Raises DP107 when it is not there, DP112 (of a URL DP521) when it cannot be read."""
        if self.data is not None:
            return self.data
        assert self.path is not None
        if is_url(self.path):
            return read_url(self.path)
        try:
            return Path(self.path).read_bytes()
        except FileNotFoundError as error:
            raise DocpipeError("DP107", self.name) from error
        except OSError as error:
            raise DocpipeError("DP112", self.name, error.strerror or str(error)) from error


class Source:
    """An open document. Use as a context manager; pages are opened one by one."""

    def __init__(self, ref: SourceRef) -> None:
        self.ref = ref
        data = ref.read()
        if not data:
            raise DocpipeError("DP102", ref.name)
        media = imagefile.media_type(data[:16]) or ("application/pdf" if b"%PDF-" in data[:4096] else None)
        if media is None:
            raise DocpipeError("DP101", ref.name)
        self._pdf: pymupdf.Document | None = None
        self._image: Image.Image | None = None
        if media == "application/pdf":
            self._pdf, self.page_count = _open_pdf(data, ref)
        else:
            self._image = imagefile.open_image(data, ref.name)
            self.page_count = getattr(self._image, "n_frames", 1) if media == "image/tiff" else 1
        digest = hashlib.sha256(data).hexdigest()
        self.info = SourceInfo(name=whole_characters(ref.name), sha256=digest, media_type=media, pages=self.page_count)

    @property
    def metadata(self) -> Metadata:
        """What the file says of itself: title, author, creation date, producer, language."""
        if self._pdf is None:
            return Metadata()
        stated = (self._pdf.metadata or {}).items()
        fields = {key: whole_characters(value or "").replace("\x00", "").strip() for key, value in stated}
        authors = _names(fields.get("author", ""))
        language = None
        with contextlib.suppress(Exception):
            language = (self._pdf.language or "").strip() or None
        return Metadata(
            title=fields.get("title") or None,
            authors=authors,
            language=language,
            created=fields.get("creationDate") or None,
            producer=fields.get("producer") or None,
        )

    @property
    def outline(self) -> list[tuple[int, str, int]]:
        """The PDF's bookmarks as (level, title, page number)."""
        if self._pdf is None:
            return []
        try:
            rows = self._pdf.get_toc()
            return [(int(level), whole_characters(str(title)), int(page)) for level, title, page, *_ in rows]
        except Exception:  # a damaged outline is no reason to lose the document
            return []

    def page(self, number: int) -> SourcePage:
        """Page `number`, 1-based. Raises DP111 when it cannot be opened, DP109 when too small to hold anything."""
        where = f"{self.ref.name} page {number}"
        if self._image is not None:
            try:
                self._image.seek(number - 1)
            except (EOFError, OSError, ValueError) as error:
                raise DocpipeError("DP111", where, str(error)) from error
            imagefile.refuse_huge(self._image, where)
            return ImagePage(self._image, number, where)
        assert self._pdf is not None
        try:
            page = PdfPage(self._pdf.load_page(number - 1), number)
        except Exception as error:  # MuPDF raises a dozen types for damaged pages
            raise DocpipeError("DP111", where, str(error).split("\n")[0]) from error
        if min(page.width, page.height) < MIN_PAGE_SIDE:
            raise DocpipeError("DP109", where, f"{page.width:g} x {page.height:g} points")
        return page

    def close(self) -> None:
        """Release the file."""
        if self._pdf is not None:
            self._pdf.close()
        if self._image is not None:
            self._image.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _names(stated: str) -> tuple[str, ...]:
    """The authors a PDF states: parted at semicolons and "and", at commas unless these part a surname from its name."""
    parts = [part.strip() for part in stated.replace(" and ", ";").split(";") if part.strip()]
    if len(parts) == 1 and all(" " in name.strip() for name in parts[0].split(",")):
        parts = [name.strip() for name in parts[0].split(",")]
    return tuple(parts)


def _open_pdf(data: bytes, ref: SourceRef) -> tuple[pymupdf.Document, int]:
    """A PDF and how many pages it has. Pages that pdfium alone counts are there, but cannot be opened one by one."""
    try:
        pdf = _by_mupdf(data, ref)
    except DocpipeError as error:
        if error.code not in {"DP103", "DP104", "DP106"}:
            raise
        written, count = rescue(data)
        try:
            pdf = _by_mupdf(written or b"", ref)
        except DocpipeError:
            if not count:
                raise error from None
            return pymupdf.Document(), count
    return pdf, pdf.page_count


def _by_mupdf(data: bytes, ref: SourceRef) -> pymupdf.Document:
    try:
        pdf = pymupdf.Document(stream=data, filetype="pdf")
    except Exception as error:
        raise DocpipeError("DP103", ref.name, str(error).split("\n")[0]) from error
    if pdf.needs_pass:
        if ref.password is None:
            raise DocpipeError("DP104", ref.name)
        if not pdf.authenticate(ref.password):
            raise DocpipeError("DP105", ref.name)
    try:
        count = pdf.page_count
    except Exception as error:
        raise DocpipeError("DP103", ref.name, str(error).split("\n")[0]) from error
    if count < 1:
        raise DocpipeError("DP106", ref.name)
    return pdf


def open_source(
    where: str | Path | bytes | SourceRef, *, name: str | None = None, password: str | None = None
) -> Source:
    """Open a PDF or an image from a path, bytes or a `SourceRef`.

    Raises DocpipeError: DP101 not a known type, DP102 empty, DP103 damaged, DP104/DP105 encrypted, DP106 no pages,
    DP107/DP112 not there or not readable, DP110 too large.
    """
    if isinstance(where, SourceRef):
        return Source(where)
    if isinstance(where, bytes):
        return Source(SourceRef(name or "bytes", data=where, password=password))
    path = Path(where)
    return Source(SourceRef(name or path.name, path=str(path), password=password))


def find_sources(where: str) -> list[Place]:
    """The PDFs and images at a path or a URL, sorted. Raises DP107, DP108, of a URL DP521."""
    return [*find_urls(where, _WANTED)] if is_url(where) else [*find_files(Path(where))]


_WANTED = imagefile.SUFFIXES | {".pdf"}


def find_files(where: Path) -> list[Path]:
    """The PDFs and images of a folder and its sub-folders, sorted; the path itself when it is a file.

    Raises DP107 when it is not there, DP108 when the folder holds nothing to convert.
    """
    if not where.exists():
        raise DocpipeError("DP107", str(where))
    if not where.is_dir():
        return [where]
    files = sorted(f for f in where.rglob("*") if f.suffix.lower() in _WANTED and f.is_file())
    if not files:
        raise DocpipeError("DP108", str(where))
    return files
