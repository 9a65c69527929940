"""Runs a pipeline over one document: pages in order, worked on here or in other processes, and what is said at the end.

The pages come out one at a time (`DocumentRun.pages`); status, errors, metadata and the manifest are there once they
have. Memory is bounded by the pages in flight.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from docpipe.document import ErrorItem, Metadata, Page, SourceInfo, Status
from docpipe.manifest import Manifest, PageTrace
from docpipe.pipeline import Pipeline, composed
from docpipe.run.machine import cpu_facts, library_versions, python_version, version
from docpipe.run.opening import Look, Opening, look
from docpipe.run.pages import chunks, sheets_of
from docpipe.run.pool import Pool
from docpipe.run.worker import Finished, Job, finished
from docpipe.sheet import Sheet, close_source
from docpipe.source import SourceRef
from docpipe.stages.summary import Summary

CHUNK = 16
"""Pages a worker takes at a time: enough to fill batches, few enough that two workers end together."""

LEAST = 4
"""The fewest pages worth a job of their own where a document is shared among workers."""

DEADLINE = 100.0
"""Seconds of work without a page read after which a document is given up, with what is done."""


class PageLog(Protocol):
    """Keeps the pages of one document that are done, so that a run that was cut goes on from them."""

    def kept(self) -> set[int]:
        """The numbers of the pages it has."""
        ...

    def page(self, number: int) -> Finished | None:
        """One of them; None when it cannot be read after all."""
        ...

    def keep(self, pages: Sequence[Finished]) -> None:
        """Take in pages, told as soon as they are done, in whatever order."""
        ...


class DocumentRun:
    """One document on its way through a pipeline. Iterate `pages` once; then ask for the rest."""

    def __init__(
        self,
        ref: SourceRef,
        pipeline: Pipeline,
        *,
        wanted: str | None = None,
        pool: Pool | None = None,
        deadline: float = DEADLINE,
        opening: Opening | None = None,
        log: PageLog | None = None,
        stop: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the first look at the source. wanted: page range; others are skipped. pool: the workers that open it and
        work on its pages; without one all is done in this process, where nothing can be killed. deadline: seconds of
        work without a page read after which the pages left are given up. opening: what an earlier look at the same
        file found. log: the pages that are done already, and where finished ones are kept. stop: called every now and
        then while workers are waited for; what it raises ends the run.

        Raises DocpipeError when the source cannot be opened (DP101 to DP112) or the range is not one (DP204).
        """
        self.pipeline, self._pool, self._deadline, self.log = pipeline, pool, deadline, log
        self._stop = stop
        self._began, self._started = time.monotonic(), datetime.now(UTC)
        self.ref = ref
        if opening is None:
            asked = Look(ref, wanted)
            opening = pool.look(asked) if pool is not None else look(asked)
        self.opening = opening
        self.info: SourceInfo = opening.info
        self._summary = Summary(pipeline.front_matter)
        self._traces: list[PageTrace] = []
        self._errors: list[ErrorItem] = []
        self._models: dict[str, str] = {}
        self._engines: dict[str, dict[str, None]] = {}
        self._done = 0

    # --- pages ---------------------------------------------------------------------------------------------

    def pages(self) -> Iterator[Page]:
        """Every page of the source in order, skipped ones among them. What failed says why; none is missing."""
        skipped = {page.number: page for page in self.opening.skipped}
        results = self._results()
        for number in range(1, self.page_count + 1):
            page = skipped[number] if number in skipped else next(results)
            self._note(page)
            yield page
        if self._pool is None or self.pipeline.file is None:  # else nothing was opened here
            close_source(self.ref)

    def _results(self) -> Iterator[Page]:
        """The wanted pages, finished."""
        statistics = self.opening.statistics

        def sheets(made: Iterator[Finished]) -> Iterator[Sheet]:
            for result in made:
                yield Sheet(result.page, self.ref, statistics, ways=result.ways, seconds=result.seconds)

        for sheet in composed(self.pipeline.ordered_stages, sheets(self._worked())):
            ways = {name: way for name, way in sheet.ways.items() if name not in self.pipeline.engines}
            for name in sheet.ways.keys() - ways.keys():  # how an engine computed is said once, not page by page
                self._engines.setdefault(name, {}).update(dict.fromkeys(sheet.ways[name].split("; ")))
            self._traces.append(PageTrace(number=sheet.page.number, ways=ways, seconds=_rounded(sheet.seconds)))
            yield sheet.page

    def _worked(self) -> Iterator[Finished]:
        """The wanted pages after the page stages, in order: those of the log, and the others as they are finished."""
        wanted, log = self.opening.wanted, self.log
        kept = log.kept() if log is not None else set()
        made = self._made([number for number in wanted if number not in kept])
        for number in wanted:
            if number not in kept:
                yield next(made)
            elif log is not None:
                yield log.page(number) or next(self._made([number]))

    def _made(self, numbers: Sequence[int]) -> Iterator[Finished]:
        """Pages run through the page stages, here or in workers, in order; the log is told of each at once."""
        statistics, file, log = self.opening.statistics, self.pipeline.file, self.log
        if not numbers:
            return
        if self._pool is None or file is None:
            for sheet in composed(self.pipeline.page_stages, sheets_of(self.ref, numbers, statistics)):
                done = finished(sheet)
                if log is not None:
                    log.keep([done])
                yield done
            return
        size = min(CHUNK, max(LEAST, -(-len(numbers) // self._pool.workers)))
        jobs = [Job(self.ref, part, statistics, file) for part in chunks(numbers, size)]
        keep = log.keep if log is not None else lambda _: None
        yield from self._pool.run(jobs, self._deadline, keep, self._stop)

    def _note(self, page: Page) -> None:
        self._summary.add(page)
        self._done += page.status in {"complete", "partial"}
        if page.error is not None:
            self._errors.append(page.error)
        for region in page.regions:
            for reading in (region.reading, *region.alternatives):
                if reading is not None and reading.origin.checkpoint and reading.origin.digest:
                    self._models[reading.origin.checkpoint] = reading.origin.digest

    @property
    def page_count(self) -> int:
        """How many pages the source has, those left out among them."""
        return len(self.opening.wanted) + len(self.opening.skipped)

    # --- what is said at the end ---------------------------------------------------------------------------

    @property
    def errors(self) -> tuple[ErrorItem, ...]:
        """What went wrong, page by page."""
        return tuple(self._errors)

    @property
    def status(self) -> Status:
        """complete when every wanted page was read, failed when none was, else partial."""
        if not self._errors:
            return "complete"
        return "partial" if self._done else "failed"

    @property
    def ranks(self) -> dict[int, int]:
        """The level that each heading level of the document gets (see `structure.level_ranks`)."""
        return self._summary.ranks

    @property
    def metadata(self) -> Metadata:
        """What is known of the document as a whole."""
        return self._summary.metadata(self.opening.metadata)

    def manifest(self, options: dict[str, Any]) -> Manifest:
        """Versions, settings, machine, checkpoints and timings of this run. options: the settings it was asked for."""
        return Manifest(
            docpipe=version(),
            python=python_version(),
            libraries=library_versions(),
            cpu=cpu_facts(),
            pipeline=self.pipeline.name,
            pipeline_digest=self.pipeline.digest,
            models=dict(sorted(self._models.items())),
            engines={name: tuple(sorted(said)) for name, said in sorted(self._engines.items())},
            settings=options,
            source=self.info,
            started=self._started.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - self._began, 3),
            pages=tuple(self._traces),
        )


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {stage: round(spent, 4) for stage, spent in seconds.items()}
