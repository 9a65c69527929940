"""Single printed lines: nano-text beside docpipe's own OCR (RapidOCR's networks) and tesseract, on the same pictures.

    DOCPIPE_FONTS=<folder> DOCPIPE_BENCH_DATA=<folder> python benchmarks/text_lines.py [CHECKPOINT] [--count 200]

Held-out lines are drawn as nano's training data are, in the faces of DOCPIPE_FONTS; real ones are cut from scanned
filings and papers (docpipe.train.domains.scanned_lines: where OCR finds a line that is like no other of the page, so
they flatter every reader, and most of all the OCR that found them). Of nano, "always" leaves its threshold of
abstention out. CER: all edits over all letters, white space collapsed; an abstention counts as an empty answer.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from docpipe.document import Box, Page, Region, TextContent
from docpipe.engines.base import Engine, Request
from docpipe.engines.ocr import OcrEngine
from docpipe.engines.paligemma import PaliGemmaEngine
from docpipe.engines.tesseract import TesseractEngine, is_installed
from docpipe.metrics.bag import word_f1
from docpipe.metrics.cer import cer
from docpipe.models.registry import Checkpoint
from docpipe.sheet import Sheet
from docpipe.source import SourceRef
from docpipe.tasks import get_task
from docpipe.train.domains.scanned_lines import scanned_lines
from docpipe.train.domains.text import TextLines
from docpipe.train.recipe import read_recipe
from docpipe.train.synth.text import set_lines

Line = tuple[Image.Image, str]


class Unguarded(PaliGemmaEngine):
    """The checkpoint without its threshold: it answers always."""

    def checkpoint_for(self, task: str) -> Checkpoint | None:
        found = super().checkpoint_for(task)
        return found and replace(found, abstain_below={})


def held_out(count: int) -> list[Line]:
    """Lines of the recipe's validation, as pictures before they are folded."""
    made = TextLines(**read_recipe("text").options)
    found = []
    for number in range(count):
        rng = random.Random(f"text lines:benchmark:{number}")
        face = rng.choice(made.faces)
        said = made.line(rng)
        text = set_lines([said], face, round(rng.uniform(14, 30)), rng, noise=made.noise, turn=0.0, margin=(0.02, 0.25))
        found.append((Image.fromarray(text.pixels), text.text))
    return found


def request_of(file: Path, image: Image.Image) -> Request:
    image.save(file)
    width, height = (float(side) for side in image.size)
    region = Region(id="p1.r1", kind="paragraph", box=Box(0.0, 0.0, width, height))
    sheet = Sheet(Page(number=1, width=width, height=height, regions=(region,)), SourceRef(file.name, path=str(file)))
    return Request(get_task("text"), sheet, region)


def cpu_seconds() -> float:
    """CPU seconds of this process and of the children it waited for."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + spent.ru_utime + spent.ru_stime


def measured(engine: Engine, lines: Sequence[Line], folder: Path) -> str:
    """One row: share answered, CER over all with its 95 % bootstrap interval, word F1, share exactly right, seconds."""
    said, began = [], cpu_seconds()
    for number, (image, _) in enumerate(lines):
        answer = next(iter(engine.read([request_of(folder / f"{number}.png", image)])))
        said.append(answer.content.text if isinstance(answer.content, TextContent) and not answer.reason else "")
    seconds = (cpu_seconds() - began) / len(lines)
    plain = [" ".join(text.split()) for text in said]
    letters = np.array([len(truth) for _, truth in lines], float)
    edits = np.array([cer(text, truth) for text, (_, truth) in zip(plain, lines, strict=True)]) * letters
    picks = np.random.default_rng(0).integers(0, len(lines), (2000, len(lines)))
    low, high = np.percentile(edits[picks].sum(axis=1) / letters[picks].sum(axis=1), (2.5, 97.5))
    words = np.mean([word_f1(text, truth) for text, (_, truth) in zip(plain, lines, strict=True)])
    right = [text == truth for text, (_, truth) in zip(plain, lines, strict=True)]
    given = [r for r, text in zip(right, plain, strict=True) if text]
    return (
        f"{len(given) / len(lines):.1%} | {edits.sum() / letters.sum():.3f} [{low:.3f}, {high:.3f}] | {words:.3f} | "
        f"{np.mean(right):.1%} | {np.mean(given) if given else 0:.1%} | {1000 * seconds:.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("checkpoint", nargs="?", default="nano-text")
    parser.add_argument("--count", type=int, default=200, help="lines of each set")
    options = parser.parse_args()
    models = {"text": options.checkpoint}
    engines: dict[str, Engine] = {
        "nano-text, always": Unguarded(models=models),
        "nano-text": PaliGemmaEngine(models=models),
        "docpipe's OCR": OcrEngine(),
    }
    if is_installed("en"):
        engines["tesseract"] = TesseractEngine()
    sets = {"held-out renders": held_out(options.count)}
    if os.environ.get("DOCPIPE_BENCH_DATA"):
        sets["scans"] = scanned_lines(options.count, 3, 40)
    print("| lines | n | reader | answered | CER | word F1 | exact | exact of answered | CPU ms a line |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, lines in sets.items():
            for reader, engine in engines.items():
                row = measured(engine, lines, Path(folder))
                print(f"| {name} | {len(lines)} | {reader} | {row} |", flush=True)


if __name__ == "__main__":
    main()
