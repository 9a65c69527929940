"""Letters of a drawing read by OCR: a label of a few outlines, its indices apart from its letters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageOps

from docpipe.box import Box
from docpipe.engines.atom_labels import Label
from docpipe.engines.ocr_models import LINE_HEIGHT, read_strip

CHARACTERS = "ABCDEFGHIKLMNOPRSTUXYZacehilmnorstuy0123456789+-−()"
"""What labels of drawn molecules are written with: symbols of elements, groups, indices, charges."""


def read_label(label: Label, picture: Callable[[Box], Image.Image], threads: int = 1) -> Label:
    """The label with the text that its pieces show. picture: the pixels of a box, upright, at a scale of its own."""
    runs: list[list[Box]] = []
    for piece in label.pieces:
        if runs and abs(runs[-1][-1].y1 - piece.y1) < 0.12 * label.size:
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return replace(label, text="".join(_letters(run, label.size, picture, threads) for run in runs))


def _letters(run: Sequence[Box], size: float, picture: Callable[[Box], Image.Image], threads: int) -> str:
    around = Box(min(b.x0 for b in run), min(b.y0 for b in run), max(b.x1 for b in run), max(b.y1 for b in run))
    if around.height < 0.35 * size and around.width > 1.5 * around.height:
        return "-"
    clipped = picture(around.grown(0.08 * around.height)).convert("RGB")
    high = clipped.height * 0.3
    letters = ImageOps.expand(clipped, (round(high), round(high / 2)), "white")
    wide = max(1, round(letters.width * LINE_HEIGHT / letters.height))
    strip = Image.new("RGB", (max(LINE_HEIGHT, wide), LINE_HEIGHT), "white")
    strip.paste(letters.resize((wide, LINE_HEIGHT)))
    return "".join(c.text for c in read_strip(np.asarray(strip), threads, CHARACTERS))
