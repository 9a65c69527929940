"""Samples to arrays: the sequence `<image>*N <bos> prompt \\n | target <eos>` with its masks and auxiliary targets.

Blocks of batches are ordered by length inside (padding costs compute), and shuffled again by a generator of
(seed, block), so that batch number n is always the same batch and a resumed run goes on exactly.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from docpipe.train.sample import Domain, Sample, pattern_of, split, vocabulary_of

IGNORED = -100
BLOCK = 8
"""Batches whose samples are sorted by length together."""


@dataclass(frozen=True)
class Batch:
    """Arrays of B samples, T tokens, N patches, K labels.

    pixels uint8 [B, side, side] or [B, side, side, 3]; tokens, kinds (0 prefix, 1 suffix), mask, targets, pointers
    int64 [B, T], the last two -100 where nothing is asked; labels uint8 [B, N, K]. A pointer is the patch that the
    token at this place is read from; within the prompt, which is seen whole, the patch that the token before speaks of.
    Positions are those of `tokens`: the loss shifts by one.
    """

    pixels: np.ndarray
    tokens: np.ndarray
    kinds: np.ndarray
    mask: np.ndarray
    targets: np.ndarray
    pointers: np.ndarray
    labels: np.ndarray


class Collator:
    """Makes batches for one domain and one grid of `grid` x `grid` patches of `patch` pixels."""

    def __init__(self, domain: Domain, grid: int, patch: int) -> None:
        self.grid, self.patch = grid, patch
        self.vocabulary = vocabulary_of(domain)
        self.ids = {token: i for i, token in enumerate(self.vocabulary)}
        self.labels = len(domain.labels)
        self._pattern = re.compile(pattern_of(self.vocabulary))

    def prefix(self, prompt: str) -> list[int]:
        """Ids of everything before the answer. Raises ValueError on a prompt that the vocabulary cannot spell."""
        return [self.ids["<image>"]] * self.grid**2 + [self.ids["<bos>"], *self.prompt(prompt), self.ids["\n"]]

    def prompt(self, prompt: str) -> list[int]:
        """Ids of a prompt: one where it is a token itself, else those of the words it is made of."""
        if prompt in self.ids:
            return [self.ids[prompt]]
        return [self.ids[token] for token in split(prompt, self._pattern)]

    def length(self, sample: Sample) -> int:
        """Tokens of prompt and answer, which is what a batch is padded by."""
        return len(self.prompt(sample.prompt)) + len(sample.target)

    def patches(self, places: np.ndarray) -> np.ndarray:
        """Patch index of each (x, y) in pixels; -100 for NaN. Places outside count to the nearest patch."""
        known = np.isfinite(places).all(axis=1)
        cells = np.clip(np.where(known[:, None], places, 0.0) // self.patch, 0, self.grid - 1).astype(np.int64)
        return np.where(known, cells[:, 1] * self.grid + cells[:, 0], IGNORED)

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        prefixes = [self.prefix(s.prompt) for s in samples]
        answers = [[self.ids[t] for t in s.target] + [self.ids["<eos>"]] for s in samples]
        count, longest = len(samples), max(len(p) + len(a) for p, a in zip(prefixes, answers, strict=True))
        tokens, kinds, mask = (np.zeros((count, longest), np.int64) for _ in range(3))
        targets, pointers = (np.full((count, longest), IGNORED, np.int64) for _ in range(2))
        labels = np.zeros((count, self.grid**2, self.labels), np.uint8)
        for row, (sample, prefix, answer) in enumerate(zip(samples, prefixes, answers, strict=True)):
            begin, end = len(prefix), len(prefix) + len(answer)
            tokens[row, :begin], tokens[row, begin:end] = prefix, answer
            kinds[row, begin:] = 1
            mask[row, :end] = 1
            targets[row, begin:end] = answer
            pointers[row, begin : end - 1] = self.patches(sample.points)
            if sample.spoken_of is not None:
                pointers[row, begin - len(sample.spoken_of) : begin] = self.patches(sample.spoken_of)
            if sample.marks:
                marks = np.array(sample.marks, np.float64)
                labels[row, self.patches(marks[:, :2]), marks[:, 2].astype(np.int64)] = 1
        pixels = np.stack([s.pixels for s in samples])
        return Batch(pixels, tokens, kinds, mask, targets, pointers, labels)


def batches(domain: Domain, collate: Collator, seed: int, size: int, start: int = 0) -> Iterator[Batch]:
    """Batches number `start` and on, of `size` samples."""
    block, skip = divmod(start, BLOCK)
    samples = domain.stream(seed, block * BLOCK * size)
    while True:
        ordered = sorted(islice(samples, BLOCK * size), key=collate.length)
        groups = [ordered[i * size : (i + 1) * size] for i in range(BLOCK)]
        random.Random(f"batches:{seed}:{block}").shuffle(groups)
        for group in groups[skip:]:
            yield collate(group)
        block, skip = block + 1, 0
