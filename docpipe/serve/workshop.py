"""A process that draws for the server: native code that crashes or hangs on a strange file costs one picture.

It is started when first asked, and anew after it died or was killed for taking too long.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections import OrderedDict
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

T = TypeVar("T")

DEADLINE = 20.0
"""Seconds that a drawing may take."""

START = 120.0
"""Seconds that the process may take to be there."""

KEPT = 96
"""Drawings kept in memory."""


class DrawingError(Exception):
    """What was asked for cannot be drawn; the message says why."""


def _work(pipe: Connection) -> None:
    """Draw what is asked for until the other end is closed, after saying that it is there."""
    pipe.send(None)
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            work, given = pipe.recv()
            try:
                pipe.send((True, work(*given)))
            except Exception as error:
                pipe.send(
                    (False, f"{type(error).__name__}: {error}" if not isinstance(error, ValueError) else str(error))
                )


class Workshop:
    """Calls functions of `docpipe.serve.drawing` in a process of its own, one at a time, and keeps what they gave."""

    def __init__(self, deadline: float = DEADLINE) -> None:
        self._deadline = deadline
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, Any] = OrderedDict()
        self._process: Any = None
        self._pipe: Connection | None = None

    def draw(self, key: Any, work: Callable[..., T], *given: Any) -> T:
        """work(*given), or what it gave before for the same key. Raises DrawingError."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                known: T = self._kept[key]
                return known
            made: T = self._made(work, given)
            self._kept[key] = made
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return made

    def _made(self, work: Callable[..., T], given: tuple[Any, ...]) -> T:
        try:
            if self._process is None or not self._process.is_alive():
                self._start()
            pipe = self._pipe
            assert pipe is not None
            pipe.send((work, given))
            if not pipe.poll(self._deadline):
                self._stop()
                raise DrawingError(f"drawing took longer than {self._deadline:g} s")
            right, value = pipe.recv()
        except (EOFError, OSError) as error:
            self._stop()
            raise DrawingError("the process that draws crashed on it") from error
        if not right:
            raise DrawingError(value)
        made: T = value
        return made

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_work, args=(other,), daemon=True, name="docpipe-workshop")
        self._process.start()
        other.close()
        # On a busy machine a process is long in coming: that says nothing of a drawing.
        if not self._pipe.poll(START):
            raise EOFError
        self._pipe.recv()

    def _stop(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.join(2.0)
        self._process = self._pipe = None

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._stop()
