"""A document as a flat list of records, one a region: what Parquet files and data frames are made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from docpipe.document import MoleculeContent, Page, PictureContent, Region, SourceInfo, canonical
from docpipe.export.json import Pages

if TYPE_CHECKING:
    import pandas

COLUMNS: dict[str, type] = {
    "document": str,
    "sha256": str,
    "page": int,
    "region": str,
    "kind": str,
    "order": int,
    "level": int,
    "x0": float,
    "y0": float,
    "x1": float,
    "y1": float,
    "page_width": float,
    "page_height": float,
    "type": str,
    "text": str,
    "inchi": str,
    "description": str,
    "verdict": str,
    "findings": list,
    "confidence": float,
    "engine": str,
    "checkpoint": str,
    "digest": str,
    "prompt": str,
    "parent": str,
    "caption": str,
    "continues": str,
}
"""Every record's fields in order. Boxes are in points; `text` is the canonical string of what was read; `findings`
holds strings "code: message". A field that a region has not is None."""


def records(document: Pages) -> Iterator[dict[str, Any]]:
    """A record for each region of each page, in reading order."""
    for page in document.pages:
        for region in sorted(page.regions, key=lambda r: r.order):
            yield record(document.source, page, region)


def record(source: SourceInfo, page: Page, region: Region) -> dict[str, Any]:
    """One region as a record."""
    reading = region.reading
    content = reading.content if reading else None
    origin = reading.origin if reading else None
    return {
        "document": source.name,
        "sha256": source.sha256,
        "page": page.number,
        "region": region.id,
        "kind": region.kind,
        "order": region.order,
        "level": region.level,
        "x0": region.box.x0,
        "y0": region.box.y0,
        "x1": region.box.x1,
        "y1": region.box.y1,
        "page_width": page.width,
        "page_height": page.height,
        "type": content.type if content else None,
        "text": canonical(content) if content else None,
        "inchi": content.inchi if isinstance(content, MoleculeContent) else None,
        "description": content.description if isinstance(content, PictureContent) else None,
        "verdict": reading.verdict.status if reading else None,
        "findings": [f"{f.code}: {f.message}" for f in reading.verdict.findings] if reading else [],
        "confidence": reading.confidence if reading else None,
        "engine": origin.engine if origin else None,
        "checkpoint": origin.checkpoint if origin else None,
        "digest": origin.digest if origin else None,
        "prompt": origin.prompt if origin else None,
        "parent": region.parent,
        "caption": region.caption,
        "continues": region.continues,
    }


def to_frame(document: Pages) -> pandas.DataFrame:
    """The records as a pandas DataFrame with the columns of `COLUMNS`.

    Raises ImportError when pandas is not installed.
    """
    import pandas as pd

    return pd.DataFrame(list(records(document)), columns=list(COLUMNS))
