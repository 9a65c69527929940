"""The stage that finds the regions of a page: the cheapest layout engine that is not in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from docpipe.document import Box, Region
from docpipe.engines.base import LayoutEngine
from docpipe.engines.catalogue import LayoutName, layout_engine
from docpipe.sheet import Sheet
from docpipe.stages.base import Stage, per_page


def layout(*, engines: Sequence[LayoutName] = ("geometry", "pymupdf-layout", "image-layout")) -> Stage:
    """Ask each layout engine in turn until one answers. A page that none can lay out is one picture.

    Raises DP205 for an engine that does not exist, before any page is worked on.
    """
    cascade = [_engine(name) for name in engines]

    def work(sheet: Sheet) -> Sheet:
        for engine in cascade:
            found = engine.regions(sheet)
            if found is not None:
                return sheet.with_regions(found, layout=engine.name)
        whole = Box(0.0, 0.0, sheet.page.width, sheet.page.height)
        return sheet.with_regions([Region(id=f"p{sheet.page.number}.r1", kind="picture", box=whole)], layout="none")

    return per_page("layout", work)


@cache
def _engine(name: str) -> LayoutEngine:
    """One instance a process: layout models load once, whatever pipelines use them."""
    return layout_engine(name)
