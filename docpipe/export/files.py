"""A file for each region that is worth one: tables, molecules, scores, and the crops of all figures.

    tables/<region>.html .csv   molecules/<region>.smi .mol   scores/<region>.krn   crops/<region>.png
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from docpipe.document import Box, MoleculeContent, Page, PictureContent, Region, ScoreContent, TableContent
from docpipe.export.atomic import write_whole
from docpipe.export.flow import FIGURES
from docpipe.export.json import Pages
from docpipe.export.text import table_rows
from docpipe.notation.html import to_html
from docpipe.source import Source, SourceRef

CROP_DPI = 200.0


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:
    """Write the files of all regions; crops only when the source is given. Raises DP401, and DP1xx for the source."""
    written = []
    opened = Source(source) if source is not None else None
    try:
        for page in document.pages:
            for region in page.regions:
                for name, data in _files(region):
                    written.append(write_whole(folder / name, [data]))
                if opened is not None and region.kind in FIGURES:
                    written.append(write_whole(folder / "crops" / f"{region.id}.png", [_crop(opened, page, region.box)]))
    finally:
        if opened is not None:
            opened.close()
    return written


def _files(region: Region) -> Iterator[tuple[str, str]]:
    content = region.reading.content if region.reading else None
    if isinstance(content, TableContent):
        yield f"tables/{region.id}.html", to_html(content.rows, content.columns, content.cells) + "\n"
        yield f"tables/{region.id}.csv", _csv(content)
    elif isinstance(content, MoleculeContent):
        yield f"molecules/{region.id}.smi", f"{content.smiles} {region.id}\n"
        if content.molblock:
            yield f"molecules/{region.id}.mol", content.molblock
    elif isinstance(content, ScoreContent):
        yield f"scores/{region.id}.krn", content.kern.rstrip("\n") + "\n"
    elif isinstance(content, PictureContent) and content.alt:
        yield f"crops/{region.id}.txt", content.alt + "\n"


def _csv(table: TableContent) -> str:
    """A table as CSV (RFC 4180). A cell that a spreadsheet would take for a formula is marked as text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for row in table_rows(table):
        writer.writerow(["'" + cell if cell[:1] in {"=", "@", "\t", "\r"} else cell for cell in row])
    return out.getvalue()


def _crop(source: Source, page: Page, box: Box) -> bytes:
    """A region's pixels as PNG, its page's rotation undone."""
    image, _ = source.page(page.number).pixels(CROP_DPI, box)
    if page.rotation:
        image = image.rotate(-page.rotation, expand=True)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
