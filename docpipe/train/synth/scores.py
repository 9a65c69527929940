"""Strips of generated music: one staff over one measure, as the reader cuts them out of a scanned system.

A system is made up, engraved once and printed (skewed, blurred, thresholded at scanner resolution, lines broken), then
cut into strips staff by staff and measure by measure: its neighbours' ink is in them, as in real scans. Every strip
comes with its tokens, the place that each token is read from, and labels of what lies where.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter, ImageOps

from docpipe.models.strips import HEIGHT, LEFT, RIGHT, SPACE, STRETCH, WIDTH, Gray
from docpipe.notation.kern_gaps import filled
from docpipe.notation.kern_system import Place, System, write_system
from docpipe.notation.kern_tokens import COLUMNS, Placed, encode_placed
from docpipe.notation.staff import ACCIDENTALS, CLEFS, MARKS, REACH, RECIPS, Change, Event, Measure
from docpipe.train.synth.engraving import Engraving, NotEngravedError, Point, engrave
from docpipe.train.synth.families import families_in
from docpipe.train.synth.music.piece import PLAIN, Taste, random_system

LABELS: tuple[str, ...] = (
    *("clef" + clef for clef in CLEFS),
    *("key#", "key-", "meter", "bar"),
    *("n" + recip for recip in RECIPS),
    *("r" + recip for recip in RECIPS),
    *("beamL", "beamM", "beamJ", "grace", "whole"),
    *(f"p{p}" for p in range(-REACH, REACH + 1)),
    *("a" + sign for sign in ACCIDENTALS),
    *("tie", "open", "close", "lower", "chord"),
    *("m" + mark for mark in MARKS),
)
"""What the per-patch loss tells apart."""
_LABEL = {name: i for i, name in enumerate(LABELS)}

LONGEST = 80
"""Strips of more tokens are left out of training."""


@dataclass(frozen=True)
class Strip:
    """A strip [80, 320] with what it says.

    places: x and y in the strip of the ink that each token is read from. marks: (x, y, index into LABELS).
    measures: as printed, with the columns that their events stand in.
    """

    pixels: Gray
    tokens: tuple[str, ...]
    places: npt.NDArray[np.float32]
    marks: tuple[tuple[float, float, int], ...]
    measures: tuple[Measure, ...]
    kind: str


@dataclass(frozen=True)
class Sheet:
    """A printed system: its pixels, the engraving with its places moved along, and the music."""

    pixels: Gray
    engraving: Engraving
    system: System

    @property
    def kern(self) -> str:
        """The music as **kern: the notes as printed, without what an edition has around them."""
        return write_system(filled(self.system))


def systems(
    seed: int,
    start: int = 0,
    *,
    plain: float = 0.0,
    fresh: str = "",
    noise: float = 1.0,
    measures: int = 0,
    prints: int = 1,
    fonts: str | None = None,
) -> Iterator[Sheet]:
    """Printed systems number `start` and on; number i depends on (seed, i) alone. `fresh` parts held-out ones off.

    plain: the share of easy ones. measures: of each system, 0 for a random number. prints: how many scans are given of
    each engraving, which costs more time than a scan. fonts: a folder with the families that words are set in, else as
    `families_in` finds them; other families give other images.
    """
    families = families_in(fonts)
    number = start
    while True:
        attempt = 0
        while True:
            rng = random.Random(f"scores:{fresh}:{seed}:{number}:{attempt}")
            taste = PLAIN if rng.random() < plain else Taste()
            staves = 2 if rng.random() < 0.72 else 1
            try:
                system = random_system(rng, measures or rng.choice((2, 3, 4, 4, 5)), staves, taste)
                drawn = engrave(filled(system, strict=True), rng, families)
                break
            except (NotEngravedError, ValueError):
                attempt += 1
        for _ in range(prints):
            yield printed(drawn, system, rng, noise)
        number += 1


def printed(drawn: Engraving, system: System, rng: random.Random, noise: float = 1.0) -> Sheet:
    """An engraving as a scan of its print, with the same size; places are turned with the page."""
    image = _beside_others(drawn, rng) if rng.random() < 0.4 * noise else drawn.image
    angle = rng.gauss(0, 0.25) if rng.random() < 0.5 * noise else 0.0
    if angle:
        image = image.rotate(angle, Image.Resampling.BILINEAR, fillcolor=255)
        drawn = _turned(drawn, angle, image.width / 2, image.height / 2)
    generator = np.random.default_rng(rng.getrandbits(64))
    if rng.random() < 0.75 * noise:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.9)))
        levels = np.asarray(image, np.float32)
        levels = levels + generator.normal(0, rng.uniform(0, 12), levels.shape).astype(np.float32)
        worn = rng.random() < 0.35
        if worn:  # lines worn thin and ink run together, by region
            rough = generator.normal(0, rng.uniform(5, 22), (image.height // 24 + 2, image.width // 24 + 2))
            field = Image.fromarray(rough.astype(np.float32)).resize(image.size, Image.Resampling.BICUBIC)
            levels = levels + np.asarray(field)
        threshold = rng.uniform(170, 200 if worn else 236)
        pixels = np.where(levels > threshold, 255, 0).astype(np.uint8)
        specks = rng.choice((0, 0, 20, 80))
        if specks:
            rows, columns = (generator.integers(0, n, specks) for n in pixels.shape)
            pixels[rows, columns] = np.where(generator.random(specks) < 0.6, 0, 255)
    else:
        pixels = np.asarray(image)
    return Sheet(pixels, drawn, system)


def _beside_others(drawn: Engraving, rng: random.Random) -> Image.Image:
    """The image with some ink of the systems above and below at its edges, as crops of pages have it: its own."""
    image = drawn.image.copy()
    box = ImageOps.invert(image).getbbox()
    if box is None:
        return image
    for above in (True, False):
        deep = round(rng.uniform(0.3, 2.0) * drawn.space)
        room = (box[1] if above else image.height - box[3]) - deep
        if room <= 0 or rng.random() < 0.3:
            continue
        ink = image.crop((0, box[3] - deep, image.width, box[3]) if above else (0, box[1], image.width, box[1] + deep))
        away = rng.randint(0, min(room, round(1.5 * drawn.space)))
        image.paste(ink, (0, away if above else image.height - deep - away))
    return image


def _turned(drawn: Engraving, angle: float, cx: float, cy: float) -> Engraving:
    """Places after the image was turned by `angle` degrees counter-clockwise about its centre."""
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))

    def turn(point: Point) -> Point:
        dx, dy = point[0] - cx, point[1] - cy
        return cx + dx * cosine + dy * sine, cy - dx * sine + dy * cosine

    return replace(
        drawn,
        heads={k: [turn(p) for p in v] for k, v in drawn.heads.items()},
        accidentals={k: turn(p) for k, p in drawn.accidentals.items()},
        changes={k: turn(p) for k, p in drawn.changes.items()},
        slope=-sine / cosine,
    )


def strips(sheet: Sheet, rng: random.Random, jitter: float = 1.0, joined: float = 0.1) -> Iterator[Strip]:
    """The strips of a printed system, upper staff first. jitter 0: exactly where the reader would cut.

    joined: how often two measures come in one strip, as where the reader misses a bar.
    """
    for s, staff in enumerate(sheet.system.staves):
        m = 0
        while m < len(staff):
            count = 2 if m + 1 < len(staff) and rng.random() < joined else 1
            strip = _strip(sheet, s, m, count, rng, jitter)
            if strip is not None:
                yield strip
            m += count


def _strip(sheet: Sheet, s: int, m: int, count: int, rng: random.Random, jitter: float) -> Strip | None:
    drawn, space = sheet.engraving, sheet.engraving.space

    def wobble(size: float) -> float:
        return rng.uniform(-size, size) * jitter

    left = drawn.bars[m - 1][1] - (LEFT + wobble(0.4)) * space if m else drawn.start - (0.3 + wobble(0.3)) * space
    if m == 0 and rng.random() < 0.15 * jitter:
        left -= rng.uniform(0.5, 3) * space
    right = drawn.bars[m + count - 1][1] + (RIGHT + wobble(0.4)) * space
    across = min(STRETCH * (1 + wobble(0.1)), WIDTH / ((right - left) / space))
    if across < 2.8:
        return None
    down = SPACE * (1 + wobble(0.04))
    wide = min(WIDTH, round((right - left) / space * across))
    middle = drawn.lines[s][2] + drawn.slope * ((left + right) / 2 - sheet.pixels.shape[1] / 2)
    top = middle - (HEIGHT / 2 + wobble(2.0)) / down * space
    pixels = cut(sheet.pixels, (left, top, right, top + HEIGHT / down * space), wide)

    def place(point: Point) -> Point:
        return (point[0] - left) / (right - left) * wide, (point[1] - top) / space * down

    measures = [_columned(drawn, sheet.system.staves[s][m + k], (s, m + k), place) for k in range(count)]
    tokens: list[str] = []
    places: list[Point] = []
    marks: list[tuple[float, float, int]] = []
    for k, measure in enumerate(measures):
        bar = place(((drawn.bars[m + k][0] + drawn.bars[m + k][1]) / 2, middle))
        marks.append((*bar, _LABEL["bar"]))
        marks += _marks(drawn, measure, (s, m + k), place)
        try:
            placed = encode_placed(measure)
        except ValueError:
            return None
        tokens += [p.token for p in placed]
        places += [_place(drawn, p, measure, (s, m + k), place, bar) for p in placed]
    if len(tokens) > LONGEST:
        return None
    kind = _kind(measures)
    return Strip(pixels, tuple(tokens), np.array(places, np.float32), tuple(marks), tuple(measures), kind)


def cut(pixels: Gray, box: tuple[float, float, float, float], wide: int) -> Gray:
    """The part of a page in a box (pixels; it may reach over the border) as a strip whose ink is `wide` pixels wide."""
    pad = math.ceil(max(0.0, -box[0], -box[1], box[2] - pixels.shape[1], box[3] - pixels.shape[0])) + 1
    padded = np.pad(pixels, pad, constant_values=255) if pad > 1 else np.pad(pixels, 1, constant_values=255)
    x0, y0, x1, y1 = (v + pad for v in box)
    part = Image.fromarray(padded).resize((wide, HEIGHT), Image.Resampling.BOX, box=(x0, y0, x1, y1))
    strip = np.full((HEIGHT, WIDTH), 255, np.uint8)
    strip[:, :wide] = np.asarray(part)
    return strip


Placer = Callable[[Point], Point]


def _spot(drawn: Engraving, place: Place, head: int = 0) -> Point | None:
    """The middle of a head or rest in the engraving; glyphs are placed by their left edge."""
    points = drawn.heads.get(place)
    return (points[head][0] + 0.6 * drawn.space, points[head][1]) if points else None


def _columned(drawn: Engraving, measure: Measure, at: tuple[int, int], put: Placer) -> Measure:
    """The measure with the grid column of every printed event; notes of one onset share the first one's."""
    now = [Fraction(0), Fraction(0)]
    columns: dict[tuple[Fraction, int, int], int] = {}
    items: list[Event | Change] = []
    for i, item in enumerate(measure.items):
        if not isinstance(item, Event):
            items.append(item)
            continue
        spot = _spot(drawn, (*at, i))
        key = (now[item.voice], i if item.kind == "grace" else -1, i if item.kind == "whole" else -1)
        now[item.voice] += item.lasts
        if spot is None or item.kind == "space":
            items.append(item)
            continue
        x = put(spot)[0]
        column = min(COLUMNS - 1, max(0, int(x * COLUMNS / WIDTH)))
        items.append(replace(item, x=columns.setdefault(key, column)))
    return replace(measure, items=tuple(items))


def _place(drawn: Engraving, placed: Placed, measure: Measure, at: tuple[int, int], put: Placer, bar: Point) -> Point:
    """Where a token is read from, in the strip; NaN for what is not printed."""
    if placed.item is None:
        return bar
    item = measure.items[placed.item]
    place = (*at, placed.item)
    if isinstance(item, Change):
        spot = drawn.changes.get(place)
        if spot is None:
            return math.nan, math.nan
        shift = {"clef": 1.2, "key": 0.4, "meter": 0.8}[item.what] * drawn.space
        return put((spot[0] + shift, spot[1]))
    if placed.head is not None and placed.token.startswith("a"):
        spot = drawn.accidentals.get((place, placed.head))
        return put((spot[0] + 0.4 * drawn.space, spot[1])) if spot else (math.nan, math.nan)
    spot = _spot(drawn, place, placed.head or 0)
    return put(spot) if spot else (math.nan, math.nan)


def _marks(drawn: Engraving, measure: Measure, at: tuple[int, int], put: Placer) -> Iterator[tuple[float, float, int]]:
    for i, item in enumerate(measure.items):
        place = (*at, i)
        if isinstance(item, Change):
            spot = drawn.changes.get(place)
            key = "key-" if item.value[0] == "-" else "key#"
            label = {"clef": "clef" + item.value, "meter": "meter", "key": key}[item.what]
            if spot is not None:
                yield (*put((spot[0] + drawn.space, spot[1])), _LABEL[label])
            continue
        spot = _spot(drawn, place)
        if spot is None:
            continue
        first = put(spot)
        if item.kind in ("rest", "whole"):
            yield (*first, _LABEL["whole" if item.kind == "whole" else "r" + item.recip])
        names = ["m" + mark for mark in item.marks]
        names += ["open"] * (item.opens > 0) + ["close"] * (item.closes > 0) + ["lower"] * item.voice
        names += ["chord"] * (len(item.heads) > 1) + (["beam" + item.beam] if item.beam else [])
        for name in names:
            yield (*first, _LABEL[name])
        for h, head in enumerate(item.heads):
            spot = _spot(drawn, place, h)
            if spot is None:
                continue
            here = put(spot)
            yield (*here, _LABEL["grace" if item.kind == "grace" else "n" + item.recip])
            yield (*here, _LABEL[f"p{head.position}"])
            if head.tied:
                yield (*here, _LABEL["tie"])
            sign = drawn.accidentals.get((place, h))
            if sign is not None:
                yield (*put((sign[0] + 0.4 * drawn.space, sign[1])), _LABEL["a" + head.accidental])


def _kind(measures: Sequence[Measure]) -> str:
    """one, chords or two (voices): how much is in it."""
    if any(m.voices > 1 for m in measures):
        return "two"
    return "chords" if any(len(e.heads) > 1 for m in measures for e in m.events()) else "one"
