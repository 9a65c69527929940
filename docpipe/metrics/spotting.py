"""Word spotting: words found at the right place and read right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from docpipe.document import Box

LEAST_OVERLAP = 0.5


@dataclass(frozen=True)
class Spotted:
    """A word with its box. ignored: of a truth, one that is not to be read (illegible, not of the task's script)."""

    text: str
    box: Box
    ignored: bool = False


@dataclass(frozen=True)
class Spotting:
    """How many words were found, how many were given, how many there are: sums over images give the corpus's rates."""

    hits: int
    given: int
    wanted: int

    @property
    def precision(self) -> float:
        return self.hits / self.given if self.given else float(not self.wanted)

    @property
    def recall(self) -> float:
        return self.hits / self.wanted if self.wanted else float(not self.given)

    @property
    def f1(self) -> float:
        total = self.given + self.wanted
        return 2 * self.hits / total if total else 1.0


def word_spotting(
    answer: Sequence[Spotted], truth: Sequence[Spotted], least: float = LEAST_OVERLAP, *, exactly: bool = True
) -> Spotting:
    """Words of one image that are where a true word is (IoU >= `least`) and read as it is; each in one pair at most.

    The protocol of HierText's competition (Long et al., CVPR 2022; ICDAR 2023) as the PaliGemma 2 paper
    uses it (arXiv 2412.03555): transcriptions are compared as they are, case and punctuation included;
    exactly=False ignores case, as ICDAR 2015's end-to-end task does. A word that lies by more than half on an ignored
    one, and matches none, is not counted. Pairs are taken best overlap first.

    Boxes are upright rectangles: of rotated or curved words their bounding boxes are compared, which is kinder than
    the protocol's polygons. It cannot see order, lines or paragraphs; one wrong letter loses the word.
    """
    real = [word for word in truth if not word.ignored]
    ignored = [word for word in truth if word.ignored]
    pairs = sorted(
        (-overlap, g, w)
        for g, one in enumerate(answer)
        for w, other in enumerate(real)
        if (overlap := one.box.iou(other.box)) >= least and _same(one.text, other.text, exactly)
    )
    given: set[int] = set()
    wanted: set[int] = set()
    for _, g, w in pairs:
        if g not in given and w not in wanted:
            given.add(g)
            wanted.add(w)
    left_out = sum(g not in given and any(_on(one.box, i.box) for i in ignored) for g, one in enumerate(answer))
    return Spotting(len(given), len(answer) - left_out, len(real))


def _same(one: str, other: str, exactly: bool) -> bool:
    return one == other if exactly else one.casefold() == other.casefold()


def _on(box: Box, other: Box) -> bool:
    """Whether more than half of a box lies on another."""
    across = min(box.x1, other.x1) - max(box.x0, other.x0)
    down = min(box.y1, other.y1) - max(box.y0, other.y0)
    return across > 0 and down > 0 and across * down > box.width * box.height / 2
