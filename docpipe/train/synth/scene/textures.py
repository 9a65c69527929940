"""What stands in for photographs: smooth noise, light and shade, surfaces and objects without an outline.

Clouds are noise whose power falls with frequency as in photographs (Field, 1987); heaps are the dead-leaves model of
natural images (Lee, Mumford and Huang, 2001): shaded discs and polygons that cover each other.
"""

from __future__ import annotations

import math
import random
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

Pixels = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float64]


@lru_cache(maxsize=64)
def _frequencies(height: int, width: int) -> Field:
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    found: Field = np.sqrt(down**2 + across**2)
    found[0, 0] = 1.0
    return found


def cloud(height: int, width: int, slope: float, generator: np.random.Generator) -> Field:
    """Noise [height, width] of mean 0 and deviation 1 whose amplitude falls as frequency to the power -slope."""
    waves = np.fft.rfft2(generator.normal(size=(height, width))) / _frequencies(height, width) ** slope
    waves[0, 0] = 0
    made: Field = np.fft.irfft2(waves, (height, width))
    return made / max(1e-9, float(made.std()))


def photo(height: int, width: int, rng: random.Random) -> Pixels:
    """A stand-in for a photograph, uint8 [height, width, 3]."""
    generator = np.random.default_rng(rng.getrandbits(64))
    kind = rng.random()
    base = _colours(height, width, rng, generator)
    if kind < 0.35:
        made = base
    elif kind < 0.7:
        made = _heap(base, rng, generator)
    elif kind < 0.85:
        made = _horizon(base, rng, generator)
    else:
        made = _still(base, rng, generator)
    dull = rng.choice((0.0, rng.uniform(0.3, 0.95)))  # photographs are seldom as gaudy as random colours
    made = made * (1 - dull) + made.mean(axis=2, keepdims=True) * dull
    grain = generator.normal(0, rng.uniform(0.5, 7), made.shape)
    light = cloud(height, width, 1.8, generator)[..., None] * rng.uniform(4, 30)
    image = Image.fromarray(np.clip(made + grain + light, 0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 2.0)))
    if rng.random() < 0.2:
        image = image.convert("L").convert("RGB")
    return np.asarray(image)


def _colours(height: int, width: int, rng: random.Random, generator: np.random.Generator) -> Field:
    """Two or three colours mixed by clouds: skin, leaves, sky, cloth."""
    made = np.empty((height, width, 3))
    made[:] = [rng.uniform(20, 220) for _ in range(3)]
    for _ in range(rng.randint(1, 3)):
        other = np.array([rng.uniform(10, 245) for _ in range(3)])
        share = 1 / (1 + np.exp(-cloud(height, width, rng.uniform(0.9, 2.2), generator) * rng.uniform(0.6, 3)))
        made = made * (1 - share[..., None]) + other * share[..., None]
    return made


def _shaded(base: Field, outline: Image.Image, rng: random.Random, generator: np.random.Generator) -> Field:
    """The base with an object of that outline in it, lit from one side."""
    height, width, _ = base.shape
    alpha = np.asarray(outline.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5))), float)[..., None] / 255
    angle = rng.uniform(0, 2 * math.pi)
    ramp = np.cos(angle) * np.linspace(-1, 1, width)[None] + np.sin(angle) * np.linspace(-1, 1, height)[:, None]
    colour = np.array([rng.uniform(10, 240) for _ in range(3)])
    rough = cloud(height, width, rng.uniform(0.8, 2.0), generator) * rng.uniform(2, 22)
    body = colour + (ramp * rng.uniform(20, 90) + rough)[..., None]
    made: Field = base * (1 - alpha) + body * alpha
    return made


def _outline(height: int, width: int, x: float, y: float, reach: float, rng: random.Random) -> Image.Image:
    image = Image.new("L", (width, height), 0)
    count = rng.choice((4, 5, 7, 24, 24))
    begin = rng.uniform(0, 6)
    radii = [reach * rng.uniform(0.75, 1.15) if count < 24 else reach for _ in range(count)]
    stretch = rng.uniform(0.5, 1.0)
    points = [
        (x + r * math.cos(begin + 2 * math.pi * k / count), y + r * stretch * math.sin(begin + 2 * math.pi * k / count))
        for k, r in enumerate(radii)
    ]
    ImageDraw.Draw(image).polygon(points, fill=255)
    return image


def _heap(base: Field, rng: random.Random, generator: np.random.Generator) -> Field:
    height, width, _ = base.shape
    for _ in range(rng.randint(3, 12)):
        reach = max(height, width) * math.exp(rng.uniform(math.log(0.06), math.log(0.4)))
        place = rng.uniform(0, width), rng.uniform(0, height)
        base = _shaded(base, _outline(height, width, *place, reach, rng), rng, generator)
    return base


def _horizon(base: Field, rng: random.Random, generator: np.random.Generator) -> Field:
    """Ground under a sky, with some objects on the line."""
    height, width, _ = base.shape
    line = height * rng.uniform(0.3, 0.7)
    sky = np.array([rng.uniform(120, 250) for _ in range(3)]) + np.linspace(-30, 30, height)[:, None, None]
    wavy = line + cloud(1, width, 1.5, generator)[0] * height * 0.03
    above = np.arange(height)[:, None] < wavy[None]
    made = np.where(above[..., None], np.broadcast_to(sky, base.shape), base)
    for _ in range(rng.randint(0, 5)):
        reach = height * rng.uniform(0.05, 0.25)
        outline = _outline(height, width, rng.uniform(0, width), line - reach * 0.4, reach, rng)
        made = _shaded(made, outline, rng, generator)
    return made


def _still(base: Field, rng: random.Random, generator: np.random.Generator) -> Field:
    """One thing in front of a plain, unevenly lit ground."""
    height, width, _ = base.shape
    plain = np.array([rng.uniform(40, 250) for _ in range(3)]) + base * 0.05
    ramp = np.linspace(-1, 1, width)[None, :, None] * rng.uniform(-40, 40)
    place = width * rng.uniform(0.35, 0.65), height * rng.uniform(0.35, 0.65)
    reach = min(height, width) * rng.uniform(0.2, 0.42)
    made = _shaded(plain + ramp, _outline(height, width, *place, reach, rng), rng, generator)
    if rng.random() < 0.6:
        inner = _outline(height, width, place[0], place[1], reach * 0.5, rng)
        made = _shaded(made, inner, rng, generator)
    return made
