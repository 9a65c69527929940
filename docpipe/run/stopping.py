"""Being told to stop: Ctrl-C and the system's own request end a run where it is, with all that is done kept."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


class StoppedError(Exception):
    """The run is being ended: whoever meets this stops where it is."""


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM came. `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def interruptible(first: Callable[[], None]) -> Iterator[None]:
    """Within, SIGINT and SIGTERM call `first` and raise Interrupted. Elsewhere than in the main thread nothing is done.

    `first` runs at once, before anything that the signal did to other processes can be taken for a page's fault.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        first()
        raise Interrupted(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
