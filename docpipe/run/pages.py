"""A document's pages as sheets, and page ranges as people write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from docpipe.document import ErrorItem, Page
from docpipe.errors import DocpipeError
from docpipe.sheet import Sheet, Statistics, open_page
from docpipe.source import SourceRef

_RANGE = re.compile(r"^(\d+)?(-)?(\d+)?$")


def parse_pages(text: str, count: int) -> list[int]:
    """Page numbers of a range such as "3", "3-7", "1,4-6" or "5-", in order, within 1..count. Raises DP204."""
    wanted: set[int] = set()
    for part in text.replace(" ", "").split(","):
        match = _RANGE.match(part)
        if not match or not part or part == "-":
            raise DocpipeError("DP204", text)
        first = int(match[1] or 1)
        last = int(match[3] or count) if match[2] else first
        if first < 1 or last < first:
            raise DocpipeError("DP204", text)
        wanted.update(range(first, min(last, count) + 1))
    if not wanted:
        raise DocpipeError("DP204", text, f"the document has {count} pages")
    return sorted(wanted)


def sheets_of(
    ref: SourceRef,
    numbers: Iterable[int],
    statistics: Statistics,
    begin: Callable[[int], None] = lambda _: None,
) -> Iterator[Sheet]:
    """The pages of a source as sheets, opened one by one. A page that cannot be opened is a failed one.

    begin: told the number of each page before it is opened, so that whoever watches knows where a crash happened.
    """
    for number in numbers:
        begin(number)
        yield _sheet(ref, number, statistics)


def _sheet(ref: SourceRef, number: int, statistics: Statistics) -> Sheet:
    try:
        source = open_page(ref, number)
    except DocpipeError as error:
        return Sheet(failed_page(number, error.item(page=number)), ref, statistics)
    except Exception as error:
        coded = DocpipeError("DP111", f"{ref.name} page {number}", str(error).split("\n")[0])
        return Sheet(failed_page(number, coded.item(page=number)), ref, statistics)
    return Sheet(Page(number=number, width=source.width, height=source.height), ref, statistics)


def failed_page(number: int, error: ErrorItem) -> Page:
    """A page about which nothing is known but why."""
    return Page(number=number, width=0.0, height=0.0, status="failed", error=error)


def skipped_page(ref: SourceRef, number: int) -> Page:
    """A page that was left out on purpose, with its size where it can be had."""
    try:
        source = open_page(ref, number)
    except Exception:  # nobody asked for this page: that it is damaged is no finding
        return Page(number=number, width=0.0, height=0.0, status="skipped")
    return Page(number=number, width=source.width, height=source.height, status="skipped")


def chunks(numbers: Sequence[int], size: int) -> list[tuple[int, ...]]:
    """Page numbers cut into runs of at most `size`, for workers to take in turn."""
    return [tuple(numbers[i : i + size]) for i in range(0, len(numbers), size)]
