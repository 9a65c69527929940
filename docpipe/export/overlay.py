"""The overlay: the source's pages as a PDF with every region's box, kind, place in the order and verdict drawn on.

A page looks as it is displayed (/Rotate and the crop box honoured), its boxes and labels on a layer that a viewer can
switch off; the last page explains colours and lines. Pages left out of the conversion are left out.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pymupdf

from docpipe.document import Page, Region, VerdictStatus
from docpipe.errors import DocpipeError
from docpipe.export.atomic import write_whole
from docpipe.export.flow import name_of
from docpipe.export.json import Pages
from docpipe.export.runs import one_line
from docpipe.source import Source, SourceRef

FILE = "overlay.pdf"
IMAGE_DPI = 150.0

Colour = tuple[float, float, float]

COLOURS: dict[str, Colour] = {
    "title": (0.55, 0.0, 0.55),
    "heading": (0.75, 0.1, 0.55),
    "paragraph": (0.25, 0.35, 0.45),
    "list item": (0.1, 0.5, 0.5),
    "caption": (0.3, 0.3, 0.8),
    "footnote": (0.5, 0.4, 0.35),
    "header": (0.6, 0.6, 0.6),
    "footer": (0.6, 0.6, 0.6),
    "table": (0.0, 0.45, 0.75),
    "molecule": (0.85, 0.35, 0.0),
    "score": (0.0, 0.5, 0.2),
    "chart": (0.7, 0.5, 0.0),
    "formula": (0.4, 0.4, 0.0),
    "code": (0.2, 0.2, 0.6),
    "picture": (0.8, 0.6, 0.1),
    "other": (0.2, 0.2, 0.2),
}

DASHES: dict[VerdictStatus, str] = {
    "valid": "[] 0",
    "repaired": "[6 2] 0",
    "unchecked": "[2 2] 0",
    "invalid": "[1 3] 0",
}
"""The line of a box tells the verdict: solid, dashed, dotted, widely dotted."""

ALARM: Colour = (0.85, 0.0, 0.0)


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:
    """Write overlay.pdf. The source must be given: raises DP107 without it, DP1xx when it cannot be opened, DP401."""
    if source is None:
        raise DocpipeError("DP107", document.source.name, "the overlay is drawn on the source's own pages")
    drawn: Any = pymupdf.Document()
    layer = drawn.add_ocg("docpipe: regions")
    with Source(source) as opened:
        _bake(opened)
        for page in document.pages:
            if page.status != "skipped":
                _add_page(drawn, opened, page, layer)
        _add_legend(drawn, document)
        return [write_whole(folder / FILE, [drawn.tobytes(garbage=3, deflate=True, no_new_id=True)])]


def _add_page(drawn: Any, source: Source, page: Page, layer: int) -> None:
    width, height = max(page.width, 36.0), max(page.height, 36.0)
    sheet = drawn.new_page(width=width, height=height)
    lost = page.error.message if page.error is not None else ""
    try:
        lay_under(sheet, source, page)
    except Exception as error:  # a damaged page has no picture; what is said of it is shown all the same
        lost = lost or str(error)
    # Boxes on a poster are seen from farther away.
    scale = max(1.0, min(width, height) / 600)
    for region in page.regions:
        _draw(sheet, region, scale, layer)
    if lost:
        message = f"page {page.number}: {one_line(lost)}"
        room = pymupdf.Rect(6, 6, width - 6, min(height - 6, 130 * scale))
        sheet.insert_textbox(room, message, fontsize=9 * scale, color=ALARM)


def _bake(source: Source) -> None:
    """Make annotations and filled form fields, which are displayed too, part of their pages."""
    # What cannot be baked is left out of the picture, no more.
    with contextlib.suppress(Exception):
        pdf = source.page(1).raw.parent  # type: ignore[attr-defined]
        if pdf.is_form_pdf or pdf.has_annots():
            pdf.bake()


def lay_under(sheet: Any, source: Source, page: Page) -> None:
    """The source's page as it is displayed: as vectors where it is a PDF's, else as pixels."""
    under = source.page(page.number)
    place = pymupdf.Rect(0, 0, page.width, page.height)
    raw = getattr(under, "raw", None)
    if raw is None:
        image, _ = under.pixels(IMAGE_DPI)
        pixels = pymupdf.Pixmap(pymupdf.csRGB, image.width, image.height, image.tobytes(), False)
        sheet.insert_image(place, pixmap=pixels)
        return
    # PyMuPDF misplaces pages that are rotated: cut and turned by hand, the file itself is not changed.
    turn, media, cut = raw.rotation, raw.mediabox, raw.cropbox
    raw.set_rotation(0)
    raw.parent.xref_set_key(raw.xref, "CropBox", "[{:g} {:g} {:g} {:g}]".format(*media))
    clip = pymupdf.Rect(cut.x0 - media.x0, cut.y0, cut.x1 - media.x0, cut.y1)
    sheet.show_pdf_page(place, raw.parent, page.number - 1, rotate=-turn, clip=clip)


def _draw(sheet: Any, region: Region, scale: float, layer: int) -> None:
    box = pymupdf.Rect(*region.box)
    if box.is_empty:
        return
    status: VerdictStatus = region.reading.verdict.status if region.reading else "unchecked"
    kind = name_of(region.kind)
    colour = COLOURS.get(kind, COLOURS["other"])
    line = {"color": colour, "width": 0.8 * scale, "dashes": DASHES[status]}
    sheet.draw_rect(box, **line, fill=colour, fill_opacity=0.06, oc=layer)
    level = f" {region.level}" if region.level and region.kind in {"heading", "list_item"} else ""
    label = f"{region.order} {kind}{level}" + ("" if status == "valid" else f", {status}")
    size = 4.8 * scale
    length = pymupdf.get_text_length(label, fontsize=size)
    # On the box's upper edge, from within where the page ends above it.
    top = box.y0 - size * 0.4 if box.y0 > 1.4 * size else box.y0 + size
    left = max(0.0, min(box.x0, sheet.rect.width - length - 1))
    patch = pymupdf.Rect(left - 0.5, top - size * 0.85, left + length + 0.5, top + size * 0.25)
    sheet.draw_rect(patch, color=None, fill=(1, 1, 1), fill_opacity=0.6, oc=layer)
    sheet.insert_text((left, top), label, fontsize=size, color=ALARM if status == "invalid" else colour, oc=layer)


def _add_legend(drawn: Any, document: Pages) -> None:
    """What the colours and lines mean, and how the document came out."""
    sheet = drawn.new_page(width=420, height=420)
    sheet.insert_text((24, 34), "Legend", fontsize=14)
    for row, (status, dashes) in enumerate(DASHES.items()):
        y = 62 + 18 * row
        sheet.draw_line((24, y - 3), (84, y - 3), color=(0, 0, 0), width=1.2, dashes=dashes)
        colour = ALARM if status == "invalid" else (0, 0, 0)
        sheet.insert_text((94, y), f"verdict: {status}", fontsize=9, color=colour)
    for row, (kind, colour) in enumerate(COLOURS.items()):
        y = 62 + 18 * row
        sheet.draw_rect(pymupdf.Rect(224, y - 9, 244, y), color=colour, fill=colour, fill_opacity=0.15)
        sheet.insert_text((254, y), kind, fontsize=9, color=colour)
    said = [f"{one_line(document.source.name)}: {document.status}", "Numbers give the order of reading, from 0."]
    said += [f"{error.code} {one_line(error.message)}" for error in document.errors[:5]]
    sheet.insert_textbox(pymupdf.Rect(24, 150, 204, 400), "\n".join(said), fontsize=8)
