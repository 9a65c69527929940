"""Tables' structure as the trainer sees it: a table squeezed into a square -> edges, heads and spans.

The answer is that of `notation.table_structure`: the model reads no letters, so it learns in CPU hours, and 224 pixels
are enough for thirty rows. Squeezed, every table fills the square: rows and columns are then as large as they can be.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from docpipe.metrics.teds import s_teds
from docpipe.notation.html import content_of, table_content
from docpipe.notation.table_structure import COLUMNS, ROWS, VOCABULARY, Structure, read, write
from docpipe.train.sample import Sample
from docpipe.train.synth.faces import faces_in
from docpipe.train.synth.tables import Table, tables

QUARTERS = 4
LABELS = (
    *(f"column edge {q}" for q in range(QUARTERS)),
    *(f"row edge {q}" for q in range(QUARTERS)),
    "head",
    "text",
    "spans columns",
    "spans rows",
    "corner",
)
"""Patch labels. Edges come with the quarter of the patch that they run through, and are broken where a cell spans."""

_LABEL = {label: i for i, label in enumerate(LABELS)}
PROMPT = "structure"

SMALL = 8
"""Rows and columns of what counts as a small table."""


class Tables:
    """Structure of generated tables, and of real ones for validation.

    rows, columns: the most there are; at least two. small: the share of tables of at most 8 x 8. noise: as worn as
    scans (1) or clean (0). fonts: a folder; without it DOCPIPE_FONTS, or Pillow's face alone. real: a folder of PNG
    images with HTML beside each in subfolders; without it DOCPIPE_BENCH_DATA/tables. patch: of the architecture.
    """

    name = "tables"
    prompts = (PROMPT,)
    vocabulary = VOCABULARY
    labels = LABELS

    def __init__(
        self,
        side: int = 224,
        *,
        patch: int = 16,
        rows: int = 32,
        columns: int = 12,
        small: float = 0.4,
        noise: float = 0.8,
        fonts: str | None = None,
        real: str | None = None,
    ) -> None:
        self.side, self.patch, self.rows, self.columns = side, patch, rows, columns
        self.small, self.noise = small, noise
        self.faces = faces_in(fonts)
        data = os.environ.get("DOCPIPE_BENCH_DATA")
        self.real = Path(real) if real else Path(data) / "tables" if data else None

    def stream(self, seed: int, start: int = 0) -> Iterator[Sample]:
        for index in _numbers(start):
            one = random.Random(f"tables:size:{seed}:{index}").random() < self.small
            most = (SMALL, SMALL) if one else (self.rows, self.columns)
            yield self.sample(seed, index, most)

    def sample(self, seed: int, index: int, most: tuple[int, int], part: str = "train") -> Sample:
        """Sample number `index`, of at most so many rows and columns."""
        made = tables(
            seed, index, faces=self.faces, rows=(2, most[0]), columns=(2, most[1]), noise=self.noise, words=False,
            part=part,
        )  # fmt: skip
        return sample_of(next(made), self.side, self.patch)

    def validation(self, count: int) -> dict[str, list[Sample]]:
        """Half of the held-out tables are small. Real ones by the folder that they lie in."""
        half = count // 2
        sizes = [(SMALL, SMALL)] * half + [(self.rows, self.columns)] * (count - half)
        sets = {"held_out": [self.sample(0, i, most, "held out") for i, most in enumerate(sizes)]}
        if self.real is not None and self.real.is_dir():
            for folder in sorted(p for p in self.real.iterdir() if p.is_dir()):
                found = real_samples(folder, self.side, count // 2)
                sets |= {folder.name: found} if found else {}
        return sets

    def score(self, samples: Sequence[Sample], answers: Sequence[tuple[str, ...]]) -> dict[str, float]:
        return score(samples, answers)


def _numbers(start: int) -> Iterator[int]:
    while True:
        yield start
        start += 1


def squeezed(pixels: np.ndarray, side: int) -> np.ndarray:
    """Grey pixels at side x side, as the engine makes them of a crop."""
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))


def sample_of(table: Table, side: int, patch: int) -> Sample:
    """A generated table as a training sample."""
    structure = table.structure
    tokens = write(structure)
    return Sample(
        pixels=squeezed(table.pixels, side),
        prompt=PROMPT,
        target=tuple(tokens),
        points=_points(structure, tokens) * np.float32(side),
        marks=tuple(_marks(table, structure, side, patch)),
        truth=structure.html(),
        slices={"rows": structure.rows, "columns": structure.columns, "spans": len(structure.spans)},
    )


def _points(structure: Structure, tokens: Sequence[str]) -> np.ndarray:
    """Where each token is read: columns' edges in the last row, rows' in the first column, spans in their cell."""
    x, y = structure.x, structure.y
    foot, stub = (y[-2] + y[-1]) / 2, x[0] + min(0.03, (x[1] - x[0]) / 2)
    places = [(x[0], foot), *((edge, foot) for edge in x), (stub, y[0]), (stub, y[0])]
    for r in range(structure.rows):
        places += [(stub, (y[r] + y[r + 1]) / 2), (stub, y[r + 1])]
        for s in sorted(structure.spans, key=lambda s: s.column):
            if s.row == r:
                left, right, low = x[s.column], x[s.column + s.columns], y[r + s.rows]
                middle = (y[r] + low) / 2
                places += [((left + right) / 2, middle), (left, middle), (right, middle), ((left + right) / 2, low)]
    if len(places) != len(tokens):
        raise ValueError(f"{len(places)} places for {len(tokens)} tokens")
    return np.array(places, np.float32)


def _marks(table: Table, structure: Structure, side: int, patch: int) -> Iterator[tuple[float, float, int]]:
    height, width = table.pixels.shape
    x, y = [v * side for v in structure.x], [v * side for v in structure.y]
    owner = [[0] * structure.columns for _ in range(structure.rows)]
    for i, s in enumerate(structure.spans, 1):
        for r in range(s.row, s.row + s.rows):
            owner[r][s.column : s.column + s.columns] = [i] * s.columns
    beside = [_along(a, b, patch) for a, b in pairwise(y)]  # a place in each patch that a row passes, and a column
    below = [_along(a, b, patch) for a, b in pairwise(x)]
    for c, at in enumerate(x):
        label = int(at % patch * QUARTERS / patch)
        for r in range(structure.rows):
            if c in (0, structure.columns) or not owner[r][c] or owner[r][c - 1] != owner[r][c]:
                for place in beside[r]:
                    yield at, place, label
    for r, at in enumerate(y):
        label = QUARTERS + int(at % patch * QUARTERS / patch)
        for c in range(structure.columns):
            if r in (0, structure.rows) or not owner[r][c] or owner[r - 1][c] != owner[r][c]:
                for place in below[c]:
                    yield place, at, label
    for cell in table.cells:
        middle = (
            (x[cell.column] + x[cell.column + cell.column_span]) / 2,
            (y[cell.row] + y[cell.row + cell.row_span]) / 2,
        )
        if cell.header:
            yield *middle, _LABEL["head"]
        if cell.box is not None:
            centre = cell.box.center
            yield centre[0] / width * side, centre[1] / height * side, _LABEL["text"]
        if cell.column_span > 1:
            yield from (
                (place, middle[1], _LABEL["spans columns"])
                for place in _along(x[cell.column], x[cell.column + cell.column_span], patch)
            )
        if cell.row_span > 1:
            yield from (
                (middle[0], place, _LABEL["spans rows"])
                for place in _along(y[cell.row], y[cell.row + cell.row_span], patch)
            )
    for at in (x[0], x[-1]):
        for place in (y[0], y[-1]):
            yield at, place, _LABEL["corner"]


def _along(begin: float, end: float, patch: int) -> list[float]:
    """A place in each patch between two."""
    first, last = int(begin // patch), max(int(begin // patch), math.ceil(end / patch) - 1)
    return [min(max((i + 0.5) * patch, begin), end) for i in range(first, last + 1)]


def real_samples(folder: Path, side: int, count: int) -> list[Sample]:
    """Up to `count` of the PNG images of a folder that have HTML beside them; their targets hold no places."""
    found = []
    for path in sorted(folder.glob("*.png")):
        truth = path.with_suffix(".html")
        if not truth.is_file():
            continue
        with Image.open(path) as image:
            grey = np.asarray(image.convert("RGB").convert("L"))
        content = table_content(truth.read_text())
        bare = content_of(content.rows, content.columns, [c.model_copy(update={"text": ""}) for c in content.cells])
        found.append(
            Sample(
                pixels=squeezed(grey, side),
                prompt=PROMPT,
                target=(COLUMNS, ROWS),
                points=np.full((2, 2), np.nan, np.float32),
                truth=bare.html,
                slices={"rows": content.rows, "columns": content.columns, "path": path.name},
            )
        )
    random.Random("real tables").shuffle(found)
    return found[:count]


def score(samples: Sequence[Sample], answers: Sequence[tuple[str, ...]]) -> dict[str, float]:
    """S-TEDS, exact structure, right numbers of rows and of columns; S-TEDS and exact of tables up to 8 x 8 apart.

    exact: rows, columns, spans and their places are right; heads and edges are not compared. edges: mean distance of
    the edges from the truth in shares of the side, where their numbers are right and the truth has places.
    """
    kept: dict[str, list[float]] = {name: [] for name in ("s_teds", "exact", "rows", "columns", "heads", "edges")}
    small: dict[str, list[float]] = {"s_teds_8x8": [], "exact_8x8": []}
    for sample, answer in zip(samples, answers, strict=True):
        found = read("".join(answer))
        rows, columns = int(sample.slices["rows"]), int(sample.slices["columns"])
        likeness = s_teds(found.html(), sample.truth) if found else 0.0
        exact = float(likeness == 1.0)
        kept["s_teds"].append(likeness)
        kept["exact"].append(exact)
        kept["rows"].append(float(found is not None and found.rows == rows))
        kept["columns"].append(float(found is not None and found.columns == columns))
        if rows <= SMALL and columns <= SMALL:
            small["s_teds_8x8"].append(likeness)
            small["exact_8x8"].append(exact)
        there = read("".join(sample.target))
        if found and there and (found.rows, found.columns) == (there.rows, there.columns):
            off = np.abs(np.array([*found.x, *found.y]) - np.array([*there.x, *there.y]))
            kept["edges"].append(float(off.mean()))
            kept["heads"].append(float(found.heads == there.heads))
    return {name: float(np.mean(values)) if values else 0.0 for name, values in (kept | small).items()}
