"""Pages of pixels are set upright and level; a turned, tilted scan reads as well as the straight one."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pymupdf
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "engines"))
from scans import read, sheet_of
from typeset import PROSE, prose, sheets

from docpipe.engines.ocr import page_words
from docpipe.sheet import Sheet
from docpipe.stages.rasterize import rasterize


def scan() -> Image.Image:
    """A page of prose at 150 dpi."""
    page = pymupdf.Document().new_page(width=420, height=420)
    page.insert_text((40, 50), "On the habits of foxes", fontsize=16)
    prose(page, 40, 80, 340, 12, size=11)
    pixmap = page.get_pixmap(dpi=150)
    return Image.frombytes("RGB", (pixmap.width, pixmap.height), pixmap.samples)


def rasterized(sheet: Sheet, **settings: bool) -> Sheet:
    return next(iter(rasterize(**settings)(iter([sheet]))))


def words(sheet: Sheet) -> Counter[str]:
    return Counter(word.text for word in page_words(sheet))


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    return words(rasterized(sheet_of(scan(), tmp_path_factory.mktemp("scan") / "straight.png")))


def test_a_straight_scan_is_left_as_it_is(tmp_path):
    page = rasterized(sheet_of(scan(), tmp_path / "scan.png")).page
    assert (page.rotation, page.skew) == (0, 0.0)


@pytest.mark.parametrize("turned", [0, 90, 180, 270])
@pytest.mark.parametrize("tilt", [0.0, 3.0, -3.0])
def test_a_turned_and_tilted_scan_reads_as_well_as_the_straight_one(tmp_path, straight, turned, tilt):
    image = scan().rotate(tilt, Image.Resampling.BICUBIC, expand=True, fillcolor="white").rotate(turned, expand=True)
    sheet = rasterized(sheet_of(image, tmp_path / "scan.png"))
    # Pillow turns anticlockwise: the same number of degrees clockwise sets the page upright again.
    assert sheet.page.rotation == turned
    assert sheet.page.skew == pytest.approx(tilt, abs=0.1)
    same = (words(sheet) & straight).total()
    assert same >= 0.97 * straight.total()
    assert read(sheet).content.text.startswith("On the habits of foxes\n" + PROSE[:20])


def test_boxes_are_on_the_page_as_displayed(tmp_path):
    image = scan().rotate(90, expand=True)
    sheet = rasterized(sheet_of(image, tmp_path / "sideways.png"))
    heading = next(word for word in page_words(sheet) if word.text == "habits")
    # The heading ran at the top from x = 40 on; turned anticlockwise it runs upwards along the left edge.
    assert heading.box.height > heading.box.width
    assert heading.box.x0 < 60
    assert heading.box.y0 > 200


def test_a_page_with_text_of_its_own_costs_nothing(monkeypatch):
    sheet = sheets(lambda page: prose(page, 50, 80, 480, 10))[0]
    monkeypatch.setattr("docpipe.stages.rasterize.orientation", lambda *_, **__: pytest.fail("looked at pixels"))
    done = rasterized(sheet)
    assert (done.page, done.ways["rasterize"]) == (sheet.page, "text layer")


def test_pixels_can_be_asked_for():
    sheet = sheets(lambda page: prose(page, 50, 80, 480, 10))[0]
    done = rasterized(sheet, pixels=True)
    assert done.page.status == "complete"
    assert done.ways == {"rasterize": "pixels", "text": "set aside"}


def test_a_scan_under_unseen_text_is_levelled_too():
    image = scan().rotate(2, Image.Resampling.BICUBIC, expand=True, fillcolor="white")

    def draw(page):
        pixels = pymupdf.Pixmap(pymupdf.csRGB, image.width, image.height, image.tobytes(), False)
        page.insert_image(page.rect, pixmap=pixels)
        page.insert_text((50, 80), "unseen words", fontsize=10, render_mode=3)

    done = rasterized(sheets(draw, width=420, height=420)[0])
    assert done.ways["rasterize"] == "pixels"
    assert done.page.skew == pytest.approx(2, abs=0.15)


def test_deskewing_can_be_left_out(tmp_path):
    image = scan().rotate(3, Image.Resampling.BICUBIC, fillcolor="white")
    assert rasterized(sheet_of(image, tmp_path / "tilted.png"), deskew=False).page.skew == 0.0


def test_blank_pages_are_level(tmp_path):
    page = rasterized(sheet_of(Image.new("RGB", (600, 800), "white"), tmp_path / "blank.png")).page
    assert (page.rotation, page.skew, page.status) == (0, 0.0, "complete")
    assert rasterized(sheets(lambda _: None)[0]).page.status == "complete"
