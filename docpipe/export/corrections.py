"""What people said of readings: corrections.jsonl beside document.json, a line for each decision, newest last.

The document itself is never changed: exports and training lay the corrections over it. A correction is for the region
that it was made on: when the document is converted anew and there is no such region at that place, it is passed over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from docpipe.document import (
    Box,
    Content,
    Document,
    ErrorItem,
    Finding,
    Kind,
    Metadata,
    Model,
    Origin,
    Page,
    PictureContent,
    Reading,
    Region,
    SourceInfo,
    Status,
    Verdict,
)
from docpipe.errors import DocpipeError
from docpipe.export.atomic import unwritable
from docpipe.export.json import Pages

FILE = "corrections.jsonl"

SAME_PLACE = 0.8
"""Intersection over union from which on two boxes are the same region's."""

LONGEST_LINE = 4_000_000
"""Bytes of a line; a longer one is damage."""

Action = Literal["accept", "edit", "reject", "undo"]

PERSON = "person"
"""The engine that an edited reading names as its origin."""


class Correction(Model):
    """A person's decision on one region. `content` is given with "edit" alone; "undo" takes back the decisions before.

    source: SHA-256 of the source file. kind, box: of the region when it was decided on. time: ISO 8601, UTC.
    """

    document: str
    source: str
    page: int
    region: str
    kind: Kind
    box: Box
    action: Action
    content: Content | None = None
    time: str


def read_corrections(folder: Path) -> dict[str, Correction]:
    """The newest decision for each region id; none where there is no file. A torn last line is passed over.

    Raises DP410 at a damaged line.
    """
    path, found = folder / FILE, dict[str, Correction]()
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return found
    except OSError as error:
        raise DocpipeError("DP410", str(path), error.strerror or str(error)) from error
    whole = lines[:-1]  # what comes after the last line end was never finished
    for number, line in enumerate(whole, 1):
        if not line.strip():
            continue
        try:
            if len(line) > LONGEST_LINE:
                raise ValueError("the line is too long")
            made = Correction.model_validate_json(line)
        except (ValidationError, ValueError) as error:
            raise DocpipeError("DP410", f"{path} line {number}", _first(error)) from error
        if made.action == "undo":
            found.pop(made.region, None)
        else:
            found[made.region] = made
    return found


def _first(error: Exception) -> str:
    if isinstance(error, ValidationError):
        one = error.errors(include_url=False, include_input=False)[0]
        return f"{'/'.join(str(step) for step in one['loc'])}: {one['msg']}"
    return str(error)


def add_correction(folder: Path, correction: Correction) -> None:
    """Put a decision at the end of the file, on the disk before this returns. Raises DP401."""
    line = json.dumps(correction.model_dump(mode="json"), ensure_ascii=False) + "\n"
    path = folder / FILE
    with unwritable(path):
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            os.write(handle, (b"\n" if torn else b"") + line.encode("utf-8"))
            os.fsync(handle)
        finally:
            os.close(handle)


class Corrected:
    """A document with people's decisions laid over its readings; every export takes it for the document."""

    def __init__(self, document: Pages, corrections: Mapping[str, Correction]) -> None:
        self._document, self._corrections = document, corrections

    @property
    def source(self) -> SourceInfo:
        return self._document.source

    @property
    def status(self) -> Status:
        return self._document.status

    @property
    def errors(self) -> tuple[ErrorItem, ...]:
        return self._document.errors

    @property
    def metadata(self) -> Metadata:
        return self._document.metadata

    @property
    def pages(self) -> Iterable[Page]:
        """The pages in order, each time they are asked for."""
        return _CorrectedPages(self._document, self._corrections)

    def whole(self) -> Document:
        """All of it in memory."""
        return Document(
            source=self.source,
            status=self.status,
            errors=self.errors,
            metadata=self.metadata,
            pages=tuple(self.pages),
        )


class _CorrectedPages:
    def __init__(self, document: Pages, corrections: Mapping[str, Correction]) -> None:
        self._document, self._corrections = document, corrections

    def __iter__(self) -> Iterator[Page]:
        for page in self._document.pages:
            regions = [corrected(r, page, self._corrections.get(r.id)) for r in page.regions]
            yield page.replace_regions(regions)


def applies(correction: Correction, region: Region, page: Page) -> bool:
    """Whether a correction was made on this very region."""
    same = correction.page == page.number and correction.kind == region.kind
    return same and correction.box.iou(region.box) >= SAME_PLACE


def corrected(region: Region, page: Page, correction: Correction | None) -> Region:
    """A region as a person left it: an accepted reading holds, an edited one takes its place, a rejected one goes."""
    if correction is None or not applies(correction, region, page):
        return region
    reading = region.reading
    match correction.action:
        case "accept" if reading is not None:
            finding = Finding(code="accepted", message="a person accepted this reading")
            verdict = Verdict(status="valid", findings=(*reading.verdict.findings, finding))
            taken = reading.model_copy(update={"verdict": verdict})
        case "edit" if correction.content is not None:
            finding = Finding(code="edited", message="a person wrote this reading")
            origin = (reading.origin if reading else _nobody()).model_copy(
                update={"engine": PERSON, "checkpoint": None, "digest": None, "prompt": None, "tokens": None}
            )
            taken = Reading(
                content=correction.content, verdict=Verdict(status="valid", findings=(finding,)), origin=origin
            )
        case "reject":
            finding = Finding(code="rejected", message="a person rejected what was read")
            picture = PictureContent(figure=region.kind) if region.kind in {"molecule", "score", "chart"} else None
            origin = reading.origin if reading else _nobody()
            taken = Reading(content=picture, verdict=Verdict(status="unchecked", findings=(finding,)), origin=origin)
        case _:
            return region
    others = region.alternatives if reading is None or taken.content == reading.content else (
        reading, *region.alternatives
    )  # fmt: skip
    return region.model_copy(update={"reading": taken, "alternatives": tuple(others)})


def _nobody() -> Origin:
    return Origin(engine=PERSON)
