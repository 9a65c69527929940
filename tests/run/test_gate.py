"""Documents are let in by the pages that those within have left."""

from __future__ import annotations

import threading
from pathlib import Path

import pymupdf
import pytest

from docpipe.pipeline import Pipeline
from docpipe.run.batch import ABREAST, BatchSettings, convert_files
from docpipe.run.events import Closed, Event, Opened
from docpipe.run.gate import UNKNOWN, Gate
from docpipe.run.stopping import StoppedError

PIPELINE = """
name = "odd"
[[stage]]
use = "odd_stages:marking"
[[stage]]
use = "assemble"
"""


def waits(gate: Gate, key: str) -> tuple[threading.Thread, list[str]]:
    """A thread that wants to enter, and where it says that it has."""
    within: list[str] = []

    def enter() -> None:
        try:
            gate.enter(key)
            within.append(key)
        except StoppedError:
            within.append("stopped")

    thread = threading.Thread(target=enter, daemon=True)
    thread.start()
    thread.join(0.2)
    return thread, within


def test_one_more_is_let_in_when_few_pages_are_left():
    gate = Gate(UNKNOWN + 10)
    gate.enter("a")
    gate.enter("b")  # what is not yet known counts for little
    gate.opened("a", 500)
    gate.opened("b", 11)
    gate.leave("b")
    thread, within = waits(gate, "c")
    assert within == []
    for _ in range(500 - UNKNOWN - 9):
        gate.page("a")
    thread.join(5)
    assert within == ["c"]


def test_one_alone_is_always_let_in_and_nobody_once_it_is_closed():
    gate = Gate(1)
    gate.enter("a")
    thread, within = waits(gate, "b")
    assert within == []
    gate.close()
    thread.join(5)
    assert within == ["stopped"]
    with pytest.raises(StoppedError):
        gate.enter("c")


def test_long_documents_are_not_all_open_at_once_and_short_ones_are(tmp_path):
    def most_open(count: int, pages: int) -> int:
        paths: list[Path] = []
        for number in range(count):
            document = pymupdf.Document()
            for _ in range(pages):
                document.new_page()
            paths.append(tmp_path / f"{pages}-{number}.pdf")
            document.save(paths[-1])
        how = tmp_path / "odd.toml"
        how.write_text(PIPELINE, encoding="utf-8")
        opened: set[str] = set()
        order: list[str] = []
        most = [0]

        def watch(event: Event) -> None:
            if isinstance(event, Opened):
                opened.add(event.name)
                order.append(event.name)
            elif isinstance(event, Closed):
                opened.discard(event.name)
            most[0] = max(most[0], len(opened))

        outcomes = convert_files(paths, tmp_path / f"out-{pages}", Pipeline.from_toml(how), BatchSettings(), watch)
        assert all(outcome.whole for outcome in outcomes)
        # Those that are let in together are looked at in any order.
        assert all(abs(order.index(str(path)) - place) < most[0] for place, path in enumerate(paths))
        return most[0]

    assert most_open(6, 150) < ABREAST  # in one worker
    assert most_open(8, 4) == ABREAST
