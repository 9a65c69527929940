"""A page of a PDF, by PyMuPDF: its text with fonts and styles, its paths, its images, its pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cached_property, reduce
from typing import Any

import pymupdf
from PIL import Image

from docpipe.document import Box
from docpipe.notation.characters import accented, is_accent, whole_characters
from docpipe.notation.music_fonts import is_music_font
from docpipe.page import Drawing, PlacedImage, SourcePage, TextLine, TextWord, affordable_dpi

MAX_DRAWINGS = 20_000


class PdfPage(SourcePage):
    """A page of a PDF. What is set in fonts of musical signs is no text of it: each such glyph is a drawing."""

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
        clip = pymupdf.Rect(*_with_area(area, 72 / dpi)) if box is not None else None
        pixmap = self.raw.get_pixmap(dpi=None, matrix=pymupdf.Matrix(dpi / 72, dpi / 72), clip=clip, alpha=False)
        return Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples), dpi

    @cached_property
    def _lines(self) -> tuple[TextLine, ...]:
        flags = pymupdf.TEXT_PRESERVE_WHITESPACE | pymupdf.TEXT_MEDIABOX_CLIP | pymupdf.TEXT_CID_FOR_UNKNOWN_UNICODE
        found = []
        for index, block in enumerate(self.raw.get_text("rawdict", flags=flags)["blocks"]):
            for line in block.get("lines", ()):
                spans = [span for span in line["spans"] if not is_music_font(span["font"])]
                if words := tuple(self._words(spans)):
                    turn = round(math.degrees(math.atan2(line["dir"][1], line["dir"][0]))) + self.raw.rotation
                    whole = len(spans) == len(line["spans"])
                    box = self._box(line["bbox"]) if whole else reduce(Box.union, (word.box for word in words))
                    found.append(TextLine(words, box, turn % 360, index))
        return tuple(found)

    def lines(self) -> tuple[TextLine, ...]:
        return self._lines

    def _words(self, spans: Iterable[dict[str, Any]]) -> Iterator[TextWord]:
        """Split a line's characters into words at white space; a change of font inside a word does not split it."""
        text: list[str] = []
        box: list[float] = []
        head: dict[str, Any] = {}
        for sign, (x0, y0, x1, y1), span in _signs(spans):
            if sign.isspace() or sign == "\u00a0":
                if text:
                    yield self._word(text, box, head)
                text, box = [], []
                continue
            if not text:
                head, box = span, [x0, y0, x1, y1]
            elif _raised(span) != _raised(head):
                # A superscript glued to a word (a footnote mark, an exponent) is a word of its own style.
                yield self._word(text, box, head)
                text, head, box = [], span, [x0, y0, x1, y1]
            else:
                box = [min(box[0], x0), min(box[1], y0), max(box[2], x1), max(box[3], y1)]
            text.append(sign)
        if text:
            yield self._word(text, box, head)

    def _word(self, text: list[str], box: list[float], span: dict[str, Any]) -> TextWord:
        flags, drawn = span["flags"], span.get("char_flags", 16)
        style = [name for bit, name in _STYLES if flags & bit]
        visible = bool(drawn & (_FILLED | _STROKED)) and span.get("alpha", 255) > 0
        origin = pymupdf.Point(span["origin"]) * self._turned if self._turned is not None else span["origin"]
        place = self._box(box)
        shown = whole_characters("".join(text))
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
        signs = [Drawing(box, (), (), 1, _BLACK, None, 0.0) for box in self._musical_signs]
        return (*found, *self._placed[1], *signs)

    @cached_property
    def _musical_signs(self) -> tuple[Box, ...]:
        if not any(is_music_font(font[3]) for font in self.raw.get_fonts()):
            return ()
        flags = pymupdf.TEXT_MEDIABOX_CLIP | pymupdf.TEXT_CID_FOR_UNKNOWN_UNICODE | pymupdf.TEXT_ACCURATE_BBOXES
        blocks = self.raw.get_text("rawdict", flags=flags)["blocks"]
        spans = (span for block in blocks for line in block.get("lines", ()) for span in line["spans"])
        return tuple(self._box(char["bbox"]) for span in spans if is_music_font(span["font"]) for char in span["chars"])

    def musical_signs(self) -> tuple[Box, ...]:
        return self._musical_signs

    def drawings(self) -> tuple[Drawing, ...]:
        return self._drawings

    def _segment(self, start: Any, end: Any) -> tuple[float, float, float, float]:
        if self._turned is not None:
            start, end = pymupdf.Point(start) * self._turned, pymupdf.Point(end) * self._turned
        return float(start[0]), float(start[1]), float(end[0]), float(end[1])

    @cached_property
    def _placed(self) -> tuple[list[PlacedImage], list[Drawing]]:
        """The images, and among them the rules: Ghostscript writes TeX's as stencils of one pixel, drawn large."""
        images, rules = [], []
        for info in self.raw.get_image_info():
            box = self._box(info["bbox"])
            if info["width"] == info["height"] == 1 and info["colorspace"] == 0:
                rules.append(Drawing(box, (), (box,), 0, _BLACK, None, 0.0))
            else:
                images.append(PlacedImage(box, info["width"], info["height"]))
        return images, rules

    def images(self) -> tuple[PlacedImage, ...]:
        return tuple(self._placed[0])


_BLACK = (0.0, 0.0, 0.0)
_STYLES = ((1, "superscript"), (2, "italic"), (8, "monospace"), (16, "bold"))
_DINGBATS = ("ZaDb", "ZapfDingbats")
_DINGBAT_SIGNS = str.maketrans("348lnuH", "\u2713\u2714\u2718\u25cf\u25a0\u25c6\u2605")
"""Form fields draw check marks and the like as letters of this font."""
_FILLED, _STROKED = 16, 32  # MuPDF's FZ_STEXT_FILLED and FZ_STEXT_STROKED


def _with_area(box: Box, least: float) -> Box:
    """A box stretched to `least` points either way, so that it holds a pixel."""
    return Box(box.x0, box.y0, max(box.x1, box.x0 + least), max(box.y1, box.y0 + least))


_Sign = tuple[str, tuple[float, float, float, float], dict[str, Any]]


def _signs(spans: Iterable[dict[str, Any]]) -> Iterator[_Sign]:
    """A line's characters, each with its box and span; a letter and an accent printed over each other are one."""
    held: _Sign | None = None
    for span in spans:
        for char in span["chars"]:
            sign: _Sign = (char["c"], char["bbox"], span)
            if held is not None:
                whole = _composed(held, sign)
                if whole is None:
                    yield held
                else:
                    sign = whole
            held = sign
    if held is not None:
        yield held


def _composed(first: _Sign, second: _Sign) -> _Sign | None:
    if is_accent(first[0]):
        accent, letter = first, second
    elif is_accent(second[0]):
        letter, accent = first, second
    else:
        return None
    (a, b, c, d), (e, f, g, h) = letter[1], accent[1]
    if min(c, g) - max(a, e) < 0.5 * min(c - a, g - e) or min(d, h) - max(b, f) < 0.3 * min(d - b, h - f):
        return None
    whole = accented(letter[0], accent[0])
    return (whole, letter[1], letter[2]) if whole else None


def _raised(span: dict[str, Any]) -> bool:
    return bool(span["flags"] & 1)
