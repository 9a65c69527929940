"""Image preparation for PaliGemma 2: arrangement, resize to the checkpoint's square, pixels to [-1, 1].

Three resizes are in use for the same weights, and they differ by up to 42 grey levels (docs/paligemma.md):
big_vision, which trained the published checkpoints, resizes bilinearly with antialias and truncates to uint8;
transformers' processor resizes bicubically with Pillow; both squeeze the image to a square. For tables, molecules
and music the paper pads to a white square first (PaliGemma 2, appendix B).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from docpipe.errors import DocpipeError
from docpipe.models.drawings import drawing_square

if TYPE_CHECKING:
    import torch

Resize = Literal["bilinear", "bilinear-plain", "bicubic"]
"""bilinear: big_vision's, with antialias. bilinear-plain: big_vision's without. bicubic: transformers' (Pillow)."""


@dataclass(frozen=True)
class Frame:
    """What an arrangement must fill: the checkpoint's square (side and patch in pixels) and its own options."""

    side: int
    patch: int
    options: dict[str, float] = field(default_factory=dict)


def as_rgb(image: Image.Image) -> Image.Image:
    """The image as RGB; the caller has already decoded it to what a person sees (docpipe.imagefile)."""
    return image if image.mode == "RGB" else image.convert("RGB")


def squeeze(image: Image.Image) -> Image.Image:
    """The image as it is: the resize will squeeze it to a square, as for captions and questions."""
    return as_rgb(image)


def pad_to_white_square(image: Image.Image) -> Image.Image:
    """The image in the middle of a white square, as RGB; an odd pixel of white goes right or below."""
    image = as_rgb(image)
    side = max(image.size)
    if image.size == (side, side):
        return image
    square = Image.new("RGB", (side, side), "white")
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def fold_columns(strip: np.ndarray, side: int, patch: int) -> np.ndarray:
    """A strip cut into patches, laid into a square so that the patches are met column by column.

    strip: [height, width, 3], both multiples of `patch`, height * width = side ** 2. Gives [side, side, 3]. The order
    of image tokens is then the order of reading for one line of music or text.
    """
    rows, columns, across = strip.shape[0] // patch, strip.shape[1] // patch, side // patch
    if strip.shape[0] % patch or strip.shape[1] % patch or side % patch or rows * columns != across * across:
        raise ValueError(
            f"a strip of {strip.shape[1]} x {strip.shape[0]} px does not fold into {side} px by {patch} px"
        )
    patches = strip.reshape(rows, patch, columns, patch, 3).transpose(2, 0, 1, 3, 4)  # [columns, rows, p, p, 3]
    grid = patches.reshape(across, across, patch, patch, 3).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(grid.reshape(side, side, 3))


def strip_columns(image: Image.Image, frame: Frame) -> Image.Image:
    """One line of music or text on a wide strip, folded into the square column by column (`fold_columns`).

    options: height of the strip in pixels. The image is scaled to fit, put at the left in the middle, padded white.
    """
    height = int(frame.options.get("height", 5 * frame.patch))
    width = frame.side * frame.side // height
    image = as_rgb(image)
    scale = min(width / image.width, height / image.height)
    size = max(1, min(width, round(image.width * scale))), max(1, min(height, round(image.height * scale)))
    strip = Image.new("RGB", (width, height), "white")
    strip.paste(image.resize(size, Image.Resampling.BILINEAR), (0, (height - size[1]) // 2))
    return Image.fromarray(fold_columns(np.asarray(strip), frame.side, frame.patch))


Arrange = Callable[[Image.Image, Frame], Image.Image]

ARRANGEMENTS: dict[str, Arrange] = {
    "squeeze": lambda image, _: squeeze(image),
    "white-square": lambda image, _: pad_to_white_square(image),
    "strip-columns": strip_columns,
    "drawing-square": drawing_square,
}
"""Image arrangements that a checkpoint's docpipe.json may name under "prepare"."""


def arrangement(name: str) -> Arrange:
    """The arrangement of that name. Raises DP302, naming those there are."""
    if name not in ARRANGEMENTS:
        raise DocpipeError("DP302", name, "no such image preparation; there are " + ", ".join(sorted(ARRANGEMENTS)))
    return ARRANGEMENTS[name]


def resize(image: Image.Image, size: int | tuple[int, int], method: Resize = "bilinear") -> Image.Image:
    """The image at `size` pixels (a side, or width and height), as RGB.

    bilinear and bilinear-plain follow big_vision (tf.image.resize, then a cast to uint8 that truncates): within one
    grey level of it. bicubic is Pillow's, as transformers' SiglipImageProcessorPil uses it.
    """
    import torch
    from torch.nn.functional import interpolate

    image = as_rgb(image)
    width, height = (size, size) if isinstance(size, int) else size
    if image.size == (width, height):
        return image
    if method == "bicubic":
        return image.resize((width, height), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    antialias = method == "bilinear"
    scaled = interpolate(pixels, (height, width), mode="bilinear", align_corners=False, antialias=antialias)
    # The sum of weights may end a hair under a whole level, and truncation would then take one level off flat areas.
    levels = (scaled + 1e-3).clamp(0, 255).to(torch.uint8)
    return Image.fromarray(levels[0].permute(1, 2, 0).numpy())


def to_pixels(images: Sequence[Image.Image]) -> torch.Tensor:
    """RGB images of one size as float32 [batch, 3, height, width] in [-1, 1] (x / 127.5 - 1)."""
    import torch

    stacked = np.stack([np.asarray(as_rgb(image)) for image in images])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def is_blank(image: Image.Image, tolerance: int = 12) -> bool:
    """Whether an image shows nothing: its grey levels all lie within `tolerance` of each other."""
    low, high = as_rgb(image).convert("L").getextrema()
    return float(high) - float(low) <= tolerance  # type: ignore[arg-type]
