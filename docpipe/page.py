"""What a page of a source holds: text lines, drawings, placed images, pixels; and a page that is an image.

All coordinates are points on the page as displayed (after /Rotate), origin top left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image

from docpipe import imagefile
from docpipe.document import Box

MAX_PAGE_PIXELS = 40_000_000
"""A page is rasterized at a lower resolution than asked rather than to more pixels than this."""


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

    def musical_signs(self) -> tuple[Box, ...]:
        """The ink of each glyph of a font of musical signs; they are among the drawings, too. Empty for an image."""
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
