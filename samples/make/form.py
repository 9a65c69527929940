"""samples/form.pdf: a printed form with labels, ruled boxes and check boxes, filled through AcroForm fields."""

# ruff: noqa: E501  (running text and Typst templates read best unbroken)

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pymupdf
from typesetting import SAMPLES, box_of, compile_pdf, write_truth

TITLE = "Application for the Loan of an Instrument"
SECTIONS = [
    ("A. Applicant", [[("Family name", "Tanaka-Roux", 1), ("Given names", "Ilse Marie", 1)],
                      [("Street and number", "18 Chandler’s Row", 2), ("Postcode", "NB4 7QT", 1)],
                      [("Town", "Northbridge", 1), ("Telephone", "+44 0000 555 018", 1)],
                      [("E-mail", "ilse.tanaka-roux@example.org", 1)]]),
    ("B. Instrument", [[("Inventory number", "SP-1805-3", 1), ("Kind", "Square piano", 2)],
                       [("From", "14 September 2025", 1), ("Until", "30 November 2025", 1)],
                       [("Place of use", "Assembly Rooms, Sankt Alban", 1)]]),
]  # fmt: skip
CHECKS = [
    ("Purpose", [("Concert", True), ("Recording", True), ("Study", False), ("Exhibition", False)]),
    ("Transport", [("by the museum", True), ("by the applicant", False)]),
]
REMARKS = (
    "Remarks",
    "The instrument will be tuned by Mr Okonjo-Weiss on the day before each concert. Please lend the low stool as well.",
)
SMALL_PRINT = ("The applicant is liable for damage from the moment of collection until the return of the instrument. The loan ends at once if "
               "the instrument is moved to a place that is not named above.")  # fmt: skip


def main() -> None:
    out = [
        f"""#set document(title: "{TITLE}", date: datetime(year: 2025, month: 5, day: 19))
#set text(font: "TeX Gyre Heros", size: 9.5pt)
#set page(paper: "a4", margin: (x: 22mm, y: 18mm), footer: grid(columns: (1fr, auto), text(size: 7.5pt)[Form L-12 (05/2025)], text(size: 7.5pt)[Page 1 of 1]))
#let field(id, label) = [#text(size: 7.5pt)[#label]#v(-7pt)#mark(id, rect(width: 100%, height: 7.5mm, stroke: 0.6pt))]
#let tick(id, label) = box[#mark(id, rect(width: 3.6mm, height: 3.6mm, stroke: 0.6pt))#h(2mm)#label]
#grid(columns: (1fr, auto), text(size: 9pt)[Museum of Keyboard Instruments \\ Sankt Alban], text(size: 8pt)[For office use: #box(width: 30mm, height: 6mm, stroke: 0.6pt)])
#v(5mm)
#text(size: 16pt, weight: "bold")[{TITLE}]
#v(1mm)
Please write in block letters or fill in on the screen. Fields that do not apply stay empty.
"""
    ]
    values: dict[str, tuple[str, str]] = {}
    for section, rows in SECTIONS:
        out.append(f'#v(3mm)\n#block(fill: luma(225), width: 100%, inset: 4pt, text(weight: "bold")[{section}])\n')
        for row in rows:
            cells = []
            for label, value, _ in row:
                name = f"f{len(values)}"
                values[name] = (label, value)
                cells.append(f'field("{name}", [{label}])')
            out.append(
                f"#grid(columns: ({' '.join(f'{share}fr,' for _, _, share in row)}), column-gutter: 5mm, {', '.join(cells)})\n"
            )
    out.append(
        '#v(3mm)\n#block(fill: luma(225), width: 100%, inset: 4pt, text(weight: "bold")[C. Use and Transport])\n'
    )
    checks: dict[str, tuple[str, str, bool]] = {}
    for group, choices in CHECKS:
        marks = []
        for label, on in choices:
            name = f"c{len(checks)}"
            checks[name] = (group, label, on)
            marks.append(f'tick("{name}", [{label}])')
        out.append(
            f"#grid(columns: (28mm, {'auto, ' * len(marks)}), column-gutter: 7mm, align: horizon, [{group}:], {', '.join(marks)})\n#v(1mm)\n"
        )
    out.append(
        f'#text(size: 7.5pt)[{REMARKS[0]}]#v(-7pt)#mark("remarks", rect(width: 100%, height: 20mm, stroke: 0.6pt))\n'
    )
    out.append(f"#v(2mm)\n#par(justify: true)[#text(size: 8pt)[{SMALL_PRINT}]]\n#v(12mm)\n"
               "#grid(columns: (1fr, 1fr), column-gutter: 20mm, [#line(length: 100%, stroke: 0.6pt)#v(-6pt)#text(size: 7.5pt)[Place and date]], "
               "[#line(length: 100%, stroke: 0.6pt)#v(-6pt)#text(size: 7.5pt)[Signature of the applicant]])\n")  # fmt: skip

    fields: list[dict] = []
    boxes: list[dict] = []
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "form.pdf"
        places = compile_pdf("\n".join(out), Path(name) / "work", path)
        with pymupdf.open(path) as document:
            page = document[0]
            for key, (label, value) in [*values.items(), ("remarks", REMARKS)]:
                box = box_of(places, key)[1]
                widget = pymupdf.Widget()
                widget.field_type, widget.field_name, widget.field_label = (
                    pymupdf.PDF_WIDGET_TYPE_TEXT,
                    label.replace(" ", "_"),
                    label,
                )
                widget.rect = pymupdf.Rect(box[0] + 2, box[1] + 1, box[2] - 2, box[3] - 1)
                widget.field_value, widget.text_font, widget.text_fontsize = value, "Helv", 10
                if key == "remarks":
                    widget.field_flags = pymupdf.PDF_TX_FIELD_IS_MULTILINE
                page.add_widget(widget)
                fields.append({"label": label, "value": value, "box": box})
            for key, (group, label, on) in checks.items():
                box = box_of(places, key)[1]
                widget = pymupdf.Widget()
                widget.field_type, widget.field_name = (
                    pymupdf.PDF_WIDGET_TYPE_CHECKBOX,
                    f"{group}_{label.replace(' ', '_')}",
                )
                widget.rect, widget.field_value = pymupdf.Rect(box), on
                page.add_widget(widget)
                boxes.append({"group": group, "label": label, "checked": on, "box": box})
            document.save(SAMPLES / "form.pdf", garbage=3, deflate=True, no_new_id=True)
    write_truth(
        "form",
        {"source": "form.pdf", "pages": 1, "page_size": [595.28, 841.89], "language": "en", "title": TITLE,
         "headings": [*(s for s, _ in SECTIONS), "C. Use and Transport"], "fields": fields, "check_boxes": boxes, "small_print": SMALL_PRINT},
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
