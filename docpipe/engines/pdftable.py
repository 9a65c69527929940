"""The engine that reads tables off a PDF's text layer, rulings and cell backgrounds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from docpipe.document import Box, Crop, Origin, TableContent
from docpipe.engines.alignment import Token
from docpipe.engines.base import Answer, Request, one_by_one
from docpipe.engines.fragments import Frame, is_bold, is_monospace, main_turn
from docpipe.engines.grid import Grid, read_grid
from docpipe.engines.lattice import Fill, Rulings
from docpipe.engines.textlayer import TextLayerEngine
from docpipe.notation.html import content_of
from docpipe.page import Drawing, SourcePage, TextLine, TextWord
from docpipe.tasks import Task

THIN = 2.6
"""A path thinner than this many points is a ruling."""


class PdfTableEngine:
    """Reads the `table` task from the words, rulings and fills of a PDF page; no pixels, no model.

    Abstains where the text layer says nothing or lies, and where the words make no grid.
    """

    name = "pdftable"

    def can_read(self, task: Task) -> bool:
        return task.name == "table"

    def read(self, requests: Sequence[Request]) -> Iterator[Answer]:
        return one_by_one(self.name, requests, self._read)

    def _read(self, request: Request) -> Answer:
        sheet, region = request.sheet, request.region
        origin = Origin(engine=self.name, crop=Crop(box=region.box))
        said = next(TextLayerEngine().read([request]))
        if said.content is None:
            return Answer(origin, reason=said.reason or "the text layer cannot be read here")
        tokens, rulings, frame = tokens_and_rulings(sheet.source, region.box)
        grid = read_grid(tokens, rulings)
        if grid is None:
            return Answer(origin, reason="the words here stand in fewer than two rows or columns")
        return Answer(origin, content_on_page(grid, frame), confidence=min(grid.confidence, said.confidence or 1.0))


def content_on_page(grid: Grid, frame: Frame) -> TableContent:
    """An upright grid, in points, as a table with the boxes of its cells on the page as displayed."""
    placed = (c.model_copy(update={"box": frame.displayed(c.box)}) if c.box else c for c in grid.cells)
    return content_of(grid.rows, grid.columns, tuple(placed))


def tokens_and_rulings(page: SourcePage, box: Box) -> tuple[list[Token], Rulings, Frame]:
    """The words and rulings of a box of a page, upright, and the frame that turns them back."""
    lines = [line for line in page.lines() if _meet(line.box, box)]
    frame = Frame(main_turn(lines), page.width, page.height)
    seen: set[tuple[str, int, int]] = set()
    tokens = []
    for line in lines:
        words = []
        for word in line.words:
            x, y = word.box.center
            key = (word.text, round(x / 1.5), round(y / 1.5))
            if key not in seen and box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1:
                seen.add(key)
                words.append(word)
        if words:
            tokens += _tokens(words, line, frame)
    near = frame.upright(box).grown(2.0)
    return tokens, rulings_of(page.drawings(), frame).within(near), frame


def _tokens(words: Sequence[TextWord], line: TextLine, frame: Frame) -> list[Token]:
    if abs((line.turn - frame.turn + 180) % 360 - 180) > 10:
        boxes = [frame.upright(word.box) for word in words]
        around = Box(
            min(b.x0 for b in boxes), min(b.y0 for b in boxes), max(b.x1 for b in boxes), max(b.y1 for b in boxes)
        )
        return [Token(" ".join(word.text for word in words), around, words[0].size)]
    return [
        Token(
            word.text,
            frame.upright(_tight(word) if line.turn == 0 else word.box),
            word.size,
            is_bold(word),
            "superscript" in word.style,
            is_monospace(word),
        )
        for word in words
    ]


def _tight(word: TextWord) -> Box:
    top = max(word.box.y0, word.baseline - 0.8 * word.size)
    bottom = min(word.box.y1, word.baseline + 0.22 * word.size)
    return word.box if bottom - top < 0.3 * word.size else Box(word.box.x0, top, word.box.x1, bottom)


def _meet(a: Box, b: Box) -> bool:
    return a.x0 <= b.x1 and b.x0 <= a.x1 and a.y0 <= b.y1 and b.y0 <= a.y1


def rulings_of(drawings: Iterable[Drawing], frame: Frame) -> Rulings:
    """The straight rulings and the filled boxes among a page's paths, upright."""
    horizontal: list[Box] = []
    vertical: list[Box] = []
    fills: list[Fill] = []

    def rule(box: Box) -> None:
        upright = frame.upright(box)
        (horizontal if upright.width >= upright.height else vertical).append(upright)

    for drawing in drawings:
        if drawing.curves or (drawing.fill is None and drawing.stroke is None):
            continue
        if min(drawing.box.width, drawing.box.height) <= THIN:
            if not _white(drawing.fill) or drawing.stroke is not None:
                rule(drawing.box)
            continue
        if drawing.stroke is not None:
            for x0, y0, x1, y1 in drawing.segments:
                if min(abs(x1 - x0), abs(y1 - y0)) <= THIN / 2:
                    rule(Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)))
        for box in drawing.rectangles or ((drawing.box,) if drawing.fill is not None and drawing.segments else ()):
            if min(box.width, box.height) <= THIN:
                rule(box)
                continue
            if drawing.fill is not None and not _white(drawing.fill):
                fills.append((frame.upright(box), drawing.fill))
            if drawing.stroke is not None:
                x0, y0, x1, y1 = box
                for side in (Box(x0, y0, x1, y0), Box(x0, y1, x1, y1), Box(x0, y0, x0, y1), Box(x1, y0, x1, y1)):
                    rule(side)
    return Rulings(tuple(horizontal), tuple(vertical), tuple(fills))


def _white(colour: tuple[float, ...] | None) -> bool:
    return colour is not None and min(colour, default=1.0) > 0.97
