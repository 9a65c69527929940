"""Decoding image files to what a person sees: RGB on white, upright, one picture a frame.

Palette, 1-bit, 16-bit, CMYK, alpha and EXIF-rotated images are all turned into plain RGB here and nowhere else, so no
engine ever meets palette indices or an inverted scan.
"""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from docpipe.errors import DocpipeError

MAX_PIXELS = 120_000_000
"""Largest image decoded, in pixels (360 MB as RGB)."""

SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)
FORMATS = ("PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP")
SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".gif", ".bmp", ".webp"))


def media_type(head: bytes) -> str | None:
    """The image type that a file's first bytes announce, or None."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for mark, kind in SIGNATURES if head.startswith(mark)), None)


def open_image(data: bytes, name: str) -> Image.Image:
    """Open an image lazily. Raises DP103 when it is damaged, DP110 when it is too large to decode."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise DocpipeError("DP110", name, str(error)) from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, struct.error, EOFError) as error:
        raise DocpipeError("DP103", name, "the image cannot be decoded") from error
    refuse_huge(image, name)
    return image


def refuse_huge(image: Image.Image, name: str) -> None:
    """Raise DP110 when an image has more pixels than is decoded."""
    if image.width * image.height > MAX_PIXELS:
        raise DocpipeError("DP110", name, f"{image.width} x {image.height} px, at most {MAX_PIXELS // 10**6} million")


def resolution(image: Image.Image) -> float | None:
    """Dots per inch as the file states them, or None when it states none or nonsense."""
    dpi = image.info.get("dpi")
    if not dpi:
        return None
    value = float(dpi[0])
    return value if 10 <= value <= 10_000 else None


def to_rgb(image: Image.Image, name: str) -> Image.Image:
    """The image as RGB on white, turned as its EXIF orientation says. Raises DP103 when its data is damaged."""
    try:
        image.load()
        turned = ImageOps.exif_transpose(image)
        return _flatten(turned)
    except (OSError, ValueError, SyntaxError, struct.error, EOFError, IndexError) as error:
        raise DocpipeError("DP103", name, f"the image's data is damaged: {error}") from error


def _flatten(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image, dtype=np.float64)
        # 16-bit scans rarely use the full range of a 32-bit mode; scale by the width the data needs.
        top = 65535.0 if values.max(initial=0) > 255 else 255.0
        return Image.fromarray(np.clip(values * (255.0 / top), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, "white")
        return Image.alpha_composite(white, layered).convert("RGB")
    return image.convert("RGB")
