"""Drawn molecules: the same for a seed, their truth is what they show, and no validation molecule is trained on."""

from __future__ import annotations

import dataclasses
import random
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from docpipe.train.domains.molecules import LABELS, VOCABULARY, Molecules, sample_of, score, tokenize
from docpipe.train.synth.molecules import drawn, molecules, random_style, renumbered
from docpipe.train.synth.smiles_pool import Pool, flat, is_held_out, read_smiles

SMILES = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "C[C@H](N)C(=O)O",
    "OC(=O)/C=C/c1ccc(Cl)cc1",
    "C[N+](C)(C)CCO",
    "[O-][N+](=O)c1ccc(Br)cc1S(N)(=O)=O",
    "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O",
    "O=C1CC2CCC1(C)C2(C)C",
    "FC(F)(F)c1cc(I)ccc1C#N",
    "CCOP(=O)(OCC)OCC",
    "C1CC1NC(=O)c1cccnc1",
    "OB(O)c1ccsc1",
]


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    file = tmp_path / "some.smi"
    file.write_text("".join(f"{s} name{i}\n" for i, s in enumerate(SMILES)))
    return file


def test_lists_are_read_from_files_and_folders(lists: Path) -> None:
    assert read_smiles([lists]) == read_smiles([lists.parent]) == SMILES


def test_same_seed_draws_the_same_and_a_later_start_goes_on_with_it() -> None:
    pool = Pool(SMILES, 3, 14)
    whole = list(islice(molecules(pool, 7, side=128), 6))
    later = list(islice(molecules(pool, 7, 3, side=128), 3))
    other = next(molecules(pool, 8, side=128))
    for first, second in zip(whole[3:], later, strict=True):
        assert first.written == second.written
        assert np.array_equal(first.pixels, second.pixels)
    assert not np.array_equal(other.pixels, whole[0].pixels)


def test_the_written_smiles_is_the_molecule_that_is_drawn() -> None:
    for drawing in islice(molecules(Pool(SMILES, 3, 16), 1, side=192), 40):
        read = Chem.MolFromSmiles(drawing.written)
        assert Chem.MolToSmiles(read) == drawing.smiles
        assert sorted(drawing.order) == list(range(len(drawing.labels)))
        # Atom by atom: what is written at a place is the element that is drawn there.
        written = [a.GetSymbol() for a in read.GetAtoms()]
        assert written == [drawing.labels[i].rstrip("+-") for i in drawing.order]
        assert "c" not in drawing.written.replace("Sc", "").replace("Cl", "").replace("Br", "")


def test_writing_starts_at_the_left_and_places_lie_on_the_drawing() -> None:
    for drawing in islice(molecules(Pool(SMILES, 5, 16), 2, side=192, noise=0.0), 20):
        ranks = drawing.places[:, 0] + 0.31 * drawing.places[:, 1]
        assert drawing.order[0] == int(ranks.argmin())
        assert drawing.places.min() >= 0
        assert drawing.places.max() < 192
        dark = np.argwhere(drawing.pixels < 200)[:, ::-1]
        for place in drawing.places:
            assert np.abs(dark - place).max(axis=1).min() < 8


def test_stereo_is_written_as_drawn() -> None:
    drawings = list(islice(molecules(Pool(["C[C@H](F)C(=O)Oc1ccccc1"], 12, 12, native=1.0), 3, side=192), 12))
    assert {d.smiles for d in drawings} == {"C[C@H](F)C(=O)Oc1ccccc1"}
    assert {"@@" in d.written for d in drawings} == {True, False}  # by the order of writing, for one molecule
    assert all(any(stereo for *_, stereo in d.bonds) for d in drawings)


def test_an_open_double_bond_takes_the_shape_that_is_drawn() -> None:
    pool = Pool(["CC=CC(C)(C)O"], 7, 7, native=1.0, held_out=is_held_out("CC=CC(C)(C)O"))
    assert next(molecules(pool, 1, side=160)).smiles in ("C/C=C/C(C)(C)O", "C/C=C\\C(C)(C)O")


def test_training_and_validation_share_no_molecule(lists: Path) -> None:
    domain = Molecules(128, 3, 12, smiles=[str(lists)])
    trained = {flat(Chem.MolFromSmiles(s.truth)) for s in islice(domain.stream(1), 40)}
    kept = {flat(Chem.MolFromSmiles(s.truth)) for s in domain.validation(5)["held_out"]}
    assert kept
    assert not any(is_held_out(s) for s in trained)
    assert all(is_held_out(s) for s in kept)


@pytest.mark.parametrize(
    ("smiles", "tokens"),
    [
        ("ClC[C@@H](Br)C", "Cl C [ C @@ H ] ( Br ) C"),
        ("[13CH4]", "[ 1 3 C H 4 ]"),
        ("C[Se-].[Na+]", "C [ Se - ] . [ Na + ]"),
        ("F/C=C\\I", "F / C = C \\ I"),
        ("CSc1ccco1", "C S c 1 c c c o 1"),
    ],
)
def test_tokens(smiles: str, tokens: str) -> None:
    assert [token for token, _ in tokenize(smiles)] == tokens.split()


def test_a_character_outside_the_vocabulary_is_an_error() -> None:
    with pytest.raises(ValueError, match="not in the vocabulary"):
        tokenize("C!C")


def test_vocabulary_is_closed_and_has_room() -> None:
    assert len(VOCABULARY) == len(set(VOCABULARY)) == 250
    assert {"@", "@@", "/", "\\", "[", "]", "+", "-", "%", "Pt", "H"} <= set(VOCABULARY)
    assert sum(token.startswith("<free") for token in VOCABULARY) >= 40


def test_points_and_marks_lie_where_the_tokens_are_read() -> None:
    drawing = next(molecules(Pool(["CCO"], 3, 3, native=1.0), 1, side=128))
    sample = sample_of(drawing)
    atoms = [i for i, token in enumerate(sample.target) if token in ("C", "O")]
    assert np.array_equal(sample.points[atoms], drawing.places[list(drawing.order)])
    oxygen = drawing.places[drawing.labels.index("O")]
    assert (float(oxygen[0]), float(oxygen[1]), LABELS.index("O")) in sample.marks
    assert sum(LABELS[label] == "middle1" for *_, label in sample.marks) == 2


def test_score_tells_exact_flat_and_valid_apart(lists: Path) -> None:
    sample = next(Molecules(128, 3, 12, smiles=[str(lists)]).stream(1))
    truth = sample.truth
    mine = score([sample] * 4, [truth, "C(", "", "CCCCCCCCCCC"])
    assert mine["exact"] == 0.25
    assert mine["valid"] == 0.5
    chiral = next(molecules(Pool(["C[C@H](F)C(=O)Oc1ccccc1"], 12, 12, native=1.0), 3, side=192))
    wrong = chiral.smiles.replace("@", "@@") if "@@" not in chiral.smiles else chiral.smiles.replace("@@", "@")
    assert score([sample_of(chiral)], [wrong])["exact"] == 0.0
    assert score([sample_of(chiral)], [wrong])["exact_flat"] == 1.0


def test_indigo_draws_the_same_molecule_with_atoms_where_it_says() -> None:
    """The skeleton found by correlation: every atom without a label lies on a line, those with one on its letters."""
    rng = random.Random(1)
    made = []
    while len(made) < 10:
        style = dataclasses.replace(random_style(rng, ("",), (16.0, 22.0)), renderer="indigo", scan=False, enlarged=1)
        drawing = drawn(Chem.MolFromSmiles(rng.choice(SMILES)), style, 200, rng, noise=0.0)
        if drawing is not None:
            made.append(drawing)
    for drawing in made:
        dark = np.argwhere(drawing.pixels < 215)[:, ::-1]
        nearest = np.array([np.abs(dark - place).max(axis=1).min() for place in drawing.places])
        assert np.median(nearest) <= 1.5
        assert nearest.max() < 6
        assert Chem.MolToSmiles(Chem.MolFromSmiles(drawing.written)) == drawing.smiles


def test_renumbered_atoms_forget_what_names_others_by_their_old_numbers() -> None:
    """RDKit leaves such a number as it was; where it names no atom, writing SMILES in a given order crashes."""
    mol = Chem.MolFromSmiles("C[C@@H]1CC[C@@](C)(O)[C@@H](O)[C@H]1O")
    truth = Chem.MolToSmiles(mol)
    for atom in mol.GetAtoms():
        if atom.GetChiralTag() != Chem.ChiralType.CHI_UNSPECIFIED:
            atom.SetIntProp("_ringStereoOtherAtom", 1)
    turned = renumbered(mol, range(mol.GetNumAtoms() - 1, -1, -1))
    assert not any(atom.HasProp("_ringStereoOtherAtom") for atom in turned.GetAtoms())
    assert Chem.MolToSmiles(Chem.MolFromSmiles(Chem.MolToSmiles(turned, canonical=False))) == truth
