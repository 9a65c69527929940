"""Lines of text read off an image: found, read, parted into words and put in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise

import numpy as np
from PIL import Image

from docpipe.document import Box
from docpipe.engines import ocr_models
from docpipe.engines.ocr_models import Character, Pixels, Strip
from docpipe.engines.ocr_order import Piece, in_rows
from docpipe.engines.old_type import is_old_type, modernized

DETECTED_SIDE = 1600
"""The detector sees a page's long side at this many pixels."""

SMALLER_SIDES = (1280, 960)

LEAST_SEEN, WELL_SEEN = 10.0, 20.0
"""Height of lines in the detector's view, in pixels, below which it looks again, and the height it then sees."""

MOST_SEEN, OVERLAP = 2_600_000, 160
"""The detector sees up to so many pixels at once; a larger view goes in bands that share so many rows."""

LEAST_CERTAIN = 0.5
"""Lines whose letters are less certain than this are taken for no text."""

BLANK = 0.12
"""A blank this likely somewhere between two letters parts two words."""


ON_END = 1.5
"""A strip this many times as high as wide stands on end."""


@dataclass(frozen=True)
class ReadLine:
    """A line as read, or the piece of one up to a wide gap: its words and their boxes in pixels of the image.

    confidence: of the whole, 0..1; certainties: of each word.
    """

    words: tuple[str, ...]
    boxes: tuple[Box, ...]
    confidence: float
    certainties: tuple[float, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def box(self) -> Box:
        return reduce(Box.union, self.boxes)


def read_lines(image: Image.Image, threads: int = 1) -> list[ReadLine]:
    """The lines of text in an upright RGB image, pieces of one line from left to right, in reading order."""
    return [line for row in read_rows(image, threads) for line in row]


def read_rows(image: Image.Image, threads: int = 1) -> list[list[ReadLine]]:
    """The lines of text in an upright RGB image as rows in reading order; a row's pieces stand side by side."""
    pixels = np.asarray(image.convert("RGB"))
    return rows_of_letters(read_strips(pixels, find_strips(pixels, threads), threads))


def find_strips(pixels: Pixels, threads: int = 1, side: int = DETECTED_SIDE) -> list[Strip]:
    """The lines of text of an image, unread, in no order. side: of the detector's view, in pixels.

    The long side is measured by the short one when an image is much longer than a page is, as receipts are. Letters
    that turn out tiny in the view (a poster, a map) are looked for again in a larger one.
    """
    height, width = pixels.shape[:2]
    long, short = max(height, width), min(height, width)
    scale = min(1.0, side / min(long, 1.5 * short))
    strips = _strips_at(scale, pixels, threads)
    if scale < 1 and side == DETECTED_SIDE and strips:
        usual = scale * float(np.median([min(s.width, s.height) for s in strips]))
        if usual < LEAST_SEEN:
            return _strips_at(min(1.0, scale * WELL_SEEN / usual), pixels, threads)
    inked = bool(np.ptp(pixels) > 40)
    if not strips and side == DETECTED_SIDE and inked:
        # A lone line on an empty page is faint at some sizes and plain at others.
        seen = (_strips_at(min(1.0, smaller / min(long, 1.5 * short)), pixels, threads) for smaller in SMALLER_SIDES)
        strips = next((found for found in seen if found), [])
    if not strips and short < 2 * ocr_models.LINE_HEIGHT and inked:
        # Too small for the detector: one letter, or a line cut to its ink.
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        return [Strip(corners, ocr_models.LEAST_MEAN)]
    return strips


def _strips_at(scale: float, pixels: Pixels, threads: int) -> list[Strip]:
    """The lines of text seen at a scale, in bands across the image when it is large."""
    import cv2

    height, width = pixels.shape[:2]
    seen = pixels
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        seen = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    band = max(4 * OVERLAP, MOST_SEEN // seen.shape[1])
    if seen.shape[0] <= band:
        return ocr_models.strips_of(ocr_models.text_map(seen, threads), scale)
    # A line belongs to the band whose core its middle lies in: cores meet in the middle of the overlap.
    found = []
    for top in range(0, seen.shape[0] - OVERLAP, band - OVERLAP):
        likely = ocr_models.text_map(seen[top : top + band], threads)
        core = top + OVERLAP / 2 if top else 0.0, top + band - OVERLAP / 2
        last = top + band >= seen.shape[0]
        for strip in ocr_models.strips_of(likely, 1.0):
            corners = strip.corners + np.array([0, top], np.float32)
            if core[0] <= corners[:, 1].mean() and (last or corners[:, 1].mean() < core[1]):
                found.append(replace(strip, corners=(corners / scale).astype(np.float32)))
        if last:
            break
    return found


def read_strips(pixels: Pixels, strips: Sequence[Strip], threads: int = 1) -> list[tuple[Strip, Sequence[Character]]]:
    """The letters of each strip. One that stands on end is read both ways and, when it is short, as it stands."""
    return [_read_upright(pixels, strip, threads) for strip in strips]


def _read_upright(pixels: Pixels, strip: Strip, threads: int) -> tuple[Strip, Sequence[Character]]:
    ways = [strip]
    if strip.height > ON_END * strip.width:
        ways = [replace(strip, corners=np.roll(strip.corners, by, axis=0)) for by in (1, -1)]
        if strip.height < 2 * ON_END * strip.width:
            ways.append(strip)  # a single letter, or two above each other
    read = [(way, ocr_models.read_strip(ocr_models.cut(pixels, way.corners), threads)) for way in ways]
    return max(read, key=lambda pair: certainty(pair[1]))


def certainty(letters: Sequence[Character]) -> float:
    """How sure the network is of a line: the mean over its letters, 0 for none."""
    return sum(c.probability for c in letters) / len(letters) if letters else 0.0


def rows_of_letters(read: Sequence[tuple[Strip, Sequence[Character]]]) -> list[list[ReadLine]]:
    """Strips with the letters read of them as rows in reading order."""
    old = is_old_type([letters for _, letters in read])
    found = [_line(strip, modernized(letters) if old else letters) for strip, letters in read]
    lines = [line for line in found if line is not None]
    slope = _slope([strip for strip, _ in read])
    return [[lines[i] for i in row] for row in in_rows([_levelled(line, slope) for line in lines])]


def _slope(strips: Sequence[Strip]) -> float:
    """How far lines fall on their way to the right, by the middling one of those long enough to tell."""
    long = [np.tan(np.radians(s.angle)) for s in strips if s.width > 5 * s.height and abs(s.angle) < 20]
    return float(np.median(long)) if len(long) > 2 else 0.0


def _levelled(line: ReadLine, slope: float) -> Piece:
    """A line as a piece to be ordered, on a page that is tilted a little."""
    box, letters = line.box, len("".join(line.words))
    x, y = box.center
    half = 0.5 * max(4.0, box.height - abs(slope) * box.width)
    middle = y - slope * x
    return Piece(Box(box.x0 + slope * y, middle - half, box.x1 + slope * y, middle + half), letters)


def _line(strip: Strip, letters: Sequence[Character]) -> ReadLine | None:
    if not letters:
        return None
    certain = certainty(letters)
    if certain < LEAST_CERTAIN:
        return None
    groups: list[list[Character]] = []
    for n, letter in enumerate(letters):
        if groups and not _parts(letters, n):
            groups[-1].append(letter)
        else:
            groups.append([letter])
    half = 0.5 * strip.height * 0.4 / max(1.0, strip.width)
    starts = [0.0, *((a[-1].place + b[0].place) / 2 for a, b in pairwise(groups))]
    ends = [*starts[1:], 1.0]
    boxes = [
        _place(strip, max(start, group[0].place - 2 * half), min(end, group[-1].place + 2 * half))
        for group, start, end in zip(groups, starts, ends, strict=True)
    ]
    sure = tuple(round(sum(c.probability for c in g) / len(g), 4) for g in groups)
    return ReadLine(tuple("".join(c.text for c in g) for g in groups), tuple(boxes), round(certain, 4), sure)


def _parts(letters: Sequence[Character], n: int) -> bool:
    """Whether a word ends before letter `n`: a blank is seen there, and punctuation does not say otherwise.

    Old prints set a thin blank before commas; what is written is the word with its comma. A comma between two letters
    always has a blank after it.
    """
    letter, before = letters[n], letters[n - 1]
    if letter.text in ",;." and before.text.isalpha() and before.text < "\u2e80":
        alone = n + 1 == len(letters) or letters[n + 1].blank >= BLANK or letters[n + 1].text.isalpha()
        if alone:
            return False
    if before.text in ",;" and n > 1 and letters[n - 2].text.isalpha() and letter.text.isalpha():
        return letter.text < "\u2e80"
    return letter.blank >= BLANK


def _place(strip: Strip, start: float, end: float) -> Box:
    """The box around a part of a strip, from `start` to `end` of its length (0..1)."""
    across = strip.corners[1] - strip.corners[0]
    ends = [strip.corners[k] + share * across for k in (0, 3) for share in (start, end)]
    xs, ys = [float(x) for x, _ in ends], [float(y) for _, y in ends]
    return Box(min(xs), min(ys), max(xs), max(ys))
