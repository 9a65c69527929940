"""Text for a table of which a model read the structure alone: each word goes into the cell that it lies in.

The words come from the PDF's text layer where that can be trusted, else from OCR, as with `imagetable`; the model's
edges say where cells begin and end. A table's text is thus never made up by the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from itertools import islice, pairwise, takewhile
from statistics import median

import numpy as np
from PIL import Image

from docpipe.document import Box, Cell, TableContent
from docpipe.engines.alignment import WORD_GAP, Token
from docpipe.engines.base import Request
from docpipe.engines.imagetable import enlarged, enlargement
from docpipe.engines.linework import ink_of, rulings_in
from docpipe.engines.lone_signs import lone_signs
from docpipe.engines.ocr_lines import ReadLine, read_lines
from docpipe.engines.paligemma_view import View, on_page, upright
from docpipe.engines.pdftable import tokens_and_rulings
from docpipe.engines.textlayer import TextLayerEngine, join_hyphenated
from docpipe.notation.html import content_of
from docpipe.notation.table_structure import Structure, read

BEYOND = 1.5
"""A word this many letter heights outside of the table's outer edges is no part of it: a caption, a neighbour."""

IN_PHRASE = 0.6
"""How bad it is to part two words that stand next to each other, where to cut a word is 1."""

CLEAR = 0.7
"""A word with this share of its width in one column is of that column, whatever stands beside it."""


def filled(answer: str, request: Request, view: View, threads: int = 1) -> TableContent:
    """A model's structure answer (notation.table_structure) as a table with text, boxes on the page.

    view: of the picture that the model saw. threads: of OCR. An answer without a row or a column gives a table of 0
    rows, which the check will not accept.
    """
    structure = read(answer)
    if structure is None:
        return TableContent(html="", rows=0, columns=0, cells=())
    words = _layer_words(request, view)
    if words is None:
        words = _seen_words(request, threads)
    content = content_of(structure.rows, structure.columns, fill(structure, words, view.frame))
    placed = on_page(content, view)
    assert isinstance(placed, TableContent)
    return placed


def _layer_words(request: Request, view: View) -> list[Token] | None:
    """The text layer's words in upright points of the picture; None where there is none that can be trusted."""
    if request.sheet.is_image or next(TextLayerEngine().read([request])).content is None:
        return None
    tokens, _, frame = tokens_and_rulings(request.sheet.source, request.region.box)
    return [replace(token, box=view.upright_box(frame.displayed(token.box))) for token in tokens]


def _seen_words(request: Request, threads: int) -> list[Token]:
    """The words that OCR reads in the upright crop, in upright points."""
    image, frame = upright(request), View.of(request).frame
    across, down = frame.width / image.width, frame.height / image.height

    def there(box: Box) -> Box:
        left, top = frame.x0, frame.y0
        return Box(left + box.x0 * across, top + box.y0 * down, left + box.x1 * across, top + box.y1 * down)

    return [replace(w, box=there(w.box), size=w.size * down) for w in ocr_words(image, threads)]


def ocr_words(image: Image.Image, threads: int = 1) -> list[Token]:
    """The words that OCR reads in a table image, boxes in its pixels, with lone signs that it has no eye for."""
    factor = enlargement(image, threads)
    large = enlarged(image, factor).convert("RGB")
    lines = read_lines(large, threads)
    if not lines:
        return []
    size = 0.75 * median(b.height for line in lines for b in line.boxes)
    texts = [_scaled(line.box, 1 / factor) for line in lines]
    rulings = rulings_in(np.asarray(image.convert("L"), dtype=np.int16), size / factor, texts).scaled(factor)
    ink = ink_of(np.asarray(large.convert("L"), dtype=np.int16), rulings, size)
    every: list[ReadLine] = [*lines, *lone_signs(np.asarray(large), ink, lines, rulings, size, threads)]
    return [
        Token(word, _scaled(box, 1 / factor), 0.75 * box.height / factor)
        for line in every
        for word, box in zip(line.words, line.boxes, strict=True)
    ]


def _scaled(box: Box, by: float) -> Box:
    return Box(box.x0 * by, box.y0 * by, box.x1 * by, box.y1 * by)


def fill(structure: Structure, words: Sequence[Token], area: Box) -> list[Cell]:
    """The cells of a structure with the words that lie in them, and the boxes of these words.

    area: the box that the structure's shares are of, in the unit of the words' boxes. Edges move a little to where
    they part the most words. A word is then of the row that its middle lies in and of the column that holds most of
    it; one that an edge still cuts goes with the words that it touches.
    """
    cells = structure.cells()
    owner: dict[tuple[int, int], int] = {}
    for i, cell in enumerate(cells):
        for r in range(cell.row, cell.row + cell.row_span):
            owner.update({(r, c): i for c in range(cell.column, cell.column + cell.column_span)})
    x = [area.x0 + share * area.width for share in structure.x]
    y = [area.y0 + share * area.height for share in structure.y]
    if words:
        x, y = _settled(x, y, words)
    inside = [w for w in words if _inside(w, x, y)]
    inside.sort(key=lambda w: (_row(w, y), w.box.x0))
    groups: dict[int, list[Token]] = {}
    columns = _columns(inside, x, y)
    for word, column in zip(inside, columns, strict=True):
        groups.setdefault(owner[_row(word, y), column], []).append(word)
    return [_with_words(cell, groups.get(i, [])) for i, cell in enumerate(cells)]


def _settled(x: Sequence[float], y: Sequence[float], words: Sequence[Token]) -> tuple[list[float], list[float]]:
    """Inner edges moved to where they cut the fewest words: a model tells them to a few pixels of its picture alone."""
    size = median(w.size for w in words)
    lines = sorted(words, key=lambda w: w.box.x0)
    gaps = []
    for i, a in enumerate(lines):
        end = a.box.x1 + WORD_GAP * size
        near = takewhile(lambda b, end=end: b.box.x0 < end, islice(lines, i + 1, None))  # type: ignore[misc]
        following = next((b for b in near if b.box.x0 >= a.box.x1 and _gap(a, b) is not None), None)
        if following is not None:
            gaps.append((a.box.x1, following.box.x0, IN_PHRASE))
    across = [(w.box.x0, w.box.x1, 1.0) for w in words]
    # Letters reach into their neighbours' lines: only the middle of a word's height must not be cut.
    down = [(w.box.y0 + 0.2 * w.box.height, w.box.y1 - 0.2 * w.box.height, 1.0) for w in words]
    return _moved(x, [*across, *gaps], 2.0 * size), _moved(y, down, 0.8 * size)


def _moved(edges: Sequence[float], taken: Sequence[tuple[float, float, float]], reach: float) -> list[float]:
    begins, ends, weights = (np.array(values) for values in zip(*taken, strict=True))
    moved = list(edges)
    for i in range(1, len(edges) - 1):
        edge = edges[i]
        low, high = max(-reach, 0.45 * (edges[i - 1] - edge)), min(reach, 0.45 * (edges[i + 1] - edge))
        places = edge + np.linspace(low, high, 33)
        cost = ((begins < places[:, None]) & (places[:, None] < ends)) @ weights
        best = np.flatnonzero(cost <= cost.min() + 1e-9)
        runs = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
        nearest = min(runs, key=lambda run: float(np.abs(places[run] - edge).min()))
        stays = float(((begins < edge) & (edge < ends)) @ weights) <= cost.min() + 1e-9
        moved[i] = edge if stays else float(places[nearest].mean())
    return moved


def _inside(word: Token, x: Sequence[float], y: Sequence[float]) -> bool:
    (across, down), reach = word.box.center, BEYOND * word.size
    return x[0] - reach <= across <= x[-1] + reach and y[0] - reach <= down <= y[-1] + reach


def _row(word: Token, y: Sequence[float]) -> int:
    middle = word.box.center[1]
    return sum(middle >= edge for edge in y[1:-1])


def _columns(words: Sequence[Token], x: Sequence[float], y: Sequence[float]) -> list[int]:
    """The column of each word. words: row by row from left to right."""
    edges = [float("-inf"), *x[1:-1], float("inf")]
    found, cut = [], []
    for i, word in enumerate(words):
        shares = [max(0.0, min(b, word.box.x1) - max(a, word.box.x0)) for a, b in pairwise(edges)]
        best = max(range(len(shares)), key=shares.__getitem__)
        found.append(best)
        if shares[best] < CLEAR * word.box.width:
            cut.append(i)
    for i in cut:
        beside = [
            (gap, found[j])
            for j, other in enumerate(words)
            if j not in cut and (gap := _gap(words[i], other)) is not None and _row(other, y) == _row(words[i], y)
        ]
        if beside:
            found[i] = min(beside)[1]
    return found


def _gap(a: Token, b: Token) -> float | None:
    """How far two words of one line stand apart; None where they are not next to each other in it."""
    if min(a.box.y1, b.box.y1) - max(a.box.y0, b.box.y0) < 0.5 * min(a.box.height, b.box.height):
        return None
    gap = max(a.box.x0, b.box.x0) - min(a.box.x1, b.box.x1)
    return gap if gap <= WORD_GAP * max(a.size, b.size) else None


def _with_words(cell: Cell, words: Sequence[Token]) -> Cell:
    if not words:
        return cell
    lines: list[list[Token]] = []
    for word in sorted(words, key=lambda w: w.box.center[1]):
        if lines and word.box.center[1] - lines[-1][0].box.center[1] < 0.5 * word.box.height:
            lines[-1].append(word)
        else:
            lines.append([word])
    text = join_hyphenated([" ".join(w.text for w in sorted(line, key=lambda w: w.box.x0)) for line in lines])
    return cell.model_copy(update={"text": text, "box": reduce(Box.union, (w.box for w in words))})
