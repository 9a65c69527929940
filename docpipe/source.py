"""Opening what is to be read: a PDF, an image file, a folder of them, or bytes.

A `Source` yields its pages lazily. A `SourcePage` gives pixels at any resolution and, for a PDF, what its page holds:
text lines with words and fonts, vector drawings, placed images. All coordinates are points on the page as displayed
(after /Rotate), origin top left. This is the one place where PyMuPDF opens a file.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pymupdf
from PIL import Image

from docpipe import imagefile
from docpipe.document import Box, Metadata, SourceInfo
from docpipe.errors import DocpipeError
from docpipe.rescue import rescue

MAX_PAGE_PIXELS = 40_000_000
"""A page is rasterized at a lower resolution than asked rather than to more pixels than this."""

MIN_PAGE_SIDE = 3.0
"""Pages narrower or lower than this many points hold nothing."""

MAX_DRAWINGS = 20_000

pymupdf.TOOLS.mupdf_display_errors(False)
pymupdf.TOOLS.mupdf_display_warnings(False)


@dataclass(frozen=True, slots=True)
class TextWord:
    """A word of a PDF's text layer. `style` as in `document.Word`; `visible` is false for text drawn with no ink."""

    text: str
    box: Box
    size: float
    font: str
    style: tuple[str, ...] = ()
    visible: bool = True
    baseline: float = 0.0


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of a PDF's text layer. `turn` is the clockwise turn of its writing direction in degrees (0: upright);
    `block` numbers the file's own text blocks, which often are paragraphs.
    """

    words: tuple[TextWord, ...]
    box: Box
    turn: int = 0
    block: int = 0

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A vector path: its box, its straight segments (x0, y0, x1, y1), how many curves, fill and stroke as RGB 0..1."""

    box: Box
    segments: tuple[tuple[float, float, float, float], ...]
    rectangles: tuple[Box, ...]
    curves: int
    fill: tuple[float, ...] | None
    stroke: tuple[float, ...] | None
    width: float


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """A raster image on a page: where it stands and its own size in pixels."""

    box: Box
    width: int
    height: int


class SourcePage:
    """A page of a source. `width` and `height` are in points as displayed."""

    number: int
    width: float
    height: float

    @property
    def box(self) -> Box:
        return Box(0.0, 0.0, self.width, self.height)

    def pixels(self, dpi: float, box: Box | None = None) -> tuple[Image.Image, float]:
        """The page, or a box of it, as RGB, with the resolution really used (lower than asked on huge pages)."""
        raise NotImplementedError

    def lines(self) -> tuple[TextLine, ...]:
        """The text layer's lines in the file's order; empty for an image."""
        return ()

    def drawings(self) -> tuple[Drawing, ...]:
        """The vector paths; empty for an image."""
        return ()

    def images(self) -> tuple[PlacedImage, ...]:
        """The placed raster images; an image file is one image that fills its page."""
        return ()


def affordable_dpi(dpi: float, width: float, height: float) -> float:
    """The resolution lowered so that width x height points stay within MAX_PAGE_PIXELS."""
    pixels = max(1.0, width * height * (dpi / 72) ** 2)
    return dpi if pixels <= MAX_PAGE_PIXELS else dpi * math.sqrt(MAX_PAGE_PIXELS / pixels)


class ImagePage(SourcePage):
    """A frame of an image file, one point a pixel unless the file states its resolution."""

    def __init__(self, image: Image.Image, number: int, name: str) -> None:
        self.number, self._name = number, name
        self.dpi = imagefile.resolution(image) or 72.0
        self._image = imagefile.to_rgb(image, name)
        self.width = self._image.width * 72 / self.dpi
        self.height = self._image.height * 72 / self.dpi

    def pixels(self, dpi: float, box: Box | None = None) -> tuple[Image.Image, float]:
        scale = self.dpi / 72
        image = self._image
        if box is not None:
            left, top = math.floor(box.x0 * scale), math.floor(box.y0 * scale)
            right, bottom = math.ceil(box.x1 * scale), math.ceil(box.y1 * scale)
            left, top = max(0, min(left, image.width - 1)), max(0, min(top, image.height - 1))
            image = image.crop(
                (left, top, max(left + 1, min(right, image.width)), max(top + 1, min(bottom, image.height)))
            )
        # An image has no more detail than its own pixels: only ever scale down, and only a page that states its dpi.
        dpi = affordable_dpi(
            min(dpi, self.dpi) if self.dpi > 72 else self.dpi, image.width / scale, image.height / scale
        )
        if dpi < self.dpi * 0.99:
            size = max(1, round(image.width * dpi / self.dpi)), max(1, round(image.height * dpi / self.dpi))
            image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        else:
            dpi = self.dpi
        return image, dpi

    def images(self) -> tuple[PlacedImage, ...]:
        return (PlacedImage(self.box, self._image.width, self._image.height),)


class PdfPage(SourcePage):
    """A page of a PDF."""

    def __init__(self, page: pymupdf.Page, number: int) -> None:
        self.number, self.raw = number, page
        self.width, self.height = page.rect.width, page.rect.height
        self._turned: pymupdf.Matrix | None = page.rotation_matrix if page.rotation else None

    def _box(self, rect: Any) -> Box:
        if self._turned is not None:
            rect = pymupdf.Rect(rect) * self._turned
        return Box(float(rect[0]), float(rect[1]), float(rect[2]), float(rect[3]))

    def pixels(self, dpi: float, box: Box | None = None) -> tuple[Image.Image, float]:
        area = box or self.box
        dpi = affordable_dpi(dpi, area.width, area.height)
        clip = pymupdf.Rect(*area) if box is not None else None
        pixmap = self.raw.get_pixmap(dpi=None, matrix=pymupdf.Matrix(dpi / 72, dpi / 72), clip=clip, alpha=False)
        return Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples), dpi

    @cached_property
    def _lines(self) -> tuple[TextLine, ...]:
        flags = pymupdf.TEXT_PRESERVE_WHITESPACE | pymupdf.TEXT_MEDIABOX_CLIP | pymupdf.TEXT_CID_FOR_UNKNOWN_UNICODE
        found = []
        for index, block in enumerate(self.raw.get_text("rawdict", flags=flags)["blocks"]):
            for line in block.get("lines", ()):
                if words := tuple(self._words(line["spans"])):
                    turn = round(math.degrees(math.atan2(line["dir"][1], line["dir"][0]))) + self.raw.rotation
                    found.append(TextLine(words, self._box(line["bbox"]), turn % 360, index))
        return tuple(found)

    def lines(self) -> tuple[TextLine, ...]:
        return self._lines

    def _words(self, spans: Iterable[dict[str, Any]]) -> Iterator[TextWord]:
        """Split a line's characters into words at white space; a change of font inside a word does not split it."""
        text: list[str] = []
        box: list[float] = []
        head: dict[str, Any] = {}
        for span in spans:
            for char in span["chars"]:
                if char["c"].isspace() or char["c"] == "\u00a0":
                    if text:
                        yield self._word(text, box, head)
                    text, box = [], []
                    continue
                x0, y0, x1, y1 = char["bbox"]
                if not text:
                    head, box = span, [x0, y0, x1, y1]
                elif _raised(span) != _raised(head):
                    # A superscript glued to a word (a footnote mark, an exponent) is a word of its own style.
                    yield self._word(text, box, head)
                    text, head, box = [], span, [x0, y0, x1, y1]
                else:
                    box = [min(box[0], x0), min(box[1], y0), max(box[2], x1), max(box[3], y1)]
                text.append(char["c"])
        if text:
            yield self._word(text, box, head)

    def _word(self, text: list[str], box: list[float], span: dict[str, Any]) -> TextWord:
        flags, drawn = span["flags"], span.get("char_flags", 16)
        style = [name for bit, name in _STYLES if flags & bit]
        visible = bool(drawn & (_FILLED | _STROKED)) and span.get("alpha", 255) > 0
        origin = pymupdf.Point(span["origin"]) * self._turned if self._turned is not None else span["origin"]
        place = self._box(box)
        shown = "".join(text)
        if span["font"].startswith(_DINGBATS):
            shown = shown.translate(_DINGBAT_SIGNS)
        return TextWord(shown, place, span["size"], span["font"], tuple(style), visible, origin[1])

    @cached_property
    def _drawings(self) -> tuple[Drawing, ...]:
        found = []
        for path in self.raw.get_cdrawings()[:MAX_DRAWINGS]:
            segments, rectangles, curves = [], [], 0
            for item in path.get("items", ()):
                if item[0] == "l":
                    segments.append(self._segment(item[1], item[2]))
                elif item[0] == "re":
                    rectangles.append(self._box(item[1]))
                elif item[0] == "qu":
                    rectangles.append(self._box(pymupdf.Quad(item[1]).rect))
                else:
                    curves += 1
            box = self._box(path["rect"])
            fill = path.get("fill") if "f" in path["type"] else None
            stroke = path.get("color") if "s" in path["type"] else None
            width = path.get("width") or 0.0
            found.append(Drawing(box, tuple(segments), tuple(rectangles), curves, fill, stroke, width))
        return tuple(found)

    def drawings(self) -> tuple[Drawing, ...]:
        return self._drawings

    def _segment(self, start: Any, end: Any) -> tuple[float, float, float, float]:
        if self._turned is not None:
            start, end = pymupdf.Point(start) * self._turned, pymupdf.Point(end) * self._turned
        return float(start[0]), float(start[1]), float(end[0]), float(end[1])

    @cached_property
    def _images(self) -> tuple[PlacedImage, ...]:
        return tuple(PlacedImage(self._box(i["bbox"]), i["width"], i["height"]) for i in self.raw.get_image_info())

    def images(self) -> tuple[PlacedImage, ...]:
        return self._images


_STYLES = ((1, "superscript"), (2, "italic"), (8, "monospace"), (16, "bold"))
_DINGBATS = ("ZaDb", "ZapfDingbats")
_DINGBAT_SIGNS = str.maketrans("348lnuH", "\u2713\u2714\u2718\u25cf\u25a0\u25c6\u2605")
"""Form fields draw check marks and the like as letters of this font."""
_FILLED, _STROKED = 16, 32  # MuPDF's FZ_STEXT_FILLED and FZ_STEXT_STROKED


def _raised(span: dict[str, Any]) -> bool:
    return bool(span["flags"] & 1)


@dataclass(frozen=True)
class SourceRef:
    """How to open a source again, in this process or another: a path, or the bytes themselves."""

    name: str
    path: str | None = None
    data: bytes | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def read(self) -> bytes:
        """The file's bytes. Raises DP107 when it is not there, DP112 when it cannot be read."""
        if self.data is not None:
            return self.data
        assert self.path is not None
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
        self.info = SourceInfo(name=ref.name, sha256=digest, media_type=media, pages=self.page_count)

    @property
    def metadata(self) -> Metadata:
        """What the file says of itself: title, author, creation date, producer, language."""
        if self._pdf is None:
            return Metadata()
        fields = {key: (value or "").replace("\x00", "").strip() for key, value in (self._pdf.metadata or {}).items()}
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
            return [(int(level), str(title), int(page)) for level, title, page, *_ in self._pdf.get_toc()]
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


def find_files(where: Path) -> list[Path]:
    """The PDFs and images of a folder and its sub-folders, sorted; the path itself when it is a file.

    Raises DP107 when it is not there, DP108 when the folder holds nothing to convert.
    """
    if not where.exists():
        raise DocpipeError("DP107", str(where))
    if not where.is_dir():
        return [where]
    wanted = imagefile.SUFFIXES | {".pdf"}
    files = sorted(f for f in where.rglob("*") if f.suffix.lower() in wanted and f.is_file())
    if not files:
        raise DocpipeError("DP108", str(where))
    return files
