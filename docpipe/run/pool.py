"""Worker processes watched from outside: killed when a page takes too long, replaced when they crash.

Python's multiprocessing does it. Pools of it, of pebble and of loky answer once a task is whole; here a document's
pages come out one by one, deadlines are counted from page to page, and after a crash it must be known which page the
worker was at: a pipe to each process says all of that.

Many documents share a pool, each from a thread of its own; one thread of the pool's (`crew.Crew`) talks to the workers.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from docpipe.errors import DocpipeError
from docpipe.run.crew import Crew, Limits, Lost, Ticket, failure
from docpipe.run.exports import Writing
from docpipe.run.opening import Look, Opening
from docpipe.run.start import threads_of
from docpipe.run.stopping import StoppedError
from docpipe.run.worker import Errand, Finished, Job

__all__ = ["Limits", "Pool"]


class Pool:
    """Runs jobs on worker processes, each page watched. A context manager; results come in the order of the jobs."""

    def __init__(self, workers: int, limits: Limits, tick: float = 0.5, *, sharing: int | None = None) -> None:
        """tick: how often, in seconds, deadlines are looked at while nothing happens. sharing: workers, those of other
        pools counted, among which the machine's cores are shared out.
        """
        self.workers, self._limits, self._tick = max(1, workers), limits, tick
        self._threads = threads_of(sharing or self.workers)
        self._crew: Crew | None = None
        self._guard, self._closed = threading.Lock(), False

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def crew(self) -> Crew:
        """The worker processes and the thread that talks to them, there from the first call on."""
        with self._guard:
            if self._closed:
                raise StoppedError
            if self._crew is None:
                self._crew = Crew(self.workers, self._limits, self._tick, self._threads)
            return self._crew

    def close(self) -> None:
        """End all workers, by force. Whoever waits for pages meets StoppedError."""
        with self._guard:
            self._closed = True
        if self._crew is not None:
            self._crew.close()

    def look(self, at: Look) -> Opening:
        """Take the first look at a document in a worker. Raises DocpipeError, also when the file crashes the parser.

        A file that a parser cannot be led through in time is opened once more without looking at its pages.
        """
        for attempt in (at, replace(at, sampled=0)):
            answer = self._done(Errand(attempt))
            if isinstance(answer, Opening):
                return answer
        raise DocpipeError("DP103", at.ref.name, "opening it crashed the parser or took too long")

    def write(self, what: Writing) -> list[str]:
        """Make one export of a finished document in a worker; the names of its files. Raises DP401, DP414 when making
        it crashed the worker or took too long, and what the format raises.
        """
        answer = self._done(Errand(what))
        if isinstance(answer, Lost):
            raise DocpipeError(
                "DP414", f"{what.source.name} as {what.form}", f"{answer.error.code}: {answer.error.entry.what}"
            )
        assert isinstance(answer, list)
        return answer

    def _done(self, errand: Errand) -> object:
        """What comes of an errand. Raises StoppedError, and a DocpipeError that came of it."""
        ticket = Ticket([errand])
        self.crew.submit(ticket)
        answer = ticket.arrived.get()
        if isinstance(answer, StoppedError | DocpipeError):
            raise answer
        return answer

    def run(
        self,
        jobs: Sequence[Job],
        patience: float = math.inf,
        keep: Callable[[Sequence[Finished]], None] = lambda _: None,
        stop: Callable[[], None] = lambda: None,
    ) -> Iterator[Finished]:
        """Run jobs that belong to one document; its pages come out in the order of the jobs' page numbers.

        A page whose worker crashes, overruns its time or its memory is a failed page. patience: seconds of work on the
        document without a page read after which all pages that are left fail (DP503). keep: told of pages as soon as
        they are finished, before those ahead of them are. stop: called every now and then; what it raises ends the
        document's jobs. Raises StoppedError when the pool is closed meanwhile.
        """
        crew = self.crew
        order = deque(number for job in jobs for number in job.numbers)
        ready: dict[int, Finished] = {}
        ticket = Ticket(jobs)
        crew.submit(ticket)
        progress_at = time.monotonic()
        try:
            while order:
                while order and order[0] in ready:
                    yield ready.pop(order.popleft())
                    ticket.taken += 1
                    crew.ring()
                if not order:
                    break
                stop()
                ticket.hungry = True
                self.crew.ring()
                arrived = self._arrived(ticket)
                ticket.hungry = False
                if any(done.page.status != "failed" for done in arrived) or not ticket.at_work:
                    progress_at = time.monotonic()
                if time.monotonic() - progress_at > patience:
                    error = DocpipeError("DP503", jobs[0].ref.name, f"{patience:g} s without a page read")
                    crew.withdraw(ticket)
                    arrived += [failure(n, error) for n in order if n not in ready and n not in _numbers(arrived)]
                if arrived:
                    keep(arrived)
                    ready.update((done.page.number, done) for done in arrived)
        finally:
            crew.withdraw(ticket)

    def _arrived(self, ticket: Ticket) -> list[Finished]:
        """The pages that have come in, after waiting a moment for one."""
        found: list[Finished] = []
        try:
            while True:
                answer = ticket.arrived.get(timeout=0.0 if found else self._tick)
                if isinstance(answer, BaseException):
                    raise answer
                if isinstance(answer, Finished):
                    found.append(answer)
        except queue.Empty:
            return found


def _numbers(pages: Sequence[Finished]) -> set[int]:
    return {done.page.number for done in pages}
