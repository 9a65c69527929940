"""A circuit breaker: a server that fails again and again is left alone for a while, then tried with one request."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from docpipe.errors import DocpipeError

_log = logging.getLogger(__name__)


class Breaker:
    """Closed: all may ask. Open, after `failures` in a row: none for `pause` seconds. Then one may try.

    name: of what it guards, for messages. clock: seconds that only go up. Safe under threads.
    """

    def __init__(
        self, name: str, failures: int = 5, pause: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name, self.failures, self.pause, self._clock = name, max(1, failures), pause, clock
        self._lock = threading.Lock()
        self._row = 0
        self._until: float | None = None
        self._trying = False

    @property
    def state(self) -> str:
        """closed, open or half-open."""
        with self._lock:
            if self._until is None:
                return "closed"
            return "open" if self._clock() < self._until else "half-open"

    def enter(self) -> bool:
        """Ask for leave; who gets it must call `leave` with what this gives. Raises DP530 while it is open."""
        with self._lock:
            if self._until is None:
                return False
            wait = self._until - self._clock()
            if wait > 0 or self._trying:
                detail = f"{self._row} failures in a row; tried again in {max(0.0, wait):.0f} s"
                raise DocpipeError("DP530", self.name, detail)
            self._trying = True
            return True

    def leave(self, trial: bool, well: bool | None) -> None:
        """How it went. None: the server is alive but asked to wait, which neither closes it nor counts."""
        with self._lock:
            if trial:
                self._trying = False
            if well:
                if self._until is not None:
                    _log.warning("%s answers again", self.name)
                self._row, self._until = 0, None
                return
            if well is False:
                self._row += 1
            if trial or (self._row >= self.failures and self._until is None):
                self._until = self._clock() + self.pause
                _log.warning("%s failed %d times in a row: left alone for %g s", self.name, self._row, self.pause)
