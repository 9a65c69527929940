"""tables.xlsx: a workbook with a sheet for each table, spans as merged cells, and one that says where each table is."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from docpipe.document import Page, Region, TableContent
from docpipe.errors import DocpipeError
from docpipe.export.atomic import write_whole
from docpipe.export.crops import file_name
from docpipe.export.flow import Block, flow
from docpipe.export.json import Pages
from docpipe.export.runs import one_line, text_of
from docpipe.export.tables import trusted
from docpipe.source import SourceRef

FILE = "tables.xlsx"

_NUMBER = re.compile(r"[-−]?(0|[1-9]\d{0,14})(\.\d{1,10})?")
_EPOCH = datetime(2000, 1, 1)
"""Written as the time of making, so that the same tables give the same bytes."""


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:  # noqa: ARG001
    """Write tables.xlsx; nothing for a document without tables. Raises DP305 without openpyxl, DP401."""
    tables = list(_tables(document))
    if not tables:
        return []
    return [write_whole(folder / FILE, [workbook(tables)])]


def _tables(document: Pages) -> Iterator[tuple[Page, Region, TableContent, str]]:
    for block in flow(document.pages):
        if isinstance(block, Block) and isinstance(block.content, TableContent):
            yield block.page, block.regions[0], trusted(block.content), one_line(text_of(block.caption_runs))


def workbook(tables: list[tuple[Page, Region, TableContent, str]]) -> bytes:
    """The workbook of tables (page, region, table, caption) as a file's bytes. Raises DP305 without openpyxl."""
    try:
        from openpyxl import Workbook
        from openpyxl.styles import Alignment, Font
    except ImportError as error:
        raise DocpipeError("DP305", "openpyxl", "pip install docpipe[xlsx]") from error
    book: Any = Workbook()
    book.properties.created = book.properties.modified = _EPOCH
    index = book.active
    index.title = "tables"
    index.append(["sheet", "page", "region", "caption", "verdict", "confidence"])
    for page, region, table, caption in tables:
        sheet = book.create_sheet(file_name(region.id)[:31])
        reading = region.reading
        index.append([sheet.title, page.number, None, None, reading.verdict.status if reading else None,
                      reading.confidence if reading else None])  # fmt: skip
        for column, said in ((3, region.id), (4, caption)):
            _put(index.cell(index.max_row, column), said, plain=True)
        for cell in table.cells:
            placed = sheet.cell(cell.row + 1, cell.column + 1)
            _put(placed, cell.text, plain=cell.header)
            placed.alignment = Alignment(wrap_text=True, vertical="top")
            if cell.header:
                placed.font = Font(bold=True)
            if cell.row_span > 1 or cell.column_span > 1:
                last = cell.row + cell.row_span, cell.column + cell.column_span
                sheet.merge_cells(None, cell.row + 1, cell.column + 1, *last)
        if head := table.header_rows():
            sheet.freeze_panes = sheet.cell(head + 1, 1)
    out = io.BytesIO()
    book.save(out)
    return _timeless(out.getvalue())


def _put(cell: Any, text: str, *, plain: bool) -> None:
    """A text in a cell, as a number where it is written as one. What looks like a formula stays a text."""
    text = one_line(text)
    if not text:
        return
    if not plain and _NUMBER.fullmatch(text):
        cell.value = float(text.replace("−", "-")) if "." in text else int(text.replace("−", "-"))
        return
    cell.value = text
    cell.data_type = "s"


def _timeless(data: bytes) -> bytes:
    """The archive with every file's time set to the same moment."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>2000-01-01T00:00:00Z", content)
            new.writestr(zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0)), content)
    return out.getvalue()
