"""Layout by models, held against the page's own text and figures."""

from __future__ import annotations

import pymupdf
from PIL import Image, ImageDraw
from typeset import kinds, prose, sheets

from docpipe.document import Box, Page, Word
from docpipe.engines.base import LayoutEngine
from docpipe.engines.fragments import Frame
from docpipe.engines.layout_geometry import GeometryLayout
from docpipe.engines.layout_models import ImageLayout, PyMuPdfLayout, lines_of_pieces, lines_of_words
from docpipe.sheet import Sheet


def page_of_text(page: pymupdf.Page) -> None:
    page.insert_text((50, 80), "1 On Foxes", fontsize=14, fontname="hebo")
    y = prose(page, 50, 110, 480, 10)
    page.draw_polyline([(60, y + 80), (120, y + 30), (180, y + 80), (240, y + 30), (300, y + 80)])
    page.insert_text((60, y + 100), "Figure 1: How a fox jumps.", fontsize=9)
    prose(page, 50, y + 140, 480, 10)


def as_scan(sheet: Sheet) -> Sheet:
    image, _ = sheet.source.pixels(150)
    pdf = pymupdf.Document()
    page = pdf.new_page(width=sheet.page.width, height=sheet.page.height)
    pixels = pymupdf.Pixmap(pymupdf.csRGB, image.width, image.height, image.tobytes(), False)
    page.insert_image(page.rect, pixmap=pixels)
    return sheets(lambda target: target.show_pdf_page(target.rect, pdf, 0))[0]


def words_of(sheet: Sheet) -> list[Word]:
    return [Word(text=w.text, box=w.box) for line in sheet.source.lines() for w in line.words]


def test_all_three_are_layout_engines():
    assert all(isinstance(engine, LayoutEngine) for engine in (GeometryLayout(), PyMuPdfLayout(), ImageLayout()))


def test_the_model_keeps_all_text_and_the_figure_it_does_not_see():
    sheet = sheets(page_of_text)[0]
    regions = PyMuPdfLayout().regions(sheet)
    assert regions
    assert "picture" in kinds(regions)
    boxes = [region.box.grown(2) for region in regions]
    assert all(any(box.covers(word.box, 0.4) for box in boxes) for word in words_of(sheet))


def test_a_turned_page_gives_the_model_upright_text():
    def turned(page):
        page_of_text(page)
        page.set_rotation(90)

    upright = PyMuPdfLayout().regions(sheets(page_of_text)[0])
    assert kinds(PyMuPdfLayout().regions(sheets(turned)[0]) or []) == kinds(upright or [])


def test_the_model_for_text_leaves_pages_of_pixels_to_the_next():
    assert PyMuPdfLayout().regions(as_scan(sheets(page_of_text)[0])) is None


def test_a_page_of_pixels_is_laid_out_with_every_word_in_a_region():
    born = sheets(page_of_text)[0]
    words = words_of(born)
    regions = ImageLayout(lambda _: words).regions(as_scan(born))
    assert regions
    assert "picture" in kinds(regions)
    boxes = [region.box.grown(3) for region in regions]
    assert all(any(box.covers(word.box, 0.4) for box in boxes) for word in words)


def test_without_words_the_boxes_of_the_model_are_given():
    regions = ImageLayout().regions(as_scan(sheets(page_of_text)[0]))
    assert regions
    assert "paragraph" in kinds(regions)


def test_a_sideways_scan_has_its_boxes_on_the_page_as_displayed(tmp_path):
    image = as_scan(sheets(page_of_text)[0]).source.pixels(110)[0].rotate(90, expand=True)
    image.save(tmp_path / "sideways.png", dpi=(110, 110))
    from docpipe.source import open_source

    with open_source(tmp_path / "sideways.png") as source:
        page = source.page(1)
        sheet = Sheet(Page(number=1, width=page.width, height=page.height, rotation=90), source.ref)
        regions = ImageLayout().regions(sheet) or []
    tall = [r for r in regions if r.kind == "paragraph"]
    assert tall
    assert all(r.box.height > r.box.width and r.box.x1 <= page.width for r in tall)


def test_words_of_a_skewed_page_make_level_lines():
    frame = Frame(0, 600, 800, skew=-3.0)
    level = [Box(50 + 60 * i, 100 + 20 * row, 100 + 60 * i, 110 + 20 * row) for row in range(3) for i in range(8)]
    words = [Word(text=f"w{n}", box=Box(*_moved(frame, box))) for n, box in enumerate(level)]
    lines = list(lines_of_words(words, frame))
    assert [line.text for line in lines] == [" ".join(f"w{8 * row + i}" for i in range(8)) for row in range(3)]


def _moved(frame: Frame, box: Box) -> Box:
    """A small box displayed where a level one stands, without growing."""
    x, y = frame.displayed(Box(*box.center, *box.center)).center
    return Box(x - box.width / 2, y - box.height / 2, x + box.width / 2, y + box.height / 2)


def test_frames_turn_boxes_there_and_back():
    box = Box(10, 20, 60, 40)
    for turn in (0, 90, 180, 270):
        frame = Frame(turn, 600, 800)
        assert frame.displayed(frame.upright(box)) == box


def test_a_blank_image_has_no_regions(tmp_path):
    image = Image.new("RGB", (800, 1100), "white")
    ImageDraw.Draw(image)
    image.save(tmp_path / "blank.png")
    from docpipe.source import open_source

    with open_source(tmp_path / "blank.png") as source:
        sheet = Sheet(Page(number=1, width=800, height=1100), source.ref)
        assert ImageLayout(lambda _: []).regions(sheet) == []


def test_pieces_that_ocr_found_apart_stay_apart_over_a_narrow_gutter():
    def words(x: float, y: float, *texts: str) -> list[Word]:
        return [Word(text=t, box=Box(x + 30 * n, y, x + 30 * n + 26, y + 10)) for n, t in enumerate(texts)]

    pieces = [words(50, 100, "having", "a", "watch"), words(150, 100, "the", "desired"), words(140, 130, "look,")]
    pieces.append(words(169, 130, "but", "worn"))
    lines = list(lines_of_pieces(pieces, Frame(0, 600, 800)))
    assert sorted(line.text for line in lines) == ["having a watch", "look, but worn", "the desired"]


def test_words_set_aside_are_read_off_the_pixels():
    born = sheets(page_of_text)[0]
    asked = []
    layout = ImageLayout(page_pieces=lambda sheet: asked.append(sheet) or [words_of(born)])
    layout.regions(born)
    assert not asked
    layout.regions(born.with_page(born.page, text="set aside"))
    assert len(asked) == 1


def test_a_frame_gives_a_tilted_word_its_own_size_back():
    frame, word = Frame(90, 600, 800, skew=3.0), Box(100, 100, 160, 112)
    back = frame.upright(frame.displayed(word))
    assert all(abs(a - b) < 0.01 for a, b in zip(back, word, strict=True))
