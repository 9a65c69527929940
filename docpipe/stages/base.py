"""What a stage is: a function from sheets to sheets. A pipeline is a list of them, run as composed generators."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from docpipe.errors import DocpipeError
from docpipe.sheet import Sheet

Stage = Callable[[Iterator[Sheet]], Iterator[Sheet]]
Maker = TypeVar("Maker", bound=Callable[..., Stage])

_log = logging.getLogger(__name__)

_ALLOCATION = re.compile(r"\b(malloc|calloc|realloc|bad_alloc|bad allocation|(can.t|failed to) alloc)\b", re.IGNORECASE)
"""How native libraries say that they were given no memory."""


def in_order(maker: Maker) -> Maker:
    """Mark a function that makes a stage: it sees a document's pages in order, so it runs where they come together.

    Such stages and all after them are given each page once the work on single pages is done, in whatever process.
    """
    maker.in_order = True  # type: ignore[attr-defined]
    return maker


def is_open(sheet: Sheet) -> bool:
    """Whether there is still work to do on a page: it neither failed nor was left out."""
    return sheet.page.status not in {"failed", "skipped"}


def failed(sheet: Sheet, error: Exception) -> Sheet:
    """The sheet with its page marked failed by an error; what is not coded is docpipe's own fault (DP505)."""
    if not isinstance(error, DocpipeError):
        _log.debug("page %s of %s", sheet.page.number, sheet.ref.name, exc_info=error)
        where = f"{sheet.ref.name} page {sheet.page.number}"
        code = "DP504" if isinstance(error, MemoryError) or _ALLOCATION.search(str(error)) else "DP505"
        error = DocpipeError(code, where, f"{type(error).__name__}: {error}")
    page = sheet.page.model_copy(update={"status": "failed", "error": error.item(page=sheet.page.number)})
    return replace(sheet, page=page)


def per_page(name: str, work: Callable[[Sheet], Sheet]) -> Stage:
    """A stage that works on each page by itself. A page it fails on goes on as failed; the others are not lost."""

    def run(sheets: Iterator[Sheet]) -> Iterator[Sheet]:
        for sheet in sheets:
            if not is_open(sheet):
                yield sheet
                continue
            began = time.perf_counter()
            try:
                done = work(sheet)
            except Exception as error:  # one bad page never loses the document
                done = failed(sheet, error)
            yield timed(done, name, time.perf_counter() - began)

    run.__name__ = name
    return run


def timed(sheet: Sheet, name: str, seconds: float) -> Sheet:
    """The sheet with time spent in a stage added to what it says of itself (for the manifest)."""
    return replace(sheet, seconds={**sheet.seconds, name: sheet.seconds.get(name, 0.0) + seconds})
