"""FinTabNet 1.0.0: FinTabNet_1.0.0_table_{train,val,test}.jsonl, and pages in pdf/.

A line: {"filename": "A/2003/page_48.pdf", "bbox": […], "html": as in PubTabNet}. Boxes are x0 y0 x1 y1 in points with
the origin at the page's lower left; the table is rasterized from its page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from docpipe.document import Box
from docpipe.train.examples import Example
from docpipe.train.rows import first_of, json_lines, member, wrong
from docpipe.train.table_targets import html_of, padded_frame


def read(place: Path, split: str, task: str, coords: bool = True, margin: float = 4.0) -> Iterator[Example]:
    """margin: points around the table. Missing pages are passed over. Raises DP622, and DP1xx for a damaged page."""
    splits = (split,) if split else ("train", "val", "test")
    for name in splits:
        file = place if place.is_file() else first_of(place, f"FinTabNet_1.0.0_table_{name}.jsonl")
        for number, row in json_lines(file):
            if str(row.get("split", name)) != name:
                continue
            pdf = file.parent / "pdf" / str(member(row, "filename", file, number))
            if not pdf.is_file():
                continue
            width, height = page_size(pdf)
            box = Box(*member(row, "bbox", file, number))
            crop = Box(max(0.0, box.x0 - margin), max(0.0, height - box.y1 - margin),
                       min(width, box.x1 + margin), min(height, height - box.y0 + margin))  # fmt: skip
            frame = padded_frame(crop.width, crop.height) if coords else None
            table = member(row, "html", file, number)

            def within(cell: Sequence[float], top: float = height, crop: Box = crop) -> Box:
                return Box(cell[0] - crop.x0, top - cell[3] - crop.y0, cell[2] - crop.x0, top - cell[1] - crop.y0)

            try:
                target = html_of(table["structure"]["tokens"], table["cells"], frame, within)
            except (KeyError, TypeError, ValueError) as error:
                raise wrong(file, number, f"html: {error}") from error
            yield Example(pdf, task, target, page=1, box=(crop.x0, crop.y0, crop.x1, crop.y1))


@lru_cache(maxsize=64)
def page_size(pdf: Path) -> tuple[float, float]:
    """Width and height of its first page in points."""
    from docpipe.source import open_source

    with open_source(pdf) as source:
        page = source.page(1)
        return page.width, page.height
