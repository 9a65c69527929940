"""Lines of text as the trainer sees them: one or two short lines on a folded strip -> their characters.

A strip is two patches high, its patches laid out column by column (models.preprocess.strip_columns): the order of the
image tokens is then the order of reading.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import numpy.typing as npt
from PIL import Image

from docpipe.metrics.cer import cer
from docpipe.models.preprocess import Frame, strip_columns
from docpipe.train.domains.scanned_lines import scanned_lines
from docpipe.train.sample import Sample
from docpipe.train.synth import wording
from docpipe.train.synth.faces import faces_in
from docpipe.train.synth.text import Text, line, set_lines, texts

LETTERS = (
    " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿŠšŽžŒœ£€¥§°±²³µ¶·×÷«»¿¡–—‘’“”„†‡•…‰−Ω"
)
"""Content tokens: printable ASCII, western European letters, the signs of print. The newline is a special token."""

MOST = 28
"""Letters of a line. On 512 x 32 pixels a letter then has 18 pixels of width, or the line is lower than the strip."""


class TextLines:
    """Lines of at most `longest` letters.

    Shares of them: pairs, two short lines; crowded, ink of the lines above and below at the edges; capitals, in these.

    side, patch: of the folded square, of 2 * patch pixels height before. fonts: a folder, else DOCPIPE_FONTS, else
    Pillow's own face. noise: 0 clean to 1 as worn as scans.
    """

    name = "text"
    prompts = ("text",)
    vocabulary = tuple(LETTERS)
    labels = tuple(LETTERS)
    """Which letters have their middle in a patch."""

    def __init__(
        self,
        side: int = 128,
        *,
        patch: int = 16,
        longest: int = MOST,
        pairs: float = 0.2,
        crowded: float = 0.0,
        capitals: float = 0.0,
        noise: float = 0.6,
        fonts: str | None = None,
    ) -> None:
        self.side, self.patch, self.longest, self.noise = side, patch, longest, noise
        self.pairs, self.crowded, self.capitals = pairs, crowded, capitals
        self.faces = faces_in(fonts)

    def stream(self, seed: int, start: int = 0) -> Iterator[Sample]:
        index = start
        while True:
            yield self.sample(seed, index)
            index += 1

    def sample(self, seed: int, index: int, part: str = "train") -> Sample:
        """Sample number `index`."""
        rng = random.Random(f"text lines:{part}:{seed}:{index}")
        chosen = rng.choice(self.faces)
        count = 2 if rng.random() < self.pairs else 1
        lines = [self.line(rng, self.longest // count) for _ in range(count)]
        size = round(rng.uniform(14, 30))
        turn = rng.gauss(0, 0.4) if rng.random() < 0.3 else 0.0
        made = self._set(lines, chosen, size, rng, noise=self.noise, turn=turn)
        if count == 1 and rng.random() < self.crowded:
            made = self._between_others(made, rng)
        return self.sample_of(made)

    @staticmethod
    def _set(lines: list[str], face: str, size: int, rng: random.Random, *, noise: float, turn: float = 0.0) -> Text:
        return set_lines(lines, face, size, rng, noise=noise, turn=turn, margin=(0.02, 0.25))

    def _between_others(self, made: Text, rng: random.Random) -> Text:
        """The line with ink of those above and below it at its edges, as in cuts of pages where lines are close."""
        pixels = made.pixels.copy()
        high, wide = pixels.shape
        dark = 128 if np.median(pixels) > 128 else None  # white on black stays alone
        for top in (True, False):
            if dark is None or rng.random() < 0.3:
                continue
            other = self._set([self.line(rng)], made.face, max(8, round(0.75 * high)), rng, noise=0.0).pixels
            rows = np.flatnonzero(other.min(axis=1) < dark)
            if not len(rows):
                continue
            deep = rng.randint(1, max(1, round(0.14 * high)))
            first = rows[-1] + 1 - deep if top else rows[0]
            piece = other[max(0, first) : first + deep, :wide]
            at = 0 if top else high - len(piece)
            there = pixels[at : at + len(piece), : piece.shape[1]]
            np.minimum(there, piece, out=there)
        return replace(made, pixels=pixels)

    def line(self, rng: random.Random, longest: int = 0) -> str:
        """What one line says: `longest` letters at most, by default as many as the domain's lines have."""
        longest = longest or self.longest
        while True:
            said = line(rng, "latin") if rng.random() < 0.75 else wording.numeric(rng)()
            said = "".join(c for c in said if c in _KNOWN)
            if len(said) > longest:
                words = said.split(" ")
                first = rng.randrange(len(words))
                said = " ".join(words[first:])[:longest]
            if rng.random() < self.capitals and "ß" not in said:
                said = "".join(c if c.upper() not in _KNOWN else c.upper() for c in said)
            if said := said.strip():
                return said

    def sample_of(self, made: Text) -> Sample:
        """Set lines as a training sample."""
        pixels = self._strip(Image.fromarray(made.pixels))
        places = self._places(made)
        target = tuple(made.text)
        points = np.full((len(target), 2), np.nan, np.float32)
        marks = []
        for i, (letter, place) in enumerate(zip(target, places, strict=True)):
            if place is not None:
                points[i] = self.folded(*place)
                if letter != " ":
                    marks.append((float(points[i, 0]), float(points[i, 1]), _KNOWN[letter]))
        return Sample(
            pixels=pixels,
            prompt="text",
            target=target,
            points=points,
            marks=tuple(marks),
            truth=made.text,
            slices={"lines": made.text.count("\n") + 1, "letters": len(made.text)},
        )

    def _places(self, made: Text) -> list[tuple[float, float] | None]:
        """The middle of each letter on the strip, by the share of its word that comes before it; None for newlines."""
        height, width = made.pixels.shape
        across, tall = self.side * self.side / (2 * self.patch), 2 * self.patch
        scale = min(across / width, tall / height)
        down = (tall - round(height * scale)) // 2
        found: list[tuple[float, float] | None] = []
        boxes = iter(made.words)
        for row, text in enumerate(made.text.split("\n")):
            if row:
                found.append(None)
            for column, word in enumerate(text.split(" ")):
                if column:
                    found.append(found[-1])  # a blank is read where the letter before it stands
                if not word:
                    continue
                _, (x0, y0, x1, y1) = next(boxes)
                for k in range(len(word)):
                    found.append(((x0 + (x1 - x0) * (k + 0.5) / len(word)) * scale, (y0 + y1) / 2 * scale + down))
        return found

    def folded(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the strip lies in the square."""
        patch, across = self.patch, self.side // self.patch
        x = min(max(x, 0.0), self.side * across / 2 - 0.01)
        y = min(max(y, 0.0), 2 * patch - 0.01)
        column, row = int(x // patch), int(y // patch)
        k = column * 2 + row
        return (k % across) * patch + x - column * patch, (k // across) * patch + y - row * patch

    def calibration(self, count: int) -> dict[str, list[Sample]]:
        """Held-out lines, lines and blocks of more letters than were learnt, and real ones where there are any."""
        sets = self.validation(count)
        beyond = texts(3, faces=self.faces, scripts=("latin",), noise=self.noise, part="beyond")
        longer = islice((made for made in beyond if len(made.text) > 1.2 * self.longest), count // 4)
        sets["longer"] = [self._read_off(Image.fromarray(made.pixels), made.text) for made in longer]
        scans = scanned_lines(count // 2, 3, self.longest)
        return sets | ({"scans": [self._read_off(*line) for line in scans]} if scans else {})

    def _read_off(self, image: Image.Image, text: str) -> Sample:
        """A picture with what it says, no letter's place known."""
        pixels = self._strip(image)
        points = np.full((len(text), 2), np.nan, np.float32)
        return Sample(pixels, "text", tuple(text), points, truth=text, slices={"lines": 1, "letters": len(text)})

    def _strip(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        frame = Frame(self.side, self.patch, {"height": 2.0 * self.patch})
        return np.asarray(strip_columns(image, frame).convert("L"))

    def validation(self, count: int) -> dict[str, list[Sample]]:
        """Lines from another seed space; short ones may occur in training, too, as they do on pages."""
        return {"held_out": [self.sample(0, i, "held out") for i in range(count)]}

    def score(self, samples: Sequence[Sample], answers: Sequence[tuple[str, ...]]) -> dict[str, float]:
        """cer: edits over letters of all samples. exact: the share without one. exact_1, exact_2: by lines."""
        edits = letters = 0.0
        exact: dict[str, list[float]] = {"exact": [], "exact_1": [], "exact_2": []}
        for sample, answer in zip(samples, answers, strict=True):
            said = "".join(answer)
            edits += cer(said, sample.truth) * len(sample.truth)
            letters += len(sample.truth)
            right = float(said == sample.truth)
            exact["exact"].append(right)
            exact[f"exact_{sample.slices['lines']}"].append(right)
        means = {name: float(np.mean(values)) for name, values in exact.items() if values}
        return {"cer": edits / max(1.0, letters)} | means


_KNOWN = {letter: i for i, letter in enumerate(LETTERS)}
