"""Scores as the trainer sees them: a folded strip of one staff and one measure -> the tokens of kern_tokens.py."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from docpipe.models.strips import fold, folded_place
from docpipe.notation.kern_tokens import VOCABULARY, decode, split
from docpipe.notation.staff import Alterations, Change, Measure
from docpipe.train.calibration import Judged
from docpipe.train.sample import Sample
from docpipe.train.synth.scores import LABELS, Strip, strips, systems

PER_BLOCK = 72
"""Samples in a block, whose systems are shuffled together; what they hold more is left, so numbers tell blocks."""


def sample_of(strip: Strip) -> Sample:
    """A strip as a training sample, folded, its places moved along."""
    points = np.array(
        [folded_place(float(x), float(y)) if np.isfinite(x) else (np.nan, np.nan) for x, y in strip.places], np.float32
    )
    return Sample(
        pixels=fold(strip.pixels),
        prompt="kern",
        target=tuple(token + " " for token in strip.tokens),
        points=points.reshape(-1, 2),
        marks=tuple((*folded_place(x, y), label) for x, y, label in strip.marks),
        truth=" ".join(strip.tokens),
        slices={"kind": strip.kind},
    )


class Scores:
    """Strips of generated piano music and single staves. No score that someone wrote is in it.

    plain: the share of easy systems. noise: of prints that are worn. side: of the folded strip; 160 is the only one.
    real: a folder of folders with scanned systems as PNG beside their **kern, else DOCPIPE_BENCH_DATA/scores; for
    calibration alone.
    """

    name = "scores"
    prompts = ("kern",)
    vocabulary = tuple(token + " " for token in VOCABULARY)
    """With a blank after each, so that an answer's text tells its tokens apart (kern_tokens.split)."""
    labels = LABELS

    def __init__(self, side: int = 160, *, plain: float = 0.25, noise: float = 1.0, real: str | None = None) -> None:
        if side != 160:
            raise ValueError("a strip folds into 160 x 160 pixels")
        self.plain, self.noise = plain, noise
        data = os.environ.get("DOCPIPE_BENCH_DATA")
        self.real = Path(real) if real else Path(data) / "scores" if data else None

    def stream(self, seed: int, start: int = 0) -> Iterator[Sample]:
        block, skip = divmod(start, PER_BLOCK)
        while True:
            yield from self._block(seed, block)[skip:]
            block, skip = block + 1, 0

    def _block(self, seed: int, block: int) -> list[Sample]:
        rng = random.Random(f"scores:block:{seed}:{block}")
        found: list[Strip] = []
        source = systems(seed, block * 1000, plain=self.plain, noise=self.noise, prints=2)
        for sheet in islice(source, 1000):
            found += strips(sheet, rng)
            if len(found) >= PER_BLOCK:
                break
        rng.shuffle(found)
        return [sample_of(strip) for strip in found[:PER_BLOCK]]

    def validation(self, count: int) -> dict[str, list[Sample]]:
        """Strips of systems from another seed space, cut exactly; a quarter of each system so that many are seen."""
        rng = random.Random("scores:held out")
        out: list[Sample] = []
        for sheet in systems(0, fresh="held out", noise=self.noise):
            found = list(strips(sheet, rng, jitter=0.5, joined=0.0))
            out += [sample_of(strip) for strip in rng.sample(found, min(3, len(found)))]
            if len(out) >= count:
                return {"held_out": out[:count]}
        return {"held_out": out}

    def judged(self, folder: Path, count: int) -> dict[str, list[Judged]]:
        """Whole systems as the engine reads them with the checkpoint in a folder, and whether they are nearly right."""
        from docpipe.train.score_systems import judged_systems

        return judged_systems(folder, count, self.real, self.noise)

    def score(self, samples: Sequence[Sample], answers: Sequence[tuple[str, ...]]) -> dict[str, float]:
        truths = [tuple(split("".join(sample.target))) for sample in samples]
        read = [tuple(split("".join(answer))) for answer in answers]
        return score(truths, read, [str(s.slices.get("kind", "all")) for s in samples])


Note = tuple[int, object, object, object]


def notes_of(measures: Sequence[Measure]) -> Counter[Note]:
    """The notes of a strip: measure, onset, duration and sounding pitch, under its own clef and key or treble and C."""
    state = Alterations()
    found: Counter[Note] = Counter()
    for m, measure in enumerate(measures):
        state.next_measure()
        now = [Fraction(0), Fraction(0)]
        for item in measure.items:
            if isinstance(item, Change):
                if item.what == "clef":
                    state.clef = item.value
                elif item.what == "key":
                    state.key = Alterations(state.clef, int(item.value)).key
                continue
            for head in item.heads:
                number = state.number(head.position)
                pitch = (number, state.printed(number, head.accidental))
                if item.kind == "note":
                    found[m, now[item.voice], item.recip, pitch] += 1
            now[item.voice] += item.lasts
    return found


def score(
    truths: Sequence[tuple[str, ...]], answers: Sequence[tuple[str, ...]], kinds: Sequence[str]
) -> dict[str, float]:
    """Token error rate (columns left out), exact strips, note and pitch F1, clef and key where they are printed."""
    edits: Counter[str] = Counter()
    length: Counter[str] = Counter()
    exact: list[bool] = []
    hits = {"note": [0, 0, 0], "pitch": [0, 0, 0]}
    header = {"clef": [0, 0], "key": [0, 0]}
    for truth, answer, kind in zip(truths, answers, kinds, strict=True):
        want, got = ([t for t in tokens if t[0] != "x"] for tokens in (truth, answer))
        distance = _distance(want, got)
        for name in ("ser", "ser_" + kind):
            edits[name] += distance
            length[name] += len(want)
        exact.append(want == got)
        there, read = decode(truth), decode(answer)
        wanted, seen = notes_of(there), notes_of(read)
        for name in ("note", "pitch"):
            a, b = (c if name == "note" else _pitches(c) for c in (wanted, seen))
            for i, value in enumerate((sum((a & b).values()), sum(a.values()), sum(b.values()))):
                hits[name][i] += value
        printed, found = (m[0].header if m else {} for m in (there, read))
        for name, counts in header.items():
            if name in printed and "clef" in printed:
                counts[0] += printed[name] == found.get(name)
                counts[1] += 1
    scores = {"ser": 0.0, "exact": float(np.mean(exact)) if exact else 0.0}
    scores |= {name: edits[name] / max(1, length[name]) for name in sorted(length)}
    scores |= {f"{name}_f1": 2 * h / max(1, a + b) for name, (h, a, b) in hits.items()}
    return scores | {name: right / max(1, of) for name, (right, of) in header.items()}


def _pitches(notes: Counter[Note]) -> Counter[Note]:
    out: Counter[Note] = Counter()
    for (_, _, _, pitch), count in notes.items():
        out[0, 0, "", pitch] += count
    return out


def _distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Levenshtein distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]
