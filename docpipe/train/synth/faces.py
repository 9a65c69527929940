"""Typefaces for synthetic print: the TrueType and OpenType files of a folder, else the one that Pillow brings along."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageFont
from PIL.ImageFont import FreeTypeFont

BUILT_IN = ""
"""The name of Pillow's own face (Aileron Regular): on every machine, Latin alone."""

VARIABLE = "DOCPIPE_FONTS"

_TELLTALE = {"latin": "agR5%", "cyrillic": "жЩы", "greek": "ξΩψ"}


def faces_in(folder: str | Path | None = None) -> tuple[str, ...]:
    """The font files of a folder and those below it, sorted; of the environment variable DOCPIPE_FONTS without one.

    `(BUILT_IN,)` where neither is given. Raises ValueError when the folder holds none that can be read.
    """
    place = folder or os.environ.get(VARIABLE)
    if not place:
        return (BUILT_IN,)
    files = sorted(str(p) for p in Path(place).rglob("*") if p.suffix.lower() in (".ttf", ".otf"))
    found = tuple(f for f in files if _readable(f) and writes(f, "latin"))
    if not found:
        raise ValueError(f"no readable TrueType or OpenType file in {place}")
    return found


def _readable(path: str) -> bool:
    try:
        ImageFont.truetype(path, 12)
    except OSError:
        return False
    return True


@lru_cache(maxsize=400)
def face(path: str, size: int) -> FreeTypeFont:
    """A face at a size in pixels; basic layout, which is the same on every machine."""
    if path == BUILT_IN:
        font = ImageFont.load_default(size)
        assert isinstance(font, FreeTypeFont), "Pillow was built without FreeType"
        return font
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


@dataclass
class Type:
    """A face at a size with its letters rasterized once each: five times faster than drawing lines of text anew.

    Letters stand on whole pixels and unkerned, as most screens and many old printers set them.
    """

    font: FreeTypeFont
    sorts: dict[str, tuple[np.ndarray, int, int, float]] = field(default_factory=dict)

    def sort(self, letter: str) -> tuple[np.ndarray, int, int, float]:
        """Coverage uint8 [height, width], its offset right and down of the point on the baseline, and the advance."""
        found = self.sorts.get(letter)
        if found is None:
            mask, (right, down) = self.font.getmask2(letter, mode="L", anchor="ls")
            width, height = mask.size
            pixels = np.asarray(mask, np.uint8).reshape(height, width)
            found = self.sorts[letter] = pixels, int(right), int(down), float(self.font.getlength(letter))
        return found

    def width(self, text: str) -> float:
        """The advance of a text in pixels."""
        return sum([self.sort(letter)[3] for letter in text])

    def draw(self, coverage: np.ndarray, text: str, x: float, y: float) -> None:
        """Put a text on a coverage, uint8 [height, width], its baseline beginning at (x, y); beyond it is cut off."""
        down_most, right_most = coverage.shape
        base = round(y)
        for letter in text:
            pixels, right, down, advance = self.sort(letter)
            left, top = round(x) + right, base + down
            height, width = pixels.shape
            x += advance
            if height and left >= 0 and top >= 0 and left + width <= right_most and top + height <= down_most:
                there = coverage[top : top + height, left : left + width]
                np.maximum(there, pixels, out=there)
            elif height and left < right_most and top < down_most and left + width > 0 and top + height > 0:
                there = coverage[max(0, top) : top + height, max(0, left) : left + width]
                part = pixels[max(0, -top) :, max(0, -left) :][: there.shape[0], : there.shape[1]]
                np.maximum(there, part, out=there)


@lru_cache(maxsize=600)
def type_of(path: str, size: int) -> Type:
    """A face at a size in pixels, ready to set."""
    return Type(face(path, size))


@lru_cache(maxsize=1000)
def writes(path: str, script: str) -> bool:
    """Whether a face has letters of a script: each of a few telltale letters looks like itself alone.

    A face of ornaments, whose full stop is no smaller than its W, has none; nor have faces of symbols, which print
    Greek for Latin, and of small capitals, where nobody can tell an a from an A.
    """
    font = face(path, 16)
    if "symbol" in str(font.getname()[0]).lower() or _is_small_caps(path):
        return False
    stop, capital = font.getbbox("."), font.getbbox("W")
    if stop[3] - stop[1] > 0.5 * (capital[3] - capital[1]):
        return False
    missing = bytes(font.getmask("\U0010fffe"))
    drawn = [bytes(font.getmask(letter)) for letter in _TELLTALE[script]]
    return all(any(d) and d != missing for d in drawn) and len(set(drawn)) == len(drawn)


def _is_small_caps(path: str) -> bool:
    """Whether small letters are capitals, made smaller."""
    font, alike = face(path, 64), []
    for small, capital in zip("aegr", "AEGR", strict=True):
        shapes = []
        for letter in (small, capital):
            mask = font.getmask(letter, mode="L")
            if not all(mask.size):
                return False
            image = Image.frombytes("L", mask.size, bytes(mask)).resize((32, 32), Image.Resampling.BOX)
            shapes.append(np.asarray(image) > 127)
        alike.append((shapes[0] & shapes[1]).sum() / max(1, (shapes[0] | shapes[1]).sum()))
    return float(np.median(alike)) > 0.7


def family(paths: tuple[str, ...], path: str) -> dict[str, str]:
    """The bold and the italic sister of a face among `paths`, itself where there is none: {"bold", "italic"}."""
    stem = Path(path).stem
    root = stem.rsplit("-", 1)[0] if stem.endswith(("-Regular", "-Roman", "-Book")) else stem
    sisters = {Path(p).stem: p for p in paths}

    def sister(*endings: str) -> str:
        return next((sisters[root + e] for e in endings if root + e in sisters), path)

    return {
        "bold": sister("-Bold", "Bold", "-Demi", "Bol"),
        "italic": sister("-Italic", "-Oblique", "Italic", "-It", "-BookOblique"),
    }
