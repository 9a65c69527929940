"""Pictures for exports: the pixels of regions, upright, from the file a document was read from."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from docpipe.document import Box, Page, Region
from docpipe.errors import DocpipeError
from docpipe.export.atomic import write_whole
from docpipe.export.flow import is_pictured
from docpipe.export.json import Pages
from docpipe.sheet import open_page
from docpipe.source import SourceRef

DPI = 200.0
CROPS = "crops"
"""The folder of figures beside document.json."""

Pixels = Callable[[int, Box], Image.Image]
"""Gives a box (points, as displayed) of a page (1-based number) as RGB, as displayed. May raise DocpipeError."""


def pixels_of(source: SourceRef, dpi: float = DPI) -> Pixels:
    """The pixels of a source's pages. Raises, when called, what opening a source and its pages raises."""

    def crop(number: int, box: Box) -> Image.Image:
        return open_page(source, number).pixels(dpi, box)[0]

    return crop


_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,99}")


def file_name(region_id: str) -> str:
    """A region's id as a file name without suffix: as it is where it is one ("p3.r7"), else made safe and told apart
    by a digest. A document from elsewhere may say anything.
    """
    if _SAFE.fullmatch(region_id) and not region_id.endswith("."):
        return region_id
    digest = hashlib.sha256(region_id.encode("utf-8", "replace")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', region_id)[:60].strip('_') or 'region'}-{digest}"


def figure_link(region_id: str) -> str:
    """Where a region's picture lies, relative to document.json."""
    return f"{CROPS}/{file_name(region_id)}.png"


def upright(page: Page, region: Region, pixels: Pixels) -> Image.Image | None:
    """A region's picture turned upright as its page was for reading; None when the file no longer gives it."""
    box = Box(
        max(0.0, region.box.x0),
        max(0.0, region.box.y0),
        min(page.width, region.box.x1),
        min(page.height, region.box.y1),
    )
    if box.width < 1 or box.height < 1:
        return None
    try:
        image = pixels(page.number, box)
    except DocpipeError:
        return None  # the page's own error says so
    return image.rotate(-page.rotation, expand=True) if page.rotation else image


def figures(document: Pages, pixels: Pixels) -> Iterator[tuple[Region, Image.Image]]:
    """Each region that is shown as pixels, with its picture."""
    for page in document.pages:
        for region in page.regions:
            if is_pictured(region) and (image := upright(page, region, pixels)) is not None:
                yield region, image


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    """The image as a PNG or JPEG file's bytes, without metadata, the same each time."""
    out = io.BytesIO()
    Image.frombytes("RGB", image.size, image.convert("RGB").tobytes()).save(out, form, quality=85)
    return out.getvalue()


def write_figures(document: Pages, folder: Path, pixels: Pixels) -> list[Path]:
    """Write crops/<region>.png for each region that is shown as pixels. Raises DP401."""
    return [
        write_whole(folder / figure_link(region.id), [encoded(image)]) for region, image in figures(document, pixels)
    ]


def pictured(document: Pages, folder: Path, source: SourceRef | Pixels | None) -> set[str]:
    """The links of the figures that lie in the folder, written first when the source is given. Raises DP401."""
    if source is not None:
        write_figures(document, folder, source if callable(source) else pixels_of(source))
    here = (folder / CROPS).glob("*.png")
    return {f"{CROPS}/{path.name}" for path in here}
