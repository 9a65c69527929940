"""The check of molecules: canonical forms, the reason for each refusal, notes that leave a molecule valid."""

from __future__ import annotations

import gzip
import os
import random
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from docpipe.checks import Checked
from docpipe.checks.smiles import check_molecule
from docpipe.document import MoleculeContent, PictureContent


def checked(smiles: str) -> Checked:
    return check_molecule(MoleculeContent(smiles=smiles))


def test_every_spelling_gives_the_same_content() -> None:
    first, verdict = checked("OC(=O)C1=CC=CC=C1OC(C)=O")
    second, _ = checked("CC(=O)Oc1ccccc1C(O)=O")
    assert verdict.status == "valid"
    assert verdict.findings == ()
    assert first == second
    assert isinstance(first, MoleculeContent)
    assert first.smiles == "CC(=O)Oc1ccccc1C(=O)O"
    assert first.formula == "C9H8O4"
    assert first.inchikey == "BSYNRYMUTXBXSQ-UHFFFAOYSA-N"
    assert first.inchi is not None
    assert first.inchi.startswith("InChI=1S/C9H8O4/")


def test_the_molblock_holds_the_molecule_with_its_stereo_and_coordinates() -> None:
    from rdkit import Chem

    content, _ = checked("C[C@H](N)C(=O)O")
    assert isinstance(content, MoleculeContent)
    mol = Chem.MolFromMolBlock(content.molblock or "")
    assert Chem.MolToSmiles(mol) == content.smiles == "C[C@H](N)C(=O)O"
    places = mol.GetConformer().GetPositions()
    assert abs(places[:, :2]).max() > 1
    assert checked("C[C@H](N)C(=O)O") == checked("OC(=O)[C@@H](N)C")


@pytest.mark.parametrize(
    ("smiles", "code", "where"),
    [
        ("", "molecule.empty", None),
        ("  \n", "molecule.empty", None),
        ("CC(C)(C)(C)C", "molecule.valence", "atom 2 (C)"),
        ("CN(C)(C)C", "molecule.valence", "atom 2 (N)"),
        ("c1cccc1", "molecule.aromatic", None),
        ("C1CC", "molecule.syntax", "1"),
        ("CC(C", "molecule.syntax", None),
        ("CC)C", "molecule.syntax", "character 3"),
        ("C[NH", "molecule.syntax", None),
        ("c1ccccc1[Ph]", "molecule.abbreviation", "character 9"),
        ("C[R1]", "molecule.abbreviation", "character 2"),
        ("C%%C", "molecule.syntax", None),
        ("C" * 5000, "molecule.too-large", None),
        ("C" * 1200, "molecule.too-large", None),
    ],
)
def test_what_is_no_molecule_is_invalid_and_says_why(smiles: str, code: str, where: str | None) -> None:
    content, verdict = checked(smiles)
    assert verdict.status == "invalid"
    found = [finding for finding in verdict.findings if finding.code == code]
    assert found, verdict.findings
    assert where is None or where in [finding.where for finding in found]
    assert isinstance(content, MoleculeContent)
    assert content.inchi is None


@pytest.mark.parametrize(
    ("smiles", "code"),
    [
        ("CC(=O)[O-].[Na+]", "molecule.fragments"),
        ("*c1ccccc1", "molecule.dummy"),
        ("[CH2]C", "molecule.radical"),
        ("C[N+](C)(C)C", "molecule.charge"),
        ("CC(N)C(=O)O", "molecule.stereo-open"),
        ("CC=CC", "molecule.stereo-open"),
    ],
)
def test_what_a_drawing_may_show_is_noted_and_valid(smiles: str, code: str) -> None:
    _, verdict = checked(smiles)
    assert verdict.status == "valid"
    assert code in {finding.code for finding in verdict.findings}


def test_given_stereo_is_not_called_open() -> None:
    for smiles in ("C[C@H](N)C(=O)O", "C/C=C/C", "CC(C)C"):
        assert checked(smiles).verdict.findings == ()


def test_text_around_the_smiles_is_cut_off_and_kept_in_the_verdict() -> None:
    content, verdict = checked(" OCC ethanol\n")
    assert isinstance(content, MoleculeContent)
    assert (verdict.status, content.smiles, verdict.original) == ("repaired", "CCO", " OCC ethanol\n")


class Crop:
    def __init__(self, image: Image.Image) -> None:
        self.image = image


def test_a_molecule_read_from_a_blank_crop_is_invalid() -> None:
    blank = Image.new("RGB", (200, 200), "white")
    assert check_molecule(MoleculeContent(smiles="CCO"), Crop(blank)).verdict.status == "invalid"
    ImageDraw.Draw(blank).line([(20, 20), (100, 60), (180, 20)], fill="black", width=2)
    assert check_molecule(MoleculeContent(smiles="CCO"), Crop(blank)).verdict.status == "valid"


def test_a_picture_in_place_of_a_molecule_passes_unjudged() -> None:
    picture = PictureContent(figure="molecule")
    content, verdict = check_molecule(picture)
    assert (content, verdict.status) == (picture, "unchecked")


def test_rdkit_says_nothing_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    for smiles in ("c1cccc1", "CC(C)(C)(C)C", "C1CC", "[Ph]", "[Na]C"):
        checked(smiles)
    assert capfd.readouterr() == ("", "")


DATA = os.environ.get("DOCPIPE_BENCH_DATA")


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="DOCPIPE_BENCH_DATA is not set")
@pytest.mark.parametrize("name", ["chembl-5thresh", "pubchem-substances", "rdkit-znp-natural-products"])
def test_real_molecules_are_valid_and_judged_the_same_again(name: str) -> None:
    with gzip.open(Path(DATA or "") / "smiles" / f"{name}.smi.gz", "rt") as lines:
        sample = random.Random(0).sample(lines.read().splitlines(), 300)
    for line in sample:
        first, verdict = checked(line.split()[0])
        assert verdict.status == "valid", (line, verdict.findings)
        assert isinstance(first, MoleculeContent)
        assert check_molecule(first).content == first
