"""Pictures of writing for the figure kinds: blocks of text, tables ruled and bare, and the words in charts."""

from __future__ import annotations

import random
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_SYLLABLES = (
    "an be co de er fi ga he in ka lo me no or pa qu re si to un ve wa xi yo za st ch tr pl sh ion ing ed".split()
)


@lru_cache(maxsize=256)
def font(path: str, size: int) -> Font:
    """A face of that size; "" is the one that comes with Pillow."""
    if path and Path(path).is_file():
        return ImageFont.truetype(path, size)
    return ImageFont.load_default(size)


def word(rng: random.Random) -> str:
    """A made-up word, sometimes with a capital."""
    made = "".join(rng.choice(_SYLLABLES) for _ in range(rng.choice((1, 1, 2, 2, 3, 4))))
    return made.capitalize() if rng.random() < 0.12 else made


def number(rng: random.Random) -> str:
    """A number as tables have them."""
    value = rng.choice((rng.uniform(0, 1), rng.uniform(0, 100), rng.uniform(0, 20000)))
    made = f"{value:.{rng.choice((0, 0, 1, 2, 3))}f}"
    return rng.choice((made, made, made, made + "%", "-" + made, "-"))


def text(width: int, height: int, rng: random.Random, fonts: tuple[str, ...]) -> Image.Image:
    """A block of text: a line, a heading, a paragraph, a list or two columns."""
    grey = rng.randint(235, 255)
    image = Image.new("RGB", (width, height), (grey, grey, rng.randint(grey - 8, grey)))
    draw = ImageDraw.Draw(image)
    face, ink = rng.choice(fonts), rng.randint(0, 70)
    columns = 2 if width > 180 and height > 140 and rng.random() < 0.2 else 1
    size = max(8, round(height / rng.uniform(1.6, 2.2))) if height < 60 else rng.randint(8, 26)
    pad, gap = rng.randint(1, 10), 10
    if rng.random() < 0.2 and height > 90:  # a slip on a wide sheet, as receipts are scanned
        pad, size = round(width * rng.uniform(0.1, 0.33)), rng.randint(6, 10)
        columns = 1
    across = (width - 2 * pad - gap * (columns - 1)) // columns
    listing = rng.random() < 0.15
    for column in range(columns):
        x, y, now = pad + column * (across + gap), float(pad), size
        heading = rng.random() < 0.25
        pitch = rng.uniform(1.15, 1.6)
        while y + now * 0.8 < height:
            line = ("- " if listing else "") + word(rng)
            shape = font(face, round(now * 1.3) if heading else now)
            length = across * (rng.uniform(0.3, 0.8) if heading or rng.random() < 0.15 else 1.0)
            while draw.textlength(line, shape) < length - now * 2:
                line += " " + (word(rng) if rng.random() < 0.92 else number(rng)) + rng.choice(("",) * 9 + (",", "."))
            draw.text((x, y), line, fill=(ink, ink, ink), font=shape)
            y += now * pitch * (1.6 if heading else 1.0)
            heading = False
    return image


def table(width: int, height: int, rng: random.Random, fonts: tuple[str, ...]) -> Image.Image:
    """A table: ruled, with rules between rows alone, with three rules, or bare; a header band at times."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    rows, columns = rng.randint(2, max(3, min(14, height // 14))), rng.randint(2, max(2, min(8, width // 36)))
    x0, y0 = rng.randint(1, 8), rng.randint(1, 8)
    shares = [rng.uniform(0.6, 1.6) for _ in range(columns)]
    shares[0] *= rng.uniform(1.0, 2.0)
    edges = [float(x0)]
    for share in shares:
        edges.append(edges[-1] + (width - 2 * x0) * share / sum(shares))
    down = (height - 2 * y0) / rows
    tops = [y0 + down * row for row in range(rows + 1)]
    style, ink = rng.choice(("full", "full", "rows", "three", "bare")), rng.randint(0, 110)
    rule, thick = (ink, ink, ink), rng.choice((1, 1, 1, 2))
    if rng.random() < 0.35:
        band = tuple(rng.randint(190, 240) for _ in range(3)) if rng.random() < 0.5 else (rng.randint(205, 235),) * 3
        draw.rectangle((edges[0], tops[0], edges[-1], tops[1]), fill=band)
    elif rng.random() < 0.2:
        for row in range(1, rows, 2):
            draw.rectangle((edges[0], tops[row], edges[-1], tops[row + 1]), fill=(rng.randint(228, 242),) * 3)
    levels = {"full": tops, "rows": tops, "three": [tops[0], tops[1], tops[-1]], "bare": []}[style]
    for y in levels:
        draw.line((edges[0], y, edges[-1], y), fill=rule, width=thick)
    for x in edges if style == "full" else []:
        draw.line((x, tops[0], x, tops[-1]), fill=rule, width=thick)
    size = max(6, min(20, round(down * rng.uniform(0.42, 0.68))))
    face, align = font(rng.choice(fonts), size), rng.choice(("left", "centre", "right"))
    blank = rng.choice((0.02, 0.1, 0.4)) if style == "full" else 0.03
    for row in range(rows):
        for column in range(columns):
            if rng.random() < blank:
                continue
            what = word if row == 0 or column == 0 or rng.random() < 0.25 else number
            room = edges[column + 1] - edges[column] - 5
            said = what(rng)
            if what is word and rng.random() < 0.4:
                said += " " + word(rng)
            while len(said) > 1 and draw.textlength(said, face) > room:
                said = said[:-1]
            free = room - draw.textlength(said, face)
            aside = 0.0 if column == 0 or align == "left" else free / 2 if align == "centre" else free
            tone = rng.randint(0, 60)
            draw.text((edges[column] + 3 + aside, tops[row] + (down - size) / 2 - 1), said, fill=(tone,) * 3, font=face)
    return image
