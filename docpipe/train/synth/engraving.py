"""Systems engraved by Verovio with what real editions have around the notes, and where every sign of it lies."""

from __future__ import annotations

import io
import random
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from PIL import Image

from docpipe.notation.kern_system import Place, Row, System, text_of
from docpipe.notation.staff import Change, Event
from docpipe.train.synth.edition import decorated, random_edition
from docpipe.train.synth.families import Family

FONTS = ("Leipzig", "Bravura", "Leland", "Petaluma", "Gootville")
_LINK = "{http://www.w3.org/1999/xlink}href"
_TRANSLATE = re.compile(r"translate\(([-\d.]+),\s*([-\d.]+)\)")
_NUMBER = re.compile(r"-?\d+\.?\d*")
_FACE = "Times, serif"
"""What Verovio asks for where words are written."""

Point = tuple[float, float]


@dataclass
class Engraving:
    """An engraved system in pixels of `image` (grey). Places are centres; staves count from the top.

    lines: y of the five lines of each staff. start: x where the staves begin. bars: for each measure the x of the bar
    that ends it, first and last stroke. heads: of each note, lowest first; rests have one. accidentals: of each head
    that has one. changes: of clefs, keys and meters. slope: of the staves, downwards; `lines` are then those at the
    image's middle.
    """

    image: Image.Image
    space: float
    lines: list[list[float]]
    start: float
    bars: list[Point]
    heads: dict[Place, list[Point]] = field(default_factory=dict)
    accidentals: dict[tuple[Place, int], Point] = field(default_factory=dict)
    changes: dict[Place, Point] = field(default_factory=dict)
    slope: float = 0.0


class NotEngravedError(Exception):
    """Verovio did not draw what was asked; the system is to be passed over."""


@cache
def _toolkit() -> Any:
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    return verovio.toolkit()


def _options(rng: random.Random, staves: int) -> dict[str, Any]:
    scale = rng.choice((54, 60, 66, 72))
    thin = 2.2 / (0.18 * scale)  # drawn without smoothing, a stroke under one pixel is lost here and there
    return {
        "font": rng.choice(FONTS),
        "breaks": "none",
        "header": "none",
        "footer": "none",
        "adjustPageWidth": True,
        "adjustPageHeight": True,
        "pageMarginLeft": 60,
        "pageMarginRight": 60,
        "pageMarginTop": 90,
        "pageMarginBottom": 90,
        "scale": scale,
        "spacingLinear": rng.uniform(0.14, 0.3),
        "spacingNonLinear": rng.uniform(0.48, 0.64),
        "spacingStaff": rng.choice((2, 4, 6, 8, 12)) if staves > 1 else 12,
        "staffLineWidth": rng.uniform(thin, 0.3),
        "stemWidth": rng.uniform(thin, 0.36),
        "barLineWidth": rng.uniform(0.28, 0.5),
        "ledgerLineThickness": rng.uniform(thin, 0.42),
        "beamMaxSlope": rng.choice((0, 6, 10, 10, 20)),
        "slurMidpointThickness": rng.uniform(0.35, 0.7),
        "slurCurveFactor": rng.uniform(0.7, 1.4),
        "measureMinWidth": rng.choice((8, 12, 15, 20)),
        "mnumInterval": 0,
    }


def engrave(system: System, rng: random.Random, families: Sequence[Family] = ()) -> Engraving:
    """Draw a system as some edition prints it, words in one of `families`; without any, words are left blank.

    Raises NotEngravedError where Verovio drops or moves what was asked for.
    """
    rows = decorated(system, random_edition(system, rng), rng)
    if any(not cell for row in rows for cell in row.fields):  # Verovio ends the whole process on such text
        raise NotEngravedError("empty field")
    toolkit = _toolkit()
    toolkit.setOptions(_options(rng, len(system.staves)))
    if not toolkit.loadData(text_of(rows)):
        raise NotEngravedError("not loaded")
    family = rng.choice(families) if families else None
    return _placed(system, rows, toolkit.renderToSVG(1), family, fast=rng.random() < 0.7)


def _placed(system: System, rows: list[Row], svg: str, family: Family | None, *, fast: bool) -> Engraving:
    import resvg_py

    root = ET.fromstring(svg)
    inner = next(e for e in root if e.tag.endswith("svg"))
    box = [float(v) for v in (inner.get("viewBox") or "").split()]
    scale = float((root.get("width") or "0px")[:-2]) / box[2]
    margin = next(g for g in inner if g.get("class") == "page-margin")
    shift = _translation(margin)
    ids = {
        f"L{i + 1}F{j + 1}": owner
        for i, row in enumerate(rows)
        for j, owner in enumerate(row.owners)
        if owner is not None
    }
    reader = _Reader(system, ids, scale, shift)
    reader.walk(inner)
    png = resvg_py.svg_to_bytes(
        svg_string=svg.replace(_FACE, family.name) if family else svg,
        skip_system_fonts=True,
        font_files=list(family.files) if family else None,
        background="white",
        shape_rendering="optimize_speed" if fast else "geometric_precision",
    )
    image = Image.open(io.BytesIO(bytes(png))).convert("L")
    return reader.engraving(image)


def _translation(element: ET.Element) -> Point:
    match = _TRANSLATE.match(element.get("transform") or "")
    return (float(match[1]), float(match[2])) if match else (0.0, 0.0)


class _Reader:
    """Walks the SVG measure by measure, staff by staff."""

    def __init__(self, system: System, ids: dict[str, Place], scale: float, shift: Point) -> None:
        self.system, self.ids, self.scale, self.shift = system, ids, scale, shift
        self.lines: list[list[float]] = []
        self.starts: list[float] = []
        self.bars: list[Point] = []
        self.heads: dict[Place, list[Point]] = {}
        self.accidentals: dict[tuple[Place, int], Point] = {}
        self.changes: dict[Place, Point] = {}

    def pixel(self, x: float, y: float) -> Point:
        return (x + self.shift[0]) * self.scale, (y + self.shift[1]) * self.scale

    def glyph(self, element: ET.Element | None) -> tuple[str, Point] | None:
        """The first glyph under an element: its code point and place."""
        for part in element.iter() if element is not None else ():
            if part.tag.endswith("use"):
                return (part.get(_LINK) or "")[1:5], self.pixel(*_translation(part))
        return None

    def walk(self, inner: ET.Element) -> None:
        number = 0
        for measure in (e for e in inner.iter() if _class(e) == "measure"):
            staves = [e for e in measure if _class(e) == "staff"]
            if len(staves) != len(self.system.staves):
                raise NotEngravedError("staves")
            for s, staff in enumerate(staves):
                if len(self.lines) < len(staves):
                    self._staff_lines(staff)
                self._changes(staff, s, number)
                for element in staff.iter():
                    self._event(element)
            self._bars(measure, number)
            number += 1
        if number != len(self.system.staves[0]):
            raise NotEngravedError("measures")
        if number != len(self.bars):
            raise NotEngravedError("bar")

    def _staff_lines(self, staff: ET.Element) -> None:
        paths = [e for e in staff if e.tag.endswith("path")][:5]
        points = [[float(v) for v in _NUMBER.findall(p.get("d") or "")] for p in paths]
        if len(points) < 5:
            raise NotEngravedError("staff lines")
        self.lines.append([self.pixel(0, p[1])[1] for p in points])
        self.starts.append(self.pixel(min(p[0] for p in points), 0)[0])

    def _changes(self, staff: ET.Element, s: int, m: int) -> None:
        found: dict[str, list[Point]] = {"clef": [], "key": [], "meter": []}
        for element in staff.iter():
            what = {"clef": "clef", "keySig": "key", "meterSig": "meter"}.get(_class(element))
            glyph = self.glyph(element) if what else None
            if what and glyph:
                found[what].append(glyph[1])
        for i, item in enumerate(self.system.staves[s][m].items):
            if isinstance(item, Change):
                if found[item.what]:
                    self.changes[s, m, i] = found[item.what].pop(0)
                elif item.what != "key":  # the key without signs has no glyph
                    raise NotEngravedError(item.what)

    def _event(self, element: ET.Element) -> None:
        kind = _class(element)
        if kind not in ("note", "rest", "mRest"):
            return
        match = re.search(r"L(\d+)F(\d+)(?:S(\d+))?", element.get("id") or "")
        place = self.ids.get(f"L{match[1]}F{match[2]}") if match else None
        if place is None or match is None:
            return
        if kind != "note":
            glyph = self.glyph(element)
            if glyph:
                self.heads[place] = [glyph[1]]
            return
        index = int(match[3] or 1) - 1
        head = accidental = None
        for part in element:
            if _class(part) == "notehead":
                head = self.glyph(part)
            elif _class(part) == "accid":
                accidental = self.glyph(part)
        if head is None:
            raise NotEngravedError("head")
        item = self.system.staves[place[0]][place[1]].items[place[2]]
        heads = self.heads.setdefault(place, [])
        if len(heads) != index or not isinstance(item, Event):
            raise NotEngravedError("order")
        heads.append(head[1])
        if bool(accidental) != bool(item.heads[index].accidental):
            raise NotEngravedError("accidental")
        if accidental:
            self.accidentals[place, index] = accidental[1]

    def _bars(self, measure: ET.Element, number: int) -> None:
        """The bar that ends a measure; where a repeat starts there, it is drawn with the next measure, as its first."""
        *left, right = [self._strokes(e) for e in measure if _class(e) == "barLine"] or [None]
        if len(self.bars) < number:
            if not left or left[0] is None:
                raise NotEngravedError("bar")
            self.bars.append(left[0])
        if right is not None:
            self.bars.append(right)

    def _strokes(self, bar: ET.Element) -> Point | None:
        """x of a bar's first and last stroke; None for one without any."""
        xs: list[float] = []
        for part in bar.iter():
            if part.tag.endswith("path"):
                values = [float(v) for v in _NUMBER.findall(part.get("d") or "")]
                xs += values[0::2][:2]
            elif part.tag.endswith("rect"):
                xs += [float(part.get("x") or 0), float(part.get("x") or 0) + float(part.get("width") or 0)]
        return (self.pixel(min(xs), 0)[0], self.pixel(max(xs), 0)[0]) if xs else None

    def engraving(self, image: Image.Image) -> Engraving:
        space = (self.lines[0][4] - self.lines[0][0]) / 4
        self._verify(space)
        return Engraving(
            image, space, self.lines, min(self.starts), self.bars, self.heads, self.accidentals, self.changes
        )

    def _verify(self, space: float) -> None:
        """Every head lies where its staff position says."""
        for s, staff in enumerate(self.system.staves):
            middle = self.lines[s][2]
            for m, measure in enumerate(staff):
                for i, item in enumerate(measure.items):
                    if not isinstance(item, Event) or item.kind == "space":
                        continue
                    heads = self.heads.get((s, m, i))
                    if heads is None or (item.heads and len(heads) != len(item.heads)):
                        raise NotEngravedError("missing")
                    for head, (_, y) in zip(item.heads, heads, strict=False):
                        if abs((middle - y) / (space / 2) - head.position) > 0.35:
                            raise NotEngravedError("position")


def _class(element: ET.Element) -> str:
    return (element.get("class") or "").split(" ")[0]
