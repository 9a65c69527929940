"""Whole systems of music read by a checkpoint of strips, for calibration: renders held out, and scans where given."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from PIL import Image

from docpipe.engines.score_answers import WIDTH
from docpipe.engines.score_reading import ScoreReader, by_network
from docpipe.metrics.measures import measures_right
from docpipe.metrics.ser import ser
from docpipe.models.load import load_network
from docpipe.models.tokenizer import Tokenizer
from docpipe.train.calibration import Judged

NEARLY = 0.05
"""A system with at most this symbol error rate counts as right."""

UNREAD = -20.0
"""Log-probability of a picture in which no staff was found."""

PROMPT, LIMIT = "kern", 84


def reader_in(folder: Path, width: int = WIDTH, *, agreement: bool = True, forced: bool = True) -> ScoreReader:
    """The reader that the engine makes of the checkpoint in a folder."""
    network = load_network(folder)
    tokenizer = Tokenizer(folder, network.config)
    vocabulary = tuple(tokenizer.piece(token) for token in range(network.config.text.vocabulary))
    decode = by_network(network, tokenizer.prompt(PROMPT), LIMIT, width)
    return ScoreReader(decode, vocabulary, network.config.eos, agreement, forced)


def rendered(noise: float = 1.0) -> Iterator[tuple[Image.Image, str]]:
    """Held-out generated systems with their **kern, without an end."""
    from docpipe.train.synth.scores import systems

    return ((Image.fromarray(sheet.pixels), sheet.kern) for sheet in systems(0, fresh="held out", noise=noise))


def scanned(folder: Path, count: int) -> Iterator[tuple[Image.Image, str]]:
    """Up to `count` scanned systems, PNG beside **kern, evenly from all subfolders."""
    paths = sorted(path for path in folder.glob("*/*.png") if path.with_suffix(".krn").is_file())
    step = max(1, -(-len(paths) // max(1, count)))
    for path in paths[::step]:
        with Image.open(path) as image:
            yield image.convert("L"), path.with_suffix(".krn").read_text()


def judged_systems(folder: Path, count: int, real: Path | None, noise: float = 1.0) -> dict[str, list[Judged]]:
    """How a third of `count` renders and as many scans as are left are read, and whether they are nearly right; of each
    measure that was read, whether it is exactly right.
    """
    torch.set_num_threads(1)
    reader = reader_in(folder)
    renders = islice(rendered(noise), max(1, count // 3))
    found = {"held_out": [judge_system(reader, *one) for one in renders]}
    if real is not None and real.is_dir():
        scans = [judge_system(reader, *one) for one in scanned(real, count - count // 3)]
        found |= {"scans": scans} if scans else {}
    return found


def judge_system(reader: ScoreReader, image: Image.Image, truth: str) -> Judged:
    """How one system is read, and whether it is nearly right; each of its measures, whether it is exactly right."""
    read = reader.read([image])[0]
    if read.kern is None:
        return Judged((UNREAD,), right=False)
    right = measures_right(read.kern, truth)
    parts = tuple(Judged(logs, hit) for logs, hit in zip(read.measures, right, strict=True))
    return Judged(read.logprobs, ser(read.kern, truth) <= NEARLY, parts=parts)
