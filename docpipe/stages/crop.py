"""The stage that takes a page as one region: an image given by itself is what it is said to be, without layout."""

from __future__ import annotations

from docpipe.document import Box, Kind, Region
from docpipe.sheet import Sheet
from docpipe.stages.base import Stage, per_page


def crop(*, kind: Kind) -> Stage:
    """Make the whole page one region of a kind."""

    def work(sheet: Sheet) -> Sheet:
        whole = Box(0.0, 0.0, sheet.page.width, sheet.page.height)
        return sheet.with_regions([Region(id=f"p{sheet.page.number}.r1", kind=kind, box=whole)], layout="crop")

    return per_page("layout", work)
