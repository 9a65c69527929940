"""Uploads and what becomes of them: a folder a job, one queue, a few converters, everything on disk.

    ROOT/<job>/job.json          what was asked and what came of it
    ROOT/<job>/source/<name>     the upload
    ROOT/<job>/out/              an output folder as `docpipe convert` writes it, with its journal

A job that was cut by the end of the server goes on when it is started again.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from docpipe.errors import DocpipeError
from docpipe.export.atomic import unwritable, write_whole
from docpipe.export.json import DOCUMENT
from docpipe.pipeline import Pipeline
from docpipe.run.batch import Batch, BatchSettings, Outcome
from docpipe.run.crew import Limits
from docpipe.run.events import Event, Opened, PageDone
from docpipe.run.journal import JOURNAL, Journal
from docpipe.run.pool import Pool
from docpipe.run.stopping import StoppedError
from docpipe.serve.job import Job, ServerSettings, State, safe_name, shown_name
from docpipe.serve.library import Item, Shelved, Unfinished

_ID = re.compile(r"[0-9a-f]{16}")

KEPT_OPEN = 32
"""Documents whose index is kept in memory."""


class FullError(Exception):
    """The queue takes no more."""


class Jobs:
    """The jobs of a folder. A context manager: within, jobs are worked on."""

    def __init__(self, root: Path, settings: ServerSettings, pipelines: Callable[[dict[str, Any]], Pipeline]) -> None:
        """pipelines: makes a job's pipeline from its options. Raises DP401 when the folder cannot be written."""
        self.root, self.settings, self._pipelines = root, settings, pipelines
        with unwritable(root):
            root.mkdir(parents=True, exist_ok=True)
        self._jobs: dict[str, Job] = {}
        self._waiting: deque[str] = deque()
        self._news = threading.Condition()
        self._events: dict[str, list[dict[str, Any]]] = {}
        self._shelved: dict[str, Shelved] = {}
        self._cancelled: set[str] = set()
        self._closing = False
        self._threads: list[threading.Thread] = []
        self._pool: Pool | None = None
        self.pages = Counter[str]()
        self.ended = Counter[str]()
        self._load()

    # --- the life of the server ----------------------------------------------------------------------------

    def __enter__(self) -> Jobs:
        limits = Limits(page_seconds=self.settings.page_deadline)
        self._pool = Pool(self.settings.jobs, limits)
        # More converters than workers: while one writes its exports, others' pages are worked on.
        for number in range(self.settings.jobs + 1):
            thread = threading.Thread(target=self._work, name=f"docpipe-job-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)
        keeper = threading.Thread(target=self._keep_house, name="docpipe-keeper", daemon=True)
        keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._closing = True
            self._news.notify_all()
        if self._pool is not None:
            self._pool.close()
        for thread in self._threads:
            thread.join(3.0)

    def _load(self) -> None:
        """Take up what an earlier server left: what was waiting or running waits again."""
        for path in sorted(self.root.glob("*/job.json")):
            with suppress(OSError, ValueError, TypeError):
                job = Job(**json.loads(path.read_text(encoding="utf-8")))
                if job.id != path.parent.name or not _ID.fullmatch(job.id):
                    continue
                if not job.is_ended:
                    job.state, job.done, job.kinds, job.verdicts = "queued", 0, {}, {}
                    self._waiting.append(job.id)
                self._jobs[job.id] = job
        self._waiting = deque(sorted(self._waiting, key=lambda id_: self._jobs[id_].created))

    # --- what clients ask ----------------------------------------------------------------------------------

    def room(self) -> int:
        """How many more jobs may wait."""
        with self._news:
            return max(0, self.settings.queue - len(self._waiting))

    def submit(self, name: str, options: dict[str, Any], store: Callable[[Path], object]) -> Job:
        """A new job; `store` writes the upload to a path. Raises FullError, DP401, and what `store` raises."""
        if not self.room():
            raise FullError
        job = Job(secrets.token_hex(8), shown_name(name), options, time.time())
        folder = self.root / job.id
        try:
            with unwritable(folder):
                (folder / "source").mkdir(parents=True)
            store(self.source(job))
            self._save(job)
            with self._news:
                if len(self._waiting) >= self.settings.queue:
                    raise FullError
                self._jobs[job.id] = job
                self._waiting.append(job.id)
                self._news.notify_all()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return job

    def source(self, job: Job) -> Path:
        """Where a job's upload lies."""
        return self.root / job.id / "source" / safe_name(job.name)

    def get_job(self, id_: str) -> Job | None:
        """A job by its id."""
        with self._news:
            return self._jobs.get(id_)

    def all_jobs(self) -> list[Job]:
        """Every job, newest first."""
        with self._news:
            return sorted(self._jobs.values(), key=lambda job: -job.created)

    def cancel(self, id_: str) -> Job | None:
        """End a job that waits or runs; what is done of it stays on disk. None when there is no such job."""
        with self._news:
            job = self._jobs.get(id_)
            if job is None or job.is_ended:
                return job
            if id_ in self._waiting:
                self._waiting.remove(id_)
                self._end(job, "cancelled")
            else:
                self._cancelled.add(id_)
            self._news.notify_all()
        return job

    def delete(self, id_: str) -> bool:
        """Cancel a job and remove all of it. False when there is no such job."""
        job = self.cancel(id_)
        if job is None:
            return False
        with self._news:
            self._news.wait_for(lambda: job.is_ended, timeout=10.0)
            self._jobs.pop(id_, None)
            self._events.pop(id_, None)
            self._shelved.pop(id_, None)
        shutil.rmtree(self.root / id_, ignore_errors=True)
        return True

    def follow(self, id_: str, patience: float = 15.0) -> Iterator[dict[str, Any] | None]:
        """A job's events from its start on, until it has ended; None when nothing happened for a while."""
        seen = 0
        while True:
            with self._news:
                job = self._jobs.get(id_)
                if job is None:
                    return
                events = self._events.get(id_, [])
                if seen >= len(events) and not job.is_ended:
                    self._news.wait(patience)
                    events = self._events.get(id_, [])
                fresh, ended = events[seen:], job.is_ended
                seen = len(events)
            yield from fresh
            if ended:
                yield {"event": "ended", **asdict(job)}
                return
            if not fresh:
                yield None

    def files(self, job: Job) -> list[Path]:
        """The finished files of a job, relative to its document's folder."""
        folder = self.folder(job)
        if folder is None:
            return []
        return sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))

    def folder(self, job: Job) -> Path | None:
        """The folder of a job's finished document."""
        return next((path.parent for path in (self.root / job.id / "out").glob(f"*/{DOCUMENT}")), None)

    # --- a shelf for the review page -----------------------------------------------------------------------

    def items(self) -> list[Item]:
        """The documents that there is something of to look at, newest first."""
        return [item for job in self.all_jobs() if (item := self.get(job.id)) is not None]

    def get(self, name: str) -> Item | None:
        """The document of a job, named by the job's id."""
        job = self.get_job(name)
        if job is None:
            return None
        folder = self.folder(job)
        if folder is not None:
            with self._news:
                known = self._shelved.get(job.id)
            if known is None or not known.is_current:
                known = Shelved(folder, name=job.id, source=self.source(job))
                with self._news:
                    self._shelved[job.id] = known
                    while len(self._shelved) > KEPT_OPEN:
                        self._shelved.pop(next(iter(self._shelved)))
            return known
        place = self.root / job.id / "out" / JOURNAL
        if not place.is_file():
            return None
        try:
            with Journal(place, read_only=True) as journal:
                entry = next((e for e in journal.entries() if e.state == "open"), None)
        except DocpipeError:
            return None
        return Unfinished(entry, place, name=job.id) if entry is not None else None

    # --- the converters ------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._closing or bool(self._waiting))
                if self._closing:
                    return
                job = self._jobs[self._waiting.popleft()]
                job.state = "running"
                self._tell(job, {"event": "running"})
            self._save(job)
            try:
                self._convert(job)
            except StoppedError:
                if self._closing:
                    return  # it goes on when the server is started again
                self._finish(job, "cancelled" if job.id in self._cancelled else "failed", job.error)
            except DocpipeError as error:
                self._finish(job, "failed", str(error))
            except Exception as error:  # a converter must not die: the next job waits for it
                self._finish(job, "failed", str(DocpipeError("DP505", job.name, f"{type(error).__name__}: {error}")))

    def _convert(self, job: Job) -> None:
        assert self._pool is not None
        out = self.root / job.id / "out"
        out.mkdir(exist_ok=True)
        until = time.monotonic() + self.settings.deadline

        def stop() -> None:
            if self._closing or job.id in self._cancelled:
                raise StoppedError
            if time.monotonic() > until:
                job.error = str(DocpipeError("DP422", job.name, f"{self.settings.deadline:g} s"))
                raise StoppedError

        def watch(event: Event) -> None:
            stop()
            if isinstance(event, Opened):
                if event.pages > self.settings.most_pages:
                    raise DocpipeError("DP423", job.name, f"{event.pages} pages, {self.settings.most_pages} at most")
                with self._news:
                    job.pages = event.pages
                    self._tell(job, {"event": "opened", "pages": event.pages})
            elif isinstance(event, PageDone):
                self._count(job, event)

        pipeline = self._pipelines(job.options)
        settings = BatchSettings(
            pages=job.options.get("pages"), formats=tuple(job.options["formats"]), jobs=self.settings.jobs,
            options=job.options, limits=Limits(page_seconds=self.settings.page_deadline),
        )  # fmt: skip
        source = self.source(job)
        outcome = Outcome(source, out / "document")
        with Journal(out / JOURNAL) as journal:
            journal.begin(settings.asked, [(outcome.folder.name, str(source))])
            Batch(pipeline, settings, self._pool, journal, watch, stop).convert(outcome)
        if outcome.error is not None:
            self._finish(job, "failed", outcome.error)
        else:
            job.status = outcome.status
            self._finish(job, "finished")

    def _count(self, job: Job, event: PageDone) -> None:
        page = event.page
        kinds = Counter(region.kind for region in page.regions)
        verdicts = Counter(r.reading.verdict.status for r in page.regions if r.reading is not None)
        with self._news:
            job.done += page.status != "skipped"
            job.kinds = dict(Counter(job.kinds) + Counter({str(kind): count for kind, count in kinds.items()}))
            job.verdicts = dict(Counter(job.verdicts) + Counter({str(v): count for v, count in verdicts.items()}))
            self.pages[page.status] += 1
            self._tell(
                job,
                {"event": "page", "page": page.number, "status": page.status, "regions": dict(kinds),
                 "error": page.error.code if page.error else None},
            )  # fmt: skip

    def _finish(self, job: Job, state: State, error: str | None = None) -> None:
        with self._news:
            self._end(job, state, error)
        self._save(job)

    def _end(self, job: Job, state: State, error: str | None = None) -> None:
        job.state, job.error, job.ended = state, error, time.time()
        self.ended[state] += 1
        self._cancelled.discard(job.id)
        self._news.notify_all()

    def _tell(self, job: Job, event: dict[str, Any]) -> None:
        self._events.setdefault(job.id, []).append(event)
        self._news.notify_all()

    def _save(self, job: Job) -> None:
        with suppress(DocpipeError):  # a full disk must not end the converter; the job is known in memory
            write_whole(self.root / job.id / "job.json", [json.dumps(asdict(job), indent=1), "\n"])

    def _keep_house(self) -> None:
        """Remove what is older than it is kept."""
        while True:
            with self._news:
                if self._news.wait_for(lambda: self._closing, timeout=min(60.0, self.settings.keep)):
                    return
            self.prune()

    def prune(self) -> int:
        """Remove jobs that ended longer ago than they are kept; how many."""
        before = time.time() - self.settings.keep
        old = [job.id for job in self.all_jobs() if job.ended is not None and job.ended < before]
        return sum(self.delete(id_) for id_ in old)

    def running(self) -> int:
        """How many jobs are being worked on."""
        with self._news:
            return sum(job.state == "running" for job in self._jobs.values())

    def waiting(self) -> int:
        """How many jobs wait."""
        with self._news:
            return len(self._waiting)
