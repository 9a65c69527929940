"""Structure answers of a model filled with words: of the text layer, of OCR, on upright, turned and skewed pages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pymupdf
import pytest
import torch
from PIL import Image, ImageDraw

from docpipe.checks.html import check_table
from docpipe.document import Box, Page, Region, TableContent
from docpipe.engines.alignment import Token
from docpipe.engines.base import Request
from docpipe.engines.paligemma_view import View
from docpipe.engines.table_fill import fill, filled, ocr_words
from docpipe.notation.table_structure import Span, Structure, write
from docpipe.sheet import Sheet
from docpipe.source import SourceRef
from docpipe.tasks.table import TableTask

torch.set_num_threads(1)

GRID = Structure((0.0, 0.5, 1.0), (0.0, 0.5, 1.0), (True, False))
AREA = Box(0, 0, 200, 100)


def word(text: str, x: float, y: float, width: float = 30.0, size: float = 10.0) -> Token:
    return Token(text, Box(x, y - size, x + width, y), size)


def texts(structure: Structure, words: list[Token]) -> list[str]:
    return [cell.text for cell in fill(structure, words, AREA)]


def test_words_go_to_the_cells_that_they_lie_in() -> None:
    words = [word("b", 110, 20), word("a", 5, 20), word("c", 5, 80), word("d", 110, 80)]
    assert texts(GRID, words) == ["a", "b", "c", "d"]


def test_lines_of_a_cell_come_in_order_and_parted_words_are_joined() -> None:
    words = [word("struc-", 5, 15), word("ture", 5, 30), word("of", 40, 30), word("it", 5, 45)]
    assert texts(GRID, words)[0] == "structure of it"


def test_a_cell_without_words_is_empty_and_has_no_box() -> None:
    cells = fill(GRID, [word("a", 5, 20), word("e", 45, 20)], AREA)
    assert cells[0].box == Box(5, 10, 75, 20)
    assert [(c.text, c.box) for c in cells[1:]] == [("", None)] * 3


def test_a_spanning_cell_takes_all_the_words_in_it() -> None:
    spanned = Structure(GRID.x, GRID.y, GRID.heads, (Span(0, 0, 1, 2),))
    assert texts(spanned, [word("left", 10, 20), word("right", 150, 20), word("low", 150, 80)]) == [
        "left right",
        "",
        "low",
    ]


def test_a_word_cut_by_an_edge_goes_with_its_neighbour() -> None:
    # The edge at 100 lies a little too far left: "area" is cut, and stands with "total" rather than with "7".
    words = [word("total", 52, 80, 28), word("area", 83, 80, 30), word("7", 150, 80, 8)]
    assert texts(GRID, words)[2:] == ["total area", "7"]


def test_edges_move_to_where_they_part_words_and_not_phrases() -> None:
    # The model's edge at 100 lies between "fe" and "cosm"; the columns are parted at 80 in every row.
    words = [word("stub", 40, 20, 36), word("fe", 84, 20, 13), word("cosm", 101, 20, 30)]
    words += [word("stub", 40, 80, 36), word("rist", 84, 80, 40)]
    assert texts(GRID, words) == ["stub", "fe cosm", "stub", "rist"]
    # And one at 50 across cuts the letters of the first row's line.
    low = [word("a", 5, 54), word("b", 110, 54), word("c", 5, 80), word("d", 110, 80)]
    assert texts(GRID, low) == ["a", "b", "c", "d"]


def test_captions_beyond_the_table_are_not_in_it() -> None:
    inner = Structure((0.0, 0.5, 1.0), (0.4, 0.7, 1.0), (True, False))
    assert texts(inner, [word("caption", 5, 12), word("a", 5, 55), word("b", 5, 85)]) == ["a", "", "b", ""]


# --- the words of pages -----------------------------------------------------------------------------------------

ROWS = (("Country", "Area"), ("Norway", "385"), ("Chad", "1284"))
ANSWER = "".join(write(Structure((0.0, 0.5, 1.0), (0.0, 1 / 3, 2 / 3, 1.0), (True, False, False))))
PLACE = Box(50, 60, 250, 150)


def pdf_request(turn: int = 0) -> Request:
    """A table without rules on a page, its region 200 x 90 points; turn: the page's text stands so many degrees on."""
    pdf = pymupdf.Document()
    page = pdf.new_page(width=300, height=400)
    for r, row in enumerate(ROWS):
        for c, text in enumerate(row):
            page.insert_text((PLACE.x0 + 10 + 100 * c, PLACE.y0 + 20 + 30 * r), text, fontsize=12)
    box, width, height = PLACE, 300.0, 400.0
    if turn:
        page.set_rotation(turn)
        width, height = height, width
        box = Box(400 - PLACE.y1, PLACE.x0, 400 - PLACE.y0, PLACE.x1)
    sheet = Sheet(Page(number=1, width=width, height=height, rotation=(360 - turn) % 360),
                  SourceRef("t.pdf", data=pdf.tobytes()))  # fmt: skip
    return Request(TableTask(), sheet, Region(id="p1.r1", kind="table", box=box))  # type: ignore[arg-type]


def image_request(skew: float = 0.0) -> Request:
    """The same table as pixels at 144 dpi; skew: turned by so many degrees, as the page says."""
    drawn = Image.new("RGB", (400, 180), "white")
    pen = ImageDraw.Draw(drawn)
    for r, row in enumerate(ROWS):
        for c, text in enumerate(row):
            pen.text((20 + 200 * c, 15 + 60 * r), text, "black", font_size=26)
    if skew:
        drawn = drawn.rotate(skew, Image.Resampling.BICUBIC, fillcolor="white")
    pdf = pymupdf.Document()
    page = pdf.new_page(width=200, height=90)
    data = drawn.tobytes()
    page.insert_image(page.rect, pixmap=pymupdf.Pixmap(pymupdf.csRGB, drawn.width, drawn.height, data, False))
    sheet = Sheet(Page(number=1, width=200, height=90, skew=skew), SourceRef("t.pdf", data=pdf.tobytes()))
    return Request(TableTask(), sheet, Region(id="p1.r1", kind="table", box=Box(0, 0, 200, 90)))  # type: ignore[arg-type]


def cells(content: TableContent) -> list[str]:
    return [cell.text for cell in content.cells]


EXPECTED = [text for row in ROWS for text in row]


@pytest.mark.parametrize("turn", [0, 90])
def test_words_of_the_text_layer_with_boxes_on_the_page(turn: int) -> None:
    request = pdf_request(turn)
    content = filled(ANSWER, request, View.of(request))
    assert cells(content) == EXPECTED
    assert content.html.startswith("<table><thead><tr><th>Country</th>")
    first = content.cells[0].box
    assert first is not None
    box = request.region.box
    assert box.x0 < first.x0 < first.x1 < box.x1
    assert box.y0 < first.y0 < first.y1 < box.y1
    assert (first.width > first.height) == (turn == 0)


def test_an_answer_about_the_padded_square() -> None:
    request = pdf_request()
    # 200 x 90 padded to 200 x 200: the table takes the middle 45 % of the height.
    rows = (0.275, 0.425, 0.575, 0.725)
    answer = "".join(write(Structure((0.0, 0.5, 1.0), rows, (True, False, False))))
    assert cells(filled(answer, request, View.of(request, padded=True))) == EXPECTED


@pytest.mark.parametrize("skew", [0.0, 3.0])
def test_words_by_ocr_where_there_is_no_text_layer(skew: float) -> None:
    request = image_request(skew)
    content = filled(ANSWER, request, View.of(request))
    assert cells(content) == EXPECTED
    last = content.cells[-1].box
    assert last is not None
    assert 100 < last.x0 < 130
    assert 60 < last.y0 < 90


def test_nothing_legible_gives_empty_cells() -> None:
    assert ocr_words(Image.new("RGB", (120, 80), "white")) == []


def test_an_answer_without_a_table_gives_no_rows() -> None:
    request = pdf_request()
    content = filled("<cols><loc0001>", request, View.of(request))
    assert (content.rows, content.columns, content.cells) == (0, 0, ())
    assert check_table(content).verdict.status == "invalid"


def test_the_engine_fills_a_structure_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a checkpoint's answer to a table on the page, by the paligemma engine."""
    from docpipe.engines.paligemma import PaliGemmaEngine
    from docpipe.models.tokenizer import Tokenizer

    folder = tmp_path / "tiny"
    shutil.copytree(Path(__file__).parent.parent / "golden" / "tiny_10b", folder)
    said = {"family": "nano", "tasks": {"table": {"prepare": "squeeze", "max_tokens": 4}}}
    (folder / "docpipe.json").write_text(json.dumps(said))
    monkeypatch.setattr(Tokenizer, "text", lambda *_: ANSWER)  # the tiny checkpoint's own answers are noise
    (answer,) = PaliGemmaEngine(model=str(folder)).read([pdf_request()])
    assert answer.error is None
    assert isinstance(answer.content, TableContent)
    assert cells(answer.content) == EXPECTED
