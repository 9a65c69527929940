"""What a run tells whoever watches: documents opened, pages finished, documents written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from docpipe.document import Page


@dataclass(frozen=True)
class Opened:
    """A source is open; `pages` of it will be worked on."""

    name: str
    pages: int


@dataclass(frozen=True)
class PageDone:
    """A page is finished, with whatever status."""

    name: str
    page: Page


@dataclass(frozen=True)
class Closed:
    """A source is done with: its document's status, or the error that let nothing come of it."""

    name: str
    status: str
    error: str | None = None


Event = Opened | PageDone | Closed
Watcher = Callable[[Event], None]


def nobody(_: Event) -> None:
    """The watcher of a run that nobody watches."""
