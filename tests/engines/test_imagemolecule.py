"""Molecules read from pixels: the samples, drawings by two programs in many sizes, and what is not to be read."""

from __future__ import annotations

import cmath
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D

import docpipe
from docpipe.box import Box
from docpipe.document import MoleculeContent, Page, Region
from docpipe.engines.atom_labels import Label, put_together
from docpipe.engines.base import Answer, Request
from docpipe.engines.bond_strokes import DASHED, HASH, Bond, Strokes, bonds_of
from docpipe.engines.drawn_molecule import NoMoleculeError, molecule_of
from docpipe.engines.imagemolecule import ImageMoleculeEngine, read_drawing
from docpipe.engines.inked_strokes import longer_unit, strokes_in
from docpipe.engines.redraw import likeness
from docpipe.engines.skeleton import thinned
from docpipe.models.drawings import bond_length
from docpipe.sheet import Sheet
from docpipe.source import open_source
from docpipe.tasks import get_task

SAMPLES = Path(__file__).parents[2] / "samples"


def drawn(smiles: str, width: int = 500, **options: object) -> Image.Image:
    drawer = rdMolDraw2D.MolDraw2DCairo(width, round(0.75 * width))
    drawer.drawOptions().useBWAtomPalette()
    for name, value in options.items():
        setattr(drawer.drawOptions(), name, value)
    drawer.DrawMolecule(Chem.MolFromSmiles(smiles))
    drawer.FinishDrawing()
    return Image.open(io.BytesIO(drawer.GetDrawingText())).convert("RGB")


def answer(path: Path) -> Answer:
    with open_source(path) as source:
        page = source.page(1)
        sheet = Sheet(Page(number=1, width=page.width, height=page.height), source.ref)
    region = Region(id="p1.r1", kind="molecule", box=Box(0, 0, page.width, page.height))
    (said,) = ImageMoleculeEngine().read([Request(get_task("molecule"), sheet, region)])
    assert said.error is None
    return said


def test_a_sample_with_wedges_and_hashes() -> None:
    content = answer(SAMPLES / "molecule_stereo.png").content
    assert isinstance(content, MoleculeContent)
    assert content.smiles == Chem.CanonSmiles("CC(C)c1ccc2c(c1)CC[C@H]1[C@](C)(C(=O)O)CCC[C@]21C")


def test_letters_that_touch_a_bond_are_not_guessed_at() -> None:
    said = answer(SAMPLES / "molecule.png")
    assert said.content is None
    assert "strokes that are no bonds" in (said.reason or "")


@pytest.mark.parametrize(
    "smiles",
    [
        "N#Cc1ccc(Cl)cc1",
        "CC(=O)Nc1ccc(O)cc1",
        "O=S(=O)(N)c1ccc(Br)cc1",
        "C/C=C/C(=O)N1CCOCC1",
        "CN1CCC[C@@H]1c1cccnc1",
    ],
)
@pytest.mark.parametrize("width", [300, 500])
def test_drawings_of_several_sizes(smiles: str, width: int) -> None:
    assert read_drawing(drawn(smiles, width)).smiles == Chem.CanonSmiles(smiles)


@pytest.mark.parametrize("blur", [0.6, 1.2, 2.0])
def test_a_worn_scan_is_read_or_left_to_others(blur: float, tmp_path: Path) -> None:
    image = drawn("CC(=O)Nc1ccc(O)cc1", 600, bondLineWidth=3).filter(ImageFilter.GaussianBlur(blur)).convert("L")
    noise = np.random.default_rng(0).normal(0, 8, (image.height, image.width))
    worn = Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
    worn.crop(Image.eval(worn, lambda v: 255 if v < 100 else 0).getbbox()).save(tmp_path / "worn.png")
    content = answer(tmp_path / "worn.png").content
    assert blur > 1 or content is not None
    if content is not None:
        assert content.smiles == Chem.CanonSmiles("CC(=O)Nc1ccc(O)cc1")


def test_white_on_black_is_turned() -> None:
    image = Image.eval(drawn("c1ccccc1CCO").convert("L"), lambda v: 255 - v)
    assert read_drawing(image).smiles == Chem.CanonSmiles("c1ccccc1CCO")


@pytest.mark.parametrize("other", ["text.png", "table.png", "score.png"])
def test_text_tables_and_music_are_no_molecules(other: str) -> None:
    assert answer(SAMPLES / other).content is None


def test_two_structures_and_an_arrow_are_left_to_others() -> None:
    image = drawn("c1ccccc1CCO")
    both = Image.new("RGB", (2 * image.width + 120, image.height), "white")
    both.paste(image, (0, 0))
    both.paste(image, (image.width + 120, 0))
    with pytest.raises(NoMoleculeError):
        read_drawing(both)
    ImageDraw.Draw(both).line([image.width + 10, 60, image.width + 100, 60], fill="black", width=2)
    with pytest.raises(NoMoleculeError):
        read_drawing(both)


def test_a_blank_crop_says_so(tmp_path: Path) -> None:
    Image.new("L", (200, 200), 255).save(tmp_path / "blank.png")
    said = answer(tmp_path / "blank.png")
    assert said.content is None
    assert said.reason == "the crop is blank"


def test_what_is_said_of_the_scanned_sample_is_true() -> None:
    truth = json.loads((SAMPLES / "truth" / "mixed.json").read_text())["molecules"]
    document = docpipe.convert(SAMPLES / "mixed_scan.pdf", pages="2")
    said = {m.smiles for m in document.molecules}
    assert said
    assert said <= {Chem.CanonSmiles(m["smiles"]) for m in truth}


def test_thinning_keeps_a_diagonal_two_pixels_wide() -> None:
    ink = np.eye(40, dtype=bool) | np.eye(40, k=1, dtype=bool)
    assert thinned(ink).sum() > 30


def test_thinning_leaves_the_middle_of_a_line_and_keeps_it_whole() -> None:
    ink = np.zeros((40, 60), bool)
    ink[15:22, 5:55] = True
    thin = thinned(ink)
    rows, columns = np.nonzero(thin)
    assert set(rows) <= {17, 18, 19}
    assert len(columns) == len(set(columns))
    assert columns.max() - columns.min() > 40


UNIT = 60.0


def sketch(
    *lines: tuple[complex, complex], letters: tuple[tuple[str, complex], ...] = (), width: int = 4
) -> Image.Image:
    """Lines and letters at places in bonds, y upwards, three bonds of paper around the origin."""
    image = Image.new("L", (480, 480), 255)
    draw = ImageDraw.Draw(image)

    def at(place: complex) -> tuple[float, float]:
        return 240 + UNIT * place.real, 240 - UNIT * place.imag

    for line in lines:
        draw.line([at(end) for end in line], fill=0, width=width)
    font = ImageFont.load_default(34)
    for text, place in letters:
        draw.text(at(place), text, fill=0, font=font, anchor="mm")
    return image


def ring(atoms: int, centre: complex = 0, turned: float = 90.0) -> list[complex]:
    radius = 0.5 / math.sin(math.pi / atoms)
    return [centre + cmath.rect(radius, math.radians(turned + 360 * k / atoms)) for k in range(atoms)]


def sides(corners: list[complex]) -> list[tuple[complex, complex]]:
    return list(zip(corners, corners[1:] + corners[:1], strict=True))


def part(a: complex, b: complex, first: float, last: float) -> tuple[complex, complex]:
    """The line from one share of the way from a to b to another."""
    return a + first * (b - a), a + last * (b - a)


def beside(line: tuple[complex, complex], far: float) -> tuple[complex, complex]:
    across = 1j * (line[1] - line[0]) / abs(line[1] - line[0]) * far
    return line[0] + across, line[1] + across


def test_a_short_bond_between_two_letters_is_no_letter() -> None:
    at = ring(5)
    bonds = sides(at)
    bonds[3], bonds[4], bonds[0] = part(*bonds[3], 0, 0.6), part(*bonds[4], 0.36, 0.64), part(*bonds[0], 0.4, 1)
    image = sketch(*bonds, letters=(("O", at[4]), ("O", at[0])), width=6)
    assert read_drawing(image).smiles == Chem.CanonSmiles("C1CCOO1")


def test_two_strokes_between_letters_are_a_double_bond() -> None:
    at = [-1 + 0j, 0j, cmath.rect(1, math.radians(-60))]
    double = part(at[1], at[2], 0.36, 0.64)
    ethyl = [part(at[0], at[1], 0, 0.65), (at[0], at[0] + cmath.rect(1, math.radians(120)))]
    image = sketch(*ethyl, beside(double, 0.1), beside(double, -0.1), letters=(("N", at[1]), ("O", at[2])), width=6)
    assert read_drawing(image).smiles == "CCN=O"


def test_a_bond_that_passes_behind_another_is_whole() -> None:
    at = ring(6)
    bonds = sides(at)
    front = (at[0] + 0.02, at[3] - 0.02)
    behind = at[1], at[5]
    bars = [front, part(*behind, 0, 0.43), part(*behind, 0.57, 1)]
    mol = Chem.MolFromSmiles(read_drawing(sketch(*bonds, *bars)).smiles)
    assert mol.GetNumAtoms() == 6
    assert mol.GetNumBonds() == 8


def test_a_bold_bond_says_the_configuration_of_the_end_that_can_have_one() -> None:
    at = ring(6)
    bonds = sides(at)
    bonds[3], bonds[4] = part(*bonds[3], 0, 0.65), part(*bonds[4], 0.35, 1)
    out = at[0], at[0] + 1j
    image = sketch(*bonds, part(*out, 0, 0.7), letters=(("O", at[4]), ("F", out[1])))
    assert "@" not in read_drawing(image).smiles
    ImageDraw.Draw(image).line([240, 180, 240, 138], fill=0, width=14)
    assert read_drawing(image).smiles == Chem.CanonSmiles("F[C@@H]1CCCOC1")


def test_a_formula_beside_the_drawing_is_not_left_out() -> None:
    at = ring(6)
    image = sketch(*sides(at), part(at[0], at[0] + 1j, 0, 0.7), letters=(("F", at[0] + 1j), ("C2H2O4", 0.5 - 2.5j)))
    with pytest.raises(NoMoleculeError, match="letters that no bond leads to"):
        read_drawing(image)


def test_an_h_in_a_ring_says_that_it_is_saturated() -> None:
    at = ring(6)
    out = part(at[0], at[0] + 1j, 0, 0.7)
    image = sketch(*sides(at), out, letters=(("F", at[0] + 1j), ("H", 0j)))
    assert read_drawing(image).smiles == Chem.CanonSmiles("FC1CCCCC1")
    away = sketch(*sides(at), out, letters=(("F", at[0] + 1j), ("H", 2.4 + 0j)))
    with pytest.raises(NoMoleculeError, match="no bond leads to: H"):
        read_drawing(away)


def test_large_letters_do_not_make_the_bonds_seem_short() -> None:
    short = [Bond(0j, complex(length)) for length in (56, 58, 60, 61, 62)]
    assert longer_unit(Strokes(short, 60.0)) is None
    assert longer_unit(Strokes([*short, Bond(0j, 93 + 0j), Bond(0j, 97 + 0j)], 60.0)) in (93, 97)
    ink = np.asarray(sketch(*sides(ring(6)))) < 128
    assert strokes_in(ink, 1.5 * UNIT).unit == pytest.approx(UNIT, rel=0.05)
    assert strokes_in(ink, 1.5 * UNIT, exact=True).unit == 1.5 * UNIT


def test_a_dashed_bond_begins_at_the_end_that_has_four_different_neighbours() -> None:
    at = [0j, 1 + 0j, -0.5 - 0.87j, -0.5 + 0.87j, 1.5 - 0.87j, 1.5 + 0.87j]
    lines = [Bond(at[0], at[2]), Bond(at[0], at[3]), Bond(at[1], at[4]), Bond(at[1], at[5] * 0.7 + at[1] * 0.3)]
    labels = [Label("F", Box(1.3, 0.6, 1.6, 0.9), 0.3)]
    strokes = Strokes([*lines, Bond(at[0], at[1], kind=DASHED)], 1.0)
    assert Chem.MolToSmiles(molecule_of(strokes, labels)) in ("CC(C)[C@H](C)F", "CC(C)[C@@H](C)F")


def test_lines_side_by_side_between_four_atoms_are_two_bonds() -> None:
    at = [0j, 1 + 0j, 1 + 0.2j, 0.2j]
    beyond = [Bond(at[0], -1j), Bond(at[1], 1 - 1j), Bond(at[2], 1 + 1.2j), Bond(at[3], 1.2j)]
    bonds, _ = bonds_of([Bond(at[0], at[1]), Bond(at[3], at[2]), *beyond], [], 1.0)
    assert [bond.order for bond in bonds] == [1] * 6
    bonds, _ = bonds_of([Bond(at[0], at[1]), Bond(at[3], at[2]), *beyond[:2]], [], 1.0)
    assert sorted(bond.order for bond in bonds) == [1, 1, 2]


def test_a_triple_bond_in_a_small_ring_is_no_molecule() -> None:
    sides_of = [Bond(a, b, 3 if k == 0 else 1) for k, (a, b) in enumerate(sides(ring(6)))]
    with pytest.raises(NoMoleculeError, match="triple bond in a ring"):
        molecule_of(Strokes(sides_of, 1.0), [])


def test_the_rungs_of_a_hash_may_end_as_dots() -> None:
    at = ring(6)
    image = sketch(*sides(at), letters=(("F", at[0] + 1.3j),))
    draw = ImageDraw.Draw(image)
    for k, half in enumerate((0, 0, 2, 3, 5, 6, 8)):
        y = 172 - 8 * k
        draw.rectangle([240 - half, y, 241 + half, y + (2 if half else 4)], fill=0)
    (hashed,) = (bond for bond in strokes_in(np.asarray(image) < 128, UNIT).bonds if bond.kind == HASH)
    assert abs(hashed.start - (240 + 174j)) < 7


def test_letters_of_two_heights_are_two_labels() -> None:
    side = [Label("N", Box(0, 0, 26, 33), 33.0), Label("S", Box(30, 26, 56, 59), 33.0)]
    assert [label.text for label in put_together(side)] == ["N", "S"]
    index = [Label("H", Box(0, 0, 26, 33), 33.0), Label("2", Box(28, 20, 42, 43), 33.0)]
    assert [label.text for label in put_together(index)] == ["H2"]


def test_what_stands_in_a_label_that_was_read_is_explained() -> None:
    image = drawn("c1ccccc1CCO", 500)
    bond = bond_length(np.asarray(image.convert("L")))
    assert bond is not None
    reading = read_drawing(image)
    ImageDraw.Draw(image).text((20, 20), "H3CO", fill="black", font=ImageFont.load_default(40))
    bare = likeness(reading.mol, image, bond, 1.0)
    labelled = likeness(reading.mol, image, bond, 1.0, [Box(10, 10, 140, 75)])
    assert bare is not None
    assert labelled is not None
    assert labelled.unexplained < bare.unexplained - 0.5
