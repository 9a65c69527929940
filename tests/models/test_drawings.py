"""Line drawings: paper and ink to white and black, specks left out, bonds of one length."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from docpipe.models.drawings import bond_length, drawing_square, ink_box, levels
from docpipe.models.preprocess import ARRANGEMENTS, Frame


def hexagon(bond: int, width: int = 3, paper: int = 255, ink: int = 0, room: int = 4) -> Image.Image:
    """A ring of six bonds with one more at the right."""
    size = room * bond
    image = Image.new("L", (size, size), paper)
    middle = size / 2
    points = [(middle + bond * np.cos(np.pi / 3 * i), middle + bond * np.sin(np.pi / 3 * i)) for i in range(7)]
    draw = ImageDraw.Draw(image)
    draw.line(points, fill=ink, width=width)
    draw.line([points[0], (points[0][0] + bond / 2, points[0][1] + bond * 0.87)], fill=ink, width=width)
    return image


@pytest.mark.parametrize("bond", [18, 35, 80])
def test_bond_length_is_measured(bond: int) -> None:
    assert bond_length(np.asarray(hexagon(bond))) == pytest.approx(bond, rel=0.2)


def test_a_blank_image_has_no_bond_and_no_ink() -> None:
    blank = np.full((40, 60), 255, np.uint8)
    assert bond_length(blank) is None
    assert ink_box(blank) is None
    assert drawing_square(Image.fromarray(blank), Frame(64, 16)).getextrema() == ((255, 255),) * 3


@pytest.mark.parametrize(("bond", "room"), [(20, 4), (60, 4), (60, 9), (150, 4)])
def test_every_scale_comes_out_alike(bond: int, room: int) -> None:
    square = drawing_square(hexagon(bond, max(1, bond // 15), room=room).convert("RGB"), Frame(128, 16))
    assert square.size == (128, 128)
    assert square.mode == "RGB"
    box = ink_box(np.asarray(square.convert("L")))
    assert box is not None
    height = box[3] - box[1]
    assert height == pytest.approx(16 * 1.73, rel=0.25)
    assert box[0] + box[2] == pytest.approx(128, abs=4)


def inked(square: Image.Image) -> tuple[int, int]:
    """First and last column with any ink, however faint."""
    columns = np.nonzero((np.asarray(square.convert("L")) < 245).any(axis=0))[0]
    return int(columns[0]), int(columns[-1])


def test_bond_is_an_option() -> None:
    spans = [inked(drawing_square(hexagon(60), Frame(128, 16, {"bond": bond}))) for bond in (12.0, 24.0)]
    narrow, wide = (last - first for first, last in spans)
    assert wide == pytest.approx(2 * narrow, rel=0.1)


def test_what_is_too_large_is_scaled_to_fit() -> None:
    wide = Image.new("L", (2000, 60), 255)
    ImageDraw.Draw(wide).line([(40 * i, 10 + 40 * (i % 2)) for i in range(1, 49)], fill=0, width=3)
    first, last = inked(drawing_square(wide, Frame(128, 16)))
    assert 4 <= first < 8
    assert 120 < last <= 124


def test_paper_and_ink_are_levelled_and_negatives_turned() -> None:
    for paper, ink in ((200, 80), (30, 240)):
        levelled = levels(np.asarray(hexagon(40, paper=paper, ink=ink)))
        assert levelled.max() == 255
        assert np.median(levelled) == 255
        assert levelled.min() == 0


def test_specks_do_not_count() -> None:
    image = hexagon(40, room=10)
    image.putpixel((3, 3), 0)
    with_speck, without = np.asarray(image), np.asarray(hexagon(40, room=10))
    assert ink_box(with_speck) == ink_box(without)


def test_it_is_an_arrangement() -> None:
    assert ARRANGEMENTS["drawing-square"] is drawing_square
