"""Music that a PDF sets in fonts of musical signs, its lines drawn or stamped: no text, no table, but systems."""

from __future__ import annotations

from collections.abc import Callable

import pymupdf
import pytest

from docpipe import convert
from docpipe.document import Box, Page, Region
from docpipe.engines import layout_models
from docpipe.engines.layout_geometry import GeometryLayout
from docpipe.engines.layout_models import PyMuPdfLayout
from docpipe.notation.music_fonts import is_music_font
from docpipe.sheet import Sheet
from docpipe.source import SourceRef, open_source

MUSIC = "ABCDEF+TeXMUSIX20-Regular"


def stamped(page: pymupdf.Page, boxes: list[tuple[float, float, float, float]]) -> None:
    """Rules as Ghostscript writes those of TeX: a stencil of one pixel, stretched."""
    high = page.rect.height
    said = [
        f"q {x1 - x0:.2f} 0 0 {y1 - y0:.2f} {x0:.2f} {high - y1:.2f} cm BI /W 1 /H 1 /IM true /BPC 1 ID ".encode()
        + b"\x00 EI Q\n"
        for x0, y0, x1, y1 in boxes
    ]
    document = page.parent
    stream = document.get_new_xref()
    document.update_object(stream, "<<>>")
    document.update_stream(stream, b"".join(said), new=True)
    page.set_contents(_joined(document, page, stream))


def _joined(document: pymupdf.Document, page: pymupdf.Page, stream: int) -> int:
    whole = page.read_contents() + b"\n" + document.xref_stream(stream)
    document.update_stream(stream, whole)
    return stream


def system(page: pymupdf.Page, top: float) -> None:
    """Two staves with bars through both, notes in a music font, and words beneath each staff."""
    rules = []
    for staff in (top, top + 60):
        rules += [(72.0, staff + 5 * line, 520.0, staff + 5 * line + 0.5) for line in range(5)]
        for beat in range(24):
            page.insert_text((90 + 17 * beat, staff + 5 + beat * 5 % 20), "p", fontname="tiro", fontsize=10)
        for word in range(6):
            page.insert_text((90 + 70 * word, staff + 38), "glo - ri", fontsize=8)
    rules += [(x, top, x + 0.6, top + 80.5) for x in (72.0, 184.0, 296.0, 408.0, 519.4)]
    stamped(page, rules)


def music(page: pymupdf.Page) -> None:
    page.insert_text((200, 60), "Gloria in excelsis", fontsize=20)
    for top in (110.0, 260.0, 410.0):
        system(page, top)


def pdf(draw: Callable[[pymupdf.Page], None]) -> bytes:
    document = pymupdf.Document()
    page = document.new_page()
    draw(page)
    for font in page.get_fonts():
        if font[3] == "Times-Roman":
            document.xref_set_key(font[0], "BaseFont", "/" + MUSIC)
    return document.tobytes()


def sheet(draw: Callable[[pymupdf.Page], None]) -> Sheet:
    return Sheet(Page(number=1, width=595, height=842), SourceRef("music.pdf", data=pdf(draw)))


def kinds(regions: list[Region] | None) -> list[str]:
    return [region.kind for region in regions or ()]


@pytest.mark.parametrize(
    "name",
    [
        MUSIC,
        "XSLDU20",
        "Emmentaler-20",
        "Bravura",
        "Leland",
        "Maestro",
        "Opus",
        "OpusSpecialStd",
        "greciliae",
        "MScore",
    ],
)
def test_a_font_of_musical_signs_is_known_by_its_name(name):
    assert is_music_font(name)


@pytest.mark.parametrize(
    "name", ["CMR10", "BravuraText", "PetalumaScript", "Helsinki", "OpusTextStd", "MaestroText", "Gregor", "LelandText"]
)
def test_a_font_of_words_is_none(name):
    assert not is_music_font(name)


def test_musical_signs_are_drawings_and_no_text():
    with open_source(pdf(music)) as source:
        page = source.page(1)
        words = {word.text for line in page.lines() for word in line.words}
        signs = page.musical_signs()
        assert "p" not in words
        assert "Gloria" in words
        assert len(signs) == 3 * 2 * 24
        assert all(sign.height < 10 for sign in signs)  # their ink, not the height that the font claims
        assert {drawing.box for drawing in page.drawings() if drawing.curves} == set(signs)


def test_a_line_is_as_long_as_its_words_where_signs_stand_in_it():
    def draw(page: pymupdf.Page) -> None:
        page.insert_text((72, 100), "see the sign ", fontsize=11)
        page.insert_text((72 + pymupdf.get_text_length("see the sign "), 100), "pppppppp", fontname="tiro", fontsize=11)

    with open_source(pdf(draw)) as source:
        (line,) = source.page(1).lines()
        assert line.text == "see the sign"
        assert line.box.x1 < 72 + 70


def test_a_stencil_of_one_pixel_is_a_rule_and_no_image():
    with open_source(pdf(lambda page: stamped(page, [(72, 100, 400, 100.5)]))) as source:
        page = source.page(1)
        assert page.images() == ()
        (rule,) = page.drawings()
        assert rule.rectangles == (rule.box,)
        assert rule.box.x0 == pytest.approx(72, abs=0.1)
        assert rule.box.width == pytest.approx(328, abs=0.1)


def test_systems_with_bars_and_words_are_scores_and_no_table():
    document = convert(pdf(music), pages="1")
    found = [region.kind for region in document.pages[0].regions]
    assert found.count("score") == 3
    assert "table" not in found


def test_chant_of_four_lines_is_a_score_and_no_table():
    def chant(page: pymupdf.Page) -> None:
        page.insert_text((200, 60), "Kyrie eleison", fontsize=20)
        for staff in (120.0, 200.0, 280.0):
            rules = [(72.0, staff + 7 * line, 520.0, staff + 7 * line + 0.5) for line in range(4)]
            for neume in range(20):
                page.insert_text((90 + 20 * neume, staff + 7 + neume * 7 % 21), "p", fontname="tiro", fontsize=10)
            for word in range(6):
                page.insert_text((90 + 70 * word, staff + 38), "e - le", fontsize=9)
            stamped(page, [*rules, (72.0, staff, 72.6, staff + 21.5), (519.4, staff, 520.0, staff + 21.5)])

    found = [region.kind for region in convert(pdf(chant)).pages[0].regions]
    assert found.count("score") == 3
    assert "table" not in found


def test_a_page_of_nothing_but_music_needs_no_pixels():
    found = GeometryLayout().regions(sheet(lambda page: system(page, 110.0)))
    assert found is not None
    assert "picture" in kinds(found)


def test_what_the_model_calls_one_picture_is_systems_and_a_lone_sign_is_none(monkeypatch):
    said = [
        ("picture", Box(60, 90, 530, 520)),
        ("picture", Box(100, 700, 104, 704)),
        ("picture", Box(90, 600, 90, 610)),
    ]
    monkeypatch.setattr(layout_models, "model_groups", lambda *_: iter(said))
    found = PyMuPdfLayout().regions(sheet(music))
    assert found
    assert kinds(found).count("picture") == 3


def test_a_box_without_area_still_gives_a_pixel():
    with open_source(pdf(music)) as source:
        image, _ = source.page(1).pixels(150, Box(100, 100, 100, 110))
        assert image.width >= 1
        assert image.height >= 10
