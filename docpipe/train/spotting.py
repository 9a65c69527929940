"""Words with their places, as an answer: the target of text detection and recognition.

The paper says pairs of transcription and box, but not how they are written (PaliGemma 2, arXiv 2412.03555, sec. 4.1).
Ours are those of `detect`: four location tokens of the upright box, then the word, separated by " ; ".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from docpipe.notation.tokens import Found, write_objects
from docpipe.train.examples import Example


class Spotted(NamedTuple):
    """A word and the corners of its polygon in pixels."""

    text: str
    corners: tuple[tuple[float, float], ...]


def spotting_example(image: Path, task: str, words: Sequence[Spotted]) -> Example:
    """The words in reading order: from top to bottom by their middles, then from left to right."""
    from PIL import Image

    with Image.open(image) as opened:
        width, height = opened.size
    found = []
    for word in words:
        xs, ys = zip(*word.corners, strict=True)
        box = min(xs) / width, min(ys) / height, max(xs) / width, max(ys) / height
        # The separator and the brackets of tokens cannot stand in a word.
        text = word.text.replace(";", ",").replace("<", "(").replace(">", ")")
        found.append(Found(text, tuple(min(max(v, 0.0), 1.0) for v in box)))
    found.sort(key=lambda f: (round((f.place[1] + f.place[3]) * 25), f.place[0]))
    return Example(image, task, write_objects(found), {"things": "text"})
