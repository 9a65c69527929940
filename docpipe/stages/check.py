"""The stage for what only neighbours on a page show: captions and what they name, paragraphs that go on in a column."""

from __future__ import annotations

from docpipe.sheet import Sheet
from docpipe.stages.base import Stage, per_page
from docpipe.stages.structure import link_captions, link_columns


def check() -> Stage:
    """Link the captions of a page to its figures and tables, and paragraphs over column breaks."""

    def work(sheet: Sheet) -> Sheet:
        return sheet.with_page(link_columns(sheet.page.replace_regions(link_captions(sheet.page.regions))))

    return per_page("check", work)
