"""Ray against this machine's own workers on the same pages, and what becomes of the pages of an actor that is killed.

    python benchmarks/cluster.py [--pages 300] [--each 25] [--jobs 2] [--pipeline default] [--rounds 1]

Documents of `--each` pages are cut from samples/report.pdf and converted into folders: by `--jobs` worker processes
here, by as many page actors of a Ray cluster on this machine (started before the clock), and by such a cluster with one
actor ended by SIGKILL when a third of the pages is in the journal. Wall seconds from the call to the last file, CPU
seconds of all processes, when the first page came, how many pages were worked on twice, and whether the documents are
the same bytes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import psutil
import pymupdf

from docpipe.pipeline import Pipeline, read_pipeline
from docpipe.pipeline_file import StageEntry
from docpipe.run.batch import BatchSettings, Outcome, convert_files
from docpipe.run.crew import Limits
from docpipe.run.events import Event, PageDone
from docpipe.sheet import Sheet
from docpipe.stages.base import Stage, per_page

SAMPLE = Path(__file__).parents[1] / "samples" / "report.pdf"


def noting(*, file: str) -> Stage:
    """A stage that leaves a line for each page that is begun."""

    def work(sheet: Sheet) -> Sheet:
        with Path(file).open("a") as lines:
            lines.write(f"{sheet.ref.name}:{sheet.page.number}\n")
        return sheet

    return per_page("noting", work)


def documents(folder: Path, pages: int, each: int) -> list[Path]:
    """Documents of so many pages in all, cut from the sample."""
    made = []
    with pymupdf.open(SAMPLE) as sample:
        for first in range(0, pages, each):
            document = pymupdf.open()
            for number in range(first, min(first + each, pages)):
                at = number % sample.page_count
                document.insert_pdf(sample, from_page=at, to_page=at)
            made.append(folder / f"{first:05d}.pdf")
            document.save(made[-1])
    return made


@dataclass
class Took:
    wall: float
    cpu: float
    first: float
    twice: int
    failed: int


def processes() -> dict[int, float]:
    """CPU seconds of this process and all that it has started, by process."""
    found = {}
    here = psutil.Process()
    for process in (here, *here.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        found[process.pid] = times.user + times.system
    return found


class Meter(threading.Thread):
    """Looks at the processes again and again: one that is killed takes its figures with it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.before, self.seen, self.over = processes(), {}, threading.Event()  # type: ignore[var-annotated]

    def run(self) -> None:
        while not self.over.wait(0.5):
            self.seen |= processes()

    def stop(self) -> float:
        self.over.set()
        self.join()
        self.seen |= processes()
        return sum(spent - self.before.get(pid, 0.0) for pid, spent in self.seen.items())


def timed(convert: Callable[[Callable[[Event], None]], Sequence[Outcome]], notes: Path, pages: int) -> Took:
    notes.write_text("")
    firsts: list[float] = []
    meter, began = Meter(), time.monotonic()
    meter.start()

    def watch(event: Event) -> None:
        if isinstance(event, PageDone):
            firsts.append(time.monotonic() - began)
            if len(firsts) == pages // 3 and victim:
                victim.pop()()

    outcomes = convert(watch)
    wall = time.monotonic() - began
    twice = len(notes.read_text().splitlines()) - pages
    return Took(wall, meter.stop(), firsts[0], twice, sum(o.pages["failed"] for o in outcomes))


victim: list[Callable[[], None]] = []
"""What is to be called when a third of the pages has come."""


def kill_an_actor() -> None:
    """End one page actor of the cluster that this process has started."""
    for process in psutil.Process().children(recursive=True):
        try:
            line = process.cmdline()
        except psutil.NoSuchProcess:
            continue
        if line and line[0].startswith("ray::") and "PageWorker" in line[0]:
            os.kill(process.pid, signal.SIGKILL)
            return


def bytes_of(out: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in sorted(out.glob("*/document.json"))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pages", type=int, default=300)
    parser.add_argument("--each", type=int, default=25)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--pipeline", default="default")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()

    from docpipe.run.ray import connect
    from docpipe.run.ray_batch import convert_on_ray

    began = time.monotonic()
    connect(options.jobs)
    print(f"cluster of {options.jobs} processors started in {time.monotonic() - began:.1f} s")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        notes = folder / "notes"
        files = documents(folder, options.pages, options.each)
        given = read_pipeline(options.pipeline)
        stages = (StageEntry(use="cluster:noting", settings={"file": str(notes)}), *given.stage)
        pipeline = Pipeline.from_file(given.model_copy(update={"stage": stages}))
        settings = BatchSettings(jobs=options.jobs, limits=Limits(600.0))
        ways = {"workers": convert_files, "Ray": convert_on_ray, "Ray, an actor killed": convert_on_ray}
        took: dict[str, list[Took]] = {way: [] for way in ways}
        first: dict[str, bytes] = {}
        for _ in range(options.rounds):
            for way, convert in ways.items():
                out = folder / "out"
                shutil.rmtree(out, ignore_errors=True)
                victim[:] = [kill_an_actor] if "killed" in way else []
                took[way].append(
                    timed(
                        lambda watch, convert=convert, out=out: convert(files, out, pipeline, settings, watch),  # type: ignore[misc]
                        notes,
                        options.pages,
                    )
                )
                found = bytes_of(out)
                first = first or found
                if found != first:
                    raise SystemExit(f"{way}: other documents than the first way's")
        base = statistics.median(one.wall for one in took["workers"])
        for way, rows in took.items():
            wall, cpu, begin = (
                statistics.median(getattr(one, what) for one in rows) for what in ("wall", "cpu", "first")
            )
            twice, failed = max(one.twice for one in rows), sum(one.failed for one in rows)
            print(
                f"{way:21} {options.pages} pages: {wall:7.1f} s wall ({wall / base:.2f}), {cpu:7.1f} s CPU, first page "
                f"after {begin:5.1f} s, {options.pages / (wall - begin):5.2f} pages/s then, {twice} begun twice, "
                f"{failed} failed; same bytes"
            )


if __name__ == "__main__":
    main()
