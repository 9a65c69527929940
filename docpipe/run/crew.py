"""The worker processes of a pool, and the thread that gives them work, hears them and looks after those that are lost.

Only that thread touches the processes. Documents hand in tickets; what comes of these goes into the tickets' queues.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from docpipe.errors import DocpipeError
from docpipe.models.cpu import usable_cores
from docpipe.run.opening import Look
from docpipe.run.pages import failed_page
from docpipe.run.start import Terms, begin
from docpipe.run.stopping import StoppedError
from docpipe.run.worker import Began, Broken, Done, Errand, Finished, Job, Ready, Result

RECYCLE = 500
"""A worker is replaced after this many pages: native libraries keep memory that no one can ask back."""

START_SECONDS = 120.0
"""A process may take so long to start, and to make a job's pipeline before it opens the first page: that it takes
time then says nothing of the document.
"""

AHEAD = 64
"""Finished pages that may wait for those who asked for them: what is held in memory is bounded by it."""

PREFETCH = 8
"""A worker with fewer pages left than this is given its next job, so that batches are filled across jobs."""

RETRIES = 2
"""How often a job is begun anew after its worker was ended from outside."""


@dataclass(frozen=True)
class Limits:
    """What pages may cost. page_seconds: until a page must be done, counted from the worker's last sign of life
    once it has opened one. memory, cpu_seconds, terms: see `start.Terms`.
    """

    page_seconds: float = 60.0
    memory: int | None = None
    cpu_seconds: float | None = None
    terms: Terms = field(default_factory=Terms)

    @property
    def for_worker(self) -> Terms:
        """What a worker process is told. Without a limit of its own a page may use the processors for as long as twice
        its deadline: enough for any page that is watched, and an end for one that is not.
        """
        cpu = self.cpu_seconds or 2 * (self.page_seconds + START_SECONDS) * usable_cores()
        return replace(self.terms, memory=self.memory, cpu_seconds=cpu)


@dataclass(frozen=True)
class Lost:
    """An errand that took its worker with it, and how."""

    error: DocpipeError


class Ticket:
    """A document's jobs, and the queue for what comes of them. at_work: whether a worker has a page of it open.

    given, taken: pages put into the queue, and taken on by the document. hungry: whether the document waits for a page
    that has not come.
    """

    def __init__(self, jobs: Sequence[Job] | Sequence[Errand]) -> None:
        self.jobs: deque[Job | Errand] = deque(jobs)
        self.arrived: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.at_work = self.hungry = False
        self.given = self.taken = 0
        self.tries: dict[int, int] = {}

    def give(self, done: Finished) -> None:
        self.given += 1
        self.arrived.put(done)


@dataclass
class _Task:
    """A job at a worker. left: its pages that are not finished."""

    ticket: Ticket
    job: Job | Errand
    left: list[int]


class _Hand:
    """One process, the jobs it was given, and what it has said of them."""

    def __init__(self, terms: Terms) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=begin, args=(theirs, terms), daemon=True)
        with _deaf_to_interrupts():
            self.process.start()
        theirs.close()
        self.tasks: dict[int, _Task] = {}
        self.open: list[tuple[int, int]] = []  # (job, page) begun and not finished
        self.alive_at = time.monotonic()
        self.pages = 0

    @property
    def load(self) -> int:
        return sum(len(task.left) for task in self.tasks.values())

    @property
    def is_reserved(self) -> bool:
        """Whether it works on a job that must be alone."""
        return any(task.job.alone for task in self.tasks.values())

    def allowed(self, page_seconds: float) -> float:
        """How long it may be silent: a page's time, half of it for a look, or what its start may take."""
        if not self.open:
            return page_seconds + START_SECONDS
        task = self.tasks.get(self.open[-1][0])
        looks = task is not None and isinstance(task.job, Errand) and isinstance(task.job.task, Look)
        return page_seconds / 2 if looks else page_seconds

    def end(self) -> None:
        """End the process, and the programs that it has started."""
        self.connection.close()
        if self.process.pid is not None:
            with contextlib.suppress(AttributeError, OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()


class Crew:
    """Up to so many worker processes, and the thread that leads them."""

    def __init__(self, workers: int, limits: Limits, tick: float, threads: int) -> None:
        """threads: that each worker computes with."""
        self._count, self._limits, self._tick = workers, limits, tick
        self._terms = replace(limits.for_worker, threads=threads)
        self.hands: list[_Hand] = []
        self._tickets: list[Ticket] = []
        self._said: queue.SimpleQueue[tuple[Ticket, bool]] = queue.SimpleQueue()
        self._ids = count(1)
        self._hears, self._bell = multiprocessing.Pipe(duplex=False)
        self._guard = threading.Lock()
        self._rung = self._closed = False
        self._thread = threading.Thread(target=self._lead, name="docpipe-crew", daemon=True)
        self._thread.start()

    # --- what documents say, from their threads ------------------------------------------------------------

    def submit(self, ticket: Ticket) -> None:
        """Take a document's jobs in."""
        self._said.put((ticket, True))
        self.ring()
        if self._closed:
            ticket.arrived.put(StoppedError())

    def withdraw(self, ticket: Ticket) -> None:
        """Forget a document's jobs; workers that are at them are ended."""
        self._said.put((ticket, False))
        self.ring()

    def ring(self) -> None:
        """Wake the thread."""
        with self._guard:
            if not self._rung and not self._closed:
                self._rung = True
                self._bell.send_bytes(b"!")

    def close(self) -> None:
        """End the workers and the thread."""
        with self._guard:
            if not self._closed:
                self._closed = True
                self._bell.send_bytes(b"!")
        self._thread.join()

    # --- the thread ----------------------------------------------------------------------------------------

    def _lead(self) -> None:
        error: BaseException = StoppedError()
        try:
            while not self._closed:
                self._hear_documents()
                self._assign()
                busy = [hand for hand in self.hands if hand.tasks]
                for ticket in self._tickets:
                    ticket.at_work = any(h.tasks[id_].ticket is ticket for h in busy for id_, number in h.open)
                said = wait([self._hears, *(h.connection for h in busy)], timeout=self._tick if busy else None)
                if self._hears in said:
                    with self._guard:
                        self._hears.recv_bytes()
                        self._rung = False
                self._hear_workers(busy, said)
        except BaseException as failed:  # whoever waits must know
            error = failed
            raise
        finally:
            self._closed = True
            for hand in self.hands:
                hand.end()
            self.hands = []
            self._hear_documents()
            for ticket in self._tickets:
                ticket.arrived.put(error)

    def _hear_documents(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                ticket, comes = self._said.get_nowait()
                if comes:
                    self._tickets.append(ticket)
                elif ticket in self._tickets:
                    self._drop(ticket)

    def _drop(self, ticket: Ticket) -> None:
        self._tickets.remove(ticket)
        for hand in list(self.hands):
            # A job without pages left is over, though the worker's last word of it may not have come yet.
            if any(task.ticket is ticket and task.left for task in hand.tasks.values()):
                self.hands.remove(hand)
                hand.end()
                self._again(hand)

    def _again(self, hand: _Hand) -> None:
        """Put the jobs of a process that is no more back at the front."""
        for task in reversed(hand.tasks.values()):
            if task.ticket in self._tickets:
                job = task.job if isinstance(task.job, Errand) else replace(task.job, numbers=tuple(task.left))
                task.ticket.jobs.appendleft(job)

    def _assign(self) -> None:
        """Give work to whoever has too little, errands first, then documents in the order in which they came."""
        while True:
            waiting = [ticket for ticket in self._tickets if ticket.jobs]
            errands = [ticket for ticket in waiting if isinstance(ticket.jobs[0], Errand)]
            ticket = next((t for t in (*errands, *waiting) if self._may(t)), None)
            hand = self._hand_for(ticket.jobs[0]) if ticket is not None else None
            if ticket is None or hand is None:
                return
            job = replace(ticket.jobs.popleft(), id=next(self._ids))
            if not hand.tasks:
                hand.alive_at = time.monotonic()
            hand.tasks[job.id] = _Task(ticket, job, list(job.numbers) if isinstance(job, Job) else [0])
            with contextlib.suppress(OSError):  # it is dead: heard of in a moment
                hand.connection.send(job)

    def _may(self, ticket: Ticket) -> bool:
        """Whether more of a document's pages may be worked on: not when too many wait to be taken already."""
        if isinstance(ticket.jobs[0], Errand) or sum(t.given - t.taken for t in self._tickets) < AHEAD:
            return True
        # A document that waits gets its next pages all the same: those that are held may be others', or come after.
        return ticket.hungry and not any(task.ticket is ticket for hand in self.hands for task in hand.tasks.values())

    def _hand_for(self, job: Job | Errand) -> _Hand | None:
        free = [h for h in self.hands if not h.is_reserved and h.pages + h.load < RECYCLE and h.load < PREFETCH]
        if job.alone:
            free = [hand for hand in free if not hand.tasks]
        best = min(free, key=lambda hand: hand.load, default=None)
        if (best is None or best.tasks) and len(self.hands) < self._count:
            best = _Hand(self._terms)
            self.hands.append(best)
        return best

    def _hear_workers(self, busy: Sequence[_Hand], said: Sequence[object]) -> None:
        seconds = self._limits.page_seconds
        for hand in busy:
            if hand.connection in said:
                self._take(hand)
            elif time.monotonic() - hand.alive_at > hand.allowed(seconds):
                self._lost(hand, lambda subject: DocpipeError("DP502", subject, f"{seconds:g} s"))

    def _take(self, hand: _Hand) -> None:
        try:
            while hand.connection.poll():
                self._understand(hand, hand.connection.recv())
                if hand not in self.hands:
                    return
        except (EOFError, OSError):
            hand.process.join(timeout=5.0)
            code = hand.process.exitcode
            if (not hand.open or code in {-signal.SIGTERM, -signal.SIGINT}) and self._innocent(hand):
                return
            self._lost(hand, lambda subject: _death(code, subject))

    def _innocent(self, hand: _Hand) -> bool:
        """Begin anew what a worker was given that died before a page or was ended from outside, but not for ever."""
        if any(task.ticket.tries.get(n, 0) >= RETRIES for task in hand.tasks.values() for n in task.left):
            return False
        for task in hand.tasks.values():
            task.ticket.tries.update((n, task.ticket.tries.get(n, 0) + 1) for n in task.left)
        self.hands.remove(hand)
        hand.end()
        self._again(hand)
        return True

    def _understand(self, hand: _Hand, message: object) -> None:
        hand.alive_at = time.monotonic()
        if isinstance(message, Ready):
            return
        if isinstance(message, Broken):
            self._lost(hand, lambda subject: DocpipeError(message.error.code, subject, message.error.detail))
        elif isinstance(message, Began):
            hand.open.append((message.id, message.number))
        elif isinstance(message, Result):
            task = hand.tasks[message.id]
            number = message.made.page.number if isinstance(message.made, Finished) else 0
            hand.open = [one for one in hand.open if one != (message.id, number)]
            task.left = [n for n in task.left if n != number]
            if isinstance(message.made, Finished):
                hand.pages += 1
                task.ticket.give(message.made)
            else:
                task.ticket.arrived.put(message.made)
                self._tickets.remove(task.ticket)
        elif isinstance(message, Done):
            self._settle(hand, message)

    def _settle(self, hand: _Hand, last: Done) -> None:
        """A job is over: pages it did not give are failed. A worker that has done enough goes."""
        task = hand.tasks.pop(last.id)
        hand.open = [one for one in hand.open if one[0] != last.id]
        for number in task.left:
            where = f"{task.job.ref.name} page {number}" if isinstance(task.job, Job) else task.job.ref.name
            task.ticket.give(failure(number, last.error or DocpipeError("DP505", where, "it gave no page")))
        if not hand.tasks and hand.pages + PREFETCH >= RECYCLE:
            self.hands.remove(hand)
            hand.end()

    def _lost(self, hand: _Hand, why: Callable[[str], DocpipeError]) -> None:
        """A worker is lost with its jobs. The page it was at failed; when several were open each is tried alone."""
        self.hands.remove(hand)
        hand.end()
        suspects = set(hand.open) or set(list(_pages(hand))[:1])
        guilty = next(iter(suspects)) if len(suspects) == 1 else None
        for id_, task in reversed(list(hand.tasks.items())):
            if task.ticket not in self._tickets:
                continue
            if isinstance(task.job, Errand):
                self._errand_lost(task, why(task.job.ref.name) if guilty == (id_, 0) else None)
                continue
            open_ = [n for n in task.left if (id_, n) in suspects]
            others = tuple(n for n in task.left if n not in open_)
            if others:
                task.ticket.jobs.appendleft(replace(task.job, numbers=others))
            if guilty is not None and open_:
                task.ticket.give(failure(guilty[1], why(f"{task.job.ref.name} page {guilty[1]}")))
                continue
            for number in reversed(open_):
                task.ticket.jobs.appendleft(replace(task.job, numbers=(number,), alone=True))

    def _errand_lost(self, task: _Task, error: DocpipeError | None) -> None:
        """error: what it did to its worker; None where it may have been another job that did it."""
        if error is not None:
            self._tickets.remove(task.ticket)
            task.ticket.arrived.put(Lost(error))
        else:
            task.ticket.jobs.appendleft(replace(task.job, alone=True))


def _pages(hand: _Hand) -> Iterator[tuple[int, int]]:
    return ((id_, number) for id_, task in hand.tasks.items() for number in task.left)


def failure(number: int, error: DocpipeError) -> Finished:
    """A page that failed in its worker."""
    return Finished(failed_page(number, error.item(page=number)), {}, {})


def _death(code: int | None, subject: str) -> DocpipeError:
    """What a worker died of: processor time, the system's want of memory (it was not killed from here), or a crash."""
    if code == -signal.SIGXCPU:
        return DocpipeError("DP506", subject)
    if code == -signal.SIGKILL:
        return DocpipeError("DP507", subject)
    return DocpipeError("DP501", subject, f"signal {-code}" if code is not None and code < 0 else f"exit code {code}")


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A process started within never hears Ctrl-C, which a terminal sends to all: its parent ends it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
