"""Made-up text as images: lines and blocks in many faces, sizes and scripts, with the box of every word.

Scripts are Latin, Cyrillic and Greek, as far as the faces have them. The words are made up (wording.py).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from docpipe.train.synth import wording
from docpipe.train.synth.degrade import degrade
from docpipe.train.synth.faces import BUILT_IN, face, writes

Place = tuple[float, float, float, float]


@dataclass(frozen=True)
class Text:
    """A line or a block of text as an image.

    pixels: uint8 [height, width], grey. text: its lines, each ended by a newline but the last. words: in reading order,
    with their boxes in pixels (of a turned text, the smallest upright box around each). kind: "line" or "block".
    """

    pixels: np.ndarray
    text: str
    words: tuple[tuple[str, Place], ...]
    kind: str
    script: str
    face: str


def texts(
    seed: int,
    start: int = 0,
    *,
    faces: Sequence[str] = (BUILT_IN,),
    scripts: Sequence[str] = wording.SCRIPTS,
    lines: float = 0.5,
    noise: float = 1.0,
    part: str = "train",
) -> Iterator[Text]:
    """Texts number `start` and on, endlessly; number i depends on the arguments and i alone.

    faces: font files (faces.faces_in). lines: the share of single lines. noise: 0 clean to 1 as scans are. part:
    another name gives other texts for the same seed. Raises ValueError when no face has letters of any of the scripts.
    """
    able = {script: [f for f in faces if writes(f, script)] for script in scripts}
    able = {script: found for script, found in able.items() if found}
    if not able:
        raise ValueError(f"no face has letters of {', '.join(scripts)}")
    index = start
    while True:
        rng = random.Random(f"text:{part}:{seed}:{index}")
        script = rng.choices(list(able), [3 if s == "latin" else 1 for s in able])[0]
        chosen = rng.choice(able[script])
        size = round(math.exp(rng.uniform(math.log(9), math.log(44))))
        if rng.random() < lines:
            yield set_lines([line(rng, script)], chosen, size, rng, script=script, noise=noise)
        else:
            yield set_lines(
                block(rng, script, chosen, min(size, 22)), chosen, min(size, 22), rng, script=script, noise=noise
            )
        index += 1


def line(rng: random.Random, script: str) -> str:
    """One line as it stands alone on pages: a heading, a name, a date, a figure with its unit, a clause."""
    kinds = (
        lambda: wording.sentence(rng, 3, 9, script),
        lambda: wording.capital(wording.words(rng, 1, 5, script)),
        lambda: wording.name(rng, script),
        lambda: wording.words(rng, 2, 6, script).upper(),
        lambda: f"{rng.randint(1, 12)}.{rng.randint(1, 9)} {wording.label(rng, script)}",
        lambda: f"{wording.label(rng, script)}: {wording.number(rng)} {wording.unit(rng)}",
        lambda: wording.date(rng),
        lambda: f"{wording.name(rng, script)}, {wording.date(rng)}",
        lambda: "".join(rng.choice(_ANY) for _ in range(rng.randint(3, 14))),
    )
    return rng.choices(kinds, (5, 3, 3, 1, 2, 2, 1, 1, 1))[0]()


_ANY = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-/.:#@&()+*"


def block(rng: random.Random, script: str, chosen: str, size: int) -> list[str]:
    """The lines of a paragraph of two to nine lines, broken at a width as columns have it."""
    letters = face(chosen, size)
    width, wanted = rng.uniform(14, 42) * size * 0.5, rng.randint(2, 9)
    lines: list[str] = []
    now = ""
    while len(lines) < wanted:
        for word in wording.sentence(rng, 4, 16, script).split(" "):
            longer = f"{now} {word}" if now else word
            if now and letters.getlength(longer) > width:
                lines.append(now)
                now = word
            else:
                now = longer
    return lines[:wanted]


def set_lines(
    lines: Sequence[str],
    chosen: str,
    size: int,
    rng: random.Random,
    *,
    script: str = "latin",
    noise: float = 1.0,
    turn: float | None = None,
    margin: tuple[float, float] = (0.1, 0.9),
) -> Text:
    """Lines set one below the other, flush left or right, centred or justified, on paper that may be grey or black.

    size: of the face, in pixels. turn: degrees clockwise, None for a small random one. margin: range in sizes.
    """
    letters = face(chosen, size)
    leading = size * rng.uniform(1.1, 1.6)
    sides = [rng.uniform(*margin) * size for _ in range(4)]
    widths = [letters.getlength(text) for text in lines]
    inner = max(widths)
    align = rng.choice(("left", "left", "justified", "center", "right")) if len(lines) > 1 else "left"
    words: list[tuple[str, Place]] = []
    places: list[tuple[str, float, float]] = []
    for i, text in enumerate(lines):
        baseline = sides[1] + size * 0.8 + i * leading
        loose = inner - widths[i]
        pieces = text.split(" ")
        wide = loose / (len(pieces) - 1) if align == "justified" and i < len(lines) - 1 and len(pieces) > 1 else 0.0
        x = sides[0] + {"right": loose, "center": loose / 2}.get(align, 0.0)
        at = 0
        for k, piece in enumerate(pieces):
            left = x + letters.getlength(text[:at]) + k * wide
            words.append((piece, _inked(piece, left, baseline, chosen, size)))
            if wide:
                places.append((piece, left, baseline))
            at += len(piece) + 1
        if not wide:
            places.append((text, x, baseline))
    width = math.ceil(sides[0] + inner + sides[2])
    height = math.ceil(sides[1] + size * 1.05 + (len(lines) - 1) * leading + sides[3])
    image = Image.new("L", (width, height), 255)
    pen = ImageDraw.Draw(image)
    for text, x, y in places:
        pen.text((x, y), text, 0, letters, anchor="ls")
    tilt = turn if turn is not None else rng.gauss(0, 0.7) * noise if rng.random() < 0.4 else 0.0
    if tilt:
        image = image.rotate(-tilt, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
        words = [(word, _swung(box, tilt, (width, height), image.size)) for word, box in words]
    pixels = degrade(_papered(np.asarray(image), rng, noise), rng, noise)
    return Text(
        pixels=np.ascontiguousarray(pixels),
        text="\n".join(lines),
        words=tuple(words),
        kind="line" if len(lines) == 1 else "block",
        script=script,
        face=chosen,
    )


def _inked(word: str, x: float, baseline: float, chosen: str, size: int) -> Place:
    left, top, right, bottom = face(chosen, size).getbbox(word, anchor="ls")
    return x + left, baseline + top, x + right, baseline + bottom


def _swung(box: Place, degrees: float, old: tuple[int, int], new: tuple[int, int]) -> Place:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = [(x - old[0] / 2, y - old[1] / 2) for x in (box[0], box[2]) for y in (box[1], box[3])]
    xs = [x * cos - y * sin + new[0] / 2 for x, y in corners]
    ys = [x * sin + y * cos + new[1] / 2 for x, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _papered(pixels: np.ndarray, rng: random.Random, noise: float) -> np.ndarray:
    """On paper of a grey, shaded from one side to the other, or white on black."""
    kind = rng.random()
    if kind < 0.06 * noise:
        return 255 - pixels
    if kind < 0.2 * noise:
        return (pixels.astype(np.float32) * (rng.uniform(170, 240) / 255)).astype(np.uint8)
    if kind < 0.28 * noise:
        shade = np.linspace(rng.uniform(0.65, 1.0), rng.uniform(0.65, 1.0), pixels.shape[1], dtype=np.float32)
        return (pixels * shade).astype(np.uint8)
    return pixels
