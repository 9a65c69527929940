"""A page on its way through the stages.

A `Sheet` holds the page so far, a picklable reference to its source, and what the document as a whole says of itself.
Pixels and the text layer are fetched on demand and never travel with it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from functools import cached_property

from PIL import Image

from docpipe.document import Box, Crop, Page, Region
from docpipe.page import SourcePage
from docpipe.source import Source, SourceRef

_OPEN: OrderedDict[SourceRef, Source] = OrderedDict()
_PAGES: OrderedDict[tuple[SourceRef, int], SourcePage] = OrderedDict()
_KEEP_SOURCES, _KEEP_PAGES = 4, 8


def open_page(ref: SourceRef, number: int) -> SourcePage:
    """A page of a source, kept open a while: stages ask for the same page several times."""
    key = (ref, number)
    if key not in _PAGES:
        if ref not in _OPEN:
            _OPEN[ref] = Source(ref)
            while len(_OPEN) > _KEEP_SOURCES:
                gone, source = _OPEN.popitem(last=False)
                for other in [k for k in _PAGES if k[0] == gone]:
                    del _PAGES[other]
                source.close()
        _PAGES[key] = _OPEN[ref].page(number)
        while len(_PAGES) > _KEEP_PAGES:
            _PAGES.popitem(last=False)
    return _PAGES[key]


def close_source(ref: SourceRef) -> None:
    """Close a source and its pages when they are kept open."""
    for key in [k for k in _PAGES if k[0] == ref]:
        del _PAGES[key]
    if ref in _OPEN:
        _OPEN.pop(ref).close()


@dataclass(frozen=True)
class Statistics:
    """What the document as a whole says: gathered once, cheaply, before its pages are worked on.

    body_size: the size in points that most of its text is set in (0 when there is no text layer).
    sizes: how many characters each rounded size has. running: the texts, digits made #, that recur at the top or
    bottom of pages. language: of the text, as a two-letter code, when the file says.
    """

    page_count: int = 1
    body_size: float = 0.0
    sizes: dict[float, int] = field(default_factory=dict)
    running: frozenset[str] = frozenset()
    language: str | None = None


@dataclass(frozen=True)
class Sheet:
    """A page on its way. Frozen: a stage hands on a new one.

    tasks: for each region's id, the names of the tasks that it is routed to. ways: which path each decision about the
    page took, and seconds: the time by stage (written to the manifest, not to the document).
    """

    page: Page
    ref: SourceRef
    statistics: Statistics = field(default_factory=Statistics)
    tasks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ways: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def source(self) -> SourcePage:
        """The page in its file: lines, drawings, images, pixels."""
        return open_page(self.ref, self.page.number)

    @property
    def is_image(self) -> bool:
        """Whether the page has neither text nor notes of its own, so that whatever it says must be read off pixels."""
        return not self.source.lines() and not self.source.musical_signs()

    def clip(self, box: Box | None = None, dpi: float = 200.0) -> Clipping:
        """A box of the page (or the whole of it) as pixels, rasterized when first looked at."""
        return Clipping(self, box or Box(0.0, 0.0, self.page.width, self.page.height), dpi)

    def with_page(self, page: Page, **ways: str) -> Sheet:
        """The sheet with another state of its page, and more said about the ways taken."""
        return replace(self, page=page, ways={**self.ways, **ways})

    def with_regions(self, regions: list[Region] | tuple[Region, ...], **ways: str) -> Sheet:
        """The sheet with these regions on its page."""
        return self.with_page(self.page.replace_regions(regions), **ways)


@dataclass(frozen=True)
class Clipping:
    """A box of a page as RGB pixels, rasterized when first looked at. `asked_dpi` may be lowered on huge pages."""

    sheet: Sheet
    box: Box
    asked_dpi: float

    @cached_property
    def _pixels(self) -> tuple[Image.Image, float]:
        return self.sheet.source.pixels(self.asked_dpi, self.box)

    @property
    def image(self) -> Image.Image:
        """The pixels as displayed (rotation and skew not undone)."""
        return self._pixels[0]

    @cached_property
    def upright(self) -> Image.Image:
        """The pixels as they are to be read: the page's rotation and skew undone, white where nothing was."""
        page, image = self.sheet.page, self.image
        if page.rotation:
            image = image.rotate(-page.rotation, expand=True)
        if page.skew:
            image = image.rotate(-page.skew, Image.Resampling.BICUBIC, fillcolor="white")
        return image

    @property
    def dpi(self) -> float:
        """The resolution really used."""
        return self._pixels[1]

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the RGB bytes, rows from the top."""
        return hashlib.sha256(self.image.tobytes()).hexdigest()

    @property
    def record(self) -> Crop:
        """The clipping as it is written into a reading's origin."""
        return Crop(box=self.box, dpi=self.dpi, sha256=self.sha256)
