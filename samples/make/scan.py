"""samples/mixed_scan.pdf: mixed.pdf as an office scanner gives it back: skew, paper tone, blur, noise, JPEG, no text layer."""

# ruff: noqa: E501  (running text and Typst templates read best unbroken)

from __future__ import annotations

import io
import json
import math
import sys

import numpy as np
import pymupdf
from PIL import Image, ImageFilter
from typesetting import SAMPLES, TRUTH, write_truth

DPI = 150
SKEWS = (0.9, -0.6, 0.35, -1.4, 0.7, -0.25)  # degrees, counter-clockwise as seen
COLOUR_PAGES = {3}  # the page with the photograph; the rest was scanned in grey
QUALITY = 42


def main() -> None:
    pages = scan(SAMPLES / "mixed.pdf", SAMPLES / "mixed_scan.pdf")
    truth = json.loads((TRUTH / "mixed.json").read_text(encoding="utf-8"))
    moved = moved_boxes(truth, {p["page"]: p["skew"] for p in pages}, truth["page_size"])
    moved |= {"source": "mixed_scan.pdf", "dpi": DPI, "scanned": pages, "text_layer": False}
    write_truth("mixed_scan", moved)


def scan(source, output) -> list[dict]:
    rng = np.random.default_rng(1805)
    out = pymupdf.open()
    pages = []
    with pymupdf.open(source) as document:
        for number, page in enumerate(document, 1):
            pixels = page.get_pixmap(dpi=DPI)
            image = Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)
            skew = SKEWS[(number - 1) % len(SKEWS)]
            image = scanned(image, skew, rng, colour=number in COLOUR_PAGES)
            data = io.BytesIO()
            image.save(data, "JPEG", quality=QUALITY, dpi=(DPI, DPI), optimize=True, subsampling=2)
            sheet = out.new_page(width=page.rect.width, height=page.rect.height)
            sheet.insert_image(sheet.rect, stream=data.getvalue())
            pages.append({"page": number, "skew": skew, "colour": number in COLOUR_PAGES})
    out.set_metadata({"producer": "Flatbed", "creationDate": "D:20250601100000Z", "modDate": "D:20250601100000Z"})
    out.save(output, garbage=4, deflate=True, no_new_id=True)
    return pages


def scanned(image: Image.Image, skew: float, rng: np.random.Generator, *, colour: bool) -> Image.Image:
    """The page turned by `skew` degrees counter-clockwise, on off-white paper with uneven light, blurred and noisy."""
    paper = (250, 248, 243) if colour else (249, 249, 249)
    turned = image.rotate(skew, Image.Resampling.BICUBIC, expand=False, fillcolor=(255, 255, 255))
    turned = turned.filter(ImageFilter.GaussianBlur(0.55))
    array = np.asarray(turned, dtype=np.float32) / 255
    height, width = array.shape[:2]
    x = np.arange(width, dtype=np.float32)[None, :]
    light = 1 - 0.035 * (x / width) - 0.05 * np.exp(-x / 40)  # darker toward the spine and one long side
    array = 0.11 + 0.89 * array  # black ink is never quite black
    array = array * light[..., None] * np.array(paper, dtype=np.float32) / 255
    array += rng.normal(0, 0.010, (height, width, 1)).astype(np.float32)
    for _ in range(14):  # specks of dust
        at_y, at_x, size = rng.integers(0, height - 4), rng.integers(0, width - 4), rng.integers(1, 3)
        array[at_y : at_y + size, at_x : at_x + size] *= 0.55
    result = Image.fromarray((np.clip(array, 0, 1) * 255).astype(np.uint8))
    return result if colour else result.convert("L")


def moved_boxes(value, skews: dict[int, float], size: list[float], page: int = 1):
    """The truth with every box and point turned about the centre of its page as its scan was."""
    if isinstance(value, list):
        return [moved_boxes(v, skews, size, page) for v in value]
    if not isinstance(value, dict):
        return value
    page = value.get("page", page) if isinstance(value.get("page", page), int) else page
    out = {}
    for key, inner in value.items():
        if key == "hyphenated":
            out[key] = inner
        elif key in ("box", "title_box"):
            corners = [turned_point(x, y, skews[page], size) for x in inner[0::2] for y in inner[1::2]]
            xs, ys = [c[0] for c in corners], [c[1] for c in corners]
            out[key] = [round(v, 1) for v in (min(xs), min(ys), max(xs), max(ys))]
        elif key == "point":
            out[key] = [round(v, 1) for v in turned_point(*inner, skews[page], size)]
        else:
            out[key] = moved_boxes(inner, skews, size, page)
    return out


def turned_point(x: float, y: float, degrees: float, size: list[float]) -> tuple[float, float]:
    cx, cy = size[0] / 2, size[1] / 2
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return cx + (x - cx) * c + (y - cy) * s, cy - (x - cx) * s + (y - cy) * c


if __name__ == "__main__":
    sys.exit(main())
