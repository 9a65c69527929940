"""The loader's watch: a worker that dies or hangs is replaced, and the run does not notice."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from docpipe.errors import DocpipeError
from docpipe.train.loader import Loader


@pytest.fixture(autouse=True)
def _importable_in_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))


@dataclass(frozen=True)
class Numbers:
    """Batch n is an array of n. At `trouble` it does `what`, as often as the file `counts` has not yet seen."""

    counts: Path
    trouble: int = -1
    times: int = 0
    what: str = "die"

    def __call__(self, start: int) -> Iterator[np.ndarray]:
        number = start
        while True:
            if number == self.trouble and len(self.counts.read_text()) < self.times:
                with self.counts.open("a") as file:
                    file.write("x")
                if self.what == "die":
                    os.kill(os.getpid(), signal.SIGSEGV)
                elif self.what == "hang":
                    time.sleep(600)
                else:
                    raise ValueError("no such thing")
            yield np.full(4, number)
            number += 1


def taken(source: Numbers, count: int, start: int = 0, patience: float = 60.0) -> tuple[list[int], int]:
    loader = Loader(source, start, patience=patience)
    try:
        return [int(batch[0]) for batch, _ in zip(loader, range(count), strict=False)], loader.restarts
    finally:
        loader.close()


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    (tmp_path / "counts").write_text("")
    return tmp_path / "counts"


def test_batches_come_in_order_from_where_they_are_asked(counts: Path) -> None:
    assert taken(Numbers(counts), 20, start=7) == (list(range(7, 27)), 0)


def test_a_worker_that_dies_in_native_code_is_replaced_at_the_batch_it_owed(counts: Path) -> None:
    assert taken(Numbers(counts, 3, times=2), 6) == (list(range(6)), 2)


def test_a_worker_that_hangs_is_replaced(counts: Path) -> None:
    assert taken(Numbers(counts, 2, times=1, what="hang"), 4, patience=3.0) == (list(range(4)), 1)


def test_three_deaths_at_one_batch_are_an_error_that_names_it(counts: Path) -> None:
    with pytest.raises(DocpipeError, match=r"DP623 batch 2: .*exit code -11"):
        taken(Numbers(counts, 2, times=99), 6)
    assert len(counts.read_text()) == 3


def test_an_exception_is_told_at_once_with_its_batch(counts: Path) -> None:
    with pytest.raises(DocpipeError, match=r"DP624 batch 1: .*ValueError: no such thing"):
        taken(Numbers(counts, 1, times=99, what="raise"), 6)
    assert len(counts.read_text()) == 1
