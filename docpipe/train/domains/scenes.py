"""Scenes as the trainer sees them: captions, questions, statements, boxes, masks and the kinds of figures, in one.

Its prompts are words, not single tokens; its images are in colour. Where the picture shows nothing of this world (a
photograph, a page of text), and where a question takes for granted what is not there, the true answer is empty.
"""

from __future__ import annotations

import os
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from docpipe.notation.tokens import Found, read_objects
from docpipe.train.mask_codes import CODE_SIDE, SHIPPED, Codebook
from docpipe.train.sample import Sample, pattern_of, split
from docpipe.train.synth.figure_kinds import Figures, finished, squared
from docpipe.train.synth.molecules import fonts_in
from docpipe.train.synth.scene.asking import ANSWERED, ask
from docpipe.train.synth.scene.canvas import Thing
from docpipe.train.synth.scene.colours import COLOURS
from docpipe.train.synth.scene.diagrams import diagram, plot
from docpipe.train.synth.scene.exchange import Exchange
from docpipe.train.synth.scene.outlines import OUTLINES
from docpipe.train.synth.scene.words import KINDS, VOCABULARY
from docpipe.train.synth.scenes import Scene, scene

TASKS = (*ANSWERED, "figure-kind")
"""What the domain teaches, by docpipe's names of the tasks."""

BLOCK_SCENES, PER_SCENE, BLOCK_KINDS, BLOCK_OUTSIDE = 48, 4, 44, 20
PER_BLOCK = BLOCK_SCENES * PER_SCENE + BLOCK_KINDS + BLOCK_OUTSIDE

LABELS = (
    *OUTLINES,
    *("bar", "line", "slice", "title", "picture", "table"),
    *COLOURS,
    *("edge top", "edge left", "edge bottom", "edge right"),
    *(f"kind {kind}" for kind in KINDS),
)
_LABEL = {name: i for i, name in enumerate(LABELS)}
_PATTERN = re.compile(pattern_of(VOCABULARY))
_LATTICE = 8

ENOUGH = 0.5
"""A box or a mask is right when it shares this much with the true one (intersection over union)."""


def sample_of(exchange: Exchange, pixels: npt.NDArray[np.uint8], things: Sequence[Thing] = ()) -> Sample:
    """An exchange about a picture as a training sample."""
    tokens: list[str] = []
    points: list[tuple[float, float]] = []
    for text, point in exchange.answer:
        for token in split(text, _PATTERN):
            tokens.append(token)
            points.append(point or (np.nan, np.nan))
    return Sample(
        pixels=pixels,
        prompt=exchange.prompt,
        target=tuple(tokens),
        points=np.array(points, np.float32).reshape(-1, 2),
        marks=tuple(_marks(things)),
        truth=exchange.text,
        slices={"task": exchange.task},
        spoken_of=_spoken_of(split(exchange.prompt, _PATTERN), things),
    )


def _spoken_of(prompt: Sequence[str], things: Sequence[Thing]) -> npt.NDArray[np.float32]:
    """The middle of the one thing that each word of a prompt names, with its colour or without: [len(prompt), 2]."""
    points = np.full((len(prompt), 2), np.nan, np.float32)
    words = [token.strip() for token in prompt]
    for i, word in enumerate(words):
        coloured = i > 0 and words[i - 1] in COLOURS
        meant = [t for t in things if t.name == word and (not coloured or t.colour == words[i - 1])]
        if len(meant) == 1:
            points[i - coloured : i + 1] = meant[0].center
    return points


def _marks(things: Sequence[Thing]) -> Iterator[tuple[float, float, int]]:
    for thing in things:
        rows, columns = np.nonzero(thing.mask[_LATTICE // 2 :: _LATTICE, _LATTICE // 2 :: _LATTICE])
        spots = [(x * _LATTICE + 4.0, y * _LATTICE + 4.0) for x, y in zip(columns.tolist(), rows.tolist(), strict=True)]
        for name in (thing.name, thing.colour):
            if name:
                yield from ((x, y, _LABEL[name]) for x, y in (*spots, thing.center))
        (x, y), (x0, y0, x1, y1) = thing.center, thing.box
        edges = (("top", x, y0), ("left", x0, y), ("bottom", x, y1 - 1), ("right", x1 - 1, y))
        yield from ((a, b, _LABEL[f"edge {name}"]) for name, a, b in edges)


def kind_sample(pixels: npt.NDArray[np.uint8], kind: str) -> Sample:
    """A figure, to be told apart."""
    inked = pixels.min(axis=2).reshape(8, len(pixels) // 8, 8, -1).min(axis=(1, 3)) < 200
    step = len(pixels) / 8
    rows, columns = np.nonzero(inked)
    label = _LABEL[f"kind {kind}"]
    marks = [((x + 0.5) * step, (y + 0.5) * step, label) for x, y in zip(columns.tolist(), rows.tolist(), strict=True)]
    made = sample_of(Exchange("figure-kind", "kind", ((f" {kind}", None),)), pixels)
    return Sample(made.pixels, made.prompt, made.target, made.points, tuple(marks), made.truth, made.slices)


class Scenes:
    """Drawn scenes of `side` pixels and what is asked of them.

    noise: 0 clean to 1 worn. fonts: a folder of TrueType files for words in figures, else that of DOCPIPE_FONTS.
    pool: the folder that keeps drawn molecules and scores (`figure_kinds.figure_pool`).
    """

    name = "scenes"
    prompts: tuple[str, ...] = ()
    vocabulary = VOCABULARY
    labels = LABELS
    mask_codes = SHIPPED
    """The decoder of its masks, which ships beside the weights."""

    def __init__(
        self, side: int = 128, *, noise: float = 1.0, fonts: str | None = None, pool: str | None = None
    ) -> None:
        self.side, self.noise = side, noise
        folder = fonts or os.environ.get("DOCPIPE_FONTS")
        self.fonts = fonts_in(Path(folder) if folder else None)
        self.pool = Path(pool) if pool else None
        self.book = Codebook.read()

    def stream(self, seed: int, start: int = 0) -> Iterator[Sample]:
        block, skip = divmod(start, PER_BLOCK)
        figures = Figures(self.fonts, self.pool)
        while True:
            yield from self._block(random.Random(f"scenes:block:{seed}:{block}"), figures)[skip:]
            block, skip = block + 1, 0

    def _block(self, rng: random.Random, figures: Figures) -> list[Sample]:
        found: list[Sample] = []
        for _ in range(BLOCK_SCENES):
            drawn = scene(self.side, rng, self.noise)
            found += [sample_of(ask(drawn, rng, self.book), drawn.pixels, drawn.things) for _ in range(PER_SCENE)]
        found += [self._kind(rng.choice(KINDS), rng, figures) for _ in range(BLOCK_KINDS)]
        found += [self._outside(rng, figures) for _ in range(BLOCK_OUTSIDE)]
        rng.shuffle(found)
        return found

    def _kind(self, kind: str, rng: random.Random, figures: Figures) -> Sample:
        image = finished(figures.figure(kind, rng), kind, rng, self.noise)
        return kind_sample(squared(image, self.side), kind)

    def _outside(self, rng: random.Random, figures: Figures, task: str = "") -> Sample:
        """A picture of another world, about which a prompt of this one has no answer."""
        kind = rng.choice(("photo", "photo", "photo", "molecule", "score", "table", "text", "plot", "diagram"))
        if kind in ("plot", "diagram"):
            size = rng.randint(120, 320), rng.randint(120, 320)
            image = (plot if kind == "plot" else diagram)(*size, rng, self.fonts)
        else:
            image = finished(figures.figure(kind, rng), kind, rng, self.noise)
        pixels = np.asarray(image.resize((self.side, self.side), Image.Resampling.BILINEAR))
        return outside_sample(pixels, self._prompt(rng, task))

    def _prompt(self, rng: random.Random, task: str) -> Exchange:
        """A prompt as it is asked of shapes."""
        while True:
            drawn = scene(self.side, rng, 0.0)
            if drawn.kind == "shapes":
                return ask(drawn, rng, self.book, task)

    def validation(self, count: int) -> dict[str, list[Sample]]:
        rng = random.Random("scenes:held out")
        figures = Figures(self.fonts, self.pool, held_out=True)
        sets = {"held_out": [self._held_out(TASKS[i % len(TASKS)], rng, figures) for i in range(count)]}
        return sets | {"outside": [self._outside(rng, figures) for _ in range(max(1, count // 8))]}

    def _held_out(self, task: str, rng: random.Random, figures: Figures) -> Sample:
        if task == "figure-kind":
            return self._kind(rng.choice(KINDS), rng, figures)
        while True:
            drawn: Scene = scene(self.side, rng, self.noise)
            exchange = ask(drawn, rng, self.book, task)
            if exchange.task == task:
                return sample_of(exchange, drawn.pixels, drawn.things)

    def calibration(self, count: int) -> dict[str, list[Sample]]:
        """As many for every task; a quarter as many pictures of other worlds, and real photographs where there are."""
        rng = random.Random("scenes:calibration")
        figures = Figures(self.fonts, self.pool, held_out=True)
        each = max(20, count // len(TASKS))
        sets = {"held_out": [self._held_out(task, rng, figures) for task in TASKS for _ in range(each)]}
        sets["outside"] = [self._outside(rng, figures, task) for task in ANSWERED for _ in range(each // 4)]
        photos = real_photos(self.side)
        asked = [outside_sample(photo, self._prompt(rng, task)) for task in ANSWERED for photo in photos]
        return sets | ({"photos": asked} if asked else {})

    def score(self, samples: Sequence[Sample], answers: Sequence[tuple[str, ...]]) -> dict[str, float]:
        return score(samples, ["".join(answer) for answer in answers], self.book)


def outside_sample(pixels: npt.NDArray[np.uint8], exchange: Exchange) -> Sample:
    """A prompt about a picture that shows nothing of the kind: the answer is empty."""
    return sample_of(Exchange(exchange.task, exchange.prompt), pixels)


def real_photos(side: int) -> list[npt.NDArray[np.uint8]]:
    """The photographs of DOCPIPE_BENCH_DATA squeezed to `side` pixels: for the threshold of abstention alone."""
    data = os.environ.get("DOCPIPE_BENCH_DATA")
    files = sorted(Path(data, "detection", "chess").glob("*.jpg")) if data else []
    return [
        np.asarray(Image.open(file).convert("RGB").resize((side, side), Image.Resampling.BILINEAR)) for file in files
    ]


# --- scores ------------------------------------------------------------------------------------------------------


def score(samples: Sequence[Sample], answers: Sequence[str], book: Codebook) -> dict[str, float]:
    """The share of right answers over all and by task, and the overlap of boxes and of masks with the true ones.

    Words are right when they are the same; boxes and masks by `ENOUGH`, every thing named and none beside.
    """
    right: dict[str, list[float]] = defaultdict(list)
    overlaps: dict[str, list[float]] = defaultdict(list)
    for sample, answer in zip(samples, answers, strict=True):
        task = str(sample.slices.get("task", ""))
        if task in ("detect", "segment"):
            boxes, masks, same = compared(sample.truth, answer, book)
            good = same and all(value >= ENOUGH for value in (*boxes, *masks))
            overlaps["box_iou"] += boxes
            overlaps["mask_iou"] += masks
        else:
            good = sample.truth.strip() == answer.strip()
        right[task].append(float(good))
    every = [value for values in right.values() for value in values]
    found = {"exact": float(np.mean(every)) if every else 0.0}
    found |= {f"exact_{task}": float(np.mean(values)) for task, values in sorted(right.items())}
    return found | {name: float(np.mean(values)) for name, values in sorted(overlaps.items()) if values}


def compared(truth: str, answer: str, book: Codebook) -> tuple[list[float], list[float], bool]:
    """Overlap of boxes and of masks, thing by thing in order; whether the labels are the same and whole."""
    wanted, found = read_objects(truth)[0], read_objects(answer)[0]
    same = [w.label for w in wanted] == [f.label for f in found]
    boxes, masks = [], []
    for w, f in zip(wanted, found, strict=False):
        boxes.append(box_overlap(w.place, f.place))
        if w.codes:
            masks.append(mask_overlap(w, f, book) if f.codes and max(f.codes) < len(book.patterns) else 0.0)
    missing = max(0, len(wanted) - len(found))
    return boxes + [0.0] * missing, masks + [0.0] * missing * bool(wanted and wanted[0].codes), same


def box_overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    """Intersection over union of two boxes x0 y0 x1 y1."""
    across, down = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (a, b)]
    return across * down / (sum(areas) - across * down)


def mask_overlap(a: Found, b: Found, book: Codebook, side: int = 128) -> float:
    """Intersection over union of two masks in their boxes, drawn by the codes' own patterns."""
    first, second = (_drawn(thing, book, side) for thing in (a, b))
    return float((first & second).sum() / max(1, (first | second).sum()))


def _drawn(thing: Found, book: Codebook, side: int) -> npt.NDArray[np.bool_]:
    whole = np.zeros((side, side), bool)
    x0, y0, x1, y1 = (round(value * side) for value in thing.place)
    tiles = book.patterns[list(thing.codes)].reshape(4, 4, CODE_SIDE // 4, CODE_SIDE // 4)
    mask = tiles.transpose(0, 2, 1, 3).reshape(CODE_SIDE, CODE_SIDE)
    rows = ((np.arange(y1 - y0) + 0.5) * CODE_SIDE / max(1, y1 - y0)).astype(int)
    columns = ((np.arange(x1 - x0) + 0.5) * CODE_SIDE / max(1, x1 - x0)).astype(int)
    whole[y0:y1, x0:x1] = mask[np.ix_(rows, columns)] > 0.5
    return whole
