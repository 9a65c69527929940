"""The overlay: the source's pages as a PDF with every region's box, kind, place in the order and verdict drawn on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pymupdf

from docpipe.document import Page, Region
from docpipe.errors import DocpipeError
from docpipe.export.atomic import write_whole
from docpipe.export.json import Pages
from docpipe.source import Source, SourceRef

FILE = "overlay.pdf"

Colour = tuple[float, float, float]

COLOURS: dict[str, Colour] = {
    "title": (0.55, 0.0, 0.55),
    "heading": (0.55, 0.0, 0.55),
    "table": (0.0, 0.45, 0.75),
    "molecule": (0.85, 0.35, 0.0),
    "score": (0.0, 0.5, 0.2),
    "chart": (0.7, 0.5, 0.0),
    "picture": (0.7, 0.5, 0.0),
    "formula": (0.4, 0.4, 0.0),
    "caption": (0.3, 0.3, 0.8),
    "footnote": (0.45, 0.45, 0.45),
    "header": (0.6, 0.6, 0.6),
    "footer": (0.6, 0.6, 0.6),
}
OTHER: Colour = (0.2, 0.2, 0.2)

DASHES = {"valid": "[] 0", "repaired": "[6 2] 0", "unchecked": "[2 2] 0", "invalid": "[1 3] 0"}
"""The line of a box tells the verdict: solid, dashed, dotted, widely dotted."""

LEGEND = "solid: valid   dashed: repaired   dotted: unchecked   wide dots, red label: invalid"


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:
    """Write overlay.pdf. The source must be given: raises DP107 without it, DP1xx when it cannot be opened, DP401."""
    if source is None:
        raise DocpipeError("DP107", document.source.name, "the overlay is drawn on the source's own pages")
    drawn: Any = pymupdf.Document()
    with Source(source) as opened:
        for page in document.pages:
            _add_page(drawn, opened, page)
        return [write_whole(folder / FILE, [drawn.tobytes(garbage=3, deflate=True, no_new_id=True)])]


def _add_page(drawn: Any, source: Source, page: Page) -> None:
    """A page as it is displayed: as vectors where the source is a PDF that can be copied, else as pixels."""
    width, height = max(page.width, 36.0), max(page.height, 36.0)
    sheet = drawn.new_page(width=width, height=height)
    try:
        _lay_under(sheet, source, page)
    except Exception as error:  # a damaged page has no picture; what is said of it is shown all the same
        sheet.insert_text((20, 30), f"page {page.number}: {error}"[:120], fontsize=9)
    for region in page.regions:
        _draw(sheet, region)
    if page.error is not None:
        sheet.insert_textbox(
            pymupdf.Rect(20, 20, width - 20, 120), f"{page.error.code} {page.error.message}", fontsize=10
        )
    sheet.insert_text((6, height - 4), LEGEND, fontsize=5.5, color=OTHER)


def _lay_under(sheet: Any, source: Source, page: Page) -> None:
    under = source.page(page.number)
    raw = getattr(under, "raw", None)
    if raw is not None:
        sheet.show_pdf_page(sheet.rect, raw.parent, page.number - 1, rotate=-raw.rotation)
    else:
        image, _ = under.pixels(150.0)
        pixels = pymupdf.Pixmap(pymupdf.csRGB, image.width, image.height, image.tobytes(), False)
        sheet.insert_image(sheet.rect, pixmap=pixels)


def _draw(sheet: Any, region: Region) -> None:
    box = pymupdf.Rect(*region.box)
    if box.is_empty:
        return
    status = region.reading.verdict.status if region.reading else "unchecked"
    colour = COLOURS.get(region.kind, OTHER)
    sheet.draw_rect(box, color=colour, width=0.8, dashes=DASHES[status], fill=colour, fill_opacity=0.06)
    level = str(region.level) if region.level else ""
    label = f"{region.order} {region.kind}{level}" + ("" if status == "valid" else f" {status}")
    top = max(box.y0 - 1.0, 6.0)
    sheet.insert_text((box.x0, top), label, fontsize=5.5, color=(0.8, 0, 0) if status == "invalid" else colour)
