"""What a PDF's text layer says, sign by sign."""

from __future__ import annotations

import pymupdf
import pytest

from docpipe.source import open_source


def words(*placed: tuple[float, str], rotate: int = 0) -> list[str]:
    """The words of a page with texts put at these x, one after the other."""
    document = pymupdf.Document()
    page = document.new_page()
    for x, text in placed:
        point = (x, 100) if not rotate else (100, 300 - x)
        page.insert_text(point, text, fontsize=20, rotate=rotate)
    with open_source(document.tobytes()) as source:
        return [word.text for line in source.page(1).lines() for word in line.words]


@pytest.mark.parametrize(
    ("accent", "letter", "whole"),
    [("´", "e", "é"), ("¨", "u", "ü"), ("¸", "c", "ç"), ("`", "a", "à"), ("´", "x", None)],
)
def test_an_accent_printed_over_a_letter_is_one_character_with_it(accent, letter, whole):
    shift = (pymupdf.get_text_length(letter, fontsize=20) - pymupdf.get_text_length(accent, fontsize=20)) / 2
    found = words((100 + shift, accent), (100, letter))  # as TeX does: the accent first
    assert found == [whole or accent + letter]
    assert words((100, letter), (100 + shift, accent)) == [whole or letter + accent]


def test_an_accent_beside_a_letter_stays_a_sign():
    assert words((100, "a´b")) == ["a´b"]
    assert words((100, "a´b"), rotate=90) == ["a´b"]
