"""Figures told apart by what they are made of."""

from __future__ import annotations

import math
import random

import pytest
from PIL import Image, ImageDraw, ImageFont

from docpipe.engines.figures import measure, tell_apart


def blank(width: int = 700, height: int = 420) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (width, height), "white")
    return image, ImageDraw.Draw(image)


def score(skew: float = 0.0) -> Image.Image:
    image, draw = blank(900, 300)
    for staff in (60, 180):
        for line in range(5):
            draw.line((20, staff + 12 * line, 880, staff + 12 * line), fill="black", width=1)
        for note in range(20):
            x, y = 60 + 40 * note, staff + 6 * (note * 5 % 9)
            draw.ellipse((x, y - 5, x + 13, y + 5), fill="black")
            draw.line((x + 13, y, x + 13, y - 34), fill="black", width=2)
    return image.rotate(skew, Image.Resampling.BICUBIC, fillcolor="white")


def molecule() -> Image.Image:
    image, draw = blank(420, 320)

    def ring(x: float, y: float) -> None:
        corners = [(x + 50 * math.sin(math.pi * k / 3), y + 50 * math.cos(math.pi * k / 3)) for k in range(6)]
        draw.line([*corners, corners[0]], fill="black", width=2)

    ring(120, 160)
    ring(206.6, 160)
    draw.line((250, 135, 293, 110), fill="black", width=2)
    draw.line((293, 110, 336, 135), fill="black", width=2)
    draw.text((340, 130), "OH", fill="black", font_size=20)
    return image


def bars() -> Image.Image:
    image, draw = blank()
    draw.line((60, 20, 60, 380), fill="black")
    draw.line((60, 380, 680, 380), fill="black")
    for bar in range(6):
        draw.rectangle((90 + 95 * bar, 330 - 47 * (bar * 3 % 6), 140 + 95 * bar, 378), fill=(40, 90, 180))
    return image


def photo() -> Image.Image:
    draw = random.Random(3)
    patches = Image.frombytes("RGB", (12, 9), draw.randbytes(12 * 9 * 3))
    return patches.resize((640, 480), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("skew", [0.0, 0.7, -0.7])
def test_staves_make_a_score_even_when_skewed(skew):
    assert tell_apart(score(skew))[0] == "score"


def test_signs_of_music_fonts_make_a_score_where_its_lines_alone_do_not():
    image, draw = blank(300, 120)
    for line in range(4):
        draw.line((10, 40 + 12 * line, 290, 40 + 12 * line), fill="black")
    for note in range(12):
        draw.rectangle((20 + 20 * note, 50, 26 + 20 * note, 56), fill="black")
    assert tell_apart(image)[0] != "score"
    assert tell_apart(image, signs=12)[0] == "score"


def test_a_small_molecule_is_told_by_the_atoms_that_its_labels_name():
    image, draw = blank(220, 66)
    draw.line((60, 36, 84, 8, 134, 8, 158, 36), fill="black", width=2)
    draw.line((88, 14, 130, 14), fill="black", width=2)
    font = ImageFont.load_default(20)
    draw.text((36, 38), "Br", "black", font)
    draw.text((160, 38), "Cl", "black", font)
    assert tell_apart(image, ["Br", "Cl"])[0] == "molecule"
    assert tell_apart(image, ["up", "down"])[0] != "molecule"


def test_slanted_strokes_on_paper_make_a_molecule():
    kind, confidence = tell_apart(molecule())
    assert kind == "molecule"
    assert confidence > 0.7


def test_bars_on_one_line_make_a_chart_whichever_way_they_lie():
    assert tell_apart(bars())[0] == "chart"
    assert tell_apart(bars().rotate(-90, expand=True))[0] == "chart"


def test_numbers_along_axes_make_a_chart():
    image, draw = blank()
    draw.line((60, 20, 60, 380), fill="black")
    draw.line((60, 380, 680, 380), fill="black")
    draw.line([(60 + 20 * i, 300 - 200 * math.sin(i / 9)) for i in range(30)], fill="red", width=2)
    assert tell_apart(image, ["0", "10", "20", "30", "time"])[0] == "chart"


def test_many_tones_make_a_photo():
    assert tell_apart(photo())[0] == "photo"


def test_a_ruled_table_of_four_rows_is_no_score():
    image, draw = blank(500, 200)
    for row in range(5):
        draw.line((10, 20 + 40 * row, 490, 20 + 40 * row), fill="black")
    for column in range(4):
        draw.line((10 + 160 * column, 20, 10 + 160 * column, 180), fill="black")
    for row in range(4):
        for column in range(3):
            draw.text((20 + 160 * column, 30 + 40 * row), f"cell {row}{column}", fill="black", font_size=14)
    assert tell_apart(image)[0] != "score"


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (40, 40)])
def test_tiny_and_empty_images_are_other(size):
    assert tell_apart(Image.new("RGB", size, "white"))[0] == "other"


def test_palette_images_are_seen_as_a_person_sees_them():
    colours, indexed = molecule(), molecule().convert("P")
    assert tell_apart(indexed)[0] == tell_apart(colours)[0]
    assert measure(indexed).paper == pytest.approx(measure(colours).paper, abs=0.01)
