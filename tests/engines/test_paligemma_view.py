"""Places on turned and skewed pages: what a model sees upright is brought back to the page as displayed."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from docpipe.document import AnswerContent, Box, Cell, Detection, Page, Region, TableContent, TextContent, Word
from docpipe.engines.base import Request
from docpipe.engines.paligemma_view import View, on_page, upright
from docpipe.models.preprocess import pad_to_white_square
from docpipe.notation.masks import from_run_lengths, run_lengths
from docpipe.sheet import Sheet
from docpipe.source import SourceRef
from docpipe.tasks import get_task

CROP = Box(40, 30, 340, 230)
SPOT = Box(100, 60, 130, 80)
"""A dark spot on the page, in points; the page has a pixel a point."""


def request(rotation: int = 0, skew: float = 0.0, crop: Box = CROP, spot: Box = SPOT) -> Request:
    image = Image.new("RGB", (400, 300), "white")
    ImageDraw.Draw(image).rectangle((spot.x0, spot.y0, spot.x1 - 1, spot.y1 - 1), fill="black")
    held = io.BytesIO()
    image.save(held, "PNG")
    page = Page(number=1, width=400, height=300, rotation=rotation, skew=skew)
    sheet = Sheet(page, SourceRef("page.png", data=held.getvalue()))
    return Request(get_task("detect"), sheet, Region(id="p1.r1", kind="other", box=crop), dpi=72)


def dark(image: Image.Image) -> tuple[float, float, float, float]:
    """The dark spot in a picture, as shares of its sides."""
    ys, xs = np.nonzero(np.asarray(image.convert("L")) < 128)
    return xs.min() / image.width, ys.min() / image.height, (xs.max() + 1) / image.width, (ys.max() + 1) / image.height


def found(made: Request, padded: bool) -> tuple[View, Box]:
    """The spot as a model would place it in its picture, in upright points."""
    image = upright(made)
    x0, y0, x1, y1 = dark(pad_to_white_square(image) if padded else image)
    view = View.of(made, padded=padded)
    f = view.frame
    return view, Box(f.x0 + x0 * f.width, f.y0 + y0 * f.height, f.x0 + x1 * f.width, f.y0 + y1 * f.height)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_what_is_seen_on_a_turned_page_is_where_it_is(rotation: int, padded: bool) -> None:
    view, box = found(request(rotation), padded)
    assert view.page_box(box) == pytest.approx(SPOT, abs=1e-6)
    assert view.upright_box(SPOT) == pytest.approx(box, abs=1e-6)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("rotation", "skew"), [(0, 3.0), (0, -4.5), (90, 2.0), (180, -1.0), (270, 5.0)])
def test_what_is_seen_on_a_skewed_page_is_where_it_is(rotation: int, skew: float, padded: bool) -> None:
    view, box = found(request(rotation, skew, spot=Box(100, 60, 104, 64)), padded)
    middle = view.page_point(*box.center)
    assert middle == pytest.approx((102, 62), abs=0.6)  # the spot is four pixels large
    around = view.page_box(box)
    assert around.covers(Box(100, 60, 104, 64), 0.75)
    assert around.width < 9


@pytest.mark.parametrize(("rotation", "skew"), [(0, 0.0), (90, 0.0), (270, 3.3), (180, -2.0)])
def test_points_go_there_and_back(rotation: int, skew: float) -> None:
    view = View.of(request(rotation, skew))
    for point in ((50.0, 40.0), (300.0, 200.0)):
        assert view.page_point(*view.upright_point(*point)) == pytest.approx(point)


def test_an_upright_page_is_left_as_it_is() -> None:
    view = View.of(request())
    assert not view.turned
    assert view.frame == (0, 0, 300, 200)
    assert view.page_box(Box(0, 0, 300, 200)) == CROP
    assert not View.of(request(skew=0.1)).turned


def test_words_cells_and_things_are_brought_back() -> None:
    view, box = found(request(90), False)
    contents: list[Any] = [
        TextContent(text="a", words=(Word(text="a", box=box),)),
        TableContent(html="", rows=1, columns=1, cells=(Cell(row=0, column=0, box=box), Cell(row=0, column=1))),
        AnswerContent(answer="a", detections=(Detection(label="a", box=box),)),
    ]
    text, table, answer = (on_page(content, view) for content in contents)
    assert text.words[0].box == pytest.approx(SPOT)
    assert table.cells[0].box == pytest.approx(SPOT)
    assert table.cells[1].box is None
    assert answer.detections[0].box == pytest.approx(SPOT)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_mask_is_turned_with_its_box(rotation: int) -> None:
    on_the_page = np.zeros((20, 30), bool)
    on_the_page[:5, :12] = True
    on_the_page[5:15, 20:] = True
    seen = np.rot90(on_the_page, -rotation // 90)
    view, box = found(request(rotation), False)
    mask = run_lengths(seen)
    thing = Detection(label="a", box=box, mask=mask, mask_size=(seen.shape[1], seen.shape[0]))
    answer = on_page(AnswerContent(answer="", detections=(thing,)), view)
    assert isinstance(answer, AnswerContent)
    (back,) = answer.detections
    assert back.mask is not None
    assert back.mask_size == (30, 20)
    assert np.array_equal(from_run_lengths(back.mask, (30, 20)), on_the_page)


def test_a_mask_on_a_skewed_page_keeps_its_area() -> None:
    view, box = found(request(0, 5.0), False)
    full = Detection(label="a", box=box, mask=run_lengths(np.ones((22, 32), bool)), mask_size=(32, 22))
    answer = on_page(AnswerContent(answer="", detections=(full,)), view)
    assert isinstance(answer, AnswerContent)
    (back,) = answer.detections
    assert back.mask is not None
    assert back.mask_size is not None
    assert from_run_lengths(back.mask, back.mask_size).sum() == pytest.approx(box.area, rel=0.05)
    assert back.box.area > box.area
