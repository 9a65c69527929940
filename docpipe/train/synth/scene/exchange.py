"""An exchange: a prompt, its answer in pieces, and the place in the picture that each piece is read from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from docpipe.notation.tokens import seg
from docpipe.train.mask_codes import CODE_SIDE, Codebook
from docpipe.train.synth.scene.canvas import Bitmap, Thing
from docpipe.train.synth.scene.words import LOCATIONS, STEPS

Point = tuple[float, float] | None
Place = tuple[float, float, float, float]


@dataclass(frozen=True)
class Exchange:
    """task: docpipe's name of it. answer: texts with the pixel each is read from; empty: there is no answer to give.

    masks: of the things in the answer, bool [side, side]; what a segmentation is compared with.
    """

    task: str
    prompt: str
    answer: tuple[tuple[str, Point], ...] = ()
    masks: tuple[Bitmap, ...] = field(default=(), repr=False)

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.answer)


def snapped(box: Place, side: int) -> tuple[int, int, int, int]:
    """A box in steps of a 31st of the side, x0 y0 x1 y1, never without area."""
    x0, y0, x1, y1 = (min(max(round(value / side * STEPS), 0), STEPS) for value in box)
    x0, y0 = min(x0, STEPS - 1), min(y0, STEPS - 1)
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def place_tokens(thing: Thing, side: int) -> list[tuple[str, Point]]:
    """`<loc…>` of its box, ymin xmin ymax xmax, each read from the middle of its edge."""
    x0, y0, x1, y1 = snapped(thing.box, side)
    x, y = thing.center
    left, top, right, bottom = thing.box
    edges = ((y0, (x, top)), (x0, (left, y)), (y1, (x, bottom - 1)), (x1, (right - 1, y)))
    return [(LOCATIONS[step], point) for step, point in edges]


def mask_tokens(thing: Thing, side: int, book: Codebook) -> list[tuple[str, Point]]:
    """The 16 `<seg…>` codes of its mask within the snapped box, each read from its own sixteenth."""
    codes = book.encode(cut(thing.mask, snapped(thing.box, side)))
    x0, y0, x1, y1 = thing.box
    points = [(x0 + (x1 - x0) * (k % 4 + 0.5) / 4, y0 + (y1 - y0) * (k // 4 + 0.5) / 4) for k in range(16)]
    return [(seg(code), point) for code, point in zip(codes, points, strict=True)]


def cut(mask: Bitmap, steps: tuple[int, int, int, int]) -> npt.NDArray[np.float32]:
    """A mask's part in a box (in steps) as the codes describe it: [64, 64], 0..1."""
    from PIL import Image

    side = mask.shape[0]
    box = tuple(step * side / STEPS for step in steps)
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    part = image.resize((CODE_SIDE, CODE_SIDE), Image.Resampling.BILINEAR, box=box)
    return np.asarray(part).astype(np.float32) / np.float32(255)
