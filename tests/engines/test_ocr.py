"""The engine that reads text off pixels."""

from __future__ import annotations

import pymupdf
import pytest
from PIL import Image
from scans import asked, picture, read, sheet_in, sheet_of, whole
from typeset import sheets

from docpipe.document import Box, Region, TextContent
from docpipe.engines import ocr_page
from docpipe.engines.base import Engine
from docpipe.engines.ocr import OcrEngine, page_words, read_lines
from docpipe.engines.ocr_lines import find_strips

LETTER = (
    (40, 50, "Dear Madam, the parcel of 12 May has"),
    (40, 68, "arrived. We owe you $ 1,234.50 for it and re-"),
    (40, 86, "main, with kind regards, your customers"),
)


def test_it_is_an_engine():
    assert isinstance(OcrEngine(), Engine)


def test_lines_are_read_as_words_with_boxes_and_certainty():
    lines = read_lines(picture(*LETTER))
    assert [line.text for line in lines] == [text for _, _, text in LETTER]
    for line in lines:
        assert len(line.words) == len(line.boxes) == len(line.certainties)
        assert all(a.x0 < b.x0 and a.x1 <= b.x1 for a, b in zip(line.boxes, line.boxes[1:], strict=False))
        assert 0.9 < line.confidence <= 1


def test_word_boxes_stand_where_the_words_do():
    sheet = sheets(lambda page: page.insert_text((50, 100), "every word where it is", fontsize=14))[0]
    truth = {w.text: w.box for line in sheet.source.lines() for w in line.words}
    words = page_words(sheet)
    assert [w.text for w in words] == ["every", "word", "where", "it", "is"]
    for word in words:
        assert abs(word.box.center[0] - truth[word.text].center[0]) < 3
        assert abs(word.box.center[1] - truth[word.text].center[1]) < 3


def test_an_image_that_nobody_laid_out_keeps_its_lines(tmp_path):
    answer = read(sheet_of(picture(*LETTER), tmp_path / "letter.png"))
    assert isinstance(answer.content, TextContent)
    assert answer.content.text == "\n".join(text for _, _, text in LETTER)


def test_a_region_of_a_page_is_running_text_of_its_words_alone(tmp_path):
    sheet = sheet_of(picture(*LETTER, (40, 200, "Another matter entirely")), tmp_path / "page.png")
    region = Region(id="p1.r1", kind="paragraph", box=Box(30, 30, 400, 100))
    other = Region(id="p1.r2", kind="paragraph", box=Box(30, 180, 400, 210))
    answer = read(sheet.with_regions([region, other]), region)
    assert answer.content.text.endswith("for it and remain, with kind regards, your customers")
    assert all(region.box.covers(word.box, 0.9) for word in answer.content.words)


def test_words_of_a_smaller_region_within_are_left_to_it(tmp_path):
    sheet = sheet_of(picture(*LETTER), tmp_path / "page.png")
    outer = Region(id="p1.r1", kind="paragraph", box=Box(30, 30, 400, 100))
    inner = Region(id="p1.r2", kind="caption", box=Box(30, 56, 400, 73))
    answer = read(sheet.with_regions([outer, inner]), outer)
    assert "Madam" in answer.content.text
    assert "1,234.50" not in answer.content.text


def test_code_keeps_its_lines(tmp_path):
    sheet = sheet_of(picture((40, 50, "for x in y:"), (60, 68, "print(x)")), tmp_path / "code.png")
    region = Region(id="p1.r1", kind="code", box=Box(30, 30, 400, 100))
    filler = Region(id="p1.r2", kind="paragraph", box=Box(0, 200, 400, 300))
    assert read(sheet.with_regions([region, filler]), region).content.text == "for x in y:\nprint(x)"


def test_the_answer_says_what_was_seen(tmp_path):
    sheet = sheet_of(picture(*LETTER), tmp_path / "letter.png")
    crop = read(sheet).origin.crop
    assert crop.box == whole(sheet).box
    assert crop.dpi == pytest.approx(150, abs=0.1)
    assert len(crop.sha256) == 64
    assert len(read(sheet).origin.digest) == 64


@pytest.mark.parametrize("color", ["white", "black", "#808080"])
def test_a_blank_image_is_abstained_from(tmp_path, color):
    answer = read(sheet_of(Image.new("RGB", (600, 400), color), tmp_path / "blank.png"))
    assert (answer.content, answer.error, answer.reason) == (None, None, "nothing legible here")


def test_palette_images_are_read_by_their_colours(tmp_path):
    picture(*LETTER).quantize(16).save(tmp_path / "palette.png", dpi=(150, 150))
    assert read(sheet_in(tmp_path / "palette.png")).content.text.startswith("Dear Madam")


@pytest.mark.parametrize(("size", "text"), [(9, "small print of a contract"), (14, "Fig. 3"), (16, "7"), (90, "Huge")])
def test_crops_cut_close_to_their_ink_are_read(tmp_path, size, text):
    image = picture((4, size, text), size=size, width=0.62 * size * len(text) + 8, height=1.35 * size)
    small = image.resize((max(8, image.width * 72 // 150), image.height * 72 // 150), Image.Resampling.LANCZOS)
    assert read(sheet_of(small, tmp_path / "crop.png", dpi=72)).content.text == text


def test_an_image_far_taller_than_wide_is_not_shrunk(tmp_path):
    strip = Image.new("RGB", (420, 7000), "white")
    for number in range(40):
        line = picture((10, 16, f"Item {number}  {number}.50"), size=12, width=200, height=22)
        strip.paste(line.resize((line.width // 2, line.height // 2), Image.Resampling.LANCZOS), (10, 10 + 170 * number))
    lines = read(sheet_of(strip, tmp_path / "receipt.png", dpi=72)).content.text.split("\n")
    assert lines == [f"Item {n} {n}.50" for n in range(40)]


def test_small_letters_on_a_huge_image_are_found():
    poster = Image.new("RGB", (5000, 5000), "white")
    line = picture((10, 16, "small letters"), size=11, width=120, height=24)
    for number in range(8):
        poster.paste(line, (200, 300 + 600 * number))
    assert sum("letters" in found.text for found in read_lines(poster)) == 8


def test_a_page_is_read_once_for_all_who_ask(tmp_path):
    sheet = sheet_of(picture(*LETTER), tmp_path / "letter.png")
    assert not ocr_page.is_read(sheet)
    first = page_words(sheet)
    assert ocr_page.is_read(sheet)
    assert page_words(sheet) is not None
    assert ocr_page.read_page(sheet) is ocr_page.read_page(sheet)
    assert read(sheet).content.words == first


def test_a_file_that_changed_is_read_again(tmp_path):
    path = tmp_path / "changing.png"
    keys = set()
    for text in ("first", "second time"):
        sheet = sheet_of(picture((40, 50, text)), path)
        keys.add(ocr_page._key(sheet, 0))
    assert len(keys) == 2


def test_a_region_of_a_born_digital_page_is_read_without_reading_the_page():
    def draw(page):
        page.insert_text((50, 100), "The text layer may lie here.", fontsize=12)
        page.insert_text((50, 400), "And tell the truth there.", fontsize=12)

    sheet = sheets(draw)[0]
    region = Region(id="p1.r1", kind="paragraph", box=Box(45, 85, 400, 108))
    answer = read(sheet.with_regions([region]), region)
    assert answer.content.text == "The text layer may lie here."
    assert not ocr_page.is_read(sheet)
    assert region.box.grown(5).covers(answer.content.words[0].box, 1.0)


def test_a_failure_is_an_answer(tmp_path):
    sheet = sheet_of(picture(*LETTER), tmp_path / "gone.png")
    (tmp_path / "gone.png").unlink()
    answers = list(OcrEngine().read([asked(sheet, whole(sheet))]))
    assert len(answers) == 1
    assert answers[0].error.code in {"DP304", "DP107"}
    assert answers[0].content is None


def test_a_script_that_the_network_lacks_is_not_guessed_at(tmp_path, monkeypatch):
    monkeypatch.setattr("docpipe.engines.tesseract.installed", frozenset)
    sheet = sheet_of(picture(*LETTER), tmp_path / "letter.png")
    answer = next(iter(OcrEngine().read([asked(sheet, whole(sheet), language="ru")])))
    assert answer.content is None
    assert "Cyrillic" in answer.reason


def test_upright_lines_have_no_angle():
    import numpy as np

    strips = find_strips(np.asarray(picture(*LETTER)))
    assert len(strips) == 3
    assert all(abs(strip.angle) < 0.3 for strip in strips)


def test_the_same_image_is_read_the_same_whatever_else_is_read():
    first = read_lines(picture(*LETTER))
    read_lines(picture((20, 40, "something else in between")))
    assert read_lines(picture(*LETTER)) == first


def test_a_lone_line_on_an_empty_page_is_seen():
    page = pymupdf.Document().new_page()
    page.insert_text((72, 100), "Some words on a page.", fontsize=11)
    drawn = page.get_pixmap(dpi=200)
    lines = read_lines(Image.frombytes("RGB", (drawn.width, drawn.height), drawn.samples))
    assert [line.text for line in lines] == ["Some words on a page."]
