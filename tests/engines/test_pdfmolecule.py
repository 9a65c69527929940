"""Molecules read from the paths of a PDF: those of the sample, drawings of two other programs, and what is none."""

from __future__ import annotations

import json
from pathlib import Path

import pymupdf
import pytest
from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D

import docpipe
from docpipe.box import Box
from docpipe.document import MoleculeContent, Page, Region
from docpipe.engines.atom_labels import Atom, Label, atom_of, put_together
from docpipe.engines.base import Answer, Request
from docpipe.engines.pdfmolecule import PdfMoleculeEngine
from docpipe.sheet import Sheet, open_page
from docpipe.source import SourceRef
from docpipe.tasks import get_task

SAMPLES = Path(__file__).parents[2] / "samples"


def answer(path: Path, page: int = 1, box: Box | None = None) -> Answer:
    ref = SourceRef(path.name, str(path))
    source = open_page(ref, page)
    sheet = Sheet(Page(number=page, width=source.width, height=source.height), ref)
    region = Region(id=f"p{page}.r1", kind="molecule", box=box or source.box)
    (said,) = PdfMoleculeEngine().read([Request(get_task("molecule"), sheet, region)])
    assert said.error is None
    return said


def smiles(said: Answer) -> str:
    assert isinstance(said.content, MoleculeContent), said.reason
    return said.content.smiles


def by_rdkit(folder: Path, drawn: str, *, more: str = "", **options: object) -> Path:
    """RDKit's drawing as a PDF. more: SVG drawn over it."""
    drawer = rdMolDraw2D.MolDraw2DSVG(400, 300)
    for name, value in options.items():
        setattr(drawer.drawOptions(), name, value)
    drawer.DrawMolecule(Chem.MolFromSmiles(drawn))
    drawer.FinishDrawing()
    svg = drawer.GetDrawingText().replace("</svg>", more + "</svg>")
    path = folder / "drawn.pdf"
    with pymupdf.open(stream=svg.encode(), filetype="svg") as made:
        path.write_bytes(made.convert_to_pdf())
    return path


MOLECULES = json.loads((SAMPLES / "truth" / "mixed.json").read_text())["molecules"]


@pytest.mark.parametrize("molecule", MOLECULES, ids=lambda m: m["number"])
def test_the_molecules_of_the_sample(molecule: dict[str, object]) -> None:
    said = answer(SAMPLES / "mixed.pdf", molecule["page"], Box(*molecule["box"]))
    assert smiles(said) == Chem.CanonSmiles(molecule["smiles"])
    assert said.confidence is not None
    assert said.confidence > 0.9


@pytest.mark.parametrize(
    "drawn",
    [
        "CC#CCN",
        "C=C=CC(F)(Cl)Br",
        "O=[N+]([O-])c1ccc(S(=O)(=O)N)cc1",
        "C[C@H](O)[C@@H](N)C(=O)O",
        "C/C=C\\C(=O)N1CCC[C@@H]1c1cc2[nH]ccc2s1",
        "[2H]C1(O)CCCC1",
        "C[N+](C)(C)CC(=O)[O-]",
        "N=c1[nH]ncs1",
        "C/C=C/[C@H](O)CC",
    ],
)
@pytest.mark.parametrize("look", [{}, {"rotate": 33, "bondLineWidth": 3}, {"explicitMethyl": True}], ids=str)
def test_drawings_by_rdkit(drawn: str, look: dict[str, object], tmp_path: Path) -> None:
    assert smiles(answer(by_rdkit(tmp_path, drawn, **look))) == Chem.CanonSmiles(drawn)


@pytest.mark.parametrize("coloured", [True, False])
def test_drawings_by_indigo_with_circles_and_wedges(coloured: bool, tmp_path: Path) -> None:
    from indigo import Indigo
    from indigo.renderer import IndigoRenderer

    indigo = Indigo()
    renderer = IndigoRenderer(indigo)
    indigo.setOption("render-output-format", "pdf")
    indigo.setOption("render-coloring", coloured)
    drawn = "c1ccc2cc(ccc2c1)[C@@H](O)CC#N"
    mol = indigo.loadMolecule(drawn)
    mol.layout()
    path = tmp_path / "drawn.pdf"
    path.write_bytes(bytes(renderer.renderToBuffer(mol)))
    assert smiles(answer(path)) == Chem.CanonSmiles(drawn)


def test_lines_that_are_filled_and_letters_with_an_edge_of_their_own_colour(tmp_path: Path) -> None:
    """As SVG of Open Babel comes out of converters: a line has a fill, and a contour is drawn around each letter."""
    with pymupdf.open() as made:
        page = made.new_page(width=120, height=90)
        shape = page.new_shape()
        for a, b in (((30, 20), (40, 37)), ((40, 35.5), (66, 35.5)), ((40, 38.5), (66, 38.5)), ((66, 37), (76, 54))):
            shape.draw_line(a, b)
            shape.finish(color=(0, 0, 0), fill=(0, 0, 0), width=0.6, closePath=False)
        shape.commit()
        for x, y in ((17, 17), (74, 66)):
            page.insert_text((x, y), "Cl", fontsize=11)
            contour = page.new_shape()
            for k in range(6):
                contour.draw_bezier((x + k, y), (x + k, y - 8), (x + k + 1, y - 8), (x + k + 1, y))
            contour.finish(color=(0, 0.9, 0), width=0.6, closePath=False)
            contour.commit()
        made.save(tmp_path / "drawn.pdf")
    assert smiles(answer(tmp_path / "drawn.pdf")) == Chem.CanonSmiles("Cl/C=C/Cl")


def test_words_in_the_text_layer_are_labels(tmp_path: Path) -> None:
    with pymupdf.open() as made:
        page = made.new_page(width=120, height=80)
        page.draw_line((30, 40), (50, 40))
        page.draw_line((50, 40), (60, 57.3))
        page.insert_text((57, 67), "CO", fontsize=10)
        page.insert_text((72, 69), "2", fontsize=6)
        page.insert_text((75.5, 67), "Et", fontsize=10)
        made.save(tmp_path / "drawn.pdf")
    assert (
        smiles(answer(tmp_path / "drawn.pdf")) == "CCC(=O)OCC" or smiles(answer(tmp_path / "drawn.pdf")) == "CCOC(=O)CC"
    )


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ('<path d="M 20 20 C 40 60 80 10 120 40" stroke="black" fill="none"/>', "strokes that are no bonds"),
        ('<path d="M 10 10 L 380 290" stroke="black" stroke-width="20" fill="none"/>', "strokes that are no bonds"),
        ('<path d="M 300 250 L 340 250 M 340 250 L 360 285" stroke="black" fill="none"/>', "several structures"),
    ],
)
def test_a_drawing_with_more_in_it_than_a_molecule_is_left_to_others(more: str, reason: str, tmp_path: Path) -> None:
    said = answer(by_rdkit(tmp_path, "c1ccccc1CCO", more=more))
    assert said.content is None
    assert reason in (said.reason or "")


def test_a_label_that_may_be_anything_is_no_atom(tmp_path: Path) -> None:
    with pymupdf.open() as made:
        page = made.new_page(width=120, height=80)
        page.draw_line((30, 40), (50, 40))
        page.insert_text((53, 43), "R", fontsize=10)
        made.save(tmp_path / "drawn.pdf")
    said = answer(tmp_path / "drawn.pdf")
    assert said.content is None
    assert "names no atom: R" in (said.reason or "")


def test_pixels_are_left_to_others() -> None:
    said = answer(SAMPLES / "mixed_scan.pdf", 2)
    assert said.content is None
    assert said.reason


def test_text_and_tables_are_no_molecules() -> None:
    said = answer(SAMPLES / "report.pdf", 5)
    assert said.content is None


def test_the_default_pipeline_reads_them() -> None:
    document = docpipe.convert(SAMPLES / "mixed.pdf", pages="2")
    said = {m.smiles for m in document.molecules}
    assert {Chem.CanonSmiles(m["smiles"]) for m in MOLECULES} <= said


@pytest.mark.parametrize(
    ("text", "atom"),
    [
        ("N", Atom("N")),
        ("H2N", Atom("N", hydrogens=2)),
        ("NH₂", Atom("N", hydrogens=2)),
        ("O−", Atom("O", -1)),
        ("NH+", Atom("N", 1, 1)),
        ("0H", Atom("O", hydrogens=1)),
        ("CI", Atom("Cl")),
        ("CH3", Atom("C", hydrogens=3)),
        ("Me", Atom("C", hydrogens=3)),
        ("D", Atom("D")),
        ("R1", None),
        ("Ar", None),
        ("HNH", None),
        ("", None),
    ],
)
def test_what_a_label_stands_for(text: str, atom: Atom | None) -> None:
    assert atom_of(text) == atom


def test_groups_are_known_from_either_side() -> None:
    one, other = atom_of("OMe"), atom_of("MeO")
    assert one is not None
    assert one.group is not None
    assert one == other


def test_an_h_above_or_below_belongs_to_its_atom() -> None:
    n, h = Label("N", Box(10, 10, 17, 18), 10), Label("H", Box(10, 20, 17, 28), 10)
    assert [one.text for one in put_together([n, h])] == ["NH"]
    far = Label("H", Box(10, 30, 17, 38), 10)
    assert [one.text for one in put_together([n, far])] == ["N", "H"]
