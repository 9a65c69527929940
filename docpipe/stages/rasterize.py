"""The stage that sets pages of pixels upright: it finds their rotation and skew, so that all who read undo both."""

from __future__ import annotations

from docpipe.engines.ocr import of_pixels
from docpipe.engines.orientation import orientation
from docpipe.sheet import Sheet
from docpipe.stages.base import Stage, per_page


def rasterize(*, deskew: bool = True, pixels: bool = False) -> Stage:
    """Find the rotation and skew of each page that is only an image, or a scan with unseen text over it.

    deskew: find them at all. pixels: take every page for pixels, whatever text layer it has; its words are then read
    off them. Pages with text of their own are left as they are, at no cost.
    """

    def work(sheet: Sheet) -> Sheet:
        if not pixels and not _is_scan(sheet):
            return sheet.with_page(sheet.page, rasterize="text layer")
        ways = {"rasterize": "pixels", **({"text": "set aside"} if pixels else {})}
        if not deskew or _is_empty(sheet):
            return sheet.with_page(sheet.page, **ways)
        rotation, skew = orientation(sheet, aside=pixels)
        return sheet.with_page(sheet.page.model_copy(update={"rotation": rotation, "skew": skew}), **ways)

    return per_page("rasterize", work)


def _is_scan(sheet: Sheet) -> bool:
    """Whether nothing of the page's text layer is seen: it has none, or what it has lies unseen over an image."""
    lines = sheet.source.lines()
    seen = any(word.visible for line in lines for word in line.words)
    return not lines or (not seen and of_pixels(sheet))


def _is_empty(sheet: Sheet) -> bool:
    source = sheet.source
    return not source.lines() and not source.images() and not source.drawings()
