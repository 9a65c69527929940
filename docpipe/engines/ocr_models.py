"""The two networks of OCR: one finds lines of text in an image, the other reads a line.

The weights are those that rapidocr ships (PP-OCRv6, small, detection and recognition). They are run here directly
under onnxruntime: lines are cut from the full image whatever size the detector saw, each is read at its own width
(no padding, so its neighbours change nothing), and where in the line each character was seen is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Pixels = NDArray[np.uint8]
"""An RGB image, height x width x 3."""

LINE_HEIGHT = 48
"""Height in pixels of the strips that the recognition network reads."""

STEP = 8
"""Width in pixels of a strip for each of the network's steps."""

AFTER = 64
"""Grey pixels after a strip: the network was trained on lines padded to a common width and misreads ends without."""

WIDEST = 3200
"""Strips longer than this are read in parts."""

BINARIZE, LEAST_MEAN, UNCLIP = 0.3, 0.5, 1.6
"""The detector's map is text from `BINARIZE` up; a line's mean on it must reach `LEAST_MEAN`; the map shows lines
shrunk, and `UNCLIP` times area over perimeter grows them back (Liao et al., Real-time scene text detection with
differentiable binarization, AAAI 2020, sec. 3.5)."""

MOST_LINES = 3000


@dataclass(frozen=True)
class Strip:
    """Where a line of text is: the corners in pixels, clockwise from the start of its text."""

    corners: NDArray[np.float32]
    score: float

    @property
    def width(self) -> float:
        return float(np.linalg.norm(self.corners[1] - self.corners[0]))

    @property
    def height(self) -> float:
        return float(np.linalg.norm(self.corners[3] - self.corners[0]))

    @property
    def angle(self) -> float:
        """Degrees by which the line falls to the right; a clockwise turn is positive."""
        across = self.corners[1] - self.corners[0]
        return float(np.degrees(np.arctan2(across[1], across[0])))


@dataclass(frozen=True)
class Character:
    """A character read: where along its strip (0..1), how likely, how likely a blank is before it, and how likely its
    rival in `RIVALS` is beside it (the ratio of the two; 0 for characters without one).
    """

    text: str
    place: float
    probability: float
    blank: float = 0.0
    rival: float = 0.0


RIVALS = {"f": "sſ", "d": "c", "c": "e", "å": "ä"}
"""What the network takes for modern letters in old type: long s, the c of ch, the e of Fraktur, the old umlaut."""


@cache
def _session(kind: str, threads: int) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # sizes vary from line to line: planning for each costs twice the memory
    options.log_severity_level = 3
    models = sorted(f.name for f in files("rapidocr").joinpath("models").iterdir() if f.name.endswith(".onnx"))
    name = next(name for name in models if f"_{kind}_" in name)
    path = str(files("rapidocr").joinpath("models", name))
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def digest() -> str:
    """SHA-256 over the weights of both networks."""
    return _digest()


@cache
def _digest() -> str:
    import hashlib

    summed = hashlib.sha256()
    for kind in ("det", "rec"):
        for file in sorted(files("rapidocr").joinpath("models").iterdir(), key=lambda f: f.name):
            if f"_{kind}_" in file.name and file.name.endswith(".onnx"):
                summed.update(file.read_bytes())
                break
    return summed.hexdigest()


def _run(kind: str, threads: int, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    session = _session(kind, threads)
    answer: Any = session.run(None, {session.get_inputs()[0].name: batch})[0]
    return answer  # type: ignore[no-any-return]


def _normal(pixels: Pixels) -> NDArray[np.float32]:
    """An RGB image as the networks take it: BGR planes, -1..1, one image a batch."""
    planes = pixels[:, :, ::-1].transpose(2, 0, 1).astype(np.float32)
    return np.ascontiguousarray(planes[None] / 127.5 - 1.0)


def text_map(pixels: Pixels, threads: int = 1) -> NDArray[np.float32]:
    """How likely each pixel belongs to a line of text, 0..1; sides are made multiples of 32 by white margins."""
    height, width = pixels.shape[:2]
    padded = np.full((-(-height // 32) * 32, -(-width // 32) * 32, 3), 255, np.uint8)
    padded[:height, :width] = pixels
    return _run("det", threads, _normal(padded))[0, 0, :height, :width]


def strips_of(likely: NDArray[np.float32], scale: float = 1.0) -> list[Strip]:
    """Lines of text on a map, in the pixels of an image `1 / scale` times as large; in no order."""
    import cv2

    mask = cv2.dilate((likely > BINARIZE).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours[:MOST_LINES]:
        middle, (w, h), turn = cv2.minAreaRect(contour)
        if min(w, h) < 3:
            continue
        score = _mean_within(likely, cv2.boxPoints((middle, (w, h), turn)).astype(np.float32))
        if score < LEAST_MEAN:
            continue
        grow = 2 * w * h * UNCLIP / (2 * (w + h))
        grown = (middle, (w + grow, h + grow), turn)
        corners = _from_top_left(cv2.boxPoints(grown).astype(np.float32)) / scale
        found.append(Strip(corners.astype(np.float32), score))
    return found


def _mean_within(likely: NDArray[np.float32], corners: NDArray[np.float32]) -> float:
    import cv2

    x0, y0 = (max(0, int(v)) for v in np.floor(corners.min(axis=0)))
    x1, y1 = (int(v) + 1 for v in np.ceil(corners.max(axis=0)))
    part = likely[y0:y1, x0:x1]
    if not part.size:
        return 0.0
    mask = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(mask, [np.round(corners - (x0, y0)).astype(np.int32)], 1)
    return float(cv2.mean(part, mask)[0])


def _from_top_left(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """Corners clockwise, so that the way from the first to the second is nearest to the right."""
    ahead = np.roll(corners, -1, axis=0) - corners
    if ahead[0, 0] * ahead[1, 1] - ahead[0, 1] * ahead[1, 0] < 0:
        return _from_top_left(corners[::-1])
    return np.roll(corners, -int(np.argmax(ahead[:, 0] - np.abs(ahead[:, 1]))), axis=0)


def cut(pixels: Pixels, corners: NDArray[np.float32]) -> Pixels:
    """The strip with these corners, level, at the network's height and its own width.

    Cut at its own size first and scaled after: one warp straight to the network's height loses the hairlines.
    """
    import cv2

    across = max(1, int(max(np.linalg.norm(corners[0] - corners[1]), np.linalg.norm(corners[2] - corners[3]))))
    down = max(1, int(max(np.linalg.norm(corners[0] - corners[3]), np.linalg.norm(corners[1] - corners[2]))))
    target = np.array([[0, 0], [across, 0], [across, down], [0, down]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, target)
    level = cv2.warpPerspective(pixels, matrix, (across, down), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    width = max(STEP, -(-across * LINE_HEIGHT // down))
    shrinking = cv2.INTER_AREA if down > 1.5 * LINE_HEIGHT else cv2.INTER_LINEAR
    return cv2.resize(level, (width, LINE_HEIGHT), interpolation=shrinking)  # type: ignore[return-value]


def read_strip(strip: Pixels, threads: int = 1, only: str = "") -> list[Character]:
    """The characters of a strip of `LINE_HEIGHT` pixels, best path of CTC (Graves et al., ICML 2006, sec. 3.2).

    only: the characters that can occur; all that the network knows by default.
    """
    width = strip.shape[1]
    if width > WIDEST:
        return _read_parts(strip, threads)
    batch = np.zeros((1, 3, LINE_HEIGHT, width + AFTER), np.float32)
    batch[..., :width] = _normal(strip)
    likely = _run("rec", threads, batch)[0]
    if only:
        likely = likely * _among(only)
    return _decoded(likely, (width + AFTER) / width)


def _read_parts(strip: Pixels, threads: int) -> list[Character]:
    """A long strip read in parts cut where it is lightest."""
    width = strip.shape[1]
    middle = width // 2
    reach = min(400, width // 8)
    dark = strip[:, middle - reach : middle + reach].min(axis=2).astype(np.int32)
    ink = (dark.max(initial=0) - dark).sum(axis=0)
    window = np.convolve(ink, np.ones(12), "same")
    at = middle - reach + int(window.argmin())
    left, right = read_strip(strip[:, :at], threads), read_strip(strip[:, at:], threads)
    first = [replace(c, place=c.place * at / width) for c in left]
    rest = [replace(c, place=(at + c.place * (width - at)) / width) for c in right]
    return first + [replace(c, blank=1.0) for c in rest[:1]] + rest[1:]


def _decoded(likely: NDArray[np.float32], padded: float = 1.0) -> list[Character]:
    """padded: by how much the network saw more than the strip, as a ratio of widths."""
    names, rivals = _names(), _rivals()
    best = likely.argmax(axis=1)
    top = likely[np.arange(len(best)), best]
    space = likely[:, len(names) - 1]
    found: list[Character] = []
    last, since = 0, 0
    for step, sign in enumerate(best):
        if sign not in (0, last):
            blank = float(space[since : step + 1].max()) if found else 0.0
            if names[sign] != " ":
                rival = float(likely[step, rivals[sign]].sum() / top[step]) if sign in rivals else 0.0
                place = min(1.0, (step + 0.5) / len(best) * padded)
                found.append(Character(names[sign], place, float(top[step]), blank, rival))
                since = step
        last = sign
    return found


@cache
def _names() -> list[str]:
    """What each class of the recognition network stands for; 0 is CTC's blank, the last a space."""
    meta = _session("rec", 1).get_modelmeta().custom_metadata_map
    return ["", *meta["character"].splitlines(), " "]


@cache
def _among(only: str) -> NDArray[np.float32]:
    """1 for the classes of these characters and for CTC's blank, 0 for all others."""
    kept = np.array([name in only for name in _names()], np.float32)  # the blank is "", which is in every string
    kept[-1] = 0.0
    return kept


def total_width(strips: Sequence[Strip]) -> float:
    """How many pixels wide all strips are once scaled to the network's height: what reading them costs."""
    return sum(s.width * LINE_HEIGHT / max(1.0, s.height) for s in strips)


@cache
def _rivals() -> dict[int, list[int]]:
    index = {name: number for number, name in enumerate(_names())}
    return {index[c]: [index[r] for r in rivals if r in index] for c, rivals in RIVALS.items() if c in index}


def letters_known() -> frozenset[str]:
    """The characters that the recognition network can give."""
    return frozenset(_names())
