"""Groups as letters, circles, dashes, stereo and wear: what is drawn is what is written, and none of it by default."""

from __future__ import annotations

import dataclasses
import random
from itertools import islice

import numpy as np
import pytest
from rdkit import Chem

from docpipe.notation.groups import GROUPS, expand, token
from docpipe.tasks import get_task
from docpipe.train.domains.molecules import LABELS, VOCABULARY, sample_of, score, tokenize
from docpipe.train.recipe import read_recipe
from docpipe.train.synth.condense import condensed, groups_in, tokens_of
from docpipe.train.synth.habits import PLAIN, Habits, captioned, sheared, with_stereo, worn
from docpipe.train.synth.molecules import Drawing, drawn, molecules, random_style
from docpipe.train.synth.smiles_pool import Pool

SMILES = [
    "COC(=O)c1ccc(OC)c(N(C)C)c1",
    "CC(C)(C)OC(=O)N1CCN(CC1)c1ccccc1C#N",
    "FC(F)(F)c1ccc(cc1)S(=O)(=O)NC(C)=O",
    "C[C@H](N)C(=O)OCc1ccccc1",
    "Cc1ccc(cc1)S(=O)(=O)OCC1CCCC1O",
    "[O-][N+](=O)c1ccc(Br)cc1C=O",
    "OC(=O)C(O)C(N)Cc1c[nH]c2ccccc12",
]


def draw(smiles: str, habits: Habits, seed: int = 1, renderer: str = "rdkit", rotation: float = 0.0) -> Drawing:
    rng = random.Random(seed)
    while True:
        style = dataclasses.replace(random_style(rng, ("",), (16.0, 18.0)), scan=False, enlarged=1, renderer=renderer)
        style = dataclasses.replace(style, habits=habits, rotation=rotation, colour=False, atom_numbers=False)
        made = drawn(Chem.MolFromSmiles(smiles), style, 224, rng, noise=0.0)
        if made is not None:
            return made


def test_every_group_is_a_molecule_of_its_own_and_reads_anywhere() -> None:
    seen = set()
    for number, group in enumerate(GROUPS):
        middle = "F" + token(number) + "Cl"
        assert Chem.MolFromSmiles(expand(token(number) + "C1CC1")) is not None
        assert Chem.MolFromSmiles(expand("C1CC(" + token(number) + ")C1")) is not None
        if group.bonds == 2:
            assert Chem.MolFromSmiles(expand(middle)) is not None
        one = Chem.MolFromSmiles("[U]" + group.smiles + "[Pu]" * (group.bonds - 1))
        seen.add(Chem.MolToSmiles(one))
        assert group.labels
    assert len(seen) == len(GROUPS)
    assert set(map(token, range(len(GROUPS)))) <= set(VOCABULARY)


def test_the_groups_numbers_are_those_that_checkpoints_were_trained_with() -> None:
    named = {group.labels[0][0]: number for number, group in enumerate(GROUPS)}
    assert (named["OMe"], named["Ph"], named["CF3"], named["Boc"], named["NO2"], named["SO2"]) == (0, 3, 4, 18, 11, 60)


def test_a_group_expands_first_last_and_inside_a_ring_that_is_open() -> None:
    assert Chem.CanonSmiles(expand("<free7>c1ccccc1")) == Chem.CanonSmiles("COC(=O)c1ccccc1")
    assert Chem.CanonSmiles(expand("C1CCN(<free18>)CC1")) == Chem.CanonSmiles("CC(C)(C)OC(=O)N1CCCCC1")
    assert Chem.CanonSmiles(expand("C1CC(<free3>)CC1<free3>")) == Chem.CanonSmiles("c1ccccc1C1CCC(C1)c1ccccc1")
    assert Chem.CanonSmiles(expand("F[C@H](<free0>)Cl")) == Chem.CanonSmiles("F[C@H](OC)Cl")
    assert expand("C<free119>") == "C*"
    assert get_task("molecule").parse("C<free0>").smiles == "CO(C)"  # type: ignore[union-attr]


def test_groups_are_found_exactly() -> None:
    def labels(smiles: str) -> set[str]:
        mol = Chem.MolFromSmiles(smiles)
        Chem.Kekulize(mol, clearAromaticFlags=True)
        return {GROUPS[number].labels[0][0] for number, _, _ in groups_in(mol)}

    assert labels("COC(=O)c1ccc(F)cc1") == {"CO2Me", "OMe"}
    assert "OMe" not in labels("CCOc1ccc(F)cc1")
    assert "Ph" not in labels("Fc1ccc(F)cc1")
    assert {"Ph", "NHPh"} <= labels("CC(=O)CNc1ccccc1")
    assert "NBoc" in labels("CC(C)(C)OC(=O)N1CCCCC1")
    assert "NO2" in labels("O=[N+]([O-])c1ccc(F)cc1")


@pytest.mark.parametrize("renderer", ["rdkit", "indigo"])  # Indigo leaves letters to RDKit
def test_letters_are_one_atom_and_one_token_and_the_truth_is_written_out(renderer: str) -> None:
    habits = Habits(groups=1.0)
    for seed, smiles in enumerate(SMILES):
        drawing = draw(smiles, habits, seed, renderer)
        assert Chem.CanonSmiles(expand(drawing.written)) == drawing.smiles
        assert Chem.MolToSmiles(Chem.MolFromSmiles(drawing.smiles), isomericSmiles=False) == Chem.MolToSmiles(
            Chem.MolFromSmiles(smiles), isomericSmiles=False
        )
        assert "<free" in drawing.written
        assert len(drawing.order) == len(drawing.labels) < Chem.MolFromSmiles(smiles).GetNumAtoms()
        sample = sample_of(drawing)
        for spot, piece in zip(sample.points, sample.target, strict=True):
            if piece.startswith("<free"):
                dark = np.argwhere(drawing.pixels < 200)[:, ::-1]
                assert np.abs(dark - spot).max(axis=1).min() < 8


def test_letters_of_a_group_are_marked_as_what_is_seen() -> None:
    drawing = draw("COc1ccc(F)cc1F", Habits(groups=1.0))
    place = drawing.places[drawing.labels.index("OMe")]
    here = {LABELS[label] for x, y, label in sample_of(drawing).marks if (x, y) == tuple(place.tolist())}
    assert "O" in here
    assert "F" not in here


def test_a_group_token_plays_the_part_of_an_atom() -> None:
    assert tokenize("C(<free7>)N") == [
        ("C", "atom"),
        ("(", "before"),
        ("<free7>", "atom"),
        (")", "before"),
        ("N", "atom"),
    ]


def test_at_least_three_atoms_stay_and_stereo_survives() -> None:
    rng = random.Random(2)
    assert condensed(Chem.MolFromSmiles("CCOC(=O)C"), rng, 1.0).GetNumAtoms() >= 3
    for _ in range(6):
        mol = condensed(Chem.MolFromSmiles("COC[C@H](Cl)C(=O)OC"), rng, 1.0)
        back = Chem.CanonSmiles(expand(tokens_of(Chem.MolToSmiles(mol))))
        assert back == Chem.CanonSmiles("COC[C@H](Cl)C(=O)OC")


@pytest.mark.parametrize("renderer", ["rdkit", "indigo"])
def test_rings_with_a_circle_are_written_aromatic_and_have_a_circle(renderer: str) -> None:
    circled, plain = (draw("Cc1ccc2[nH]ccc2c1", Habits(circles=c), 3, renderer) for c in (True, False))
    assert circled.smiles == plain.smiles == "Cc1ccc2[nH]ccc2c1"
    assert circled.written.count("c") == 6
    assert "c" not in plain.written
    dark = np.argwhere(circled.pixels < 215)[:, ::-1]
    nearest = [np.abs(dark - place).max(axis=1).min() for place in circled.places]
    assert max(nearest) < 6
    assert {order for *_, order, _ in circled.bonds} == {1, 2}  # the pyrrole keeps its own double bond
    assert sum(order == 2 for *_, order, _ in circled.bonds) == 1
    assert not np.array_equal(circled.pixels, plain.pixels)


def test_a_lactam_gets_no_circle() -> None:
    assert "c" not in draw("O=c1cc[nH]cc1C", Habits(circles=True)).written


def test_dashes_change_the_picture_and_nothing_else() -> None:
    dashed, hashed = (draw("C[C@H](N)C(=O)OCc1ccccc1", Habits(dashes=d), 5) for d in (True, False))
    assert dashed.written == hashed.written
    assert dashed.bonds == hashed.bonds
    assert any(stereo == 2 for *_, stereo in dashed.bonds) != np.array_equal(dashed.pixels, hashed.pixels)


def test_open_centres_get_a_configuration_that_is_drawn() -> None:
    mol = with_stereo(Chem.MolFromSmiles("OC(=O)C(O)C(N)Cc1c[nH]c2ccccc12"), 1.0, random.Random(1))
    assert Chem.MolToSmiles(mol).count("@H") == 2
    drawing = draw("OC(=O)C(O)C(N)Cc1c[nH]c2ccccc12", Habits(stereo=1.0))
    assert "@" in drawing.smiles
    assert sum(stereo > 0 for *_, stereo in drawing.bonds) >= 2


def test_hydrogens_drawn_are_no_part_of_the_truth() -> None:
    drawing = draw("OC(=O)C(O)C(N)Cc1c[nH]c2ccccc12", Habits(hydrogens=2))
    assert Chem.MolFromSmiles(drawing.smiles).GetNumAtoms() == len(drawing.order) == 17
    assert "c" not in drawing.written


def test_sheared_places_stay_on_their_ink() -> None:
    pixels = np.full((120, 120), 255, np.uint8)
    spots = np.array([(20, 30), (90, 100), (60, 15)], np.float32)
    for x, y in spots.astype(int):
        pixels[y - 1 : y + 2, x - 1 : x + 2] = 0
    moved, places = sheared(pixels, spots, Habits(shear=0.05, stretch=0.93))
    assert np.abs(places - spots).max() > 2
    for x, y in places.round().astype(int):
        assert moved[y, x] < 120


def test_a_caption_stands_where_nothing_was() -> None:
    pixels = np.full((160, 160), 255, np.uint8)
    pixels[60:100, 60:100] = 0
    marked = captioned(pixels, "(IIa)", "", random.Random(1))
    assert (marked != pixels).any()
    assert np.array_equal(marked[60:100, 60:100], pixels[60:100, 60:100])
    full = np.zeros((160, 160), np.uint8)
    assert np.array_equal(captioned(full, "(IIa)", "", random.Random(1)), full)


def test_wear_keeps_size_and_grows_with_its_amount() -> None:
    pixels = np.full((160, 160), 255, np.uint8)
    pixels[40:120:10] = 0
    little, much = (
        np.abs(worn(pixels, amount, random.Random(3)).astype(int) - pixels).mean() for amount in (0.05, 1.0)
    )
    assert little < much
    assert worn(pixels, 1.0, random.Random(3)).shape == pixels.shape


def test_without_the_option_no_drawing_has_any_habit_and_with_it_all_come() -> None:
    pool = Pool([*SMILES, "CCCCC(N)C(O)c1ccncc1"], 6, 24, native=1.0)
    plain, named = (list(islice(molecules(pool, 7, side=160, **said), 6)) for said in ({}, {"habits": False}))
    assert all(drawing.style.habits is PLAIN for drawing in plain)
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(plain, named, strict=True))
    varied = list(islice(molecules(pool, 7, side=160, habits=True), 60))
    again = next(molecules(pool, 7, 40, side=160, habits=True))
    assert np.array_equal(again.pixels, varied[40].pixels)
    assert sum("<free" in d.written for d in varied) > 12
    assert any(d.style.habits.circles for d in varied)
    assert any("@" in d.written for d in varied)
    for drawing in varied:
        assert Chem.CanonSmiles(expand(drawing.written)) == drawing.smiles
        sample_of(drawing)


def test_an_answer_with_groups_is_scored_as_the_molecule_it_stands_for() -> None:
    sample = sample_of(draw("COC(=O)c1ccc(F)cc1F", Habits(groups=1.0)))
    assert score([sample], ["".join(sample.target)])["exact"] == 1.0


def test_the_larger_recipes_turn_habits_on_and_the_smallest_does_not() -> None:
    said = {
        size: read_recipe(f"molecules-{size}").options.get("habits", False) for size in ("small", "medium", "large")
    }
    assert said == {"small": False, "medium": True, "large": True}
