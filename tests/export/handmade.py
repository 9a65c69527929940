"""Documents made by hand for the tests of exports: small builders, and one document with something of everything."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pymupdf
from PIL import Image, ImageDraw

from docpipe.document import (
    Box,
    Cell,
    Content,
    Document,
    ErrorItem,
    Finding,
    Metadata,
    MoleculeContent,
    Origin,
    Page,
    PictureContent,
    Reading,
    Region,
    ScoreContent,
    Section,
    SourceInfo,
    TableContent,
    TextContent,
    Verdict,
    Word,
)
from docpipe.notation.html import to_html

SOURCE = SourceInfo(name="made.pdf", sha256="0" * 64, media_type="application/pdf", pages=2)

KERN = "**kern\n*clefG2\n*M2/4\n=1\n4c\n4d\n=2\n2e\n==\n*-"


def reading(content: Content | None, status: str = "valid", why: str = "") -> Reading:
    findings = (Finding(code="test", message=why),) if why else ()
    return Reading(
        content=content, verdict=Verdict(status=status, findings=findings), origin=Origin(engine="hand")  # type: ignore[arg-type]
    )  # fmt: skip


def text(said: str, *words: tuple[str, str]) -> TextContent:
    """Text; `words` are (word, style) pairs laid along a line."""
    boxes = [Box(10.0 * i, 0.0, 10.0 * i + 9, 10.0) for i in range(len(words))]
    return TextContent(
        text=said,
        words=tuple(
            Word(text=w, box=b, style=(style,) if style else ()) for (w, style), b in zip(words, boxes, strict=True)
        ),
    )


def table(rows: Sequence[Sequence[str]], head: int = 1) -> TableContent:
    cells = tuple(
        Cell(row=r, column=c, text=said, header=r < head) for r, row in enumerate(rows) for c, said in enumerate(row)
    )
    return TableContent(html=to_html(len(rows), len(rows[0]), cells), rows=len(rows), columns=len(rows[0]), cells=cells)


def region(kind: str, content: Content | str | None = None, number: int = 0, page: int = 1, **more: Any) -> Region:
    """A region as tall as a line, `number`th on its page, read as `content`; None: no reading at all."""
    made = text(content) if isinstance(content, str) else content
    settings: dict[str, Any] = {
        "id": f"p{page}.r{number}",
        "kind": kind,
        "box": Box(50.0, 40.0 + 30 * number, 300.0, 60.0 + 30 * number),
        "order": number,
        "reading": reading(made) if made is not None else None,
    }
    return Region(**(settings | more))


def page(*regions: Region, number: int = 1, **more: Any) -> Page:
    return Page(number=number, width=400.0, height=600.0, regions=regions, **more)


def document(*pages: Page, **more: Any) -> Document:
    return Document(source=more.pop("source", SOURCE), pages=pages, **more)


def of(*regions: Region) -> Document:
    """A document of one page with these regions."""
    return document(page(*regions))


def everything() -> Document:
    """Two pages with every kind of region, some unread, a paragraph and a table that go on over the page break."""
    spans = TableContent(
        html="",
        rows=3,
        columns=3,
        cells=(
            Cell(row=0, column=0, row_span=2, text="Solvent", header=True),
            Cell(row=0, column=1, column_span=2, text="Yield / %", header=True),
            Cell(row=1, column=1, text="1 h", header=True),
            Cell(row=1, column=2, text="2 h", header=True),
            Cell(row=2, column=0, text="Water", header=True),
            Cell(row=2, column=1, text="41"),
            Cell(row=2, column=2, text="−3.5"),
        ),
    )
    aspirin = MoleculeContent(smiles="CC(=O)Oc1ccccc1C(=O)O", formula="C9H8O4", molblock="\n  x\n\nM  END\n")
    unread = reading(PictureContent(figure="molecule"), "unchecked", "no checkpoint is named that reads molecules")
    first = page(
        region("header", "Journal of Examples 7", 0),
        region("title", "On the reading of pages", 1),
        region("heading", "1 Introduction", 2, level=1),
        region(
            "paragraph",
            text(
                "Water is H2O in most accounts1 and never else; the pages say so, and are exam-",
                ("Water", "bold"), ("is", ""), ("H", ""), ("2", "subscript"), ("O", ""), ("in", ""), ("most", ""),
                ("accounts", ""), ("1", "superscript"), ("and", ""), ("never", "italic"),
            ),
            3,
        ),
        region("list_item", "• first", 4, level=1),
        region("list_item", "1. second, one deeper", 5, level=2),
        region("list_item", "• third", 6, level=1),
        region("table", spans, 7, caption="p1.r8"),
        region("caption", "Table 1. Yields.", 8, parent="p1.r7"),
        region("molecule", aspirin, 9),
        region("molecule", None, 10, reading=unread),
        region("score", ScoreContent(kern=KERN, spines=1), 11),
        region("picture", PictureContent(figure="photo", alt="A cat on a mat"), 12, caption="p1.r13"),
        region("caption", "Figure 1. The cat.", 13, parent="p1.r12"),
        region("footnote", "1 But see ice.", 14),
        region("footer", "12", 15),
    )  # fmt: skip
    second = page(
        region("paragraph", "ined here.", 0, page=2, continues="p1.r3"),
        region("heading", "1.1 Methods", 1, page=2, level=2),
        region("code", "for x in y:\n    print(x)", 2, page=2),
        region("formula", "E = mc2", 3, page=2),
        region("chart", None, 4, page=2, reading=reading(PictureContent(figure="chart"), "unchecked")),
        region("other", "A remark.", 5, page=2),
        region("paragraph", None, 6, page=2, reading=reading(None, "invalid", "the text layer is garbled")),
        number=2,
    )
    lost = Page(number=3, width=400.0, height=600.0, status="failed", error=ErrorItem(code="DP505", message="it broke"))
    sections = (
        Section(
            title="1 Introduction", level=1, region="p1.r2",
            sections=(Section(title="1.1 Methods", level=2, region="p2.r1"),),
        ),
    )  # fmt: skip
    return document(
        first, second, lost, Page(number=4, width=400.0, height=600.0, status="skipped"),
        status="partial",
        errors=(ErrorItem(code="DP505", message="it broke", page=3),),
        metadata=Metadata(title="On the reading of pages", language="en", sections=sections),
    )  # fmt: skip


def pdf(rotation: int = 0, pages: int = 1, margin: int = 0, corner: int = 0) -> bytes:
    """A PDF whose pages, as displayed, are 400 x 600 points with a black box from (50, 100) to (150, 140).

    margin: points that the crop box cuts off on each side. corner: where the media box begins.
    """
    made = pymupdf.open()
    width, height = (400, 600) if rotation % 180 == 0 else (600, 400)
    x0, y0, x1, y1 = 50, 100, 150, 140
    unturned = {
        0: (x0, y0, x1, y1),
        90: (y0, height - x1, y1, height - x0),
        180: (width - x1, height - y1, width - x0, height - y0),
        270: (width - y1, x0, width - y0, x1),
    }[rotation]
    for _ in range(pages):
        sheet = made.new_page(width=width + 2 * margin, height=height + 2 * margin)
        sheet.draw_rect(pymupdf.Rect(*unturned) + (margin,) * 4, fill=(0, 0, 0), color=None)
        (content,) = sheet.get_contents()
        made.update_stream(content, f"1 0 0 1 {corner} {corner} cm\n".encode() + made.xref_stream(content))
        far = corner + 2 * margin
        made.xref_set_key(sheet.xref, "MediaBox", f"[{corner} {corner} {width + far} {height + far}]")
        near = corner + margin
        made.xref_set_key(sheet.xref, "CropBox", f"[{near} {near} {width + near} {height + near}]")
        made.xref_set_key(sheet.xref, "Rotate", str(rotation))
    data: bytes = made.tobytes(no_new_id=True)
    return data


def png() -> bytes:
    """The same page as a PNG of one pixel a point."""
    image = Image.new("RGB", (400, 600), "white")
    ImageDraw.Draw(image).rectangle((50, 100, 149, 139), fill="black")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
