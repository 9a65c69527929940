"""Tesseract, where it is installed."""

from __future__ import annotations

import pytest
from scans import asked, picture, sheet_of, whole

from docpipe.document import Box, Region, TextContent
from docpipe.engines import tesseract
from docpipe.engines.tesseract import TesseractEngine
from docpipe.tasks.text import TextTask

needs_tesseract = pytest.mark.skipif("eng" not in tesseract.installed(), reason="tesseract with eng is not installed")


def test_only_scripts_without_letters_in_the_network_are_left_to_it():
    from docpipe.engines.ocr_models import letters_known

    assert [tesseract.script_of(code) for code in ("ru", "uk-UA", "ko", "ar")] == [
        "Cyrillic",
        "Cyrillic",
        "Korean",
        "Arabic",
    ]
    assert [tesseract.script_of(code) for code in ("en", "de-AT", "zh", "ja", "el")] == [None] * 5
    known = letters_known()
    assert not known & set("жйшюבهฟकაք한")
    assert set("äßéøłőşžñçαβ中文かカ") <= known


def test_languages_have_tesseracts_names():
    assert [tesseract.name_of(code) for code in ("de-AT", "ru", "frk")] == ["deu", "rus", "frk"]


def test_without_the_program_it_reads_nothing(monkeypatch):
    monkeypatch.setattr(tesseract, "installed", frozenset)
    assert not TesseractEngine().can_read(TextTask())  # type: ignore[arg-type]


@needs_tesseract
def test_words_have_boxes_and_certainty(tmp_path):
    sheet = sheet_of(picture((40, 60, "Plain words in one line"), size=16), tmp_path / "line.png")
    answer = next(iter(TesseractEngine().read([asked(sheet, whole(sheet))])))
    assert isinstance(answer.content, TextContent)
    assert answer.content.text == "Plain words in one line"
    assert 0.5 < answer.confidence <= 1
    assert all(Box(35, 40, 300, 70).covers(word.box, 0.9) for word in answer.content.words)


@needs_tesseract
def test_a_region_is_read_alone(tmp_path):
    sheet = sheet_of(picture((40, 60, "First of all"), (40, 200, "Second"), size=16), tmp_path / "two.png")
    region = Region(id="p1.r1", kind="heading", box=Box(30, 180, 300, 210))
    assert next(iter(TesseractEngine().read([asked(sheet, region)]))).content.text == "Second"


@needs_tesseract
def test_a_language_without_data_is_said(tmp_path):
    sheet = sheet_of(picture((40, 60, "Words")), tmp_path / "line.png")
    answer = next(iter(TesseractEngine(language="tlh").read([asked(sheet, whole(sheet))])))
    assert answer.content is None
    assert "tlh" in answer.reason
