"""What an engine is: something that reads regions. One file an engine; this one holds what they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, runtime_checkable

from docpipe.document import Content, ErrorItem, Origin, PartConfidence, Region
from docpipe.errors import DocpipeError
from docpipe.sheet import Clipping, Sheet
from docpipe.tasks import Task


@dataclass(frozen=True)
class Request:
    """Read this region of this sheet by this task. An image given by itself is a region that fills its page.

    parts: what the task's prompt leaves blank (a question, the things to detect). draft: what another engine read,
    which an engine may use to go faster, never as the answer.
    """

    task: Task
    sheet: Sheet
    region: Region
    language: str = "en"
    parts: dict[str, str] = field(default_factory=dict)
    draft: str | None = None
    dpi: float = 200.0

    @cached_property
    def clipping(self) -> Clipping:
        """The region's pixels, rasterized once and only when looked at."""
        return self.sheet.clip(self.region.box, self.dpi)


@dataclass(frozen=True)
class Answer:
    """What an engine says to one request. Errors are values: `error` is set and `content` is None.

    content None without an error means the engine abstains: it looked and does not know. `reason` says why, in a
    sentence; `alternatives` then say what it would have read, and none of them is taken. Else they are further
    contents, best first, for the check to choose from. `part_confidences` are of `content` alone, of the first
    alternative where it abstains. `generated`: a model
    wrote it, so it is guarded against what models do wrong (`checks.generated`), as is every answer whose origin counts
    tokens; `truncated`: it was cut at its limit of tokens.
    """

    origin: Origin
    content: Content | None = None
    confidence: float | None = None
    alternatives: tuple[Content, ...] = ()
    error: ErrorItem | None = None
    reason: str | None = None
    part_confidences: tuple[PartConfidence, ...] = ()
    generated: bool = False
    truncated: bool = False


def one_by_one(name: str, requests: Sequence[Request], read: Callable[[Request], Answer]) -> Iterator[Answer]:
    """The answers of an engine that reads regions one at a time: a failure of one region is its answer (DP304)."""
    for request in requests:
        try:
            yield read(request)
        except Exception as error:
            detail = f"{type(error).__name__}: {error}"
            coded = error if isinstance(error, DocpipeError) else DocpipeError("DP304", name, detail)
            yield Answer(Origin(engine=name), error=coded.item(request.sheet.page.number, request.region.id))


@runtime_checkable
class Engine(Protocol):
    """Reads regions. Order is kept; one Answer for each Request; a failure is an Answer, never an exception.

    An engine may have more: `in_batches` (it gains from seeing several pages' requests at once), `takes_drafts` (a
    request has what an earlier engine of the cascade read), `how` (how it computes, in words, for the manifest).
    """

    name: str

    def can_read(self, task: Task) -> bool: ...

    def read(self, requests: Sequence[Request]) -> Iterator[Answer]: ...


@runtime_checkable
class LayoutEngine(Protocol):
    """Finds the regions of a page: kind, box, order, level, ids "p3.r7". None: in doubt, ask the next layout engine.

    Boxes are on the page as displayed; the sheet's page already tells rotation and skew.
    """

    name: str

    def regions(self, sheet: Sheet) -> list[Region] | None: ...
