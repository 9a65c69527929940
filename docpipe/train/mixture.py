"""Batches for fine-tuning: a mixture of data sets, shuffled so that sample number n is always the same sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from docpipe.errors import DocpipeError
from docpipe.models.load import network_config
from docpipe.models.preprocess import Frame, Resize, arrangement, resize
from docpipe.models.tokenizer import Tokenizer
from docpipe.tasks.base import get_task, prompt_for
from docpipe.train.batches import IGNORED
from docpipe.train.examples import Example, Shelf, picture

BLOCK = 4096
"""Samples whose data sets are drawn together."""


@dataclass(frozen=True)
class FileBatch:
    """Arrays of B samples, T tokens.

    pixels uint8 [B, side, side, 3]; tokens, kinds (0 image and prefix, 1 suffix), mask (1 real), targets int64 [B, T],
    -100 where nothing is asked. targets are those of `tokens`: the loss shifts by one. Padding is on the right.
    """

    pixels: np.ndarray
    tokens: np.ndarray
    kinds: np.ndarray
    mask: np.ndarray
    targets: np.ndarray

    @property
    def mine_alone(self) -> bool:
        """No other process of the run has these samples."""
        return True


@dataclass(frozen=True)
class Asking:
    """How one task is asked: prompt with blanks, tokens of an answer at most, image preparation."""

    prompt: str
    max_tokens: int
    prepare: str


class Preparation:
    """Makes a checkpoint's inputs of examples. folder: the checkpoint's. tasks: how each is asked."""

    def __init__(self, folder: Path, tasks: Mapping[str, Asking], resizing: Resize, language: str) -> None:
        self.config = network_config(folder)
        self.tokenizer = Tokenizer(folder, self.config)
        self.tasks, self.resizing, self.language = dict(tasks), resizing, language

    def prefix(self, example: Example) -> list[int]:
        """Ids of image, <bos>, prompt and newline. Raises DP624 when a blank of the prompt is not filled."""
        said = example.prompt
        if said is None:
            blanks = {"language": self.language, **example.parts}
            asked = self.tasks[example.task].prompt
            try:
                said = asked.format(**blanks) if asked else prompt_for(get_task(example.task), "ft", **blanks)
            except KeyError as error:
                raise DocpipeError("DP624", str(example.image), f"its prompt needs {error.args[0]!r}") from error
        return [self.config.image_token] * self.config.vision.tokens + self.tokenizer.prompt(said)

    def answer(self, example: Example) -> list[int]:
        """Ids of the suffix, and <eos>."""
        return [*self.tokenizer.encode(example.target), self.config.eos]

    def limit(self, task: str) -> int:
        """Tokens of an answer at most, <eos> included: what the task says, and what positions there are."""
        return min(self.tasks[task].max_tokens, self.config.text.longest - self.config.vision.tokens - 8)

    def fits(self, example: Example) -> bool:
        """Whether its answer, with <eos>, is within the limit and not empty."""
        limit = self.limit(example.task)
        if not example.target:
            return False
        return len(example.target.encode()) < limit or len(self.answer(example)) <= limit

    def image(self, example: Example) -> np.ndarray:
        """uint8 [side, side, 3], arranged and resized as the engine will do it."""
        v = self.config.vision
        asked = self.tasks[example.task]
        image = picture(example)
        if asked.prepare:
            image = arrangement(asked.prepare)(image, Frame(v.side, v.patch))
        else:
            image = get_task(example.task).prepare(image)
        return np.asarray(resize(image, v.side, self.resizing))

    def __call__(self, examples: Sequence[Example]) -> FileBatch:
        prefixes = [self.prefix(e) for e in examples]
        answers = [self.answer(e) for e in examples]
        longest = max((len(p) + len(a) for p, a in zip(prefixes, answers, strict=True)), default=1)
        tokens = np.full((len(examples), longest), self.config.pad, np.int64)
        kinds, mask = (np.zeros((len(examples), longest), np.int64) for _ in range(2))
        targets = np.full((len(examples), longest), IGNORED, np.int64)
        for row, (prefix, answer) in enumerate(zip(prefixes, answers, strict=True)):
            begin, end = len(prefix), len(prefix) + len(answer)
            tokens[row, :begin], tokens[row, begin:end] = prefix, answer
            kinds[row, begin:] = 1
            mask[row, :end] = 1
            targets[row, begin:end] = answer
        return FileBatch(np.stack([self.image(e) for e in examples]), tokens, kinds, mask, targets)


def numbers(sizes: Sequence[int], weights: Sequence[float], seed: int, start: int) -> Iterator[tuple[int, int]]:
    """Sample number `start` and on as (data set, example): sets by weight, each set's examples in a new order each
    time they have all been met.
    """
    shares = np.cumsum(np.asarray(weights, float) / np.sum(weights))
    met = np.zeros(len(sizes), np.int64)
    orders: dict[int, tuple[int, np.ndarray]] = {}
    block, skip = divmod(start, BLOCK)
    for number in range(block):
        met += np.bincount(_sets(shares, seed, number), minlength=len(sizes))
    while True:
        for chosen in _sets(shares, seed, block).tolist():
            pass_, place = divmod(int(met[chosen]), sizes[chosen])
            met[chosen] += 1
            if skip:
                skip -= 1
                continue
            if orders.get(chosen, (-1, None))[0] != pass_:
                orders[chosen] = pass_, np.random.default_rng((seed, 1, chosen, pass_)).permutation(sizes[chosen])
            yield chosen, int(orders[chosen][1][place])
        block += 1


def _sets(shares: np.ndarray, seed: int, block: int) -> np.ndarray:
    drawn = np.random.default_rng((seed, 0, block)).random(BLOCK)
    return np.minimum(np.searchsorted(shares, drawn, side="right"), len(shares) - 1)


@dataclass(frozen=True)
class FileBatches:
    """The batches of a fine-tuning run, as its worker makes them: the rows of process `rank` of `count`."""

    shelves: tuple[Path, ...]
    weights: tuple[float, ...]
    folder: Path
    tasks: Mapping[str, Asking]
    resizing: Resize
    language: str
    seed: int
    size: int
    rank: int = 0
    count: int = 1

    def __call__(self, start: int) -> Iterator[FileBatch]:
        import torch

        torch.set_num_threads(1)  # the trainer has the others
        prepare = Preparation(self.folder, self.tasks, self.resizing, self.language)
        shelves = [Shelf(path) for path in self.shelves]
        stream = numbers([len(s) for s in shelves], self.weights, self.seed, start * self.size)
        first, last = self.size * self.rank // self.count, self.size * (self.rank + 1) // self.count
        while True:
            chosen = [next(stream) for _ in range(self.size)][first:last]
            yield prepare([shelves[which][number] for which, number in chosen])
