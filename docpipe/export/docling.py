"""document.docling.json: the document as a DoclingDocument, for whoever builds on docling.

Molecules are pictures with their SMILES in docling's own molecule field, charts read as tables likewise, scores with
their **kern in the field for code. docling has no place for verdicts of text and tables: what was not read or does not
hold up is said in a notice, all else is in document.json.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docpipe.document import (
    Box,
    MoleculeContent,
    Page,
    PictureContent,
    Reading,
    Region,
    ScoreContent,
    TableContent,
    TextContent,
)
from docpipe.errors import DocpipeError
from docpipe.export.atomic import write_whole
from docpipe.export.json import Pages
from docpipe.export.runs import clean, one_line
from docpipe.export.tables import trusted
from docpipe.source import SourceRef

if TYPE_CHECKING:
    from docling_core.types.doc.document import DoclingDocument

FILE = "document.docling.json"

NOTICE = "docpipe__notice"
"""The field of an item's meta that says what was not read or does not hold up. docling's own exports show it."""

_LABELS = {
    "paragraph": "text",
    "caption": "caption",
    "footnote": "footnote",
    "header": "page_header",
    "footer": "page_footer",
    "other": "text",
}
_FURNITURE = frozenset(("header", "footer"))


def to_docling(document: Pages) -> DoclingDocument:
    """The document as docling has it. Raises DP305 when docling-core is not installed."""
    try:
        doc: Any = import_module("docling_core.types.doc.document")
    except ImportError as error:
        raise DocpipeError("DP305", "docling-core", "pip install docpipe[docling]") from error
    source = document.source
    digest = int(source.sha256[:16], 16)
    made: DoclingDocument = doc.DoclingDocument(
        name=Path(source.name).stem or "document",
        origin=doc.DocumentOrigin(mimetype=source.media_type, binary_hash=digest, filename=source.name),
    )
    for page in document.pages:
        made.add_page(page_no=page.number, size=doc.Size(width=page.width, height=page.height))
        _Adder(doc, made, page).add_all()
    return made


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:  # noqa: ARG001
    """Write document.docling.json. Raises DP305, DP401."""
    plain = to_docling(document).export_to_dict()
    return [write_whole(folder / FILE, [json.dumps(plain, ensure_ascii=False, indent=1), "\n"])]


class _Adder:
    """Adds the regions of one page, captions as children of what they name."""

    def __init__(self, doc: Any, made: Any, page: Page) -> None:
        """doc: docling's module of document classes."""
        self.doc, self.made, self.page = doc, made, page
        self.captions: dict[str, Any] = {}
        self.list: Any = None

    def add_all(self) -> None:
        regions = sorted(self.page.regions, key=lambda r: r.order)
        named = {r.caption for r in regions if r.caption}
        for region in regions:  # an item takes its caption when it is made: captions that are named come first
            if region.id in named and region.kind == "caption":
                self.captions[region.id] = self._text(region, "caption")
        for region in regions:
            if region.id not in self.captions:
                self._add(region)

    def _add(self, region: Region) -> None:
        content = region.reading.content if region.reading else None
        if region.kind != "list_item":
            self.list = None
        caption = self.captions.get(region.caption or "")
        if isinstance(content, TableContent) and region.kind != "chart":
            item = self.made.add_table(data=self._table(content), caption=caption, prov=self._place(region))
        elif isinstance(content, TextContent):
            item = self._text(region, region.kind)
        else:
            item = self.made.add_picture(caption=caption, prov=self._place(region))
        if item is not None and region.reading is not None:
            self._annotate(item, region, region.reading)

    def _text(self, region: Region, kind: str) -> Any:
        content = region.reading.content if region.reading else None
        if not isinstance(content, TextContent):
            return None
        text, place = one_line(content.text), self._place(region)
        match kind:
            case "title":
                return self.made.add_title(text=text, prov=place)
            case "heading":
                return self.made.add_heading(text=text, level=max(1, region.level or 1), prov=place)
            case "list_item":
                self.list = self.list or self.made.add_list_group()
                return self.made.add_list_item(text=text, prov=place, parent=self.list)
            case "code":
                return self.made.add_code(text=clean(content.text), prov=place)
            case "formula":
                return self.made.add_formula(text=clean(content.text), prov=place)
        layers = self.doc.ContentLayer
        layer = layers.FURNITURE if kind in _FURNITURE else layers.BODY
        label = self.doc.DocItemLabel(_LABELS.get(kind, "text"))
        return self.made.add_text(label=label, text=text, prov=place, content_layer=layer)

    def _place(self, region: Region) -> Any:
        said = (0, len(one_line(region.text)))
        return self.doc.ProvenanceItem(page_no=self.page.number, bbox=self._box(region.box), charspan=said)

    def _box(self, box: Box) -> Any:
        origin = self.doc.CoordOrigin.TOPLEFT
        return self.doc.BoundingBox(l=box.x0, t=box.y0, r=box.x1, b=box.y1, coord_origin=origin)

    def _table(self, content: TableContent) -> Any:
        table = trusted(content)
        head = table.header_rows()
        cells = [
            self.doc.TableCell(
                bbox=self._box(cell.box) if cell.box is not None else None,
                row_span=cell.row_span,
                col_span=cell.column_span,
                start_row_offset_idx=cell.row,
                end_row_offset_idx=cell.row + cell.row_span,
                start_col_offset_idx=cell.column,
                end_col_offset_idx=cell.column + cell.column_span,
                text=cell.text,
                column_header=cell.row < head,
                row_header=cell.header and cell.row >= head,
            )
            for cell in table.cells
        ]
        return self.doc.TableData(table_cells=cells, num_rows=table.rows, num_cols=table.columns)

    def _annotate(self, item: Any, region: Region, reading: Reading) -> None:
        """What docpipe says of a reading, in the item's meta."""
        content, doc = reading.content, self.doc
        by = reading.origin.checkpoint or reading.origin.engine
        of = {"confidence": reading.confidence, "created_by": by, "docpipe__verdict": reading.verdict.status}
        if isinstance(item, doc.PictureItem):
            meta = doc.PictureMeta()
            if isinstance(content, MoleculeContent):
                meta.molecule = doc.MoleculeMetaField(smi=content.smiles, **of)
            elif isinstance(content, ScoreContent):
                meta.code = doc.CodeMetaField(text=content.kern, **of)
            elif isinstance(content, TableContent):
                meta.tabular_chart = doc.TabularChartMetaField(chart_data=self._table(content), **of)
            elif isinstance(content, PictureContent) and (words := content.description or content.alt):
                meta.description = doc.DescriptionMetaField(text=words, **of)
        else:
            meta = doc.FloatingMeta() if isinstance(item, doc.FloatingItem) else doc.BaseMeta()
        if notice := _notice(region, reading):
            setattr(meta, NOTICE, notice)
        item.meta = meta


def _notice(region: Region, reading: Reading) -> str | None:
    """What must be said of a region that was not read or whose check does not hold."""
    why = "; ".join(f.message for f in reading.verdict.findings) or "no reason is known"
    if region.kind in {"molecule", "score", "table"} and isinstance(reading.content, PictureContent | None):
        return one_line(f"{region.kind}, not read: {why}")
    return one_line(f"{region.kind}, reading in doubt: {why}") if reading.verdict.status == "invalid" else None
