"""Typst markup from marked-up text, compiling, and the places of marked things on the finished pages."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from html import escape
from pathlib import Path

import pymupdf
import typst

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parent
TRUTH = SAMPLES / "truth"
FONTS = os.environ.get("SAMPLE_FONTS", "/usr/share/texmf/fonts/opentype/public/tex-gyre:/usr/share/fonts/opentype/noto")
DATE = datetime(2025, 5, 19, tzinfo=UTC)

MARKUP = re.compile(r"\*\*(.+?)\*\*|\*(.+?)\*|\^\{(.+?)\}|_\{(.+?)\}|\[\^(\w+)\]")
PRELUDE = """
#let at(id) = context [#metadata((id: id, page: here().page(), x: here().position().x / 1pt,
  y: here().position().y / 1pt))<at>]
#let mark(id, body) = box({ place(top + left, at(id + ":a")); body; place(bottom + right, at(id + ":b")) })
"""


def typst_text(text: str) -> str:
    """Marked-up text as Typst markup; footnote marks become calls of `#fn("key")`."""
    out, last = [], 0
    for match in MARKUP.finditer(text):
        out.append(_escaped(text[last : match.start()]))
        bold, italic, up, down, note = match.groups()
        if bold:
            out.append(f"#strong[{typst_text(bold)}]")
        elif italic:
            out.append(f"#emph[{typst_text(italic)}]")
        elif up:
            out.append(f"#super[{_escaped(up)}]")
        elif down:
            out.append(f"#sub[{_escaped(down)}]")
        else:
            out.append(f'#fn("{note}")')
        last = match.end()
    out.append(_escaped(text[last:]))
    return "".join(out)


def plain_text(text: str, note: str = "") -> str:
    """Marked-up text without its marks: superscripts and subscripts stay as plain characters, footnote marks go."""
    return MARKUP.sub(lambda m: plain_text(next((g for g in m.groups()[:4] if g), note)), text)


def html_text(text: str) -> str:
    """Marked-up text as the HTML of a table cell, with <i>, <b>, <sup> and <sub>."""
    out, last = [], 0
    for match in MARKUP.finditer(text):
        out.append(escape(text[last : match.start()], quote=False))
        tag = ("b", "i", "sup", "sub")[match.lastindex - 1] if match.lastindex and match.lastindex < 5 else ""
        if tag:
            out.append(f"<{tag}>{html_text(match.group(match.lastindex or 0))}</{tag}>")
        last = match.end()
    out.append(escape(text[last:], quote=False))
    return "".join(out)


def _escaped(text: str) -> str:
    return re.sub(r"([\\#$*_`<>@\[\]~=;])", r"\\\1", text)


def table_html(rows: list, header_rows: int, *, plain: bool = False) -> str:
    """Rows of cells (text, (text, row span, column span) or None where covered) as an HTML table."""
    show = (lambda t: escape(plain_text(t), quote=False)) if plain else html_text
    out = ["<table>"]
    for index, row in enumerate(rows):
        if index == 0 and header_rows:
            out.append("<thead>")
        if index == header_rows:
            out.append("</thead><tbody>" if header_rows else "<tbody>")
        tag = "th" if index < header_rows else "td"
        cells = []
        for cell in row:
            if cell is None:
                continue
            text, down, across = (cell, 1, 1) if isinstance(cell, str) else cell
            spans = (f' rowspan="{down}"' if down > 1 else "") + (f' colspan="{across}"' if across > 1 else "")
            cells.append(f"<{tag}{spans}>{show(text)}</{tag}>")
        out.append("<tr>" + "".join(cells) + "</tr>")
    out.append("</tbody></table>")
    return "".join(out)


def table_cells(rows: list, first: int = 0, ids: str = "") -> str:
    """Rows as the arguments of a Typst table; with `ids`, the first cell of a row carries the mark `<ids><row>`."""
    out = []
    for index, row in enumerate(rows):
        for column, cell in enumerate(row):
            if cell is None:
                continue
            text, down, across = (cell, 1, 1) if isinstance(cell, str) else cell
            body = (f'#at("{ids}{first + index}")' if ids and column == 0 else "") + typst_text(text)
            spans = f"table.cell(rowspan: {down}, colspan: {across})" if down > 1 or across > 1 else ""
            out.append(f"{spans}[{body}],")
    return " ".join(out)


def compile_pdf(source: str, folder: Path, output: Path) -> dict[str, dict]:
    """Compile Typst source (its images lie in `folder`); returns where each mark landed, by id."""
    folder.mkdir(parents=True, exist_ok=True)
    main = folder / "main.typ"
    main.write_text(PRELUDE + source, encoding="utf-8")
    settings = {"font_paths": FONTS.split(":"), "ignore_system_fonts": True, "root": str(folder)}
    compiler = typst.Compiler(str(main), **settings)
    data = compiler.compile(format="pdf", timestamp=int(DATE.timestamp()), pdf_tags=False)
    output.write_bytes(data)
    found = json.loads(compiler.query("<at>", field="value"))
    return {mark["id"]: mark for mark in found}


def hyphens_as_in_tex(pdf: Path) -> None:
    """Let hyphens at line ends read as U+002D, as in PDFs from TeX and word processors; Typst writes U+00AD."""
    with pymupdf.open(pdf) as document:
        for xref in range(1, document.xref_length()):
            if document.xref_is_stream(xref):
                stream = document.xref_stream(xref) or b""
                changed = stream.replace(b"ActualText<FEFF00AD>", b"ActualText<FEFF002D>")
                if b"beginbfchar" in stream:
                    changed = changed.replace(b"> <00AD>", b"> <002D>")
                if changed != stream:
                    document.update_stream(xref, changed)
        data = document.tobytes(deflate=True, no_new_id=True)
    pdf.write_bytes(data)


def box_of(marks: dict[str, dict], name: str) -> tuple[int, list[float]]:
    """Page and box (points, origin top left) of something set with `#mark(name)[…]`."""
    first, last = marks[f"{name}:a"], marks[f"{name}:b"]
    return first["page"], [round(v, 1) for v in (first["x"], first["y"], last["x"], last["y"])]


def write_truth(name: str, truth: dict) -> None:
    TRUTH.mkdir(exist_ok=True)
    text = json.dumps(truth, ensure_ascii=False, indent=1)
    (TRUTH / f"{name}.json").write_text(text + "\n", encoding="utf-8")
