"""Layout by models: PyMuPDF's for born-digital pages whose geometry is in doubt, rapid-layout's for pages of pixels.

Both answer with boxes and classes. What they say is held against the page's own text and figures: every line of text
ends up in a region, figures a model missed are added, and kinds that cannot be (a running foot in mid-page) mended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import pymupdf
from PIL import Image

from docpipe.document import Box, Kind, Region, Word
from docpipe.engines.blocks import Block, blocks
from docpipe.engines.columns import reading_order
from docpipe.engines.figure_boxes import Figure
from docpipe.engines.fragments import Fragment, Frame, fragments, is_right_to_left, main_turn
from docpipe.engines.graphics import components
from docpipe.engines.kinds import Surroundings, kind_of
from docpipe.engines.layout_geometry import Piece, as_regions, body_size, finish, survey
from docpipe.engines.scan_figures import taken_apart
from docpipe.engines.statistics import in_margin
from docpipe.page import TextLine, TextWord
from docpipe.pdfpage import PdfPage
from docpipe.sheet import Sheet

if TYPE_CHECKING:
    from rapid_layout import RapidLayout

PageWords = Callable[[Sheet], Sequence[Word]]
"""Reads a page's words off its pixels: boxes on the page as displayed, in any order."""

PagePieces = Callable[[Sheet], Sequence[Sequence[Word]]]
"""Reads a page off its pixels as pieces of lines, each its words from left to right."""

MODEL_DPI = 110.0
"""rapid-layout's model scales its input to 608 x 800 pixels: more resolution is thrown away."""

LEAST_SCORE, LEAST_SCORE_OF_LARGE = 0.45, 0.75
"""The model's boxes are taken from this score up; figures and tables of half a page must be surer."""

LEAST_MISSED = 40.0
"""Ink that nobody accounts for is a figure when it is this wide and high, in points."""

LEAST_OBJECT = 8.0
"""Pictures and tables are at least this wide and high, in points; what the model calls so is often a sign in a line."""

PROSE = 12
"""A line of at least so many letters is no label of a figure."""

OBJECTS: frozenset[Kind] = frozenset(("picture", "table"))


_PYMUPDF: dict[str, Kind] = {
    "text": "paragraph", "title": "title", "picture": "picture", "table": "table", "list-item": "list_item",
    "page-header": "header", "page-footer": "footer", "section-header": "heading", "footnote": "footnote",
    "caption": "caption", "formula": "formula",
}  # fmt: skip
_CDLA: dict[str, Kind] = {
    "text": "paragraph", "title": "heading", "figure": "picture", "figure_caption": "caption", "table": "table",
    "table_caption": "caption", "header": "header", "footer": "footer", "reference": "paragraph",
    "equation": "formula",
}  # fmt: skip


class PyMuPdfLayout:
    """Regions of a born-digital page by the layout model in PyMuPDF (half a CPU second a page)."""

    name = "pymupdf-layout"

    def regions(self, sheet: Sheet) -> list[Region] | None:
        """None for pages without visible text of their own: the model reads a text layer, no pixels."""
        source = sheet.source
        if not isinstance(source, PdfPage) or not any(w.visible for line in source.lines() for w in line.words):
            return None
        frame = Frame(main_turn(source.lines()), source.width, source.height)
        texts, turned = fragments(source.lines(), frame)
        return _grouped(sheet, frame, [*texts, *turned], survey(sheet).figures)


def _grouped(sheet: Sheet, frame: Frame, texts: list[Fragment], figures: Sequence[Figure]) -> list[Region]:
    """The model's groups made whole with all of the page's text and with figures it did not see."""
    source = sheet.source
    assert isinstance(source, PdfPage)
    predicted = [
        (kind, box) for kind, box in model_groups(source, frame) if kind not in OBJECTS or _stands(box, figures)
    ]
    objects = [(kind, Piece(kind, box)) for kind, box in predicted if kind in OBJECTS]
    places = [piece.box for _, piece in objects]
    objects += [("picture", Piece("picture", f.box)) for f in figures if not any(_same_place(b, f.box) for b in places)]
    named = [(kind, box) for kind, box in predicted if kind not in OBJECTS]
    groups: dict[int, list[Fragment]] = {}
    rest: list[Fragment] = []
    for text in (t for t in texts if not any(_holds(piece.box, t) for _, piece in objects)):
        holding = [i for i, (_, box) in enumerate(named) if _holds(box, text)]
        if holding:
            groups.setdefault(min(holding, key=lambda i: named[i][1].area), []).append(text)
        else:
            rest.append(text)
    atoms: list[tuple[Kind | None, Block | Piece]] = [
        (named[i][0], Block(tuple(sorted(group, key=lambda t: (round(t.box.y1 / 2), t.box.x0)))))
        for i, group in groups.items()
    ]
    atoms += [(None, block) for block in blocks(rest, [piece.box for _, piece in objects])]
    return _regions(sheet, frame, [*atoms, *objects], texts)


def _stands(box: Box, figures: Sequence[Figure]) -> bool:
    """Whether an object of the model's is one: no lone sign, and no page of music, which geometry takes in systems."""
    music = (figure.box for figure in figures if figure.cluster.staves)
    return min(box.width, box.height) >= LEAST_OBJECT and not any(_same_place(box, system) for system in music)


def model_groups(source: PdfPage, frame: Frame) -> Iterator[tuple[Kind, Box]]:
    """What PyMuPDF's model says of a page, in its own order, upright.

    It reads pages as stored, so a turned one is set upright in a copy first.
    """
    stored: Any = source.raw.parent
    if source.raw.rotation or frame.turn:
        upright: Any = pymupdf.Document()
        upright.insert_pdf(stored, from_page=source.number - 1, to_page=source.number - 1, annots=False, links=False)
        page = upright[0]
        page.set_rotation((page.rotation + 360 - frame.turn) % 360)
        page.remove_rotation()
    else:
        # A page object of its own: layout information left on a shared one changes what find_tables does later.
        page = stored.load_page(source.number - 1)
    page.get_layout()
    for *corners, name in page.layout_information or []:
        yield _PYMUPDF.get(name, "paragraph"), Box(*(float(v) for v in corners))


class ImageLayout:
    """Regions of a page of pixels by rapid-layout's shipped model (a third of a CPU second a page) and its words.

    page_words, page_pieces: read the page's words (OCR), loose or as pieces of lines. Without either, and when unseen
    text of the file's own lies over a scan, the text layer's words are taken, unless the pipeline set them aside.
    """

    name = "image-layout"

    def __init__(self, page_words: PageWords | None = None, page_pieces: PagePieces | None = None) -> None:
        self.page_words, self.page_pieces = page_words, page_pieces

    @cached_property
    def _model(self) -> RapidLayout:
        with _quiet():
            from rapid_layout import RapidLayout

            return RapidLayout(conf_thresh=LEAST_SCORE, engine_cfg={"intra_op_num_threads": 1})

    def regions(self, sheet: Sheet) -> list[Region] | None:
        page = sheet.page
        frame = Frame((360 - page.rotation) % 360, page.width, page.height, page.skew)
        lines = sheet.source.lines()
        if not lines or sheet.ways.get("text") == "set aside":
            if self.page_pieces is not None:
                lines = tuple(lines_of_pieces(self.page_pieces(sheet), frame))
            elif self.page_words is not None:
                lines = tuple(lines_of_words(self.page_words(sheet), frame))
        image, dpi = _upright_image(sheet, frame)
        predicted = list(self._predicted(image, dpi))
        if not lines:  # nobody could read the page: the model's boxes are all there is
            return _regions(sheet, frame, [(kind, Piece(kind, box)) for kind, box in predicted], [])
        prose = [frame.upright(line.box) for line in lines if len(line.text) >= PROSE]
        tables = [box for kind, box in predicted if kind == "table"]
        pictures = taken_apart(image, dpi, [box for kind, box in predicted if kind == "picture"], [*prose, *tables])
        boxes = [*pictures, *tables]
        # Numbers of a table would else be taken for the markers of the lines beside it.
        texts, turned = fragments(_outside(lines, frame, boxes), frame)
        objects: list[tuple[Kind, Piece]] = [("picture", Piece("picture", box)) for box in pictures]
        objects += [("table", Piece("table", box)) for box in tables]
        missed = ink_outside(image, dpi, [*(t.box for t in (*texts, *turned)), *boxes])
        objects += [("picture", Piece("picture", box)) for box in missed]
        free = [t for t in (*texts, *turned) if not any(_holds(piece.box, t) for _, piece in objects)]
        named = [(kind, box) for kind, box in predicted if kind not in {*OBJECTS, "paragraph"}]
        # The model's paragraphs often cut through real ones: lines are put together by their own geometry.
        texted = [(_said(block.box, named), block) for block in blocks(free, [piece.box for _, piece in objects])]
        return _regions(sheet, frame, [*texted, *objects], texts)

    def _predicted(self, image: Image.Image, dpi: float) -> Iterator[tuple[Kind, Box]]:
        """The model's boxes, surest first; of boxes on one place the surest is kept, and no object within another."""
        answer: Any = self._model(np.ascontiguousarray(np.asarray(image)[:, :, ::-1]))
        page = Box(0.0, 0.0, image.width * 72 / dpi, image.height * 72 / dpi)
        kept: list[tuple[Kind, Box]] = []
        for score, name, corners in sorted(
            zip(answer.scores, answer.class_names, answer.boxes, strict=True), reverse=True
        ):
            kind, box = _CDLA.get(name, "paragraph"), Box(*(float(v) * 72 / dpi for v in corners))
            doubtful = box.area > 0.4 * page.area and score < LEAST_SCORE_OF_LARGE and kind in OBJECTS
            nested = kind in OBJECTS and any(k in OBJECTS and _same_place(b, box) for k, b in kept)
            if not doubtful and not nested and not any(other.iou(box) > 0.5 for _, other in kept):
                kept.append((kind, box))
        yield from kept


def _outside(lines: Sequence[TextLine], frame: Frame, boxes: Sequence[Box]) -> list[TextLine]:
    """Lines without the words that stand within figures and tables (boxes upright)."""
    kept = []
    for line in lines:
        words = tuple(w for w in line.words if not any(_contains(box, frame.upright(w.box)) for box in boxes))
        if len(words) == len(line.words):
            kept.append(line)
        elif words:
            kept.append(replace(line, words=words, box=reduce(Box.union, (w.box for w in words))))
    return kept


def _contains(box: Box, word: Box) -> bool:
    x, y = word.center
    return box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1


def image_layout() -> ImageLayout:
    """The layout of pages of pixels, their words read by docpipe's own OCR."""
    from docpipe.engines.ocr import page_pieces

    return ImageLayout(page_pieces=page_pieces)


def _upright_image(sheet: Sheet, frame: Frame) -> tuple[Image.Image, float]:
    """The page's pixels, upright and level, and their resolution."""
    image, dpi = sheet.source.pixels(MODEL_DPI)
    image = image.rotate(frame.turn, expand=True, fillcolor="white")
    if frame.skew:
        image = image.rotate(-frame.skew, Image.Resampling.BILINEAR, fillcolor="white")
    return image, dpi


def ink_outside(image: Image.Image, dpi: float, known: Sequence[Box]) -> list[Box]:
    """Figures nobody found: large joined areas of ink outside the boxes known, in points. Page edges do not count."""
    cell = 4.0
    size = max(1, round(image.width * 72 / dpi / cell)), max(1, round(image.height * 72 / dpi / cell))
    grey = np.asarray(image.convert("L").resize(size, Image.Resampling.BOX), np.int16)
    inked = grey < np.percentile(grey, 90) - 25
    margin = max(2, round(0.02 * min(inked.shape)))
    inked[:margin], inked[-margin:], inked[:, :margin], inked[:, -margin:] = False, False, False, False
    for box in known:
        x0, y0, x1, y1 = (round(v / cell) for v in box.grown(2.0))
        inked[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = False
    labels = components(inked)
    found = []
    for label in np.unique(labels[inked]):
        rows, columns = np.nonzero((labels == label) & inked)
        box = Box(*(float(v) * cell for v in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)))
        filled = len(rows) * cell * cell / box.area
        framing = sum(box.intersection(other) for other in known) > 0.25 * box.area
        if min(box.width, box.height) >= LEAST_MISSED and filled > 0.12 and not framing:
            found.append(box)
    return found


def _said(box: Box, named: Sequence[tuple[Kind, Box]]) -> Kind | None:
    """What the model calls the place of a block, when it names one that covers most of it."""
    return next((kind for kind, place in named if place.covers(box, 0.6)), None)


@contextmanager
def _quiet() -> Iterator[None]:
    """rapid-layout logs every step of its start to the console."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)


def lines_of_words(words: Sequence[Word], frame: Frame) -> Iterator[TextLine]:
    """Words read off pixels as lines of text: those level with each other and no more than two letters apart."""
    rows: list[list[tuple[Box, Word]]] = []
    for box, word in sorted(((frame.upright(w.box), w) for w in words), key=lambda pair: pair[0].x0):
        for row in rows:
            last = row[-1][0]
            shared = min(last.y1, box.y1) - max(last.y0, box.y0)
            if shared > 0.5 * min(last.height, box.height) and -last.height < box.x0 - last.x1 < 1.4 * last.height:
                row.append((box, word))
                break
        else:
            rows.append([(box, word)])
    yield from _as_lines(rows, frame)


def lines_of_pieces(pieces: Sequence[Sequence[Word]], frame: Frame) -> Iterator[TextLine]:
    """Pieces of lines, as OCR finds them, as lines of text: those level with each other that nearly touch are one.

    A gutter may be no wider than a blank in a justified line; that OCR found two pieces is what tells.
    """
    placed = [[(frame.upright(word.box), word) for word in piece] for piece in pieces]
    rows: list[list[tuple[Box, Word]]] = []
    for piece in sorted(placed, key=lambda words: words[0][0].x0):
        first = piece[0][0]
        for row in rows:
            last = row[-1][0]
            shared = min(last.y1, first.y1) - max(last.y0, first.y0)
            if shared > 0.5 * min(last.height, first.height) and abs(first.x0 - last.x1) < 0.5 * last.height:
                row += piece
                break
        else:
            rows.append(list(piece))
    yield from _as_lines(rows, frame)


def _as_lines(rows: Sequence[list[tuple[Box, Word]]], frame: Frame) -> Iterator[TextLine]:
    usual = float(np.median([box.height for row in rows for box, _ in row])) if rows else 0.0
    for number, row in enumerate(sorted(rows, key=lambda r: (r[0][0].y0, r[0][0].x0))):
        height = float(np.median([box.height for box, _ in row]))
        # Boxes read off pixels are as high as their letters happen to be: small differences mean nothing.
        size = 0.8 * (usual if 0.75 * usual < height < 1.3 * usual else height)
        place = reduce(Box.union, (word.box for _, word in row))
        read = (TextWord(w.text, w.box, size, "", w.style, True, w.box.y1 - 0.2 * w.box.height) for _, w in row)
        yield TextLine(tuple(read), place, frame.turn, number)


def _regions(
    sheet: Sheet, frame: Frame, atoms: Sequence[tuple[Kind | None, Block | Piece]], texts: Sequence[Fragment]
) -> list[Region]:
    """Blocks and objects, each with what a model calls it, as regions in reading order. texts: all of the page's."""
    body = body_size(texts, sheet)
    objects = [atom.box for _, atom in atoms if isinstance(atom, Piece)]
    around = Surroundings(sheet.statistics, sheet.page.number, frame.size, objects, [], body)
    drawn = [atom.drawn if isinstance(atom, Block) else -1 for _, atom in atoms]
    rtl = is_right_to_left("".join(t.text for t in texts[:200]))
    runs = reading_order([atom.box for _, atom in atoms], drawn, 0.8 * body, rtl)
    ordered = [atoms[i] for run in runs for i in run.items]
    pieces = [_piece(ordered, i, around) for i in range(len(ordered))]
    heads = [p for p in pieces if p.kind == "header"]
    feet = [p for p in pieces if p.kind == "footer"]
    middle = finish([p for p in pieces if p.kind not in {"header", "footer"}], around)
    return as_regions(sheet, frame, [*heads, *middle, *feet])


def _piece(ordered: Sequence[tuple[Kind | None, Block | Piece]], place: int, around: Surroundings) -> Piece:
    """One group with its kind: the model's, unless the rules know better."""
    said, atom = ordered[place]
    if isinstance(atom, Piece):
        return atom
    before = [b for _, b in ordered[:place] if isinstance(b, Block)]
    after = [b for _, b in ordered[place + 1 :] if isinstance(b, Block)]
    ruled = kind_of(atom, before[-1] if before else None, after[0] if after else None, around)
    misplaced = said in {"header", "footer"} and not in_margin(atom.box.y0, atom.box.y1, around.size[1])
    if said is None or misplaced or (said == "heading" and ruled == "title"):
        return Piece(ruled, atom.box, atom)
    if said == "paragraph" and ruled in {"caption", "code", "list_item", "footnote"}:
        return Piece(ruled, atom.box, atom)
    return Piece(said, atom.box, atom)


def _same_place(a: Box, b: Box) -> bool:
    return a.iou(b) > 0.3 or a.covers(b, 0.7) or b.covers(a, 0.7)


def _holds(box: Box, text: Fragment) -> bool:
    x, y = text.box.center
    return box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1
