"""samples/rotated.pdf: a page with /Rotate 90, a page whose content lies sideways, and a sideways scan."""

# ruff: noqa: E501  (running text and Typst templates read best unbroken)

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import numpy as np
import pymupdf
from PIL import Image
from scan import scanned
from typesetting import SAMPLES, compile_pdf, plain_text, table_cells, table_html, typst_text, write_truth

TABLE: list[list] = [
    [("Pipe", 2, 1), ("Stop", 2, 1), ("Length (mm)", 1, 2), None, ("Pitch", 2, 1), ("Condition", 2, 1)],
    [None, None, "body", "foot", None, None],
    ["C", "Principal 8′", "2412", "205", "64.9 Hz", "dented at the mouth, speaks"],
    ["D", "Principal 8′", "2149", "203", "72.8 Hz", "sound"],
    ["E", "Principal 8′", "1914", "201", "81.7 Hz", "seam open for 4 cm, silent"],
    ["G", "Gedackt 8′", "804", "166", "97.1 Hz", "stopper loose"],
    ["A", "Gedackt 8′", "716", "164", "109.0 Hz", "sound"],
    ["c", "Flute 4′", "588", "150", "259.6 Hz", "ears missing"],
    ["e", "Flute 4′", "466", "148", "327.1 Hz", "sound, voiced later"],
]
HEADING = "Appendix B. Pipes of the Choir Organ"
INTRO = ("The pipes were measured in the loft on two dry days in March. Lengths are given to the nearest millimetre; the pitch was "
         "taken at a wind pressure of 68 mm water column and reduced to 15 °C.")  # fmt: skip
LETTER_HEADING = "Notice to the Bellows Room"
LETTER = [
    "The feeder bellows on the north side were releathered in 1987 and have held their wind since. Two of the ribs now show cracks at "
    "the hinge, and the reservoir sinks by a hand’s breadth in a minute when no note is played.",
    "Until the repair is done, the blower should be started ten minutes before a service and the reed stops left alone. Whoever hears a "
    "cipher is asked to write down the note and the stop in the book by the door.",
    "Keys to the loft hang in the vestry. Please bring them back on the same day.",
]


def main() -> None:
    style = '#set text(font: "TeX Gyre Termes", size: 11pt)\n#set smartquote(enabled: false)\n#set par(justify: true)\n'
    wide = (
        style
        + f'#set page(paper: "a4", flipped: true, margin: 24mm)\n#align(center, text(size: 15pt, weight: "bold")[{typst_text(HEADING)}])\n'
        f"#v(4mm)\n{typst_text(INTRO)}\n#v(4mm)\n#table(columns: (auto, auto, 1fr, 1fr, auto, 2fr), inset: 6pt, stroke: 0.6pt, "
        f"align: (x, y) => if y < 2 {{ center + horizon }} else {{ left }}, table.header({table_cells(TABLE[:2])}), {table_cells(TABLE[2:])})"
    )
    letter = (
        style + '#set page(paper: "a4", flipped: true, margin: (x: 40mm, y: 34mm))\n'
        f'#text(size: 16pt, weight: "bold")[{typst_text(LETTER_HEADING)}]\n\n#v(4mm)\n'
        + "\n\n".join(map(typst_text, LETTER))
    )
    with tempfile.TemporaryDirectory() as name:
        sheets = []
        for index, source in enumerate((wide, letter)):
            path = Path(name) / f"{index}.pdf"
            compile_pdf(source, Path(name) / str(index), path)
            sheets.append(pymupdf.open(path))
        out = pymupdf.open()
        first = out.new_page(width=595.28, height=841.89)
        first.show_pdf_page(first.rect, sheets[0], 0, rotate=90)
        first.set_rotation(90)  # the viewer turns it back: upright as displayed
        second = out.new_page(width=595.28, height=841.89)
        second.show_pdf_page(second.rect, sheets[1], 0, rotate=90)  # reads from bottom to top
        third = out.new_page(width=595.28, height=841.89)
        pixels = sheets[1][0].get_pixmap(dpi=150)
        image = Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples).rotate(-90, expand=True)
        data = io.BytesIO()
        scanned(image, 0.5, np.random.default_rng(3), colour=False).save(
            data, "JPEG", quality=42, optimize=True, dpi=(150, 150)
        )
        third.insert_image(third.rect, stream=data.getvalue())  # reads from top to bottom
        out.set_metadata({"producer": "samples", "creationDate": "D:20250601100000Z", "modDate": "D:20250601100000Z"})
        out.save(SAMPLES / "rotated.pdf", garbage=4, deflate=True, no_new_id=True)
    letter_text = {"heading": LETTER_HEADING, "paragraphs": LETTER}
    write_truth(
        "rotated",
        {
            "source": "rotated.pdf", "language": "en",
            "pages": [
                {"page": 1, "rotate_key": 90, "displayed_size": [841.89, 595.28], "upright_when_turned_clockwise": 0, "text_layer": True,
                 "heading": HEADING, "paragraphs": [INTRO], "table": {"html": table_html(TABLE, 2), "html_plain": table_html(TABLE, 2, plain=True)}},
                {"page": 2, "rotate_key": 0, "displayed_size": [595.28, 841.89], "upright_when_turned_clockwise": 90, "text_layer": True} | letter_text,
                {"page": 3, "rotate_key": 0, "displayed_size": [595.28, 841.89], "upright_when_turned_clockwise": 270, "text_layer": False,
                 "skew": 0.5} | letter_text,
            ],
            "cells": [[plain_text(c if isinstance(c, str) else c[0]) for c in row if c is not None] for row in TABLE],
        },
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
