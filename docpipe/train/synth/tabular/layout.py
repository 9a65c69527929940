"""Where a made-up table's cells and letters go, and its rules: first all places, then one drawing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from docpipe.train.synth.faces import type_of
from docpipe.train.synth.tabular.content import Plan, Planned
from docpipe.train.synth.tabular.style import Style

RISE, FALL = 0.74, 0.21
"""How far letters reach above and below their baseline, in sizes."""


@dataclass(frozen=True)
class Line:
    """A line of text: its baseline's left end in pixels, its width, and the face that it is set in."""

    text: str
    x: float
    y: float
    width: float
    font: str
    size: int

    @property
    def box(self) -> tuple[float, float, float, float]:
        return self.x, self.y - RISE * self.size, self.x + self.width, self.y + FALL * self.size

    def words(self) -> list[tuple[str, tuple[float, float, float, float]]]:
        """The words with their boxes."""
        letters, found, at = type_of(self.font, self.size), [], 0
        _, top, _, bottom = self.box
        for word in self.text.split(" "):
            if word:
                left = self.x + letters.width(self.text[:at])
                found.append((word, (left, top, left + letters.width(word), bottom)))
            at += len(word) + 1
        return found


@dataclass
class Laid:
    """A planned cell with its lines. x0 … y1: the area between the edges of its rows and columns."""

    cell: Planned
    lines: list[Line]
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass
class Layout:
    """A table laid out. x, y: edges of columns and rows where a reader sees them (`seen`), in pixels.

    across, down: rules as (place, begin, end, width).
    """

    width: int
    height: int
    cells: list[Laid]
    x: list[float]
    y: list[float]
    across: list[tuple[float, float, float, int]] = field(default_factory=list)
    down: list[tuple[float, float, float, int]] = field(default_factory=list)


def wrapped(text: str, width: float, font: str, size: int) -> list[str]:
    """A text in lines of at most `width` pixels, broken at blanks; a longer word stands alone."""
    letters = type_of(font, size)
    if letters.width(text) <= width:
        return [text] if text else []
    lines: list[str] = []
    blank, line, long = letters.width(" "), "", 0.0
    for word in text.split(" "):
        more = letters.width(word)
        if line and long + blank + more > width:
            lines.append(line)
            line, long = word, more
        else:
            line, long = (f"{line} {word}", long + blank + more) if line else (word, more)
    return [*lines, line]


class _Setter:
    """One table on its way from a plan to places."""

    def __init__(self, plan: Plan, style: Style, rng: random.Random) -> None:
        self.plan, self.style, self.rng = plan, style, rng
        self.pad_x, self.pad_y = style.pad_x * style.size, style.pad_y * style.size
        self.texts: dict[int, list[str]] = {}
        self.indented = {
            c.row for c in plan.cells if c.kind == "stub" and style.indent and c.column == 0 and rng.random() < 0.5
        }
        self.widths = self._widths()
        self.heights = self._heights()

    def font(self, cell: Planned) -> str:
        s = self.style
        bold = (cell.kind == "head" and s.bold_head) or (cell.kind == "stub" and s.bold_stub) or cell.kind == "section"
        return s.bold if bold else s.face

    def indent(self, cell: Planned) -> float:
        inside = cell.kind == "stub" and cell.column == 0 and cell.row in self.indented
        return self.style.indent * self.style.size if inside else 0.0

    def _widths(self) -> list[float]:
        """Widths of columns: as wide as their single cells, long texts broken; then the wide cells get their room."""
        s, plan, rng = self.style, self.plan, self.rng
        most = {
            "stub": rng.uniform(8, 22) * s.size,
            "text": rng.uniform(8, 24) * s.size,
            "number": rng.uniform(6, 14) * s.size,
        }
        widths = [1.5 * s.size] * plan.columns
        heads = [c for c in plan.cells if c.kind == "head"]
        for cell in plan.cells:
            if cell.columns == 1 and cell.kind != "head" and cell.text:
                limit = most[plan.kinds[cell.column]]
                self._set(cell, limit)
                widths[cell.column] = max(widths[cell.column], self._wide(cell))
        roomy = rng.random() < 0.35
        for cell in heads:
            if cell.columns == 1 and cell.text:
                limit = 14 * s.size if roomy else max(widths[cell.column], rng.uniform(3, 7) * s.size)
                self._set(cell, limit)
                widths[cell.column] = max(widths[cell.column], self._wide(cell))
        widths = [w + 2 * self.pad_x for w in widths]
        for cell in plan.cells:
            if cell.columns > 1 and cell.text:
                room = sum(widths[cell.column : cell.column + cell.columns]) - 2 * self.pad_x
                self._set(cell, max(room, 6 * s.size))
                lacking = self._wide(cell) - room
                if lacking > 0:
                    for c in range(cell.column, cell.column + cell.columns):
                        widths[c] += lacking / cell.columns
        if s.stretch > 1:
            total = sum(widths)
            more = min(total * s.stretch, max(total, 70 * s.size)) - total
            even = rng.random() < 0.5
            widths = [w + more * (1 / plan.columns if even else w / total) for w in widths]
        return widths

    def _set(self, cell: Planned, limit: float) -> None:
        self.texts[id(cell)] = wrapped(cell.text, limit - self.indent(cell), self.font(cell), self.style.size)

    def _wide(self, cell: Planned) -> float:
        letters = type_of(self.font(cell), self.style.size)
        return max(letters.width(t) for t in self.texts[id(cell)]) + self.indent(cell)

    def _heights(self) -> list[float]:
        s = self.style
        line = s.leading * s.size
        heights = [line + 2 * self.pad_y] * self.plan.rows
        for cell in sorted(self.plan.cells, key=lambda c: c.rows):
            needed = len(self.texts.get(id(cell), ())) * line + 2 * self.pad_y
            lacking = needed - sum(heights[cell.row : cell.row + cell.rows])
            if lacking > 0:
                heights[cell.row + cell.rows - 1] += lacking
        head = self.rng.uniform(1.0, 1.4) if self.rng.random() < 0.3 else 1.0
        return [h * head if r < self.plan.head else h for r, h in enumerate(heights)]

    def cells(self, left: float, top: float) -> tuple[list[Laid], list[float], list[float]]:
        """Cells with their lines, and the plain edges of columns and rows."""
        xs, ys = [left], [top]
        for width in self.widths:
            xs.append(xs[-1] + width)
        for height in self.heights:
            ys.append(ys[-1] + height)
        laid = []
        for cell in self.plan.cells:
            area = xs[cell.column], ys[cell.row], xs[cell.column + cell.columns], ys[cell.row + cell.rows]
            laid.append(Laid(cell, list(self._lines(cell, area)), *area))
        return laid, xs, ys

    def _lines(self, cell: Planned, area: tuple[float, float, float, float]) -> list[Line]:
        s, (x0, y0, x1, y1) = self.style, area
        texts = self.texts.get(id(cell), [])
        line = s.leading * s.size
        free = (y1 - y0) - len(texts) * line
        upright = s.upright if cell.rows == 1 and cell.kind != "head" else "middle" if cell.rows > 1 else "bottom"
        if cell.kind == "head" and cell.rows == 1 and s.upright == "middle":
            upright = "middle"
        offset = {"top": self.pad_y, "middle": free / 2, "bottom": free - self.pad_y}[upright]
        baseline = y0 + offset + (line - s.size * (RISE + FALL)) / 2 + s.size * RISE
        font, made = self.font(cell), []
        letters = type_of(font, s.size)
        align = self._align(cell)
        for i, text in enumerate(texts):
            width = letters.width(text)
            x = {"left": x0 + self.pad_x + self.indent(cell), "right": x1 - self.pad_x - width,
                 "center": (x0 + x1 - width) / 2}[align]  # fmt: skip
            made.append(Line(text, x, baseline + i * line, width, font, s.size))
        return made

    def _align(self, cell: Planned) -> str:
        s = self.style
        if cell.kind == "head":
            if cell.columns > 1:
                return "center"
            if s.head_align != "match":
                return "left" if cell.column == 0 and s.head_align == "center" and s.indent else s.head_align
            return s.number_align if self.plan.kinds[cell.column] == "number" else "left"
        if cell.kind == "number":
            return s.number_align
        if cell.columns > 1:
            return "center" if s.head_align == "center" else "left"
        return "left"


def lay_out(plan: Plan, style: Style, rng: random.Random, margins: tuple[int, int, int, int]) -> Layout:
    """A plan in a style, with margins in pixels left, above, right and below."""
    setter = _Setter(plan, style, rng)
    cells, xs, ys = setter.cells(margins[0], margins[1])
    across, down = _rules(plan, style, xs, ys)
    layout = Layout(round(xs[-1]) + margins[2], round(ys[-1]) + margins[3], cells, xs, ys, across, down)
    layout.x, layout.y = _seen(layout, style)
    return layout


def _rules(plan: Plan, style: Style, xs: Sequence[float], ys: Sequence[float]) -> tuple[
    list[tuple[float, float, float, int]], list[tuple[float, float, float, int]]
]:  # fmt: skip
    owner = [[-1] * plan.columns for _ in range(plan.rows)]
    for i, cell in enumerate(plan.cells):
        for r in range(cell.row, cell.row + cell.rows):
            for c in range(cell.column, cell.column + cell.columns):
                owner[r][c] = i
    rows, columns, s = plan.rows, plan.columns, style
    across: list[tuple[float, float, float, int]] = []
    down: list[tuple[float, float, float, int]] = []
    outer = {"all": s.line, "booktabs": s.thick, "outer": s.thick, "head": s.line}.get(s.across, 0)
    for r in range(rows + 1):
        if r in (0, rows):
            width = outer
        elif r == plan.head:
            width = s.line if s.across in ("all", "head", "booktabs") else 0
        else:
            width = s.line if s.across == "all" or r in plan.parted else 0
        if width:
            parted = [r in (0, rows) or owner[r - 1][c] != owner[r][c] for c in range(columns)]
            across += [(ys[r], xs[a], xs[b], width) for a, b in _runs(parted)]
    if plan.head == 2 and s.across in ("booktabs", "head"):
        for cell in plan.cells:
            if cell.kind == "head" and cell.row == 0 and cell.columns > 1:
                trim = 0.25 * s.pad_x * s.size
                across.append((ys[1], xs[cell.column] + trim, xs[cell.column + cell.columns] - trim, s.line))
    for c in range(columns + 1):
        edge = c in (0, columns)
        drawn = s.down == "all" or (s.down == "inner" and not edge) or (s.down == "stub" and c == 1)
        if drawn:
            parted = [edge or owner[r][c - 1] != owner[r][c] for r in range(rows)]
            down += [(xs[c], ys[a], ys[b], s.line) for a, b in _runs(parted)]
    return across, down


def _runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """Where flags are set without a break: begin and end."""
    runs, begin = [], None
    for i, flag in enumerate([*flags, False]):
        if flag and begin is None:
            begin = i
        elif not flag and begin is not None:
            runs.append((begin, i))
            begin = None
    return runs


def _seen(layout: Layout, style: Style) -> tuple[list[float], list[float]]:
    """Edges where a reader would put them: on a rule that runs along most of them, else midway between the letters."""
    xs, ys = layout.x, layout.y
    filled = style.head_fill is not None or style.stripe is not None
    right: dict[int, list[float]] = {}
    left: dict[int, list[float]] = {}
    low: dict[int, list[float]] = {}
    high: dict[int, list[float]] = {}
    for laid in layout.cells:
        if not laid.lines:
            continue
        cell, boxes = laid.cell, [line.box for line in laid.lines]
        left.setdefault(cell.column, []).append(min(b[0] for b in boxes))
        right.setdefault(cell.column + cell.columns, []).append(max(b[2] for b in boxes))
        high.setdefault(cell.row, []).append(min(b[1] for b in boxes))
        low.setdefault(cell.row + cell.rows, []).append(max(b[3] for b in boxes))

    def edges(
        plain: Sequence[float], rules: Sequence[tuple[float, float, float, int]], ends: dict[int, list[float]],
        begins: dict[int, list[float]], extent: float,
    ) -> list[float]:  # fmt: skip
        made = []
        last = len(plain) - 1
        for i, edge in enumerate(plain):
            along = sum(b - a for p, a, b, _ in rules if abs(p - edge) < 0.5)
            if along >= 0.5 * extent or (filled and i in (0, last)):
                made.append(edge)
            elif i == 0:
                made.append(min((v for values in begins.values() for v in values), default=edge) - 1)
            elif i == last:
                made.append(max((v for values in ends.values() for v in values), default=edge) + 1)
            else:
                a, b = max(ends.get(i, [plain[i - 1]])), min(begins.get(i, [plain[i + 1]]))
                made.append((a + b) / 2 if a <= b else edge)
        return made

    width, height = xs[-1] - xs[0], ys[-1] - ys[0]
    return edges(xs, layout.down, right, left, height), edges(ys, layout.across, low, high, width)


def paint(layout: Layout, style: Style, plan: Plan) -> np.ndarray:
    """The layout as grey pixels, uint8 [height, width]."""
    image = Image.new("L", (layout.width, layout.height), 255)
    pen = ImageDraw.Draw(image)
    white_head = style.head_fill is not None and style.head_fill < 128
    for laid in layout.cells:
        cell, fill = laid.cell, None
        if cell.kind == "head":
            fill = style.head_fill
        elif style.stripe is not None and (cell.row - plan.head) % 2 == 1:
            fill = style.stripe
        elif style.stub_fill is not None and cell.kind == "stub" and cell.column == 0:
            fill = style.stub_fill
        if fill is not None:
            pen.rectangle((round(laid.x0), round(laid.y0), round(laid.x1), round(laid.y1)), fill=fill)
    for place, begin, end, width in layout.across:
        top = round(place) - width // 2
        pen.rectangle((round(begin), top, round(end), top + width - 1), fill=style.level)
    for place, begin, end, width in layout.down:
        at = round(place) - width // 2
        pen.rectangle((at, round(begin), at + width - 1, round(end)), fill=style.level)
    pixels = np.array(image)
    for white in (False, True) if white_head else (False,):
        coverage = np.zeros_like(pixels)
        for laid in layout.cells:
            if (white_head and laid.cell.kind == "head") == white:
                for line in laid.lines:
                    type_of(line.font, line.size).draw(coverage, line.text, line.x, line.y)
        pixels = inked(pixels, coverage, 250 if white else style.ink)
    return pixels


def inked(pixels: np.ndarray, coverage: np.ndarray, ink: int) -> np.ndarray:
    """Grey pixels with ink of a level where it covers them, both uint8 of one shape."""
    paper = pixels.astype(np.int16)
    blended: np.ndarray = (paper + (ink - paper) * coverage.astype(np.int16) // 255).astype(np.uint8)
    return blended
