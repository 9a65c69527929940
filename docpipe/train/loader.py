"""A worker process that makes batches ahead of the trainer, and a watch over it.

Drawing and decoding run native code, which may crash or hang. The worker's pipe is read by a thread; a worker that is
gone, or that gives nothing for too long, is ended and another one starts at the batch that was owed. Batches depend on
their number alone, so the run does not notice. A worker lost three times at one batch is an error that names it.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

from docpipe.errors import DocpipeError
from docpipe.train.batches import Batch, Collator, batches
from docpipe.train.domains import domain

AHEAD = 12
"""Batches made ahead of the trainer."""

ATTEMPTS = 3
"""Workers that may be lost at one batch."""

PATIENCE = 600.0
"""Seconds without a batch after which a worker counts as hung. A busy machine must not be taken for a hung worker."""


class BatchSource(Protocol):
    """Makes the batches of a run. Pickled and sent to the worker, so it must be light."""

    def __call__(self, start: int) -> Iterator[Any]:
        """Batches number `start` and on."""
        ...


@dataclass(frozen=True)
class DomainBatches:
    """The batches of a nano domain: its name and options, the grid of patches, seed and size of a batch."""

    name: str
    options: dict[str, Any]
    grid: int
    patch: int
    seed: int
    size: int

    def __call__(self, start: int) -> Iterator[Batch]:
        made = domain(self.name, **self.options)
        return batches(made, Collator(made, self.grid, self.patch), seed=self.seed, size=self.size, start=start)


def _work(source: BatchSource, start: int, out: Connection, owner: int) -> None:
    threading.Thread(target=_leave_with, args=(owner,), daemon=True).start()
    try:
        for batch in source(start):
            out.send(batch)
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)
    except BaseException as error:
        out.send(_Failure(f"{type(error).__name__}: {error}" if not isinstance(error, DocpipeError) else str(error)))
        raise


def _leave_with(owner: int) -> None:
    """End this process when its trainer was killed."""
    waiting = threading.Event()
    while os.getppid() == owner:
        waiting.wait(2.0)
    os._exit(0)


@dataclass(frozen=True)
class _Failure:
    said: str


class _Lost:
    """The pipe ended: the worker is gone."""


class Loader:
    """Iterates a source's batches from number `start` on, made in a process of its own.

    Raises DP623 when the worker was lost `ATTEMPTS` times at one batch, DP624 when making a batch failed in Python,
    which would fail again.
    """

    def __init__(self, source: BatchSource, start: int = 0, *, patience: float = PATIENCE, ahead: int = AHEAD) -> None:
        self.source, self.next, self.patience, self.ahead = source, start, patience, ahead
        self.restarts = 0
        self._lost_here = 0
        self._begin()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        receive, send = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_work, args=(self.source, self.next, send, os.getpid()), daemon=True, name=f"batch-{self.next}"
        )
        self._process.start()
        send.close()  # so that the pipe ends with the worker
        self._ready: queue.Queue[Any] = queue.Queue(self.ahead)
        self._stop = threading.Event()
        self._reader = threading.Thread(target=_receive, args=(receive, self._ready, self._stop), daemon=True)
        self._reader.start()

    def __iter__(self) -> Iterator[Any]:
        while True:
            try:
                got = self._ready.get(timeout=self.patience)
            except queue.Empty:
                self._again(f"nothing for {self.patience:.0f} s")
                continue
            if isinstance(got, _Failure):
                raise DocpipeError("DP624", f"batch {self.next}", got.said)
            if isinstance(got, _Lost):
                self._process.join(timeout=10.0)
                self._again(f"exit code {self._process.exitcode}")
                continue
            self.next += 1
            self._lost_here = 0
            yield got

    def _again(self, why: str) -> None:
        """Another worker, at the batch that is owed."""
        self._lost_here += 1
        self.restarts += 1
        self.close()
        if self._lost_here >= ATTEMPTS:
            raise DocpipeError("DP623", f"batch {self.next}", f"last time: {why}")
        self._begin()

    def close(self) -> None:
        """End the worker."""
        self._stop.set()
        self._process.kill()
        self._process.join(timeout=10.0)


def _receive(pipe: Connection, ready: queue.Queue[Any], stop: threading.Event) -> None:
    """Carry what the worker sends into the queue. A thread of its own: a worker may hang in the middle of a message."""
    while not stop.is_set():
        try:
            got = pipe.recv()
        except Exception:  # the pipe ended, perhaps in the middle of a message
            got = _Lost()
        while not stop.is_set():
            try:
                ready.put(got, timeout=0.5)
                break
            except queue.Full:
                continue
        if isinstance(got, (_Lost, _Failure)):
            break
    pipe.close()
