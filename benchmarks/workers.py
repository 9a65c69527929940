"""What worker processes cost and gain: in this process, one worker, two workers; with the journal; and batches.

    python benchmarks/workers.py [--file samples/report.pdf] [--rounds 3] [--images 48]

The same pages each time, workers started and warm before the clock starts, the ways taken in turn so that a machine
that slows down slows all of them. Wall seconds and CPU seconds of all processes, the median of the rounds. Then a model
engine (nano-molecule) on images of one region each: alone, and in batches filled from many documents.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import psutil

from docpipe.pipeline import Pipeline
from docpipe.run.batch import _Log
from docpipe.run.crew import Limits
from docpipe.run.journal import Entry, Journal
from docpipe.run.pool import Pool
from docpipe.run.runner import DocumentRun
from docpipe.source import SourceRef

SAMPLES = Path(__file__).parents[1] / "samples"


def cpu_seconds() -> float:
    """Of this process and its living children."""
    total = 0.0
    here = psutil.Process()
    for process in (here, *here.children(recursive=True)):
        times = process.cpu_times()
        total += times.user + times.system
    return total


def timed(work: Callable[[], int]) -> tuple[float, float, int]:
    """Wall seconds, CPU seconds, and the pages that it says it did."""
    wall, cpu = time.monotonic(), cpu_seconds()
    pages = work()
    return time.monotonic() - wall, cpu_seconds() - cpu, pages


def converted(ref: SourceRef, pipeline: Pipeline, pool: Pool | None, journal: Journal | None = None) -> int:
    run = DocumentRun(ref, pipeline, pool=pool, log=_Log(journal, "a") if journal else None)
    if journal:
        journal.open(Entry("a", ref.name), run.opening)
    return sum(page.status == "complete" for page in run.pages())


@contextmanager
def fresh_journal() -> Iterator[Journal]:
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder, "run.journal")) as journal:
        journal.begin({}, [("a", "a.pdf")])
        yield journal


def boundary(file: Path, rounds: int) -> None:
    ref, pipeline = SourceRef(file.name, path=str(file)), Pipeline.from_toml("default")

    def journalled(pool: Pool) -> int:
        with fresh_journal() as journal:
            return converted(ref, pipeline, pool, journal)

    with Pool(1, Limits(600.0)) as one, Pool(2, Limits(600.0)) as two:
        ways: dict[str, Callable[[], int]] = {
            "in this process": lambda: converted(ref, pipeline, None),
            "1 worker": lambda: converted(ref, pipeline, one),
            "1 worker, journal": lambda: journalled(one),
            "2 workers": lambda: converted(ref, pipeline, two),
        }
        for work in ways.values():
            work()
        found = {name: [] for name in ways}  # type: dict[str, list[tuple[float, float, int]]]
        for _ in range(rounds):
            for name, work in ways.items():
                found[name].append(timed(work))
    base = [statistics.median(column) for column in zip(*found["in this process"], strict=True)]
    for name, rows in found.items():
        wall, cpu, pages = (statistics.median(column) for column in zip(*rows, strict=True))
        print(
            f"{name:18} {pages:.0f} pages: {wall:6.2f} s wall ({wall / base[0]:.2f}), "
            f"{cpu:6.2f} s CPU ({cpu / base[1]:.2f})"
        )


def batches(images: int) -> None:
    """One image a document: asked for one after another, and many abreast through one worker."""
    refs = [SourceRef(f"{n}.png", data=(SAMPLES / "molecule.png").read_bytes()) for n in range(images)]
    pipeline = Pipeline.from_toml("paligemma")

    def abreast(count: int) -> int:
        with ThreadPoolExecutor(count) as threads:
            return sum(threads.map(lambda ref: converted(ref, pipeline, pool), refs))

    for count in (1, 4, 16):
        with Pool(1, Limits(600.0)) as pool:
            converted(refs[0], pipeline, pool)
            wall, cpu, pages = timed(lambda count=count: abreast(count))  # type: ignore[misc]
            (hand,) = pool.crew.hands
            size = psutil.Process(hand.process.pid or 0).memory_info().rss / 1e6
        print(
            f"{count:2} documents abreast: {pages / wall:5.1f} images/s wall, {pages / cpu:5.1f} a CPU s, {size:.0f} MB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--file", type=Path, default=SAMPLES / "report.pdf")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=48)
    options = parser.parse_args()
    boundary(options.file, options.rounds)
    batches(options.images)


if __name__ == "__main__":
    main()
