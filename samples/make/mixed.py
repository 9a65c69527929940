"""samples/mixed.pdf: a born-digital journal paper in two columns, with its truth file."""

# ruff: noqa: E501  (running text and Typst templates read best unbroken)

from __future__ import annotations

import re
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import drawings
import paper
import pymupdf
from typesetting import (
    SAMPLES,
    box_of,
    compile_pdf,
    hyphens_as_in_tex,
    plain_text,
    table_cells,
    table_html,
    typst_text,
    write_truth,
)

MOLECULES = {  # drawing: (SMILES, bold number in the paper, figure, how it is drawn)
    "m1": (drawings.GUAIACOL, "1", "f1", "text"),
    "m2": (drawings.FURFURAL, "2", "f1", "text"),
    "m3": (drawings.VANILLIN, "3", "f1", "text"),
    "m4": (drawings.CONIFERYL_ALCOHOL, "4", "s1", "outlines"),
    "m5": (drawings.PINORESINOL, "5", "s1", "outlines"),
    "m6": (drawings.DEHYDROABIETIC, "6", "f2", "outlines"),
    "m7": (drawings.QUERCETIN, "7", "f2", "indigo"),
}
KINDS = {"f1": "molecule", "s1": "molecule", "f2": "molecule", "f3": "chart", "f4": "picture", "f5": "score"}

STYLE = r"""
#set document(title: "%(title)s", author: (%(authors)s), date: datetime(year: 2025, month: 5, day: 19))
#set text(font: "TeX Gyre Termes", size: 9.6pt, lang: "en", region: "GB", hyphenate: true)
#set smartquote(enabled: false)
#set par(justify: true, leading: 0.5em, spacing: 0.5em, first-line-indent: 1.1em)
#set super(size: 0.68em)
#set sub(size: 0.68em)
#show math.equation: set text(font: "New Computer Modern Math", size: 9.8pt)
#let sans(..args, body) = text(font: "TeX Gyre Heros", ..args, body)
#set page(paper: "a4", margin: (top: 24mm, bottom: 23mm, x: 17.5mm), columns: 2,
  header-ascent: 6mm, footer-descent: 7mm,
  header: context {
    let n = here().page()
    let number = [#(n + %(first)d - 1)]
    set text(size: 8.4pt)
    set par(first-line-indent: 0pt)
    if n == 1 { grid(columns: (1fr, auto), emph[%(journal)s], sans(size: 8pt)[Research article]); v(-2pt); line(length: 100%%, stroke: 0.8pt) }
    else if calc.even(n) { grid(columns: (1fr, 1fr), align: (left, right), number, emph[%(short_authors)s]) }
    else { grid(columns: (1fr, 1fr), align: (left, right), emph[%(short_title)s], number) }
  },
  footer: context {
    set text(size: 8pt)
    set par(first-line-indent: 0pt)
    if here().page() == 1 { grid(columns: (1fr, auto), [%(copyright)s], [%(first)d]) }
    else { align(center)[%(journal)s] }
  })
#set columns(gutter: 6mm)
#set footnote.entry(gap: 0.35em, indent: 0.6em, separator: line(length: 25%%, stroke: 0.4pt))
#show footnote.entry: set text(size: 7.8pt)
#let notes = (%(notes)s)
#let fn(key) = footnote[#at("n-" + key)#notes.at(key)]
#let h1(id, n, body) = block(above: 1.5em, below: 0.75em, sticky: true, breakable: false)[#at(id)#sans(size: 10.2pt, weight: "bold")[#n#h(0.6em)#body]]
#let h2(id, n, body) = block(above: 1.15em, below: 0.65em, sticky: true, breakable: false)[#at(id)#sans(size: 9pt, style: "italic")[#n#h(0.6em)#body]]
#let h0(id, body) = block(above: 1.5em, below: 0.75em, sticky: true, breakable: false)[#at(id)#sans(size: 10.2pt, weight: "bold")[#body]]
#let caption(id, label, body, where: left) = { set par(leading: 0.42em, first-line-indent: 0pt, justify: true)
  set align(where)
  block(width: 100%%, above: 0.7em, below: 0.6em)[#mark("c-" + id, block(width: 100%%, sans(size: 7.8pt)[*#label* #body]))] }
#let bold-number(n) = sans(size: 8.6pt, weight: "bold")[#n]
#let figured(where: top, scope: "column", body) = place(where, scope: scope, float: true, clearance: 1.4em,
  block(width: 100%%, { set par(first-line-indent: 0pt, justify: false); set align(center); body }))
#let cells(..args) = { set text(size: 8pt); set par(leading: 0.4em, justify: false, first-line-indent: 0pt); table(..args) }
"""


def main() -> None:
    marks, blocks = typeset(SAMPLES / "mixed.pdf")
    write_truth("mixed", truth(marks, blocks))


def typeset(output: Path) -> tuple[dict, list[dict]]:
    """Write the PDF; returns the marks and the blocks in reading order."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, blocks = markup(folder)
        marks = compile_pdf(source, folder, output)
    hyphens_as_in_tex(output)
    return marks, blocks


def markup(folder: Path) -> tuple[str, list[dict]]:
    sizes = draw(folder)
    notes = ", ".join(f'"{key}": [{typst_text(text)}]' for key, text in paper.FOOTNOTES.items())
    out = [
        STYLE
        % {
            "title": paper.TITLE, "authors": ", ".join(f'"{name}"' for name, _ in paper.AUTHORS), "journal": typst_text(paper.JOURNAL),
            "first": paper.FIRST_PAGE, "short_authors": paper.SHORT_AUTHORS, "short_title": paper.SHORT_TITLE,
            "copyright": paper.COPYRIGHT, "notes": notes,
        }
    ]  # fmt: skip
    out.append(front_matter())
    blocks: list[dict] = []
    numbers = [0, 0]
    for index, (kind, value) in enumerate(paper.BODY):
        name = f"b{index}"
        if kind in ("h0", "h1", "h2"):
            assert isinstance(value, str)
            if kind == "h1":
                numbers = [numbers[0] + 1, 0]
            elif kind == "h2":
                numbers[1] += 1
            number = {"h0": "", "h1": f"{numbers[0]}", "h2": f"{numbers[0]}.{numbers[1]}"}[kind]
            out.append(f'#{kind}("{name}", {f"[{number}], " if number else ""}[{typst_text(value)}])')
            blocks.append(
                {"kind": "heading", "level": 2 if kind == "h2" else 1, "number": number, "text": value, "id": name}
            )
        elif kind == "p":
            assert isinstance(value, str)
            indent = "" if not value.startswith("where ") else "#set par(first-line-indent: 0pt)\n"
            body = marked(name, value)
            out.append(f"#[{indent}{body}\n\n]" if indent else f"{body}\n")
            blocks.append({"kind": "paragraph", "text": value, "id": name})
        elif kind in ("ul", "ol"):
            out.append(
                "#block(above: 0.7em, below: 0.7em)[#set par(first-line-indent: 0pt)\n"
                + items(value, kind, name, 1, blocks)
                + "]\n"
            )
        elif kind == "eq":
            math, text, number = value  # type: ignore[misc]
            out.append(f'#block(width: 100%, above: 0.9em, below: 0.9em)[#grid(columns: (1fr, auto), align: (center + horizon, right + horizon), '
                       f'mark("{name}", $display({math})$), [({number})])]\n')  # fmt: skip
            blocks.append({"kind": "formula", "text": text, "number": number, "id": name})
        elif kind == "fig":
            out.append(figure(str(value), sizes))
            blocks.append({"kind": KINDS[str(value)], "id": str(value)})
        elif kind == "table":
            out.append(table(str(value)))
            blocks.append({"kind": "table", "id": str(value)})
    out.append(
        "#[#set par(first-line-indent: 0pt, hanging-indent: 2.2em, leading: 0.42em, spacing: 0.5em)\n#set text(size: 8.2pt)\n"
    )
    for number, text in enumerate(paper.REFERENCES, 1):
        out.append(f'#at("r{number}:a")#box(width: 2.2em)[\\[{number}\\]]{typst_text(text)}#at("r{number}:b")\n\n')
    out.append("]\n")
    return "\n".join(out), blocks


def front_matter() -> str:
    authors = ", ".join(f"{name}#super[{typst_text(mark)}]" for name, mark in paper.AUTHORS)
    affiliations = r" \ ".join(f"#super[{mark}]{text}" for mark, text in paper.AFFILIATIONS)
    # The corresponding author's note belongs to the first column's foot, its mark to the author line.
    return rf"""
#place(top, scope: "parent", float: true, clearance: 1.6em)[
  #set par(first-line-indent: 0pt)
  #v(4mm)
  #[#set par(justify: false, leading: 0.4em)
  #mark("title", block(width: 100%, text(size: 18pt, weight: "bold", hyphenate: false)[{typst_text(paper.TITLE)}]))]
  #v(3.2mm)
  #mark("authors", block(width: 100%, text(size: 11pt)[{authors}]))
  #v(1.2mm)
  #mark("affiliations", block(width: 100%, text(size: 8.2pt, style: "italic")[{affiliations}]))
  #v(1mm)
  #text(size: 8.2pt)[{paper.DATES}]
  #v(1.5mm)
  #line(length: 100%, stroke: 0.4pt)
  #v(1mm)
  #sans(size: 9.4pt, weight: "bold")[#at("abstract-heading")Abstract]
  #v(0.4mm)
  #mark("abstract", block(width: 100%)[#text(size: 9pt)[{typst_text(paper.ABSTRACT)}]])
  #v(0.8mm)
  #text(size: 8.6pt)[*Keywords:* {", ".join(paper.KEYWORDS)}]
  #v(0.5mm)
  #line(length: 100%, stroke: 0.4pt)
]
#place(bottom, float: true, clearance: 0.6em, block(width: 100%)[#set par(first-line-indent: 0pt)
  #line(length: 25%, stroke: 0.4pt)#v(-0.1em)#text(size: 7.8pt)[#h(0.6em)#at("n-corresponding")#super[{typst_text(paper.CORRESPONDING[0])}]{typst_text(paper.CORRESPONDING[1])}]])
"""


def marked(name: str, text: str) -> str:
    """Text with a mark at its start and before its last word (behind it, the mark could slip into the next column)."""
    before, _, last = text.rpartition(" ")
    return f'#at("{name}:a"){typst_text(before)} #at("{name}:b"){typst_text(last)}'


def items(values: object, kind: str, name: str, level: int, blocks: list[dict]) -> str:
    """A list as Typst markup; its items are added to `blocks` in reading order."""
    assert isinstance(values, list)
    lines = []
    for index, value in enumerate(values, 1):
        item = f"{name}.{index}"
        text, inner = value if isinstance(value, tuple) else (value, None)
        mark = {("ul", 1): "•", ("ol", 1): f"{index}.", ("ol", 2): f"({chr(96 + index)})"}[kind, level]
        blocks.append({"kind": "list_item", "level": level, "marker": mark, "text": text, "id": item})
        body = marked(item, text)
        lines.append("[" + body + (items(inner, kind, item, level + 1, blocks) if inner else "") + "],")
    numbering = (
        f'numbering: "{ {1: "1.", 2: "(a)"}[level] }", '.replace(" ", "", 0) if kind == "ol" else "marker: [•], "
    )
    call = "enum" if kind == "ol" else "list"
    return f"#{call}({numbering}indent: 0.7em, body-indent: 0.5em, spacing: 0.5em, " + " ".join(lines) + ")"


def draw(folder: Path) -> dict[str, tuple[float, float]]:
    """Write every drawing into `folder`; returns the size in points of each SVG."""
    for name, (smiles, _, _, manner) in MOLECULES.items():
        svg = (
            drawings.molecule_by_indigo(smiles, bond=12)
            if manner == "indigo"
            else drawings.molecule(smiles, text=manner == "text")
        )
        (folder / f"{name}.svg").write_bytes(svg.replace(b"iso-8859-1", b"UTF-8"))
    (folder / "f3.svg").write_bytes(drawings.plot()[0])
    (folder / "f5.svg").write_bytes(drawings.system(drawings.PIANO))
    (folder / "f4.jpg").write_bytes(drawings.photograph())
    sizes = {}
    for file in sorted(folder.glob("*.svg")):
        view = re.search(r'viewBox=["\']([\d. -]+)["\']', file.read_text(encoding="utf-8"))
        assert view is not None
        _, _, width, height = (float(v) for v in view.group(1).split())
        sizes[file.stem] = (width, height)
    return sizes


def figure(name: str, sizes: dict[str, tuple[float, float]]) -> str:
    label, text = paper.CAPTIONS[name]
    where = "center" if name in ("s1", "f5", "t2") else "left"
    caption = f'caption("{name}", where: {where}, [{label}], [{typst_text(text)}])'

    def drawing(key: str) -> str:
        return (f'stack(dir: ttb, spacing: 5pt, mark("{key}", image("{key}.svg", width: {sizes[key][0]:.2f}pt)), '
                f'bold-number[{MOLECULES[key][1]}])')  # fmt: skip

    if name in ("f1", "f2"):
        keys = [key for key, value in MOLECULES.items() if value[2] == name]
        body = f"grid(columns: {len(keys)}, column-gutter: 1fr, align: center + bottom, {', '.join(drawing(k) for k in keys)})"
        return f'#figured({{ mark("{name}", block(width: 100%, {body})); {caption} }})\n'
    if name == "s1":
        arrow = ("align(horizon, stack(dir: ttb, spacing: 3pt, text(size: 8pt)[laccase, O#sub[2]], "
                 "box(width: 78pt, height: 4pt, { place(left + horizon, line(length: 76pt, stroke: 0.7pt)); "
                 "place(right + horizon, polygon(fill: black, (0pt, 0pt), (6pt, 2pt), (0pt, 4pt))) }), text(size: 8pt)[pH 5, 25 °C]))")  # fmt: skip
        body = (
            f"grid(columns: 3, column-gutter: 22pt, align: center + horizon, {drawing('m4')}, {arrow}, {drawing('m5')})"
        )
        return f'#figured(scope: "parent", {{ mark("s1", {body}); {caption} }})\n'
    if name == "f5":
        return f'#figured(where: bottom, scope: "parent", {{ mark("f5", image("f5.svg", width: 160mm)); {caption} }})\n'
    if name == "f4":
        return f'#figured({{ mark("f4", image("f4.jpg", width: 100%)); {caption} }})\n'
    return f'#figured({{ mark("f3", image("f3.svg", width: {sizes["f3"][0]:.2f}pt)); {caption} }})\n'


def table(name: str) -> str:
    label, text = paper.CAPTIONS[name]
    where = "center" if name in ("s1", "f5", "t2") else "left"
    caption = f'caption("{name}", where: {where}, [{label}], [{typst_text(text)}])'
    if name == "t1":
        head = table_cells(paper.TABLE_1[:2])
        body = table_cells(paper.TABLE_1[2:])
        grid = (f"cells(columns: (auto, auto, 1fr, 1fr, 1fr), stroke: 0.5pt, inset: (x: 4pt, y: 3.2pt), "
                f"align: (x, y) => if y < 2 {{ center + horizon }} else if x < 2 {{ left + horizon }} else {{ right + horizon }}, "
                f"fill: (x, y) => if y < 2 {{ luma(232) }}, table.header({head}), {body})")  # fmt: skip
        return f'#figured(where: bottom, {{ {caption}; mark("t1", block(width: 100%, {grid})) }})\n'
    if name == "t2":
        head = (
            table_cells(paper.TABLE_2[:1])
            + "table.hline(start: 4, end: 7, stroke: 0.35pt), "
            + table_cells(paper.TABLE_2[1:2])
        )
        rows = table_cells(paper.TABLE_2[2:])
        grid = (f"cells(columns: (1.3fr, 1fr, 1.2fr, 1fr, 0.9fr, 0.9fr, 1fr), stroke: none, inset: (x: 5pt, y: 2.8pt), "
                f"align: (x, y) => if x == 0 {{ left + horizon }} else {{ center + horizon }}, "
                f"table.hline(stroke: 0.8pt), table.header({head}), table.hline(stroke: 0.5pt), {rows} table.hline(stroke: 0.8pt))")  # fmt: skip
        return f'#figured(scope: "parent", {{ {caption}; mark("t2", block(width: 88%, {grid})) }})\n'
    rows = paper.table_3()
    grid = (f"cells(columns: (auto, 1fr, 1fr, 1fr, 1fr, 1fr), stroke: none, inset: (x: 3pt, y: 2.5pt), "
            f"align: (x, y) => if x == 0 {{ left }} else {{ right }}, table.header(repeat: true, table.hline(stroke: 0.8pt), "
            f"{table_cells(rows[:1])} table.hline(stroke: 0.5pt)), {table_cells(rows[1:], 1, 't3.r')} table.hline(stroke: 0.8pt))")  # fmt: skip
    return f"#block(width: 100%, above: 1.2em, below: 0.2em, sticky: true)[#{caption}]\n#block(width: 100%, below: 1.3em, breakable: true, {grid})\n"


def truth(marks: dict, blocks: list[dict]) -> dict:
    """The truth of the paper, from its source and from where Typst put it; no reader of PDFs is involved."""
    middle = 595.28 / 2

    def place(name: str) -> dict:
        mark = marks[name]
        return {
            "page": mark["page"],
            "column": 1 if mark["x"] < middle else 2,
            "point": [round(mark["x"], 1), round(mark["y"], 1)],
        }

    ordered = []
    for block in blocks:
        entry = {k: v for k, v in block.items() if k != "id"}
        if "text" in entry:
            entry["text"] = plain_text(entry["text"])
        name = block["id"]
        if block["kind"] in ("paragraph", "list_item"):
            start, end = place(f"{name}:a"), place(f"{name}:b")
            entry |= {"first_words": " ".join(entry["text"].split()[:6]), "start": start, "end": end}
            entry["over"] = (
                "page" if start["page"] != end["page"] else "column" if start["column"] != end["column"] else None
            )
            notes = re.findall(r"\[\^(\w+)\]", block["text"])
            entry["footnotes"] = [str(list(footnote_order()).index(n) + 1) for n in notes]
        elif block["kind"] == "heading":
            entry["start"] = place(name)
            entry["shown"] = f"{entry['number']} {entry['text']}".strip()
        elif block["kind"] == "formula":
            entry["page"], entry["box"] = box_of(marks, name)
        elif name != "t3":
            entry["id"] = name
            entry["page"], entry["box"] = box_of(marks, name)
        else:
            entry |= {"id": name, "page": marks["t3.r1"]["page"]}
        ordered.append(entry)

    captions = []
    for name, (label, text) in paper.CAPTIONS.items():
        page, box = box_of(marks, f"c-{name}")
        captions.append({"label": label, "text": f"{label} {plain_text(text)}", "of": name, "page": page, "box": box})
    figures = [
        dict(zip(("page", "box"), box_of(marks, n), strict=True)) | {"id": n, "kind": k} for n, k in KINDS.items()
    ]

    tables = []
    for name, rows, heads in (("t1", paper.TABLE_1, 2), ("t2", paper.TABLE_2, 2)):
        page, box = box_of(marks, name)
        tables.append({"id": name, "page": page, "box": box, "manner": "ruled" if name == "t1" else "borderless",
                       "html": table_html(rows, heads), "html_plain": table_html(rows, heads, plain=True)})  # fmt: skip
    rows = paper.table_3()
    parts: list[dict] = []
    for number in range(1, len(rows)):
        spot = place(f"t3.r{number}")
        key = (spot["page"], spot["column"])
        if not parts or (parts[-1]["page"], parts[-1]["column"]) != key:
            parts.append({"page": key[0], "column": key[1], "first_row": number, "last_row": number})
        parts[-1]["last_row"] = number
    for part in parts:
        some = [rows[0], *rows[part["first_row"] : part["last_row"] + 1]]
        part |= {"html": table_html(some, 1), "html_plain": table_html(some, 1, plain=True)}
    tables.append({"id": "t3", "page": parts[0]["page"], "manner": "borderless", "header_repeated": True, "parts": parts,
                   "html": table_html(rows, 1), "html_plain": table_html(rows, 1, plain=True)})  # fmt: skip

    from rdkit import Chem

    molecules = []
    for name, (smiles, number, inside, manner) in MOLECULES.items():
        page, box = box_of(marks, name)
        mol = Chem.MolFromSmiles(smiles)
        molecules.append({"smiles": Chem.MolToSmiles(mol), "heavy_atoms": mol.GetNumHeavyAtoms(), "number": number, "in": inside,
                          "page": page, "box": box, "labels": "text" if manner == "text" else "outlines"})  # fmt: skip
    page, box = box_of(marks, "f5")
    pages = max(mark["page"] for mark in marks.values())
    heads, feet = running_lines(pages)
    return {
        "source": "mixed.pdf", "pages": pages, "page_size": [595.28, 841.89], "language": "en",
        "title": paper.TITLE, "title_box": box_of(marks, "title")[1],
        "authors": [{"name": n, "marks": m.split(",")} for n, m in paper.AUTHORS],
        "affiliations": [{"mark": m, "text": t} for m, t in paper.AFFILIATIONS],
        "corresponding": "mira.halvorsen@example.org",
        "abstract": {"text": plain_text(paper.ABSTRACT), "first_words": " ".join(paper.ABSTRACT.split()[:6]),
                     "page": 1, "box": box_of(marks, "abstract")[1]},
        "keywords": paper.KEYWORDS,
        "headings": [{"level": 1, "number": "", "text": "Abstract", "shown": "Abstract", "page": 1}]
        + [{k: b[k] for k in ("level", "number", "text", "shown")} | {"page": b["start"]["page"]} for b in ordered if b["kind"] == "heading"],
        "blocks": ordered,
        "paragraph_starts": [b["first_words"] for b in ordered if b["kind"] == "paragraph"],
        "list_items": [{k: b[k] for k in ("marker", "level", "text")} | {"page": b["start"]["page"]} for b in ordered if b["kind"] == "list_item"],
        "footnotes": [{"mark": "*", "text": plain_text(paper.CORRESPONDING[1]), "page": 1}]
        + [{"mark": str(i), "text": plain_text(paper.FOOTNOTES[k]), "page": marks[f"n-{k}"]["page"]} for i, k in enumerate(footnote_order(), 1)],
        "captions": captions, "figures": figures, "tables": tables, "molecules": molecules,
        "scores": [{"id": "f5", "page": page, "box": box, "kern": drawings.PIANO}],
        "running_heads": heads, "running_feet": feet,
        "references": {"count": len(paper.REFERENCES), "page": marks["r1:a"]["page"],
                       "items": [f"[{i}] {plain_text(t)}" for i, t in enumerate(paper.REFERENCES, 1)]},
        "hyphenated": hyphenated(SAMPLES / "mixed.pdf", [plain_text(b["text"]) for b in blocks if b["kind"] in ("paragraph", "list_item")]),
    }  # fmt: skip


def footnote_order() -> list[str]:
    """Footnote keys in the order in which the text calls them."""
    order: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, str):
            order.extend(re.findall(r"\[\^(\w+)\]", value))
        elif isinstance(value, list | tuple):
            for inner in value:
                walk(inner)

    walk([value for kind, value in paper.BODY if kind in ("p", "ul", "ol")])
    return order


def running_lines(pages: int) -> tuple[list[dict], list[dict]]:
    heads, feet = [], []
    for page in range(1, pages + 1):
        number = str(paper.FIRST_PAGE + page - 1)
        if page == 1:
            head, foot = [paper.JOURNAL, "Research article"], [paper.COPYRIGHT, number]
        elif page % 2 == 0:
            head, foot = [number, paper.SHORT_AUTHORS], [paper.JOURNAL]
        else:
            head, foot = [paper.SHORT_TITLE, number], [paper.JOURNAL]
        heads.append({"page": page, "texts": head})
        feet.append({"page": page, "texts": foot})
    return heads, feet


def hyphenated(pdf: Path, texts: list[str]) -> list[str]:
    """Words that the setting broke at a line end: both halves are seen in the PDF and the whole in the source."""
    words = {w for text in texts for w in re.findall(r"[\w’]+", text)}
    compounds = {w for text in texts for w in re.findall(r"[\w’]+(?:-[\w’]+)+", text)}
    found = []
    with pymupdf.open(pdf) as document:
        lines = [line for page in document for line in page.get_text().splitlines()]
    for line, following in pairwise(lines):
        start = re.search(r"([\w’]+)[-\u2010\u00ad]$", line.strip())
        end = re.match(r"[\w’]+", following.strip())
        if (
            start
            and end
            and start.group(1) + end.group(0) in words
            and f"{start.group(1)}-{end.group(0)}" not in compounds
        ):
            found.append(start.group(1) + end.group(0))
    return found


if __name__ == "__main__":
    sys.exit(main())
