"""Tables read off a PDF's words and rulings, and off pixels."""

from __future__ import annotations

import io
from collections.abc import Callable

import pymupdf
import pytest
from PIL import Image
from typeset import sheets

from docpipe.checks.html import check_table
from docpipe.document import Box, Page, Region, TableContent
from docpipe.engines.base import Answer, Engine, Request
from docpipe.engines.imagetable import ImageTableEngine
from docpipe.engines.pdftable import PdfTableEngine
from docpipe.sheet import Sheet
from docpipe.source import SourceRef
from docpipe.tasks.table import TableTask

Draw = Callable[[pymupdf.Page], object]

BORDERLESS = [
    ["Compound", "Yield", "Purity"],
    ["Aspirin", "71.2", "99.1"],
    ["Caffeine", "64.0", "98.7"],
    ["Ibuprofen", "80.5", "97.3"],
]


def borderless(page: pymupdf.Page, left: float = 80, top: float = 100) -> None:
    for r, row in enumerate(BORDERLESS):
        for c, text in enumerate(row):
            page.insert_text((left + 110 * c, top + 18 * r), text, fontsize=11)


def spanned(page: pymupdf.Page) -> None:
    """A ruled table: `Method` over two rows, `Accuracy` over two columns, an empty cell, a wrapped cell."""
    x, y = [80, 200, 280, 360], [100, 122, 144, 182, 204]
    draw = page.draw_line
    for place in (y[0], y[2], y[3], y[4]):
        draw((x[0], place), (x[3], place))
    draw((x[1], y[1]), (x[3], y[1]))
    for place in (x[0], x[1], x[3]):
        draw((place, y[0]), (place, y[4]))
    draw((x[2], y[1]), (x[2], y[4]))
    for at, text in (
        ((86, 126), "Method"), ((240, 115), "Accuracy"), ((206, 137), "dev"), ((286, 137), "test"),
        ((86, 158), "A long name with a hy-"), ((86, 172), "phenated word"), ((206, 158), "71.2"), ((286, 158), "70.4"),
        ((86, 197), "Second"), ((286, 197), "68.9"),
    ):  # fmt: skip
        page.insert_text(at, text, fontsize=10)


SPANNED_HTML = (
    '<table><thead><tr><th rowspan="2">Method</th><th colspan="2">Accuracy</th></tr>'
    "<tr><th>dev</th><th>test</th></tr></thead>"
    "<tbody><tr><td>A long name with a hyphenated word</td><td>71.2</td><td>70.4</td></tr>"
    "<tr><td>Second</td><td></td><td>68.9</td></tr></tbody></table>"
)


def ask(engine: Engine, sheet: Sheet, box: Box | None = None) -> Answer:
    region = Region(id="p1.r1", kind="table", box=box or Box(0, 0, sheet.page.width, sheet.page.height))
    return next(iter(engine.read([Request(TableTask(), sheet.with_regions((region,)), region)])))


def table(answer: Answer) -> TableContent:
    assert isinstance(answer.content, TableContent), answer.reason or answer.error
    return answer.content


def as_image(draw: Draw, dpi: int = 150, turn: float = 0, width: float = 420, height: float = 250) -> Sheet:
    """What is drawn as an image file without a stated resolution, turned counter-clockwise."""
    pdf = pymupdf.Document()
    page = pdf.new_page(width=width, height=height)
    draw(page)
    pixels = page.get_pixmap(dpi=dpi)
    image = Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)
    if turn:
        image = image.rotate(turn, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    data = io.BytesIO()
    image.save(data, "PNG")
    return Sheet(Page(number=1, width=image.width, height=image.height), SourceRef("t.png", data=data.getvalue()))


def grid(content: TableContent) -> list[list[str]]:
    rows = [[""] * content.columns for _ in range(content.rows)]
    for cell in content.cells:
        rows[cell.row][cell.column] = cell.text
    return rows


# --- from a PDF


def test_a_borderless_table_is_read_by_its_alignment() -> None:
    answer = ask(PdfTableEngine(), sheets(borderless)[0])
    assert grid(table(answer)) == BORDERLESS
    assert [c.header for c in table(answer).cells[:3]] == [True, True, True]
    assert answer.confidence is not None
    assert 0.0 < answer.confidence < 1.0
    assert answer.origin.engine == "pdftable"
    assert answer.origin.crop is not None


def test_spans_headers_hyphens_and_empty_cells_of_a_ruled_table() -> None:
    content = table(ask(PdfTableEngine(), sheets(spanned)[0]))
    assert content.html == SPANNED_HTML
    assert check_table(content).verdict.status == "valid"


def test_cells_have_boxes_on_the_page_as_displayed() -> None:
    def turned(page: pymupdf.Page) -> None:
        borderless(page)
        page.set_rotation(90)

    content = table(ask(PdfTableEngine(), sheets(borderless)[0]))
    purity = next(c for c in content.cells if c.text == "98.7")
    assert purity.box is not None
    assert purity.box.x0 == pytest.approx(300, abs=2)
    assert purity.box.center[1] == pytest.approx(136 - 4, abs=3)

    sheet = sheets(turned)[0]
    assert (sheet.page.width, sheet.page.height) == (842, 595)
    cell = next(c for c in table(ask(PdfTableEngine(), sheet)).cells if c.text == "98.7")
    assert cell.box is not None
    assert cell.box.center == pytest.approx((842 - 132, 311), abs=6), "a page turned clockwise by 90 degrees"


def test_superscripts_stay_with_what_they_belong_to() -> None:
    def draw(page: pymupdf.Page) -> None:
        borderless(page)
        page.insert_text((80 + pymupdf.get_text_length("Aspirin", fontsize=11), 114), "a", fontsize=6)

    assert grid(table(ask(PdfTableEngine(), sheets(draw)[0])))[1] == ["Aspirina", "71.2", "99.1"]


def test_a_footnote_number_is_not_read_as_part_of_a_number() -> None:
    def draw(page: pymupdf.Page) -> None:
        borderless(page)
        page.insert_text((190 + pymupdf.get_text_length("71.2", fontsize=11), 114), "2", fontsize=6)

    assert grid(table(ask(PdfTableEngine(), sheets(draw)[0])))[1] == ["Aspirin", "71.2²", "99.1"]


def test_words_outside_the_region_are_not_in_the_table() -> None:
    def draw(page: pymupdf.Page) -> None:
        borderless(page)
        page.insert_text((80, 300), "Prose that follows on below the table.", fontsize=11)

    content = table(ask(PdfTableEngine(), sheets(draw)[0], Box(70, 85, 420, 165)))
    assert grid(content) == BORDERLESS


def test_a_lying_text_layer_is_not_believed() -> None:
    def draw(page: pymupdf.Page) -> None:
        for r in range(5):
            for c in range(3):
                page.insert_text((80 + 110 * c, 100 + 18 * r), "Table", fontsize=11, render_mode=3)

    answer = ask(PdfTableEngine(), sheets(draw)[0])
    assert answer.content is None
    assert answer.error is None
    assert "ink" in (answer.reason or "")


@pytest.mark.parametrize("engine", [PdfTableEngine(), ImageTableEngine()])
def test_no_grid_is_an_abstention_with_a_reason(engine: Engine) -> None:
    def line(page: pymupdf.Page) -> None:
        page.insert_text((50, 100), "Only one line of plain words here.", fontsize=11)

    for sheet in (sheets(line)[0], sheets(lambda _: None)[0]):
        answer = ask(engine, sheet)
        assert answer.content is None
        assert answer.error is None
        assert answer.reason


def test_a_failure_is_an_answer() -> None:
    sheet = Sheet(Page(number=1, width=100, height=100), SourceRef("gone.pdf", path="gone.pdf"))
    region = Region(id="p1.r1", kind="table", box=Box(0, 0, 100, 100))
    for engine in (PdfTableEngine(), ImageTableEngine()):
        answer = next(engine.read([Request(TableTask(), sheet, region)]))
        assert answer.error is not None
        assert answer.error.code == "DP107"
        assert answer.error.region == "p1.r1"


def test_typewritten_words_keep_together() -> None:
    rows = [["Year", "Country", "Score"], ["1999", "United States", "71.2"], ["2000", "New Zealand", "64.0"]]

    def draw(page: pymupdf.Page) -> None:
        for r, row in enumerate(rows):
            for c, text in enumerate(row):
                page.insert_text((80 + 110 * c, 100 + 18 * r), text, fontsize=11, fontname="cour")

    assert grid(table(ask(PdfTableEngine(), sheets(draw)[0]))) == rows


def test_cells_centred_on_the_height_of_their_row() -> None:
    def draw(page: pymupdf.Page) -> None:
        borderless(page, top=60)
        for r in range(3):
            top = 140 + 34 * r
            page.insert_text((80, top), "Terminal,", fontsize=11)
            page.insert_text((80, top + 13), "second part", fontsize=11)
            page.insert_text((190, top + 6.5), f"4{r}.0", fontsize=11)
            page.insert_text((300, top + 6.5), f"7{r}.5", fontsize=11)

    content = table(ask(PdfTableEngine(), sheets(draw)[0]))
    assert grid(content)[4:] == [["Terminal, second part", f"4{r}.0", f"7{r}.5"] for r in range(3)]


# --- from pixels


def test_lone_dashes_and_crosses_are_read(reader: ImageTableEngine) -> None:
    rows = [["Role", "Teachers", "Trainers"], ["Planning", "x", "-"], ["Testing", "-", "x"], ["Review", "x", "x"]]

    def draw(page: pymupdf.Page) -> None:
        for r, row in enumerate(rows):
            for c, text in enumerate(row):
                page.insert_text((60 + 110 * c, 60 + 24 * r), text, fontsize=11)

    assert grid(table(ask(reader, as_image(draw)))) == rows


def test_words_cut_by_the_image_s_edge_beyond_the_rules_are_not_in_the_table(reader: ImageTableEngine) -> None:
    def draw(page: pymupdf.Page) -> None:
        page.insert_text((60, 4), "the last line of a paragraph above that", fontsize=11)
        page.draw_line((60, 10), (360, 10))
        borderless(page, left=64, top=30)
        page.draw_line((60, 95), (360, 95))

    assert grid(table(ask(reader, as_image(draw, height=100)))) == BORDERLESS


@pytest.fixture(scope="module")
def reader() -> ImageTableEngine:
    return ImageTableEngine()


def test_an_image_that_is_one_table(reader: ImageTableEngine) -> None:
    answer = ask(reader, as_image(spanned))
    assert table(answer).html == SPANNED_HTML
    assert answer.origin.engine == "imagetable"
    assert answer.origin.digest
    assert answer.origin.crop is not None
    assert answer.origin.crop.sha256
    second = next(c for c in table(answer).cells if c.text == "Second")
    assert second.box is not None
    assert second.box.x0 == pytest.approx(86 * 150 / 72, abs=6), "an image without a resolution: a point a pixel"
    assert second.box.y1 == pytest.approx(197 * 150 / 72, abs=8)


def test_small_letters_are_enlarged_before_they_are_read(reader: ImageTableEngine) -> None:
    assert grid(table(ask(reader, as_image(borderless, dpi=72))))[1:] == BORDERLESS[1:]


def test_a_region_of_a_turned_page(reader: ImageTableEngine) -> None:
    sheet = as_image(borderless, turn=90)
    sheet = sheet.with_page(sheet.page.model_copy(update={"rotation": 90}))
    content = table(ask(reader, sheet))
    assert grid(content) == BORDERLESS
    cell = next(c for c in content.cells if c.text == "98.7")
    assert cell.box is not None
    scale = 150 / 72
    assert cell.box.center == pytest.approx((132 * scale, (420 - 311) * scale), abs=12)


def test_a_region_of_a_skewed_page(reader: ImageTableEngine) -> None:
    sheet = as_image(spanned, turn=3.0)
    sheet = sheet.with_page(sheet.page.model_copy(update={"skew": 3.0}))
    content = table(ask(reader, sheet))
    assert (content.rows, content.columns) == (4, 3)
    assert grid(content)[2][1:] == ["71.2", "70.4"]
    cell = next(c for c in content.cells if c.text == "Second")
    assert cell.box is not None
    found = cell.box.center
    assert all(0 < v < limit for v, limit in zip(found, (sheet.page.width, sheet.page.height), strict=True))
    patch = sheet.source.pixels(72.0, cell.box)[0].convert("L")
    assert patch.getextrema()[0] < 100, "there is ink where the cell's box stands on the page as displayed"


def test_reading_twice_gives_the_same(reader: ImageTableEngine) -> None:
    assert ask(reader, as_image(spanned)) == ask(reader, as_image(spanned))


def test_the_task_reads_a_model_s_answer() -> None:
    parsed = TableTask().parse("<table><tr><th>a<th>b<tr><td>1<td>2")
    assert (parsed.rows, parsed.columns) == (2, 2)
    assert TableTask().metric(parsed.html, parsed.html) == 1.0
    assert TableTask().check(parsed).verdict.status == "valid"


def test_a_table_with_five_even_rules_is_no_music() -> None:
    from docpipe.engines.layout_geometry import GeometryLayout

    def draw(page: pymupdf.Page) -> None:
        for r in range(5):
            page.draw_line((80, 100 + 12 * r), (410, 100 + 12 * r))
        for c in range(4):
            page.draw_line((80 + 110 * c, 100), (80 + 110 * c, 148))
        for r in range(4):
            for c, text in enumerate(BORDERLESS[r]):
                page.insert_text((85 + 110 * c, 109 + 12 * r), text, fontsize=8)
        page.insert_text((80, 220), "Prose that stands below the table and says what it is about.", fontsize=10)

    sheet = sheets(draw)[0]
    regions = GeometryLayout().regions(sheet)
    assert regions is not None
    found = [region for region in regions if region.kind == "table"]
    assert len(found) == 1
    assert grid(table(ask(PdfTableEngine(), sheet, found[0].box))) == BORDERLESS
