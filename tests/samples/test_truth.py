"""The samples are what their truth files say: checked with PyMuPDF, RDKit and music21 alone, without docpipe."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pymupdf
import pytest
from lxml import html
from PIL import Image

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
FILES = sorted([*SAMPLES.glob("*.pdf"), *SAMPLES.glob("*.png")])


def truth(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((SAMPLES / "truth" / f"{name}.json").read_text(encoding="utf-8"))
    return result


def letters(text: str) -> str:
    return re.sub(r"[\s\u00ad-]+", "", text)


def page_texts(name: str) -> list[str]:
    with pymupdf.open(SAMPLES / name) as document:
        return [letters(page.get_text()) for page in document]


def test_every_sample_states_its_origin_and_all_are_small() -> None:
    origin = (SAMPLES / "ORIGIN.md").read_text(encoding="utf-8")
    assert {file.name for file in FILES} == set(re.findall(r"^\| `([\w.]+)` \|", origin, re.MULTILINE))
    assert sum(f.stat().st_size for f in SAMPLES.rglob("*") if f.is_file()) < 6_000_000
    assert (SAMPLES / "mixed_scan.pdf").stat().st_size < 1_500_000


def test_mixed_shows_its_headings_footnotes_items_and_captions_on_the_pages_stated() -> None:
    expected, pages = truth("mixed"), page_texts("mixed.pdf")
    assert len(pages) == expected["pages"]
    for kind, key in (("headings", "shown"), ("footnotes", "text"), ("captions", "text")):
        for entry in expected[kind]:
            assert letters(entry[key]) in pages[entry["page"] - 1], entry
    for item in expected["list_items"]:
        assert letters(item["text"])[:40] in pages[item["page"] - 1], item
    for key in ("running_heads", "running_feet"):
        for entry in expected[key]:
            assert all(letters(text) in pages[entry["page"] - 1] for text in entry["texts"])
    assert len(expected["references"]["items"]) == expected["references"]["count"]


def test_mixed_has_paragraphs_that_go_on_over_columns_and_pages_and_words_broken_at_line_ends() -> None:
    expected = truth("mixed")
    assert {"column", "page"} <= {block.get("over") for block in expected["blocks"]}
    assert len({(part["page"]) for part in expected["tables"][2]["parts"]}) == 2
    assert len(expected["hyphenated"]) >= 5


def test_truth_tables_tile_their_grid() -> None:
    tables = [t["html"] for t in truth("mixed")["tables"]] + [t["html"] for t in truth("report")["tables"]]
    for markup in tables:
        taken: set[tuple[int, int]] = set()
        for row, line in enumerate(html.fromstring(markup).iter("tr")):
            column = 0
            for cell in line:
                while (row, column) in taken:
                    column += 1
                for down in range(int(cell.get("rowspan", 1))):
                    for across in range(int(cell.get("colspan", 1))):
                        assert (row + down, column + across) not in taken
                        taken.add((row + down, column + across))
        assert len(taken) == (1 + max(r for r, _ in taken)) * (1 + max(c for _, c in taken))


def test_molecules_and_score_of_the_truth_are_valid() -> None:
    from music21 import converter
    from rdkit import Chem

    expected = truth("mixed")
    mols = [Chem.MolFromSmiles(entry["smiles"]) for entry in expected["molecules"]]
    assert len(mols) >= 4
    assert sum(mol.GetNumHeavyAtoms() <= 9 for mol in mols) >= 2
    assert any(Chem.FindMolChiralCenters(mol) for mol in mols)
    score = converter.parse(expected["scores"][0]["kern"], format="humdrum")
    for part in score.parts:
        assert {float(m.duration.quarterLength) for m in part.getElementsByClass("Measure")} == {3.0}


def test_the_scan_has_no_text_and_no_vectors() -> None:
    with pymupdf.open(SAMPLES / "mixed_scan.pdf") as document:
        assert len(document) == truth("mixed")["pages"]
        assert all(not page.get_text().strip() and not page.get_drawings() for page in document)
        assert len({page["skew"] for page in truth("mixed_scan")["scanned"]}) == len(document)


def test_the_report_is_long_and_shows_its_headings_and_running_heads() -> None:
    expected, pages = truth("report"), page_texts("report.pdf")
    assert len(pages) == expected["pages"] >= 60
    for heading in expected["headings"]:
        assert letters(heading["number"] + heading["text"]) in pages[heading["page"] - 1], heading
    for head in expected["running_heads"]:
        assert pages[head["page"] - 1].startswith(letters(head["text"])), head


def test_rotated_pages_are_turned_in_two_ways() -> None:
    with pymupdf.open(SAMPLES / "rotated.pdf") as document:
        assert [page.rotation for page in document] == [90, 0, 0]
        blocks = [page.get_text("dict")["blocks"] for page in document]
    lines = [[line for block in page for line in block.get("lines", [])] for page in blocks]
    directions = [{tuple(round(v) for v in line["dir"]) for line in page} for page in lines]
    assert directions[1] == {(0, -1)}
    assert directions[2] == set()


def test_the_form_holds_the_values_of_its_truth() -> None:
    with pymupdf.open(SAMPLES / "form.pdf") as document:
        widgets = list(document[0].widgets())
        values = {w.field_label: w.field_value for w in widgets if w.field_type_string == "Text"}
        checks = {w.field_name: w.field_value != "Off" for w in widgets if w.field_type_string == "CheckBox"}
    expected = truth("form")
    assert values == {field["label"]: field["value"] for field in expected["fields"]}
    assert list(checks.values()) == [box["checked"] for box in expected["check_boxes"]]


@pytest.mark.parametrize("name", ["cjk", "cyrillic"])
def test_pages_in_other_scripts_embed_their_fonts_and_read_back(name: str) -> None:
    with pymupdf.open(SAMPLES / f"{name}.pdf") as document:
        assert all(font[1] != "n/a" for font in document[0].get_fonts())
    (page,) = page_texts(f"{name}.pdf")
    for block in truth(name)["blocks"]:
        assert letters(block["text"]) in page, block


def test_the_palette_page_is_noise_to_whoever_reads_indices_as_brightness() -> None:
    image = Image.open(SAMPLES / "palette.png")
    assert image.mode == "P"
    indices = Image.frombytes("L", image.size, image.tobytes())
    white = image.convert("L").histogram()[255]
    assert white > 0.7 * image.width * image.height
    assert indices.histogram()[15] < 0.1 * image.width * image.height
