"""The check of text: blank crops, loops, ink and encoding; pixels only where they are needed."""

from __future__ import annotations

import csv
import os
import random
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from docpipe.checks import Checked
from docpipe.checks.ink import is_blank, measure
from docpipe.checks.picture import check_picture
from docpipe.checks.text import check_text, cut_loop
from docpipe.document import Box, PictureContent, TextContent, Word
from docpipe.imagefile import open_image, to_rgb

PROSE = "The quick brown fox jumps over the lazy dog, and then it sleeps."


class Crop:
    """Pixels that count how often they are looked at."""

    def __init__(self, image: Image.Image) -> None:
        self.pixels, self.looks = image, 0

    @property
    def image(self) -> Image.Image:
        self.looks += 1
        return self.pixels


def printed(text: str, ink: str = "black", paper: str = "white") -> Image.Image:
    image = Image.new("RGB", (900, 120), paper)
    ImageDraw.Draw(image).text((10, 40), text, fill=ink, font=ImageFont.load_default(24))
    return image


def checked(text: str, image: Image.Image | None = None) -> Checked:
    return check_text(TextContent(text=text), Crop(image) if image else None)


def codes(result: Checked) -> set[str]:
    return {finding.code for finding in result.verdict.findings}


def noisy_paper() -> Image.Image:
    """A scan of nothing: grain, a gradient of light, three specks of dust."""
    rng = random.Random(0)
    image = Image.new("L", (600, 300))
    image.putdata([205 + (i % 600) // 25 + rng.randrange(-12, 13) for i in range(600 * 300)])
    for x, y in ((40, 50), (300, 120), (500, 222)):
        image.paste(0, (x, y, x + 2, y + 2))
    return image.convert("RGB")


def test_text_that_is_on_the_crop_is_valid() -> None:
    assert checked(PROSE, printed(PROSE)).verdict.status == "valid"
    assert checked(PROSE, printed(PROSE, "white", "navy")).verdict.status == "valid"
    assert checked(PROSE).verdict.status == "valid"


@pytest.mark.parametrize("paper", ["white", "black", "noisy"])
def test_text_read_from_a_blank_crop_is_invalid_and_none_is_valid(paper: str) -> None:
    image = noisy_paper() if paper == "noisy" else Image.new("RGB", (600, 300), paper)
    invented = checked("Lorem ipsum", image)
    assert invented.verdict.status == "invalid"
    assert codes(invented) == {"text.blank"}
    assert checked("", image).verdict.status == "valid"


def test_a_single_character_is_not_blank() -> None:
    image = Image.new("RGB", (100, 100), "white")
    ImageDraw.Draw(image).text((40, 40), "7", fill="black", font=ImageFont.load_default(20))
    assert not is_blank(image)


def test_no_text_from_an_inked_crop_is_invalid() -> None:
    result = checked("", printed(PROSE))
    assert (result.verdict.status, codes(result)) == ("invalid", {"text.unread"})


def test_far_more_text_than_ink_is_invalid() -> None:
    result = checked(" ".join(str(n * n) for n in range(100)), printed("fox"))
    assert (result.verdict.status, codes(result)) == ("invalid", {"text.too-much"})


def test_far_less_text_than_ink_is_invalid() -> None:
    image = Image.new("RGB", (900, 900), "white")
    for row in range(20):
        image.paste(printed(PROSE).crop((0, 40, 900, 76)), (0, 20 + 40 * row))
    assert measure(image).marks > 900
    result = checked("The quick", image)
    assert (result.verdict.status, codes(result)) == ("invalid", {"text.too-little"})


def words(confidence: float | None) -> tuple[Word, ...]:
    return tuple(Word(text=w, box=Box(0, 0, 1, 1), confidence=confidence) for w in PROSE.split())


@pytest.mark.parametrize(("confidence", "looks"), [(None, 0), (0.95, 0), (0.3, 1)])
def test_pixels_are_looked_at_only_where_words_leave_a_doubt(confidence: float | None, looks: int) -> None:
    crop = Crop(printed(PROSE))
    result = check_text(TextContent(text=PROSE, words=words(confidence)), crop)
    assert result.verdict.status == "valid"
    assert crop.looks == looks


def test_an_empty_reading_without_pixels_is_unchecked() -> None:
    assert checked("  ").verdict.status == "unchecked"


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        (PROSE + " It went on and on." * 4, PROSE + " It went on and on."),
        (PROSE + "\nthe the the" + " the" * 30, PROSE + "\nthe"),
        ("Total: " + "no way " * 20 + "n", "Total: no way"),
    ],
)
def test_a_loop_at_the_end_is_cut_after_the_first_time_and_the_original_kept(text: str, cut: str) -> None:
    content, verdict = checked(text)
    assert isinstance(content, TextContent)
    assert content.text == cut
    assert (verdict.status, verdict.original) == ("repaired", text)
    assert {finding.code for finding in verdict.findings} == {"text.loop"}


@pytest.mark.parametrize(
    "text",
    [
        PROSE,
        "Contents " + "." * 200,
        "_" * 300,
        "0.00 " * 60,
        "- " * 60,
        "ha ha ha ha",
        "yes no yes no yes no",
        "one two three. one two three. one two three.",
    ],
)
def test_leaders_rules_figures_and_short_refrains_are_no_loops(text: str) -> None:
    assert cut_loop(text) is None


def test_a_refrain_whose_words_have_places_on_the_page_is_not_cut() -> None:
    refrain = "Row, row, row your boat. " * 8
    placed = tuple(Word(text=w, box=Box(0, 0, 1, 1)) for w in refrain.split())
    assert check_text(TextContent(text=refrain, words=placed)).verdict.status == "valid"
    assert check_text(TextContent(text=refrain)).verdict.status == "repaired"


@pytest.mark.parametrize(
    ("text", "mended", "code"),
    [
        ("caf\u00c3\u00a9 in Z\u00c3\u00bcrich", "caf\u00e9 in Z\u00fcrich", "text.mojibake"),
        ("it\u00e2\u20ac\u2122s", "it\u2019s", "text.mojibake"),
        ("\u00c3\x89t\u00c3\u00a9", "\u00c9t\u00e9", "text.mojibake"),
        ("a\x00b\x07c\ufffe", "abc", "text.control"),
        ("one\r\ntwo\x0cthree", "one\ntwo\nthree", "text.control"),
    ],
)
def test_encoding_is_mended_in_text_and_words(text: str, mended: str, code: str) -> None:
    word = Word(text=text, box=Box(0, 0, 1, 1))
    content, verdict = check_text(TextContent(text=text, words=(word,)))
    assert isinstance(content, TextContent)
    assert (verdict.status, content.text, content.words[0].text) == ("repaired", mended, mended)
    assert verdict.original == text
    assert [finding.code for finding in verdict.findings] == [code]


@pytest.mark.parametrize(
    "text", ["\u00c2ge d\u2019or", "\u00c3o \u00c9t\u00e9 na\u00efve", "5\u00b0 \u00b1 2", "\u00e0\u00a0la"]
)
def test_sound_accents_are_left_alone(text: str) -> None:
    content, verdict = checked(text)
    assert isinstance(content, TextContent)
    assert (verdict.status, content.text) == ("valid", text)


def test_broken_characters_are_noted_when_few_and_invalid_when_many() -> None:
    few = checked(PROSE * 3 + "\ufffd")
    assert (few.verdict.status, codes(few)) == ("valid", {"text.replacement"})
    many = checked("\ufffd\ufffd" + PROSE)
    assert (many.verdict.status, codes(many)) == ("invalid", {"text.replacement"})
    assert checked("(cid:3)(cid:17) und so weiter").verdict.status == "invalid"
    private = checked("\ue000\ue001\ue002 x")
    assert (private.verdict.status, codes(private)) == ("invalid", {"text.private"})


def test_a_caption_is_never_called_valid() -> None:
    content, verdict = check_picture(PictureContent(alt=" A cat\non a mat. "))
    assert content == PictureContent(alt="A cat on a mat.")
    assert (verdict.status, verdict.findings[0].code) == ("unchecked", "picture.unverified")


def test_a_caption_in_a_loop_is_cut_and_an_empty_one_is_invalid() -> None:
    content, verdict = check_picture(PictureContent(alt="A cat." + " It is a black cat." * 9))
    assert content == PictureContent(alt="A cat. It is a black cat.")
    assert (verdict.status, verdict.findings[0].code) == ("repaired", "picture.loop")
    content, verdict = check_picture(PictureContent(alt=" ... "))
    assert content == PictureContent()
    assert (verdict.status, verdict.original) == ("invalid", " ... ")


DATA = os.environ.get("DOCPIPE_BENCH_DATA")


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="DOCPIPE_BENCH_DATA is not set")
def test_the_truth_of_real_pages_fits_their_ink_and_three_words_of_it_mostly_do_not() -> None:
    folder = Path(DATA or "") / "ocr"
    with (folder / "MANIFEST.tsv").open() as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    caught = 0
    for row in rows:
        image = to_rgb(open_image((folder / row["path"]).read_bytes(), row["path"]), row["path"])
        text = (folder / row["truth"]).read_text()
        assert checked(text, image).verdict.status in {"valid", "repaired"}, row["path"]
        caught += checked(" ".join(text.split()[:3]), image).verdict.status == "invalid"
    assert caught >= 0.9 * len(rows)
