"""Text read from a PDF's own layer, and the cases in which it must not be believed."""

from __future__ import annotations

import io

import pymupdf
import pytest
from PIL import Image, ImageDraw
from typeset import sheets

from docpipe.document import Box, Region, TextContent
from docpipe.engines.base import Answer, Request
from docpipe.engines.textlayer import TextLayerEngine, join_hyphenated, why_garbled
from docpipe.sheet import Sheet


class TextTask:
    name = "text"


def read(sheet: Sheet, box: Box | None = None, kind: str = "paragraph", others: tuple[Region, ...] = ()) -> Answer:
    region = Region(id="p1.r1", kind=kind, box=box or Box(0, 0, sheet.page.width, sheet.page.height))  # type: ignore[arg-type]
    sheet = sheet.with_regions((region, *others))
    return next(TextLayerEngine().read([Request(TextTask(), sheet, region)]))  # type: ignore[arg-type]


def text_of(answer: Answer) -> str:
    assert isinstance(answer.content, TextContent)
    return answer.content.text


def lines(*texts: str, **how):
    def draw(page: pymupdf.Page) -> None:
        for i, text in enumerate(texts):
            page.insert_text((50, 100 + 14 * i), text, fontsize=10, **how)

    return sheets(draw)[0]


def test_lines_become_running_text_with_words_and_boxes():
    answer = read(lines("The fox jumps over the la-", "zy dog and is gone."))
    assert text_of(answer) == "The fox jumps over the lazy dog and is gone."
    assert answer.content.words[0].text == "The"
    assert answer.content.words[0].box.x0 == pytest.approx(50, abs=1)
    assert answer.confidence
    assert answer.confidence > 0.9


def test_superscripts_are_marked_and_glued_to_their_word():
    def draw(page):
        page.insert_text((50, 100), "E = mc", fontsize=12)
        page.insert_text((50 + pymupdf.get_text_length("E = mc", fontsize=12), 95), "2", fontsize=7)

    answer = read(sheets(draw)[0])
    assert "mc2" in text_of(answer)
    styles = [word.style for word in answer.content.words if word.text == "2"]
    assert styles == [("superscript",)]


def test_bold_and_italic_are_kept_as_styles():
    assert read(lines("strong words", fontname="hebo")).content.words[0].style == ("bold",)
    assert read(lines("leaning words", fontname="heit")).content.words[0].style == ("italic",)


def test_code_keeps_its_lines_and_indents():
    answer = read(lines("if fox:", "    jump()", fontname="cour"), kind="code")
    assert text_of(answer) == "if fox:\n    jump()"


def test_sideways_text_is_read_in_its_direction():
    def draw(page):
        page.insert_text((100, 400), "first line", fontsize=10, rotate=90)
        page.insert_text((114, 400), "second line", fontsize=10, rotate=90)

    assert text_of(read(sheets(draw)[0])) == "first line second line"


def test_words_of_a_region_within_are_left_to_it():
    sheet = lines("outer words", "inner words")
    inner = Region(id="p1.r2", kind="caption", box=Box(40, 105, 300, 120))
    assert text_of(read(sheet, others=(inner,))) == "outer words"


def test_it_abstains_where_the_layer_is_silent():
    answer = read(lines("words"), Box(300, 300, 400, 400))
    assert answer.content is None
    assert answer.reason == "the text layer says nothing here"


def scan(text: str = "visible words of a scan") -> bytes:
    image = Image.new("RGB", (1190, 1684), "white")
    ImageDraw.Draw(image).text((100, 180), text, fill="black", font_size=30)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def test_unseen_text_over_a_scan_is_read_with_less_confidence():
    def draw(page):
        page.insert_image(page.rect, stream=scan())
        page.insert_text((50, 102), "visible words of a scan", fontsize=14, render_mode=3)

    answer = read(sheets(draw)[0])
    assert text_of(answer) == "visible words of a scan"
    assert answer.confidence == pytest.approx(0.8)


def test_unseen_text_where_the_scan_has_no_ink_is_not_believed():
    def draw(page):
        page.insert_image(page.rect, stream=scan())
        page.insert_text((50, 500), "words that nobody wrote there", fontsize=14, render_mode=3)

    answer = read(sheets(draw)[0])
    assert answer.content is None
    assert answer.reason
    assert "no ink" in answer.reason


def test_text_hidden_under_a_filled_box_is_not_believed():
    def draw(page):
        page.insert_text((50, 100), "a secret that was blacked out", fontsize=12)
        page.draw_rect(pymupdf.Rect(40, 80, 400, 110), fill=(0, 0, 0))

    assert read(sheets(draw)[0]).content is None


def test_text_on_a_shaded_ground_is_believed():
    def draw(page):
        page.draw_rect(pymupdf.Rect(40, 80, 400, 110), fill=(0.9, 0.9, 0.9), color=None)
        page.insert_text((50, 100), "words on a grey ground", fontsize=12)

    assert text_of(read(sheets(draw)[0])) == "words on a grey ground"


def test_text_without_ink_is_not_believed():
    answer = read(lines("hidden words for search engines", render_mode=3))
    assert answer.content is None
    assert answer.reason == "text drawn without ink"


@pytest.mark.parametrize(
    "text",
    [
        "\x19\x12\x07\x03",
        "\ue001\ue002\ue003\ue004 \ue005\ue006",
        "7KH\x03TXLFN\x03EURZQ\x03IR[\x03MXPSV",
        "(cid:12)(cid:44)(cid:7)",
        "Xlmw wirxirgi aew gshih fc wlmjxmrk izivc pixxiv jsyv tpegiw",
        "\ufffd\ufffd\ufffd fox",
    ],
)
def test_garbled_text_is_told(text):
    assert why_garbled(text)


@pytest.mark.parametrize(
    "text",
    [
        "A plain English sentence, with a number (42) and a URL https://example.org/a?b=c.",
        "Ein Satz mit Umlauten: Übergrößenträger fährt schwungvoll durch Schwäbisch Gmünd.",
        "Strč prst skrz krk, řekl zvlášť zvrhlý vlk.",
        "日本語の文章です。",
        "「私は冬の餌を集めています。同じことをすることをお勧めします」 とアリは言いました。 た、 に。 は、 も。",
        "getName() setItemCount(int newValue) firstChild.nextSibling.nodeName parseInt toString lastIndexOf",
        "نص عربي قصير",
        "\uf0b7 an item with a Symbol bullet",
        "IL-2 and TNF-α at 37 °C, pH 7.4; NaCl 0.9 % (w/v)",
        "x = 3",
    ],
)
def test_sound_text_is_not(text):
    assert why_garbled(text) is None


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        (["exam-", "ple"], "example"),
        (["state-of-the-", "art"], "state-of-the-art"),
        (["Anglo-", "Saxon"], "Anglo-Saxon"),
        (["1990-", "2000"], "1990-2000"),
        (["soft\u00ad", "ened"], "softened"),
        (["two", "words"], "two words"),
        (["漢字の", "文章"], "漢字の文章"),
        (["a dash -", "then words"], "a dash - then words"),
    ],
)
def test_hyphenation_is_undone_and_hyphens_are_kept(parts, whole):
    assert join_hyphenated(parts) == whole
