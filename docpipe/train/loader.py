"""A worker process that draws and collates batches ahead of the trainer. It imports no torch."""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Iterator
from typing import Any

from docpipe.train.batches import Batch, Collator, batches
from docpipe.train.domains import domain


def _work(name: str, options: dict[str, Any], grid: int, patch: int, ask: dict[str, int], out: Any, owner: int) -> None:
    try:
        made = domain(name, **options)
        for batch in batches(made, Collator(made, grid, patch), **ask):
            while True:
                if os.getppid() != owner:  # the trainer was killed: do not outlive it
                    os._exit(0)
                try:
                    out.put(batch, timeout=2.0)
                    break
                except queue.Full:
                    continue
    except BaseException as error:
        out.put(f"{type(error).__name__}: {error}")
        raise


class Loader:
    """Iterates the batches of a domain from number `start` on, made in a process of its own.

    Raises RuntimeError when the worker failed.
    """

    def __init__(
        self, name: str, options: dict[str, Any], *, grid: int, patch: int, seed: int, size: int, start: int = 0
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._queue = context.Queue(maxsize=12)
        ask = {"seed": seed, "size": size, "start": start}
        self._process = context.Process(
            target=_work, args=(name, options, grid, patch, ask, self._queue, os.getpid()), daemon=True
        )
        self._process.start()

    def __iter__(self) -> Iterator[Batch]:
        while True:
            try:
                got = self._queue.get(timeout=5.0)
            except queue.Empty:
                if not self._process.is_alive():
                    raise RuntimeError("the loader process ended") from None
                continue
            if isinstance(got, str):
                raise RuntimeError(f"the loader process failed: {got}")
            yield got

    def close(self) -> None:
        self._process.terminate()
        self._process.join(timeout=5.0)
