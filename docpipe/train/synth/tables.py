"""Made-up tables as images: seeded, streaming, with all that a reader of tables could want to know.

Texts are made up, too (wording.py); shapes and looks follow printed tables (tabular/). Cells span several places only
where one can see it, and the edges of borderless rows and columns lie midway between the letters.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from docpipe.document import Box, Cell, TableContent
from docpipe.notation.html import content_of
from docpipe.notation.table_structure import Span, Structure
from docpipe.notation.tokens import loc
from docpipe.train.synth.degrade import degrade
from docpipe.train.synth.faces import BUILT_IN
from docpipe.train.synth.tabular.content import random_plan
from docpipe.train.synth.tabular.layout import Laid, lay_out, paint
from docpipe.train.synth.tabular.style import Style, random_style

Place = tuple[float, float, float, float]


@dataclass(frozen=True)
class Table:
    """A table as an image with its truth.

    pixels: uint8 [height, width], grey. x, y: edges of columns and rows in pixels. cells: with the box of their
    letters in pixels, None where empty. words: texts with boxes in pixels, in the order of cells.
    """

    pixels: np.ndarray
    cells: tuple[Cell, ...]
    words: tuple[tuple[str, Place], ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    head: int
    style: Style

    @property
    def structure(self) -> Structure:
        """Its structure, edges as shares of the image's sides."""
        height, width = self.pixels.shape
        spans = [Span(c.row, c.column, c.row_span, c.column_span) for c in self.cells if c.row_span * c.column_span > 1]
        return Structure(
            tuple(v / width for v in self.x),
            tuple(v / height for v in self.y),
            tuple(r < self.head for r in range(len(self.y) - 1)),
            tuple(spans),
        )

    @property
    def content(self) -> TableContent:
        """Its cells and plain HTML; boxes in pixels."""
        return content_of(len(self.y) - 1, len(self.x) - 1, self.cells)

    @property
    def html(self) -> str:
        """HTML in the form that the PaliGemma 2 paper trained on (appendix on table recognition).

        Each cell that is not empty bears `coords`: four location tokens of its letters' box, x first, as shares of the
        image padded to a square.
        """
        height, width = self.pixels.shape
        side = max(width, height)
        dx, dy = (side - width) // 2, (side - height) // 2
        plain = self.content.html
        places = iter([c.box for c in self.content.cells])
        parts = plain.split("<t")
        made = [parts[0]]
        for part in parts[1:]:
            if part[0] in "dh" and part[1] in " >":
                box = next(places)
                if box is not None:
                    shares = (box.x0 + dx) / side, (box.y0 + dy) / side, (box.x1 + dx) / side, (box.y1 + dy) / side
                    part = f'{part[0]} coords="{"".join(map(loc, shares))}"{part[1:]}'
            made.append(part)
        return "<t".join(made)


def tables(
    seed: int,
    start: int = 0,
    *,
    faces: Sequence[str] = (BUILT_IN,),
    rows: tuple[int, int] = (2, 32),
    columns: tuple[int, int] = (2, 12),
    noise: float = 1.0,
    words: bool = True,
    part: str = "train",
) -> Iterator[Table]:
    """Tables number `start` and on, endlessly; number i depends on the arguments and i alone.

    faces: font files (faces.faces_in). rows, columns: how many there may be. noise: 0 clean to 1 as scans are.
    words: with the boxes of single words. part: another name gives other tables for the same seed.
    """
    index = start
    while True:
        rng = random.Random(f"tables:{part}:{seed}:{index}")
        yield table(rng, faces, rows, columns, noise, words)
        index += 1


def table(
    rng: random.Random,
    faces: Sequence[str],
    rows: tuple[int, int],
    columns: tuple[int, int],
    noise: float = 1.0,
    words: bool = True,
) -> Table:
    """One table; see `tables`."""
    style = random_style(rng, faces)
    plan = random_plan(rng, style, rows, columns)
    margins = [rng.randint(0, rng.choice((2, 6, 16))) for _ in range(4)]
    layout = lay_out(plan, style, rng, (margins[0], margins[1], margins[2], margins[3]))
    pixels = degrade(paint(layout, style, plan), rng, noise)
    ordered = sorted(layout.cells, key=lambda laid: (laid.cell.row, laid.cell.column))
    return Table(
        pixels=np.ascontiguousarray(pixels),
        cells=tuple(_cell(laid) for laid in ordered),
        words=tuple(w for laid in ordered for line in laid.lines for w in line.words()) if words else (),
        x=tuple(layout.x),
        y=tuple(layout.y),
        head=plan.head,
        style=style,
    )


def _cell(laid: Laid) -> Cell:
    cell, boxes = laid.cell, [line.box for line in laid.lines]
    box = None
    if boxes:
        x0, y0, x1, y1 = zip(*boxes, strict=True)
        box = Box(min(x0), min(y0), max(x1), max(y1))
    text = " ".join(line.text for line in laid.lines)
    return Cell(
        row=cell.row, column=cell.column, row_span=cell.rows, column_span=cell.columns, text=text,
        header=cell.kind == "head", box=box,
    )  # fmt: skip
