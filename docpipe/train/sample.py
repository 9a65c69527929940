"""What the trainer eats: samples of a domain. One small protocol for every nano task.

A *domain* (molecules, scores, …) gives a closed vocabulary, the names of its patch labels, an endless stream of
samples and a score for decoded answers. The trainer knows nothing else about it, so a new task is a new domain:

    class Scores:
        name = "scores"
        prompts = ("kern",)                       # prompts of one token; others are cut into the vocabulary's tokens
        vocabulary = (...)                        # content tokens only; the special tokens are put before them
        labels = ("notehead", "rest", ...)        # what the per-patch auxiliary loss tells apart
        def stream(self, seed, start=0): ...      # Sample number start, start + 1, …; the same for the same seed
        def validation(self, count): ...          # {"held_out": [samples that training never sees], "scans": ...}
        def score(self, samples, answers): ...    # {"exact": 0.52, ...}; answers are token tuples

Places are pixels of the image given (x right, y down), so a sample does not depend on the patch size. Both auxiliary
losses are for training alone: a Sample without marks or with all points NaN trains the language loss only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

SPECIAL_TOKENS = ("<pad>", "<eos>", "<bos>", "<image>", "\n")
"""The first ids of every nano vocabulary, in this order: pad 0, eos 1, bos 2, image 3, newline 4."""


@dataclass(frozen=True)
class Sample:
    """One image with its answer.

    pixels: uint8 [side, side], grey, 255 is paper, or [side, side, 3], in colour; side is the recipe's input size.
    prompt: one of the domain's prompts, or words of its vocabulary (`split`).
    target: the answer as content tokens, without <eos>.
    points: float32 [len(target), 2], x and y in pixels of the ink that a token is read from; NaN where it has none.
    marks: (x, y, label index) of what lies where, for the per-patch labels; several may share a patch.
    truth: the answer as a string, in the form that the domain's score compares.
    slices: what the score may be broken down by, for instance {"atoms": 9, "renderer": "rdkit"}.
    spoken_of: float32 [tokens of the prompt, 2], the middle of what each of its words names, NaN where none; or None.
    """

    pixels: np.ndarray
    prompt: str
    target: tuple[str, ...]
    points: np.ndarray
    marks: tuple[tuple[float, float, int], ...] = ()
    truth: str = ""
    slices: Mapping[str, int | str] = field(default_factory=dict)
    spoken_of: np.ndarray | None = None


class Domain(Protocol):
    """A task as the trainer sees it. Instances are rebuilt in the loader process from the recipe: keep them light."""

    @property
    def name(self) -> str: ...
    @property
    def prompts(self) -> Sequence[str]: ...
    @property
    def vocabulary(self) -> Sequence[str]: ...
    @property
    def labels(self) -> Sequence[str]: ...

    def stream(self, seed: int, start: int = 0) -> Iterator[Sample]:
        """Samples number `start` and on. Sample i depends on (seed, i) alone, so that a resumed run goes on exactly."""
        ...

    def validation(self, count: int) -> dict[str, list[Sample]]:
        """Fixed sets of at most `count` samples by name; none of their content occurs in `stream`.

        "held_out" is the one that chooses the checkpoint; others (real drawings, scans) may be there or not.
        """
        ...

    def score(self, samples: Sequence[Sample], answers: Sequence[tuple[str, ...]]) -> dict[str, float]:
        """Metrics of decoded answers. The recipe names the one that chooses the checkpoint."""
        ...


def vocabulary_of(domain: Domain) -> list[str]:
    """The whole vocabulary, index = id: special tokens, prompts, content. Raises ValueError on a token given twice."""
    tokens = [*SPECIAL_TOKENS, *domain.prompts, *domain.vocabulary]
    if len(set(tokens)) != len(tokens):
        twice = sorted({t for t in tokens if tokens.count(t) > 1})
        raise ValueError(f"tokens given twice: {twice}")
    return tokens


def pattern_of(vocabulary: Sequence[str]) -> str:
    """The regular expression that cuts a text into tokens: the longest that fits comes first."""
    longest = sorted(vocabulary, key=lambda token: (-len(token), token))
    return "|".join(map(re.escape, longest))


def split(text: str, pattern: re.Pattern[str]) -> list[str]:
    """A text as tokens of a closed vocabulary (`pattern_of`). Raises ValueError on what none of them covers."""
    found: list[str] = []
    place = 0
    for match in pattern.finditer(text):
        if match.start() != place:
            break
        found.append(match[0])
        place = match.end()
    if place != len(text):
        raise ValueError(f"not in the vocabulary: {text[place : place + 24]!r} in {text!r}")
    return found
