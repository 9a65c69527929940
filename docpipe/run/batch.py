"""Many documents into one output folder: each whole, in worker processes, and an account of what came of each."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docpipe.document import Page
from docpipe.errors import DocpipeError
from docpipe.pipeline import Pipeline
from docpipe.run.events import Closed, Opened, PageDone, Watcher, nobody
from docpipe.run.folder import folder_names, write_run
from docpipe.run.pool import Limits, Pool
from docpipe.run.runner import DEADLINE, DocumentRun
from docpipe.source import SourceRef


@dataclass(frozen=True)
class BatchSettings:
    """How documents are converted. formats: exports beside document.json. jobs: worker processes. deadline: seconds
    without a page read after which a document is given up. limits: what a page may cost. options: what the manifest
    says of the settings chosen.
    """

    pages: str | None = None
    password: str | None = None
    formats: tuple[str, ...] = ()
    jobs: int = 1
    deadline: float = DEADLINE
    limits: Limits = field(default_factory=Limits)
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """What came of one source: its folder and status, or the error that let nothing come of it."""

    source: Path
    folder: Path
    status: str = "failed"
    error: str | None = None
    seconds: float = 0.0
    pages: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    page_errors: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether nothing is missing: every page that was wanted has been read."""
        return self.status == "complete"

    def count(self, page: Page) -> None:
        """Take a finished page into the account."""
        self.pages[page.status] += 1
        if page.error is not None:
            self.page_errors.append(f"{page.error.code} {page.error.message}")
        for region in page.regions:
            self.kinds[region.kind] += 1
            if region.reading is not None:
                self.verdicts[region.reading.verdict.status] += 1


def convert_files(
    files: Sequence[Path], out: Path, pipeline: Pipeline, settings: BatchSettings, watch: Watcher = nobody
) -> list[Outcome]:
    """Convert files into folders under `out`; outcomes in the order of the files. One bad file costs only itself.

    Several documents share the jobs, one process each; a single one is cut into runs of pages for all of them.
    Raises DP401 when `out` cannot be written.
    """
    writable(out)
    outcomes = [Outcome(f, out / name) for f, name in zip(files, folder_names(files), strict=True)]
    abreast = min(settings.jobs, len(files))
    pools: list[Pool] = []
    own = threading.local()

    def one(outcome: Outcome) -> None:
        if not hasattr(own, "pool"):
            own.pool = Pool(settings.jobs if abreast == 1 else 1, settings.limits)
            pools.append(own.pool)
        _convert(outcome, own.pool, pipeline, settings, watch)

    with _closing(pools):
        if abreast <= 1:
            for outcome in outcomes:
                one(outcome)
        else:
            with ThreadPoolExecutor(abreast) as threads:
                try:
                    list(threads.map(one, outcomes))
                except BaseException:
                    threads.shutdown(wait=False, cancel_futures=True)
                    for pool in pools:
                        pool.close()
                    raise
    return outcomes


@contextmanager
def _closing(pools: list[Pool]) -> Iterator[None]:
    try:
        yield
    finally:
        for pool in pools:
            pool.close()


def _convert(outcome: Outcome, pool: Pool, pipeline: Pipeline, settings: BatchSettings, watch: Watcher) -> None:
    began = time.monotonic()
    name = str(outcome.source)
    ref = SourceRef(outcome.source.name, path=name, password=settings.password)

    def count(page: Page) -> None:
        outcome.count(page)
        watch(PageDone(name, page))

    try:
        run = DocumentRun(ref, pipeline, wanted=settings.pages, pool=pool, deadline=settings.deadline)
        watch(Opened(name, run.page_count))
        outcome.status = write_run(run, outcome.folder, formats=settings.formats, options=settings.options, watch=count)
    except DocpipeError as error:
        outcome.error = str(error)
    outcome.seconds = time.monotonic() - began
    watch(Closed(name, outcome.status, outcome.error))


def writable(out: Path) -> None:
    """Make the output folder. Raises DP401 when it cannot be made or written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DocpipeError("DP401", str(out), error.strerror or str(error)) from error
    if not os.access(out, os.W_OK | os.X_OK):
        raise DocpipeError("DP401", str(out), "no permission to write")
