"""The register of formats, plain text, per-region files, and the overlay."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

import handmade
import numpy as np
import pymupdf
import pytest
from PIL import Image

from docpipe.document import Box, MoleculeContent, Page, PictureContent, TableContent
from docpipe.errors import DocpipeError
from docpipe.export import FORMATS, check_formats, export
from docpipe.export.crops import file_name
from docpipe.export.tables import to_csv
from docpipe.export.text import render as plain
from docpipe.source import SourceRef

REF = SourceRef("made.pdf", data=handmade.pdf(pages=4))


def test_an_unknown_format_is_dp206_and_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(DocpipeError) as caught:
        export(handmade.of(), "docx", tmp_path)
    assert caught.value.code == "DP206"
    for name in ("json", "md", "html", "txt", "files", "overlay"):
        assert name in str(caught.value)
    assert check_formats(["md", " html ", "md"]) == ("md", "html")


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_format_writes_files_and_the_same_bytes_again(tmp_path: Path, name: str) -> None:
    first = export(handmade.everything(), name, tmp_path / "a", REF)
    second = export(handmade.everything(), name, tmp_path / "b", REF)
    assert first
    assert [p.relative_to(tmp_path / "a") for p in first] == [p.relative_to(tmp_path / "b") for p in second]
    for a, b in zip(first, second, strict=True):
        assert a.read_bytes() == b.read_bytes()
        assert a.stat().st_size > 0
    assert not list((tmp_path / "a").rglob("*.part"))


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_folder_that_cannot_be_written_is_dp401(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DocpipeError, match="DP401"):
        export(handmade.everything(), name, tmp_path / "file" / "out", REF)


def test_the_register_loads_no_format_and_no_heavy_library() -> None:
    code = "import sys, docpipe.export; print([m for m in sys.modules if m in ('pymupdf', 'lxml', 'jsonschema_rs')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_plain_text_says_what_the_document_says() -> None:
    said = "".join(plain(handmade.everything()))
    for line in (
        "Water is H2O in most accounts[1] and never else; the pages say so, and are examined here.",
        "- first", "  1. second, one deeper", "\t1 h\t2 h", "Table 1. Yields.", "CC(=O)Oc1ccccc1C(=O)O", "*clefG2",
        "[A cat on a mat]", "    print(x)", "[molecule, not read: no checkpoint is named that reads molecules]",
        "[page 3, not read: it broke]",
    ):  # fmt: skip
        assert line in said.splitlines()
    assert "Journal of Examples" not in said


def test_plain_text_carries_no_escape_sequences_to_a_terminal() -> None:
    said = "".join(plain(handmade.of(handmade.region("paragraph", "a\x1b[2Jb\x9b31mc\x07"))))
    assert said == "a[2Jb31mc\n"


def test_files_of_regions_lie_in_their_folders(tmp_path: Path) -> None:
    written = {str(p.relative_to(tmp_path)) for p in export(handmade.everything(), "files", tmp_path, REF)}
    assert written == {
        "tables/p1.r7.html", "tables/p1.r7.csv", "molecules/p1.r9.smi", "molecules/p1.r9.mol", "scores/p1.r11.krn",
        "crops/p1.r9.png", "crops/p1.r10.png", "crops/p1.r11.png", "crops/p1.r12.png", "crops/p2.r4.png",
    }  # fmt: skip
    assert (tmp_path / "molecules/p1.r9.smi").read_text() == "CC(=O)Oc1ccccc1C(=O)O p1.r9\n"
    assert (tmp_path / "molecules/p1.r9.mol").read_text() == "\n  x\n\nM  END\n"
    assert (tmp_path / "scores/p1.r11.krn").read_text() == handmade.KERN + "\n"
    assert list(csv.reader(io.StringIO((tmp_path / "tables/p1.r7.csv").read_text()))) == [
        ["Solvent", "Yield / %", ""], ["", "1 h", "2 h"], ["Water", "41", "−3.5"]
    ]  # fmt: skip


def test_without_the_source_there_are_no_crops(tmp_path: Path) -> None:
    assert not [p for p in export(handmade.everything(), "files", tmp_path) if p.suffix == ".png"]


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_crop_shows_its_box_upright(tmp_path: Path, turn: int) -> None:
    half = Box(50, 100, 250, 140)  # its left half is black as displayed
    page = handmade.page(handmade.region("picture", PictureContent(), box=half), rotation=turn)
    (path,) = export(handmade.document(page), "files", tmp_path, SourceRef("made.pdf", data=handmade.pdf()))
    image = np.asarray(Image.open(path).convert("L"))
    upright = np.rot90(image, turn // 90)  # anticlockwise: back to how it is displayed
    assert upright.shape[1] > upright.shape[0]
    middle = upright.shape[1] // 2
    assert upright[5:-5, 5 : middle - 5].max() < 60
    assert upright[5:-5, middle + 5 : -5].min() > 200


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/x", "a/b", "..", ".", "", "con\x00", "x" * 400, "a b", "p1.r1."]
)
def test_a_region_id_never_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    document = handmade.of(
        handmade.region("molecule", MoleculeContent(smiles="C"), id=name, box=Box(50, 100, 150, 140))
    )
    for path in export(document, "files", tmp_path / "deep" / "out", REF):
        assert path.resolve().is_relative_to((tmp_path / "deep" / "out").resolve())
        assert path.is_file()


def test_made_up_names_are_kept_apart() -> None:
    assert file_name("p3.r7") == "p3.r7"
    assert len({file_name(x) for x in ("a/b", "a_b", "a b", "../a_b")}) == 4


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"), ("-2+3", "'-2+3"),
        ("-3.5", "-3.5"), ("+1,200", "+1,200"), ("-", "-"), ("-5 %", "-5 %"), ('say "x", y', 'say "x", y'),
    ],
)  # fmt: skip
def test_a_spreadsheet_runs_nothing_from_a_csv(said: str, written: str) -> None:
    assert list(csv.reader(io.StringIO(to_csv(handmade.table([["h"], [said]]))))) == [["h"], [written]]


def test_a_table_file_is_sanitised_html(tmp_path: Path) -> None:
    content = TableContent(
        html='<table onclick="x"><tr><td><script>alert(1)</script>a<img src=x onerror=y></td></tr></table>'
    )
    export(handmade.of(handmade.region("table", content)), "files", tmp_path)
    assert (tmp_path / "tables/p1.r0.html").read_text() == "<table><tbody><tr><td>a</td></tr></tbody></table>\n"


# --- the overlay -------------------------------------------------------------------------------------------


def grey(path: Path, number: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    with pymupdf.open(path) as pdf:
        pixels = pdf[number].get_pixmap(dpi=72, colorspace=pymupdf.csGRAY)
        return np.frombuffer(pixels.samples, np.uint8).reshape(pixels.height, pixels.width)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize(("margin", "corner"), [(0, 0), (30, 0), (30, 25)], ids=["whole", "cropped", "off the origin"])
def test_the_overlay_shows_pages_and_boxes_as_displayed(
    tmp_path: Path, rotation: int, margin: int, corner: int
) -> None:
    regions = handmade.region("picture", PictureContent(), box=Box(50, 100, 150, 140))
    source = SourceRef("made.pdf", data=handmade.pdf(rotation, margin=margin, corner=corner))
    (path,) = export(handmade.of(regions), "overlay", tmp_path, source)
    image = grey(path, 0)
    assert image.shape == (600, 400)
    assert image[104:136, 54:146].max() < 60  # the black box lies where the region's box says
    rest = image.copy()
    rest[85:145, 45:155] = 255
    assert rest.min() > 200


def test_the_overlay_labels_kind_order_and_verdict_and_ends_with_a_legend(tmp_path: Path) -> None:
    (path,) = export(handmade.everything(), "overlay", tmp_path, REF)
    with pymupdf.open(path) as pdf:
        said = [page.get_text() for page in pdf]
        frames = [(d["color"], d["dashes"]) for d in pdf[0].get_drawings() if d["color"] and d["rect"].height > 15]
    assert len(said) == 4  # pages 1 to 3 and the legend: page 4 was left out
    assert "7 table" in said[0]
    assert "10 molecule, unchecked" in said[0]
    assert "6 paragraph, invalid" in said[1]
    assert "page 3: it broke" in said[2]
    assert all(word in said[3] for word in ("Legend", "made.pdf: partial", "verdict: repaired", "molecule", "it broke"))
    dashes = {dash for _, dash in frames}
    assert len(dashes) == 2  # valid and unchecked
    assert len({colour for colour, _ in frames}) > 8


def test_the_overlay_of_an_image_shows_it(tmp_path: Path) -> None:
    regions = handmade.region("picture", PictureContent(), box=Box(50, 100, 150, 140))
    (path,) = export(handmade.of(regions), "overlay", tmp_path, SourceRef("made.png", data=handmade.png()))
    image = grey(path, 0)
    assert image.shape == (600, 400)
    assert image[104:136, 54:146].max() < 60
    assert image[200:, :].min() > 200


def test_the_overlay_shows_what_is_filled_into_a_form(tmp_path: Path) -> None:
    form = pymupdf.open(stream=handmade.pdf())
    field = pymupdf.Widget()
    field.field_name, field.field_type, field.rect = "a", pymupdf.PDF_WIDGET_TYPE_TEXT, pymupdf.Rect(50, 300, 150, 320)
    field.field_value, field.fill_color = "filled in", (0, 0, 0)
    form[0].add_widget(field)
    (path,) = export(handmade.of(), "overlay", tmp_path, SourceRef("form.pdf", data=form.tobytes()))
    assert grey(path, 0)[300:320, 50:150].min() < 60


def test_the_overlay_needs_its_source(tmp_path: Path) -> None:
    with pytest.raises(DocpipeError, match="DP107"):
        export(handmade.everything(), "overlay", tmp_path)


def test_the_overlay_bears_boxes_outside_the_page_and_pages_the_source_lacks(tmp_path: Path) -> None:
    odd = [
        handmade.region("picture", PictureContent(), i, box=box)
        for i, box in enumerate(
            (Box(-50, -50, 900, 900), Box(9, 9, 9, 9), Box(20, 20, 10, 10), Box(390, 590, 399, 599))
        )
    ]
    document = handmade.document(handmade.page(*odd), Page(number=2, width=1.0, height=1.0), handmade.page(number=9))
    (path,) = export(document, "overlay", tmp_path, SourceRef("made.pdf", data=handmade.pdf()))
    with pymupdf.open(path) as pdf:
        assert pdf.page_count == 4
