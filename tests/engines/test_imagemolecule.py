"""Molecules read from pixels: the samples, drawings by two programs in many sizes, and what is not to be read."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from rdkit import Chem
from rdkit.Chem.Draw import rdMolDraw2D

import docpipe
from docpipe.box import Box
from docpipe.document import MoleculeContent, Page, Region
from docpipe.engines.base import Answer, Request
from docpipe.engines.drawn_molecule import NoMoleculeError
from docpipe.engines.imagemolecule import ImageMoleculeEngine, read_drawing
from docpipe.engines.skeleton import thinned
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
