"""The stage that makes one score of its systems: each goes on from the one before, over pages, until a title begins
another piece or the number of staves changes.
"""

from __future__ import annotations

from collections.abc import Iterator

from docpipe.document import Region, ScoreContent
from docpipe.sheet import Sheet
from docpipe.stages.base import Stage, in_order, is_open


@in_order
def systems() -> Stage:
    """Link each system of music to the one it goes on from (`continues`), in reading order."""

    def run(sheets: Iterator[Sheet]) -> Iterator[Sheet]:
        last: Region | None = None
        before: Sheet | None = None
        for sheet in sheets:
            if before is None or before.ref != sheet.ref:
                last = None
            before = sheet
            if not is_open(sheet):
                yield sheet
                continue
            regions = []
            for region in sheet.page.regions:
                if region.kind in {"title", "heading"}:
                    last = None
                if region.kind == "score":
                    if last is not None and _same_staves(last, region):
                        region = region.model_copy(update={"continues": last.id})
                    last = region
                regions.append(region)
            yield sheet.with_regions(regions)

    run.__name__ = "systems"
    return run


def _same_staves(a: Region, b: Region) -> bool:
    """Whether two systems have as many staves; one that could not be read may have any number."""
    counts = [r.reading.content.spines for r in (a, b) if r.reading and isinstance(r.reading.content, ScoreContent)]
    return len(set(counts)) <= 1
