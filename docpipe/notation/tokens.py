"""PaliGemma's place tokens: `<locNNNN>` for coordinates and `<segNNN>` for the codes of a mask.

A coordinate is a share of the image's side in 1024 bins: written as round(v * 1023), read as n / 1023, as big_vision
does (its demo and most ports divide by 1024; the two differ by less than a bin). Boxes of `detect` and `segment` come
as ymin xmin ymax xmax; cells of tables, in the paper's format, as xmin ymin xmax ymax. A mask is 16 codes of a
codebook of 128 (PaliGemma, arXiv 2407.07726, section 3.2.5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from docpipe.document import Box, Detection, Finding

BINS, CODES, CODEBOOK = 1024, 16, 128

Order = Literal["yx", "xy"]
"""Whether the vertical (detect, segment) or the horizontal coordinate (table cells) comes first."""

_LOC = re.compile(r"<loc(\d{4})>")
_SEG = re.compile(r"<seg(\d{3})>")
_RUN = re.compile(r"((?:<loc\d{1,5}>\s*)+)((?:<seg\d{1,4}>\s*)*)([^<]*)")
_WORD = re.compile(r"((?:<loc\d{4}>\s*)+)((?:(?!<loc\d).)*)", re.DOTALL)
_CUT = re.compile(r"<(?:l|lo|loc\d*|s|se|seg\d*)?$")


class Found(NamedTuple):
    """An object as the tokens say it: label, x0 y0 x1 y1 as shares of the image's sides, and 16 mask codes or none."""

    label: str
    place: tuple[float, float, float, float]
    codes: tuple[int, ...] = ()

    def box(self, frame: Box) -> Box:
        """Its box, where `frame` is the box of the whole image in points."""
        return place_in(self.place, frame)


class Spotted(NamedTuple):
    """A word as text spotting gives it: x0 y0 x1 y1 as shares of the image's sides; where its text stands."""

    text: str
    place: tuple[float, float, float, float]
    span: tuple[int, int]


def place_in(place: tuple[float, float, float, float], frame: Box) -> Box:
    """A place, in shares of the image's sides, as a box; `frame` is the box of the whole image in points."""
    x0, y0, x1, y1 = place
    across, down = frame.width, frame.height
    return Box(frame.x0 + x0 * across, frame.y0 + y0 * down, frame.x0 + x1 * across, frame.y0 + y1 * down)


def loc(share: float) -> str:
    """The token of a coordinate, 0..1 of the image's side; beyond the image, that of its edge."""
    return f"<loc{min(max(round(share * (BINS - 1)), 0), BINS - 1):04d}>"


def seg(code: int) -> str:
    """The token of a mask code. Raises ValueError outside the codebook of 128."""
    if not 0 <= code < CODEBOOK:
        raise ValueError(f"mask codes are 0 to {CODEBOOK - 1}, not {code}")
    return f"<seg{code:03d}>"


def write_box(box: Box, frame: Box, order: Order = "yx") -> str:
    """The four tokens of a box in an image that covers `frame`. Raises ValueError when the frame has no area."""
    if frame.width <= 0 or frame.height <= 0:
        raise ValueError("the frame has no area")
    xs = [(x - frame.x0) / frame.width for x in (box.x0, box.x1)]
    ys = [(y - frame.y0) / frame.height for y in (box.y0, box.y1)]
    pairs = zip(ys, xs, strict=True) if order == "yx" else zip(xs, ys, strict=True)
    return "".join(loc(share) for pair in pairs for share in pair)


def write_objects(found: list[Found]) -> str:
    """Objects as the answer to a `detect` or `segment` prompt: tokens and label, separated by " ; "."""
    whole = Box(0, 0, 1, 1)
    parts = [write_box(Box(*f.place), whole) + "".join(map(seg, f.codes)) + f" {f.label}".rstrip() for f in found]
    return " ; ".join(parts)


def read_box(tokens: str, order: Order = "yx") -> tuple[float, float, float, float] | None:
    """x0 y0 x1 y1 as shares of the image, from the first four location tokens; None when there are fewer or one is
    out of range.
    """
    values = [int(digits) for digits in _LOC.findall(tokens)[:4]]
    if len(values) < 4 or max(values) >= BINS:
        return None
    first, second, third, fourth = (value / (BINS - 1) for value in values)
    return (second, first, fourth, third) if order == "yx" else (first, second, third, fourth)


def read_objects(text: str, order: Order = "yx") -> tuple[list[Found], list[Finding]]:
    """The objects of an answer to `detect` or `segment`, and what could not be used of it. Never raises.

    Left out, with a finding: runs of other than four coordinates, boxes turned over or without area. Kept without
    their mask, with a finding: objects of other than 16 codes, or of a code outside the codebook.
    """
    found: list[Found] = []
    findings: list[Finding] = []

    def tell(code: str, message: str, number: int) -> None:
        findings.append(Finding(code=code, message=message, where=f"object {number}"))

    body = _CUT.sub("", text.rstrip())
    if body != text.rstrip():
        findings.append(Finding(code="detect.cut-off", message="the answer ends in the middle of a token"))
    for number, (places, codes, label) in enumerate(_RUN.findall(body), 1):
        name = label.strip(" ;\n\t")
        count = len(re.findall("<loc", places))
        place = read_box(places, order) if count == 4 else None
        if place is None:
            what = f"{count} coordinates" if count != 4 else "a coordinate out of range"
            tell("detect.coordinates", f"{what} where a box has four of 0000 to 1023", number)
            continue
        if place[2] <= place[0] or place[3] <= place[1]:
            tell("detect.no-area", f"the box of {name or 'an object'!r} has no area", number)
            continue
        mask = tuple(int(digits) for digits in _SEG.findall(codes))
        given = len(re.findall("<seg", codes))
        if given and (given != CODES or len(mask) != CODES or max(mask) >= CODEBOOK):
            tell("detect.mask", f"{given} mask code(s) where a mask has {CODES} of 000 to 127", number)
            mask = ()
        if not name:
            tell("detect.no-label", "the object has no label", number)
        found.append(Found(name, place, mask))
    return found, findings


def detections(text: str, frame: Box) -> tuple[tuple[Detection, ...], tuple[Finding, ...]]:
    """The objects of an answer as detections on the page; `frame` is the box of the image in points."""
    found, findings = read_objects(text)
    return tuple(Detection(label=f.label, box=f.box(frame)) for f in found), tuple(findings)


def read_words(text: str) -> list[Spotted]:
    """The words of an answer to `ocr` with places: four tokens, y first, then what stands there; ` ; ` may part them.

    The papers do not print how text spotting is written (arXiv 2412.03555, sec. 4.1 has pairs of transcription and
    box); this is the form of `detect`. Left out: runs of other than four coordinates, boxes without area or text.
    Never raises.
    """
    found = []
    for match in _WORD.finditer(_CUT.sub("", text.rstrip())):
        place = read_box(match[1]) if len(_LOC.findall(match[1])) == 4 else None
        said = re.sub(r"\s+;\s*\Z", "", match[2]).strip()
        if place is None or not said or place[2] <= place[0] or place[3] <= place[1]:
            continue
        start = match.start(2) + match[2].index(said)
        found.append(Spotted(said, place, (start, start + len(said))))
    return found


def write_words(words: Sequence[tuple[str, Box]], frame: Box) -> str:
    """Words with their boxes as the answer of a text-spotting transfer; `read_words` reads it back."""
    return " ; ".join(f"{write_box(box, frame)} {text}" for text, box in words)


def text_lines(words: Sequence[Spotted]) -> list[list[Spotted]]:
    """Words as lines from the top down, each from left to right: a word belongs to a line when they share at least
    half of the lower one's height. Places are as in the image turned upright.
    """
    lines: list[list[Spotted]] = []
    for word in sorted(words, key=lambda w: (w.place[1] + w.place[3], w.place[0])):
        top, bottom = word.place[1], word.place[3]
        for line in lines:
            # Beside a long line that is not quite level only the nearest word tells where the line is.
            near = min(line, key=lambda w: abs(w.place[0] + w.place[2] - word.place[0] - word.place[2]))
            shared = min(bottom, near.place[3]) - max(top, near.place[1])
            if shared >= 0.5 * min(bottom - top, near.place[3] - near.place[1]):
                line.append(word)
                break
        else:
            lines.append([word])
    ordered = [sorted(line, key=lambda w: w.place[0]) for line in lines]
    return sorted(ordered, key=lambda line: sum(w.place[1] + w.place[3] for w in line) / len(line))
