"""Round trips: what docpipe exports, read by the library of whoever uses it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from handmade import KERN, document, everything, of, page, pdf, png, reading, region, table, text
from lxml import etree

from docpipe.document import Box, Document, MoleculeContent, ScoreContent, TextContent, Word
from docpipe.export import export
from docpipe.export.chunks import chunks
from docpipe.export.hocr import lines_of
from docpipe.export.records import COLUMNS, to_frame
from docpipe.source import SourceRef

PDF = SourceRef("made.pdf", data=pdf(pages=4))


def written(made: Document, name: str, folder: Path, source: SourceRef | None = None) -> Path:
    (path,) = export(made, name, folder, source)
    return path


def test_docling_loads_the_document_back_with_molecules_in_their_own_field(tmp_path: Path) -> None:
    doc = pytest.importorskip("docling_core.types.doc.document")
    loaded = doc.DoclingDocument.load_from_json(written(everything(), "docling", tmp_path))
    molecules = [p for p in loaded.pictures if p.meta is not None and p.meta.molecule is not None]
    assert [p.meta.molecule.smi for p in molecules] == ["CC(=O)Oc1ccccc1C(=O)O"]
    assert loaded.pages.keys() == {1, 2, 3, 4}
    (grid,) = loaded.tables
    assert [c.text for c in grid.data.grid[0]] == ["Solvent", "Yield / %", "Yield / %"]
    assert grid.caption_text(loaded) == "Table 1. Yields."
    assert [p.meta.code.text for p in loaded.pictures if p.meta is not None and p.meta.code] == [KERN]
    shown = loaded.export_to_markdown()
    assert "molecule, not read: no checkpoint is named that reads molecules" in shown
    assert "Journal of Examples" not in shown, "running heads are furniture"


def test_parquet_is_a_hugging_face_dataset_with_pictures(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    path = written(everything(), "parquet", tmp_path, PDF)
    rows = datasets.load_dataset("parquet", data_files=str(path), cache_dir=str(tmp_path / "cache"), split="train")
    assert set(COLUMNS) | {"image"} == set(rows.column_names)
    assert len(rows) == sum(1 for _ in everything().regions())
    pictured = {row["region"] for row in rows if row["image"] is not None}
    assert {"p1.r9", "p1.r11", "p1.r12"} <= pictured
    assert "p1.r3" not in pictured
    by_id = {row["region"]: row for row in rows}
    width, height = by_id["p1.r12"]["image"].size
    assert (width, height) == (pytest.approx(694, abs=3), pytest.approx(56, abs=3)), "250 x 20 points at 200 dpi"
    assert by_id["p1.r10"]["findings"] == ["test: no checkpoint is named that reads molecules"]


def test_a_document_is_a_frame_of_its_regions() -> None:
    pytest.importorskip("pandas")
    frame = to_frame(everything())
    assert list(frame.columns) == list(COLUMNS)
    assert frame[frame.kind == "molecule"].text.tolist() == ["CC(=O)Oc1ccccc1C(=O)O", ""]


def test_a_workbook_has_a_sheet_a_table_and_runs_no_formula(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    hostile = table([["name", "n"], ["=HYPERLINK(1)", "12"], ["007", "−3.5"]])
    made = of(region("table", hostile, 0))
    path = written(made, "xlsx", tmp_path)
    sheet = openpyxl.load_workbook(path)["p1.r0"]
    assert sheet["A2"].value == "=HYPERLINK(1)"
    assert sheet["A2"].data_type == "s", "a text, not a formula"
    assert (sheet["B2"].value, sheet["A3"].value, sheet["B3"].value) == (12, "007", -3.5)
    merged = openpyxl.load_workbook(written(everything(), "xlsx", tmp_path))["p1.r7"].merged_cells.ranges
    assert sorted(str(area) for area in merged) == ["A1:A2", "B1:C1"]
    assert path.read_bytes() != b""
    first = written(made, "xlsx", tmp_path / "a").read_bytes()
    assert first == written(made, "xlsx", tmp_path / "b").read_bytes()


def test_sdf_and_smiles_read_back_as_the_same_molecules(tmp_path: Path) -> None:
    from rdkit import Chem

    wrong = reading(MoleculeContent(smiles="C1CC"), "invalid", "a ring is left open")
    made = of(
        region("molecule", MoleculeContent(smiles="C[C@H](N)C(=O)O", inchikey="QNAYBMKLOCPYGJ-REOHCLBHSA-N"), 0),
        region("molecule", None, 1, reading=wrong),
    )
    sdf, smi = export(made, "sdf", tmp_path)
    (mol,) = Chem.SDMolSupplier(str(sdf))
    assert Chem.MolToSmiles(mol) == "C[C@H](N)C(=O)O", "stereo survives"
    assert (mol.GetProp("_Name"), mol.GetProp("PAGE"), mol.GetProp("VERDICT")) == ("p1.r0", "1", "valid")
    assert Chem.MolToInchiKey(mol) == mol.GetProp("INCHIKEY")
    assert smi.read_text() == "C[C@H](N)C(=O)O p1.r0\n"


def test_musicxml_and_midi_say_the_same_notes(tmp_path: Path) -> None:
    from music21 import converter

    kern = "**kern\n*clefG2\n*k[b-]\n*M3/4\n=1-\n4c\n8d\n8e-\n4f\n=2\n2g\n4r\n==\n*-\n"
    made = of(region("score", ScoreContent(kern=kern), 0))
    want = [n.nameWithOctave for n in converter.parse(kern, format="humdrum").flatten().notes]
    assert want == ["C4", "D4", "E-4", "F4", "G4"]
    xml = written(made, "musicxml", tmp_path)
    heard = written(made, "midi", tmp_path)
    back = converter.parse(xml)
    assert [n.nameWithOctave for n in back.flatten().notes] == want
    assert [n.pitch.midi for n in converter.parse(heard).flatten().notes] == [60, 62, 63, 65, 67]
    assert b"encoding-date" not in xml.read_bytes(), "the same score gives the same bytes"
    assert export(of(region("score", ScoreContent(kern="not music"), 0)), "musicxml", tmp_path / "none") == []


def scanned(rotation: int = 0) -> Document:
    """One page of pixels whose black box was read as a word."""
    word = Word(text="Größe", box=Box(50, 100, 150, 140), confidence=0.91)
    content = TextContent(text="Größe", words=(word,), language="de")
    made = page(region("paragraph", content, 0, box=Box(50, 100, 150, 140)), rotation=rotation)
    return document(made)


def test_hocr_words_have_their_boxes_in_pixels(tmp_path: Path) -> None:
    root = etree.fromstring(written(scanned(), "hocr", tmp_path).read_bytes())
    (word,) = root.findall(".//{*}span[@class='ocrx_word']")
    assert word.text == "Größe"
    assert word.get("title") == "bbox 139 278 417 389; x_wconf 91", "points times 200 / 72"
    (sheet,) = root.findall(".//{*}div[@class='ocr_page']")
    assert "bbox 0 0 1111 1667" in sheet.get("title", "")


def test_words_side_by_side_are_a_line() -> None:
    boxes = [Box(0, 0, 9, 10), Box(10, 1, 19, 11), Box(0, 12, 9, 22)]
    words = [Word(text=str(i), box=box) for i, box in enumerate(boxes)]
    assert [[w.text for w in line] for line in lines_of(words)] == [["0", "1"], ["2"]]
    down = [Word(text=str(i), box=Box(b.y0, b.x0, b.y1, b.x1)) for i, b in enumerate(boxes)]
    assert [[w.text for w in line] for line in lines_of(down, 90)] == [["0", "1"], ["2"]]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_scan_can_be_searched_where_the_word_stands(tmp_path: Path, rotation: int) -> None:
    import pypdfium2

    path = written(scanned(rotation), "searchable", tmp_path, SourceRef("made.png", data=png()))
    sheet = pypdfium2.PdfDocument(path)[0]
    read = sheet.get_textpage()
    assert read.get_text_range().strip() == "Größe"
    assert read.count_rects() == 1
    left, bottom, right, top = read.get_rect(0)
    # From where the line begins to the blank after the word, which ends beyond the box; across, within the box.
    found = {"left": left, "top": 600 - top, "right": right, "bottom": 600 - bottom}
    begins, ends = {0: ("left", "right"), 90: ("bottom", "top"), 180: ("right", "left"), 270: ("top", "bottom")}[
        rotation
    ]
    box = {"left": 50, "top": 100, "right": 150, "bottom": 140}
    whole = abs(box[ends] - box[begins])
    assert found[begins] == pytest.approx(box[begins], abs=0.1 * whole)
    assert found[ends] == pytest.approx(box[ends], abs=0.2 * whole)
    for side in {"left", "top", "right", "bottom"} - {begins, ends}:
        assert box["left"] - 1 < found[side] < box["right"] + 1 if side in {"left", "right"} else 99 < found[side] < 141
    pixels = sheet.render(scale=1).to_pil().convert("L")
    assert pixels.getpixel((100, 120)) < 30, "the scan itself is there, and the word unseen"
    assert pixels.getpixel((30, 120)) > 240


def test_a_page_with_a_text_layer_gets_no_second_one(tmp_path: Path) -> None:
    import pymupdf
    import pypdfium2

    made = pymupdf.open()
    made.new_page(width=400, height=600).insert_text((50, 130), "printed")
    source = SourceRef("made.pdf", data=made.tobytes())
    path = written(of(region("paragraph", text("printed", ("printed", "")), 0)), "searchable", tmp_path, source)
    assert pypdfium2.PdfDocument(path)[0].get_textpage().get_text_range().count("printed") == 1


def test_chunks_know_their_headings_pages_and_boxes(tmp_path: Path) -> None:
    made = list(chunks(everything()))
    lines = [json.loads(line) for line in written(everything(), "chunks", tmp_path).read_text().splitlines()]
    assert [line["text"] for line in lines] == [chunk.text for chunk in made]
    over = next(line for line in lines if "examined here" in line["text"])
    assert over["headings"] == ["On the reading of pages", "1 Introduction"]
    assert over["pages"] == [1, 2], "a paragraph that goes on over the page stands on both"
    assert {"page": 1, "region": "p1.r3", "box": [50.0, 130.0, 300.0, 150.0]} in over["places"]
    rows = next(line for line in lines if line["kinds"] == ["table"])
    assert rows["text"].startswith("Table 1. Yields.\nSolvent\t")
    assert any("no checkpoint is named" in doubt for line in lines for doubt in line["doubts"])


def test_long_text_is_cut_between_sentences_and_long_tables_keep_their_head() -> None:
    said = " ".join(f"This is sentence number {i}." for i in range(40))
    rows = table([["name", "n"], *([f"row {i}", str(i)] for i in range(60))])
    made = list(chunks(of(region("paragraph", said, 0), region("table", rows, 1)), longest=200))
    texts = [c.text for c in made if c.kinds == ("paragraph",)]
    assert " ".join(texts) == said
    assert all(len(t) <= 200 and t.endswith(".") for t in texts)
    parts = [c.text for c in made if c.kinds == ("table",)]
    assert len(parts) > 2
    assert all(part.startswith("name\tn\n") for part in parts)
    assert sum(part.count("row ") for part in parts) == 60


def test_exports_are_the_same_each_time(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("docling_core")
    made = of(region("score", ScoreContent(kern=KERN), 0), region("molecule", MoleculeContent(smiles="CCO"), 1))
    for name in ("docling", "parquet", "sdf", "hocr", "chunks", "searchable", "musicxml", "midi"):
        first, second = (
            [path.read_bytes() for path in export(made, name, tmp_path / folder, PDF)] for folder in ("a", "b")
        )
        assert first == second, name
        assert first, name


def test_pictures_are_encoded_as_png(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    rows = pq.read_table(written(everything(), "parquet", tmp_path, PDF)).to_pylist()
    data = next(row["image"]["bytes"] for row in rows if row["region"] == "p1.r12")
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
