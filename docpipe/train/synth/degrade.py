"""What printing, scanning and cropping do to a clean drawing. Grey uint8 images in, the same size out."""

from __future__ import annotations

import io
import random

import numpy as np
from PIL import Image, ImageFilter


def bilevel(drawing: Image.Image, side: int, rng: random.Random) -> Image.Image:
    """A drawing of twice the size or more as a scanner without grey saw it, then brought down to `side` pixels."""
    kind = rng.random()
    if kind < 0.2:
        drawing = drawing.filter(ImageFilter.MinFilter(3))  # bold print
    threshold = rng.uniform(110, 225)
    drawing = drawing.point([0 if level < threshold else 255 for level in range(256)])
    return drawing.resize((side, side), rng.choice((Image.Resampling.BOX, Image.Resampling.BILINEAR)))


def border_ink(pixels: np.ndarray, rng: random.Random, reach: int) -> np.ndarray:
    """Pieces of neighbouring print in the outermost `reach` pixels: strokes that a crop cut off."""
    side = pixels.shape[0]
    marked = pixels.copy()
    for _ in range(rng.randint(1, 3)):
        along, depth = rng.randrange(side), rng.randint(1, max(1, reach))
        length, level = rng.randint(1, side // 5), rng.randint(0, 90)
        patch = (slice(0, depth), slice(along, along + length))
        turned = np.rot90(marked, rng.randrange(4))  # a view: writing into it marks one of the four borders
        turned[patch] = np.minimum(turned[patch], level)
    return marked


def degrade(pixels: np.ndarray, rng: random.Random, strength: float = 1.0) -> np.ndarray:
    """Ink and paper levels, blur, sensor noise, specks and JPEG, each with a chance. strength 0 leaves all as it is."""
    generator = np.random.default_rng(rng.getrandbits(64))
    if rng.random() < 0.35 * strength:
        radius = rng.uniform(0.2, 0.7)
        pixels = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))
    if rng.random() < 0.5 * strength:
        ink, paper, gamma = rng.uniform(0, 90), rng.uniform(225, 255), rng.uniform(0.6, 1.7)
        levels = ink + (paper - ink) * (np.arange(256) / 255.0) ** gamma
        pixels = levels.astype(np.uint8)[pixels]
    if rng.random() < 0.25 * strength:
        noisy = pixels + generator.normal(0.0, rng.uniform(2, 14), pixels.shape)
        pixels = np.clip(noisy, 0, 255).astype(np.uint8)
    if rng.random() < 0.15 * strength:
        pixels = pixels.copy()
        count = rng.randint(1, 12)
        rows, columns = generator.integers(0, pixels.shape[0], count), generator.integers(0, pixels.shape[1], count)
        pixels[rows, columns] = generator.integers(0, 160, count)
    if rng.random() < 0.12 * strength:
        packed = io.BytesIO()
        Image.fromarray(pixels).save(packed, "JPEG", quality=rng.randint(35, 90))
        pixels = np.asarray(Image.open(packed))
    return pixels
