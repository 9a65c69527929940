"""OSRA: its output is parsed, its answers are judged, and what is doubtful is not asserted."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rdkit import Chem
from rdkit.Chem import AllChem
from rdkit.Chem.Draw import rdMolDraw2D
from rdkit.Geometry import Point2D

from docpipe.document import Box, MoleculeContent, Page, Region
from docpipe.engines import osra
from docpipe.engines.base import Request
from docpipe.engines.catalogue import engine, engine_names
from docpipe.engines.osra import Evidence, OsraEngine, confidence, judged, parse, scales, sized
from docpipe.engines.redraw import likeness
from docpipe.errors import DocpipeError
from docpipe.pipeline import read_pipeline
from docpipe.sheet import Sheet
from docpipe.source import open_source
from docpipe.tasks import get_task

needs_osra = pytest.mark.skipif(not osra.installed(), reason="the osra program is not installed")


def drawn(smiles: str, bond: float = 60.0) -> tuple[Image.Image, Chem.Mol]:
    """A drawing of `bond` pixels a bond with its molecule, placed as it is drawn."""
    mol = Chem.MolFromSmiles(smiles)
    AllChem.Compute2DCoords(mol)
    shown = rdMolDraw2D.PrepareMolForDrawing(mol)
    at = shown.GetConformer().GetPositions()
    width, height = (float(length) / 1.5 * bond + 120 for length in np.ptp(at, axis=0)[:2])
    drawer = rdMolDraw2D.MolDraw2DCairo(int(width), int(height))
    drawer.drawOptions().padding = 0.0
    low, high = at.min(axis=0) - 60 / bond * 1.5, at.max(axis=0) + 60 / bond * 1.5
    drawer.SetScale(int(width), int(height), Point2D(*low[:2].tolist()), Point2D(*high[:2].tolist()))
    drawer.drawOptions().bondLineWidth = 3
    drawer.drawOptions().fixedFontSize = 30
    drawer.drawOptions().prepareMolsBeforeDrawing = False
    drawer.drawOptions().useBWAtomPalette()
    drawer.DrawMolecule(shown)
    drawer.FinishDrawing()
    return Image.open(io.BytesIO(drawer.GetDrawingText())).convert("L"), shown


def record(mol: Chem.Mol, estimate: float, size: int = 2, bond: float = 60.0) -> str:
    """One structure as OSRA writes it with --learn -f sdf -p -b."""
    return (
        f"{Chem.MolToMolBlock(mol)}>  <Confidence_estimate>\n{estimate}\n\n>  <Confidence_parameters>\n1,2,3\n\n"
        f">  <Resolution_iteration>\n{size}\n\n>  <Average_bond_length>\n{bond}\n\n>  <Resolution>\n300\n\n$$$$\n"
    )


def request(image: Image.Image, folder: Path) -> Request:
    path = folder / f"{zlib.crc32(image.tobytes())}.png"
    image.save(path)
    with open_source(path) as source:
        page = source.page(1)
        sheet = Sheet(Page(number=1, width=page.width, height=page.height), source.ref)
    region = Region(id="p1.r1", kind="molecule", box=Box(0, 0, page.width, page.height))
    return Request(get_task("molecule"), sheet, region)


def test_every_structure_of_the_output_is_parsed_with_its_figures():
    first, second = drawn("CC(=O)Oc1ccccc1C(=O)O")[1], drawn("CCN")[1]
    found = parse(record(first, 4.25, 3, 61.5) + record(second, -0.5))
    assert [one.smiles for one in found] == ["CC(=O)Oc1ccccc1C(=O)O", "CCN"]
    assert (found[0].estimate, found[0].bond, found[0].size) == (4.25, 61.5, "3")
    assert parse("") == []


def test_an_impossible_valence_and_a_cut_record_are_left_out():
    good = record(drawn("CCN")[1], 1.0)
    five = Chem.MolFromSmiles("CC(C)(C)(C)C", sanitize=False)
    AllChem.Compute2DCoords(five)
    assert [one.smiles for one in parse(record(five, 9.0) + good + good[:120])] == ["CCN"]


def test_an_unread_label_is_an_open_atom_and_loses_to_a_whole_reading():
    image, mol = drawn("CCOc1ccccc1")
    open_one = drawn("*Oc1ccccc1")[1]
    found = parse(record(open_one, 8.0) + record(mol, 2.0))
    assert [one.open_atoms for one in found] == [1, 0]
    chosen = judged(image, [(found, 1.0)])
    assert chosen is not None
    assert chosen[0].smiles == "CCOc1ccccc1"


def test_the_hydrogen_of_an_imine_is_no_configuration():
    block = Chem.MolToMolBlock(drawn("[H]/N=C(/C)c1ccccc1")[1])
    assert "[H]" not in parse(block + record(drawn("C")[1], 1.0).partition("M  END\n")[2])[0].smiles


def test_a_molecule_looks_like_its_own_drawing_and_not_like_one_with_less():
    image, mol = drawn("CCOC(=O)c1ccc(N)cc1")
    own = likeness(mol, image, 60.0)
    assert own is not None
    assert own.explained > 0.95
    assert own.unexplained < 0.6
    less = Chem.RWMol(mol)
    less.RemoveAtom(next(a.GetIdx() for a in mol.GetAtoms() if a.GetSymbol() == "N"))
    missed = likeness(less.GetMol(), image, 60.0)
    assert missed is not None
    assert missed.unexplained > own.unexplained + 0.5
    assert missed.explained < own.explained
    more = likeness(mol, drawn(Chem.MolToSmiles(less))[0], 60.0)
    assert more is not None
    assert more.unconfirmed > own.unconfirmed + 0.3


def test_likeness_does_not_hang_on_the_size_of_the_crop():
    image, mol = drawn("CCOC(=O)c1ccc(N)cc1")
    small = image.resize((image.width // 2, image.height // 2))
    half, whole = likeness(mol, small, 30.0), likeness(mol, image, 60.0)
    assert half is not None
    assert whole is not None
    assert abs(half.explained - whole.explained) < 0.06
    assert likeness(mol, Image.new("L", (300, 200), 255), 60.0) is None


def test_two_sizes_that_agree_make_it_surer_and_one_alone_is_doubtful():
    image, mol = drawn("CC(=O)Oc1ccccc1C(=O)O")
    same, other = parse(record(mol, 4.0)), parse(record(drawn("CC(=O)Oc1ccccc1C(=O)N")[1], 3.0))
    agreed, alone, against = (judged(image, [(same, 1.0), (second, 1.0)]) for second in (same, [], other))
    assert agreed is not None
    assert alone is not None
    assert against is not None
    assert (agreed[1].agrees, alone[1].agrees, against[1].agrees) == (1.0, 0.0, 0.0)
    assert confidence(agreed[1]) > 0.9
    assert max(confidence(alone[1]), confidence(against[1])) < osra.LEAST


def test_what_speaks_against_a_reading_lowers_its_confidence():
    good = Evidence(3.0, 1.0, 0.97, 0.3, 0.0, 0.0, 0.0)
    assert confidence(good) > osra.LEAST
    for doubt in (
        {"agrees": 0.0, "explained": 0.6},
        {"open_atoms": 1.0},
        {"odd_atoms": 1.0},
        {"half_stereo": 1.0},
        {"explained": 0.5, "agrees": 0.0},
    ):
        assert confidence(good._replace(**doubt)) < confidence(good)
    assert confidence(good._replace(open_atoms=1.0)) < osra.LEAST


def test_crops_are_brought_to_the_size_that_osra_reads():
    assert scales(66.0, 900)[0] == 1.0
    assert scales(150.0, 2000)[0] == pytest.approx(0.6)
    assert scales(25.0, 300)[0] == pytest.approx(2.64)
    assert all(first != second for first, second in (scales(b, 900) for b in (25.0, 66.0, 95.0, 150.0)))
    assert max(scales(66.0, 16000)) <= 0.25
    line = Image.fromarray(np.where(np.arange(400)[None] % 400 == 200, 0, 255).astype(np.uint8).repeat(300, 0))
    assert np.asarray(sized(line, 0.6)).min() == 0  # a line of one pixel stays black


def test_without_the_program_it_is_left_out(monkeypatch):
    monkeypatch.setenv("PATH", "")
    osra.installed.cache_clear()
    try:
        assert not OsraEngine().can_read(get_task("molecule"))
    finally:
        monkeypatch.undo()
        osra.installed.cache_clear()


def test_it_stands_before_nano_in_the_pipelines_that_read_molecules():
    assert "osra" in engine_names()
    assert isinstance(engine("osra", least=0.9), OsraEngine)
    for name in ("default", "chemistry"):
        reading = next(stage for stage in read_pipeline(name).stage if stage.use == "recognize")
        assert reading.settings["engines"]["molecule"] == ["pdfmolecule", "imagemolecule", "osra", "paligemma"]


def test_a_program_that_fails_or_hangs_is_an_error_with_a_code(monkeypatch, tmp_path):
    program = tmp_path / "osra"
    image = drawn("CCOc1ccccc1")[0]
    monkeypatch.setattr(osra, "PROGRAM", str(program))
    program.write_text("#!/bin/sh\necho 'no such luck' >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(DocpipeError, match="no such luck") as failed:
        osra.run(image)
    assert failed.value.code == "DP640"
    answer = next(iter(OsraEngine().read([request(image, tmp_path)])))
    assert answer.error is not None
    assert answer.error.code == "DP640"
    program.write_text("#!/bin/sh\nexec sleep 20\n")
    with pytest.raises(DocpipeError) as late:
        osra.run(image, 0.2)
    assert late.value.code == "DP641"


def test_a_doubtful_reading_and_a_blank_crop_are_abstentions(monkeypatch, tmp_path):
    image, _ = drawn("CC(=O)Oc1ccccc1C(=O)O")
    monkeypatch.setattr(osra, "run", lambda _picture, _deadline: record(drawn("CCCCCCN")[1], 0.1))
    answer = next(iter(OsraEngine().read([request(image, tmp_path)])))
    assert answer.content is None
    assert answer.error is None
    assert answer.confidence is not None
    assert answer.confidence < osra.LEAST
    assert answer.reason is not None
    assert "not sure enough" in answer.reason
    blank = next(iter(OsraEngine().read([request(Image.new("L", (300, 200), 255), tmp_path)])))
    assert (blank.content, blank.reason) == (None, "the crop is blank")


def test_where_osra_sees_nothing_it_is_asked_once(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(osra, "run", lambda picture, _deadline: asked.append(picture.size) or "")
    answer = next(iter(OsraEngine().read([request(drawn("CCOc1ccccc1")[0], tmp_path)])))
    assert (answer.content, answer.error) == (None, None)
    assert answer.reason == "OSRA found no structure that RDKit accepts"
    assert len(asked) == 1


@needs_osra
def test_a_clean_drawing_is_read(tmp_path):
    image, _ = drawn("CC(=O)Oc1ccccc1C(=O)O")
    first, second = (next(iter(OsraEngine().read([request(image, tmp_path)]))) for _ in range(2))
    assert isinstance(first.content, MoleculeContent)
    assert first.content.smiles == "CC(=O)Oc1ccccc1C(=O)O"
    assert first.confidence is not None
    assert first.confidence >= osra.LEAST
    assert first.origin.digest == osra.digest("osra")
    assert len(first.origin.digest) == 64
    assert first == second
