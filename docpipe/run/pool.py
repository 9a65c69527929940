"""Worker processes watched from outside: killed when a page takes too long, replaced when they crash.

Python's multiprocessing does it. Pools of it, of pebble and of loky answer once a task is whole; here a document's
pages come out one by one, deadlines are counted from page to page, and after a crash it must be known which page the
worker was at: a pipe to each process says all of that.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from docpipe.errors import DocpipeError
from docpipe.run.opening import Look, Opening
from docpipe.run.pages import failed_page
from docpipe.run.worker import Began, Done, Finished, Job, Ready, serve

RECYCLE = 500
"""A worker is replaced after this many pages: native libraries keep memory that no one can ask back."""


START_SECONDS = 120.0
"""A process may take so long to start, and to make a job's pipeline before it opens the first page: that it takes
time then says nothing of the document.
"""

AHEAD = 64
"""Pages that workers may finish ahead of one that is still missing: what is held in memory is bounded by it."""


@dataclass(frozen=True)
class Limits:
    """What pages may cost. page_seconds: until a page must be done, counted from the worker's last sign of life
    once it has opened one.
    memory: address space of a worker in bytes, or None.
    """

    page_seconds: float = 60.0
    memory: int | None = None


class _Worker:
    """One process, the job it works on, and what it has said of it."""

    def __init__(self, limits: Limits) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=serve, args=(theirs, limits.memory), daemon=True)
        self.process.start()
        theirs.close()
        self.job: Job | None = None
        self.open: list[int] = []  # pages begun and not finished
        self.left: list[int] = []  # pages not finished
        self.alive_at = time.monotonic()
        self.pages = 0
        self.begun = False  # whether it has opened a page of its job
        self.ready = False  # whether it has said that it waits for work

    def allowed(self, page_seconds: float) -> float:
        """How long it may be silent: a page's time, or what its start may take."""
        return page_seconds if self.begun else page_seconds + START_SECONDS

    def answer(self, at: Look, seconds: float) -> object:
        """What it says to a look within so many seconds of being ready; None when it does not. Raises OSError."""
        self.connection.send(at)
        if not self.ready:
            if not self.connection.poll(START_SECONDS):
                return None
            self.ready = isinstance(self.connection.recv(), Ready)
        return self.connection.recv() if self.connection.poll(seconds) else None

    def begin(self, job: Job) -> None:
        self.job, self.open, self.left, self.begun = job, [], list(job.numbers), False
        self.alive_at = time.monotonic()
        self.connection.send(job)

    def close(self) -> None:
        """End the process, by force when it is at work."""
        self.connection.close()
        if self.job is not None:
            self.process.kill()
        self.process.join(timeout=5.0)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class Pool:
    """Runs jobs on worker processes, each page watched. A context manager; results come in the order of the jobs."""

    def __init__(self, workers: int, limits: Limits, tick: float = 0.5) -> None:
        """tick: how often, in seconds, `run` looks at deadlines while nothing happens."""
        self._count, self._limits, self._tick = max(1, workers), limits, tick
        self._idle: list[_Worker] = []
        self._busy: list[_Worker] = []

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers, those at work by force."""
        for worker in (*self._idle, *self._busy):
            worker.close()
        self._idle, self._busy = [], []

    def look(self, at: Look) -> Opening:
        """Take the first look at a document in a worker. Raises DocpipeError, also when the file crashes the parser.

        A file that a parser cannot be led through in time is opened once more without looking at its pages.
        """
        for attempt in (at, replace(at, sampled=0)):
            worker = self._idle.pop() if self._idle else _Worker(self._limits)
            try:
                answer = worker.answer(attempt, self._limits.page_seconds / 2)
            except (EOFError, OSError):
                answer = None
            if answer is None:
                worker.process.kill()
                worker.close()
                continue
            self._idle.append(worker)
            if isinstance(answer, Opening):
                return answer
            assert isinstance(answer, DocpipeError)
            raise answer
        raise DocpipeError("DP103", at.ref.name, "opening it crashed the parser or took too long")

    def run(self, jobs: Sequence[Job], stop: Callable[[], DocpipeError | None] = lambda: None) -> Iterator[Finished]:
        """Run jobs that belong to one document; its pages come out in the order of the jobs' page numbers.

        A page whose worker crashes, overruns its time or its memory is a failed page. stop: asked while waiting; the
        error it gives fails all pages that are left, at once.
        """
        order = deque(number for job in jobs for number in job.numbers)
        waiting = deque(jobs)
        ready: dict[int, Finished] = {}
        while order:
            while order and order[0] in ready:
                yield ready.pop(order.popleft())
            if not order:
                break
            error = stop()
            if error is not None:
                self._abandon()
                for number in order:
                    yield ready.pop(number) if number in ready else _failed(number, error)
                return
            while waiting and len(self._busy) < self._count and (len(ready) <= AHEAD or not self._busy):
                self._start(waiting.popleft())
            for done in self._listen(waiting):
                ready[done.page.number] = done

    def _start(self, job: Job) -> None:
        worker = self._idle.pop() if self._idle else _Worker(self._limits)
        self._busy.append(worker)
        worker.begin(job)

    def _abandon(self) -> None:
        for worker in self._busy:
            worker.close()
        self._busy = []

    def _listen(self, waiting: deque[Job]) -> Iterator[Finished]:
        """Take what the workers say; look after those that died or overran."""
        said = wait([worker.connection for worker in self._busy], timeout=self._tick)
        for worker in list(self._busy):
            if worker.connection in said:
                yield from self._take(worker, waiting)
            elif time.monotonic() - worker.alive_at > worker.allowed(self._limits.page_seconds):
                seconds = f"{self._limits.page_seconds:g} s"
                yield from self._lost(worker, waiting, lambda subject: DocpipeError("DP502", subject, seconds))  # noqa: B023

    def _take(self, worker: _Worker, waiting: deque[Job]) -> Iterator[Finished]:
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join(timeout=5.0)
            code = worker.process.exitcode
            how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
            yield from self._lost(worker, waiting, lambda subject: DocpipeError("DP501", subject, how))
            return
        worker.alive_at = time.monotonic()
        if isinstance(message, Began):
            worker.begun = True
            worker.open.append(message.number)
        elif isinstance(message, Finished):
            worker.open = [n for n in worker.open if n != message.page.number]
            worker.left = [n for n in worker.left if n != message.page.number]
            worker.pages += 1
            yield message
        elif isinstance(message, Done):
            yield from self._settle(worker, message)

    def _settle(self, worker: _Worker, last: Done) -> Iterator[Finished]:
        """A job is over: pages it did not give are failed, and the worker is free again or replaced."""
        assert worker.job is not None
        name = worker.job.ref.name
        for number in worker.left:
            yield _failed(number, last.error or DocpipeError("DP505", f"{name} page {number}", "it gave no page"))
        worker.job = None
        self._busy.remove(worker)
        if worker.pages >= RECYCLE:
            worker.close()
        else:
            self._idle.append(worker)

    def _lost(self, worker: _Worker, waiting: deque[Job], why: Callable[[str], DocpipeError]) -> Iterator[Finished]:
        """A worker is lost with its job. The page it was at failed; when several were open each is tried alone."""
        job = worker.job
        assert job is not None
        self._busy.remove(worker)
        worker.close()
        suspects, rest = worker.open or worker.left[:1], worker.left
        if len(suspects) == 1:
            yield _failed(suspects[0], why(f"{job.ref.name} page {suspects[0]}"))
            rest = [n for n in rest if n != suspects[0]]
            suspects = []
        others = tuple(n for n in rest if n not in suspects)
        if others:
            waiting.appendleft(replace(job, numbers=others))
        for number in reversed(suspects):
            waiting.appendleft(replace(job, numbers=(number,)))


def _failed(number: int, error: DocpipeError) -> Finished:
    return Finished(failed_page(number, error.item(page=number)), {}, {})
