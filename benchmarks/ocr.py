"""OCR of scanned pages: docpipe's own engine beside rapidocr and tesseract alone, in one run.

    DOCPIPE_BENCH_DATA=<folder> python benchmarks/ocr.py [--sample 10] [--seed 0] [--sets sroie,scribe]

Reads ocr/<set>/*.png|jpg with a .txt beside each. Every engine gets the same pixels, decoded to RGB, and one thread.
rapidocr: its shipped models, angle classifier off, lines in its own order. tesseract: as installed, `-l eng` (or
--language), default page segmentation; CPU time of its process counts. Rates are corpus-level: all edits by all
characters (words) of the truth, white space collapsed; "CER any case" ignores case, which some truths do not keep.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from docpipe.document import Box, Page, Region, TextContent
from docpipe.engines.base import Request
from docpipe.engines.ocr import OcrEngine
from docpipe.metrics.bag import word_f1
from docpipe.metrics.cer import cer, wer
from docpipe.sheet import Sheet
from docpipe.source import open_source
from docpipe.tasks import get_task

SETS = ("cis-goethe", "cis-hobbes", "impact", "scribe", "sroie", "tesseract")

Reader = Callable[[Path], str]


@dataclass
class Scores:
    """What one engine made of one page; edits are counted on the page's own truth."""

    characters: int
    words: int
    cer: float
    cer_any_case: float
    wer: float
    f1: float
    seconds: float


def ours() -> Reader:
    """docpipe's engine as `docpipe read --task text` calls it: the image is one region that fills its page."""
    engine = OcrEngine()

    def read(file: Path) -> str:
        with open_source(file) as source:
            page = source.page(1)
            box = Box(0.0, 0.0, page.width, page.height)
            region = Region(id="p1.r1", kind="paragraph", box=box)
            sheet = Sheet(Page(number=1, width=box.width, height=box.height, regions=(region,)), source.ref)
            answer = next(iter(engine.read([Request(get_task("text"), sheet, region)])))
        if answer.error is not None:
            raise RuntimeError(answer.error.message)
        return answer.content.text if isinstance(answer.content, TextContent) else ""

    return read


def rapidocr() -> Reader:
    from rapidocr import RapidOCR

    params = {
        "Global.use_cls": False,
        "Global.log_level": "error",
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    }
    engine: Any = RapidOCR(params=params)

    def read(file: Path) -> str:
        pixels = np.asarray(Image.open(file).convert("RGB"))[:, :, ::-1]
        found: Any = engine(pixels, use_cls=False)
        return "\n".join(found.txts or ())

    return read


def tesseract(language: str) -> Reader:
    def read(file: Path) -> str:
        with tempfile.NamedTemporaryFile(suffix=".png") as rgb:
            Image.open(file).convert("RGB").save(rgb.name)
            command = ["tesseract", rgb.name, "-", "-l", language]
            env = {**os.environ, "OMP_THREAD_LIMIT": "1"}
            return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout

    return read


def cpu_seconds() -> float:
    """CPU seconds of this process and of the children it waited for."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + spent.ru_utime + spent.ru_stime


def score(read: Reader, file: Path) -> Scores:
    began = cpu_seconds()
    answer = read(file)
    seconds = cpu_seconds() - began
    truth = file.with_suffix(".txt").read_text(encoding="utf-8")
    plain = " ".join(unicodedata.normalize("NFC", truth).split())
    return Scores(
        len(plain), len(plain.split()), cer(answer, truth), cer(answer.lower(), truth.lower()), wer(answer, truth),
        word_f1(answer, truth), seconds,
    )  # fmt: skip


def summary(rows: Sequence[Scores]) -> str:
    characters, words = sum(r.characters for r in rows), sum(r.words for r in rows)
    rates = (
        sum(r.cer * r.characters for r in rows) / characters,
        sum(r.cer_any_case * r.characters for r in rows) / characters,
        sum(r.wer * r.words for r in rows) / words,
        sum(r.f1 for r in rows) / len(rows),
    )
    return " | ".join(f"{v:.4f}" for v in rates) + f" | {sum(r.seconds for r in rows) / len(rows):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sample", type=int, help="pages of each set, chosen by the seed (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--engines", default="docpipe,rapidocr,tesseract")
    parser.add_argument("--language", default="eng", help="tesseract's")
    parser.add_argument("--json", type=Path, help="write a line for every page and engine")
    options = parser.parse_args()
    data = Path(os.environ["DOCPIPE_BENCH_DATA"]) / "ocr"
    chosen = options.engines.split(",")
    if "tesseract" in chosen and not shutil.which("tesseract"):
        print("tesseract is not installed: left out")
        chosen.remove("tesseract")
    made: dict[str, Callable[[], Reader]] = {
        "docpipe": ours,
        "rapidocr": rapidocr,
        "tesseract": lambda: tesseract(options.language),
    }
    readers = {name: made[name]() for name in chosen}
    log = options.json.open("w", encoding="utf-8") if options.json else None
    print("| set | n | engine | CER | CER any case | WER | word F1 | CPU s/page |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.sets.split(","):
        files = sorted(f for f in (data / name).iterdir() if f.suffix in {".png", ".jpg"})
        if options.sample:
            files = sorted(random.Random(options.seed).sample(files, min(options.sample, len(files))))
        rows: dict[str, list[Scores]] = {engine: [] for engine in readers}
        for file in files:
            for engine, read in readers.items():
                rows[engine].append(score(read, file))
                if log:
                    log.write(
                        json.dumps({"set": name, "file": file.name, "engine": engine, **vars(rows[engine][-1])}) + "\n"
                    )
        for engine, scores in rows.items():
            print(f"| {name} | {len(files)} | {engine} | {summary(scores)} |", flush=True)


if __name__ == "__main__":
    main()
