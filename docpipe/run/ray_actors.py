"""What runs in a Ray cluster: actors that open documents and actors that work on their pages, rows in and rows out.

An actor keeps one of docpipe's own worker processes (`run.pool`), which holds the models: a native crash, a loop or a
memory bomb costs its page, as it does without Ray, and not the actor. Ray cares for the rest: an actor or a node that
is gone is replaced, and the rows that it was at are worked on again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from docpipe.errors import DocpipeError
from docpipe.export.json import DOCUMENT
from docpipe.pipeline import Pipeline
from docpipe.pipeline_file import PipelineFile
from docpipe.run.crew import Limits, failure
from docpipe.run.folder import write_run
from docpipe.run.opening import Look, Opening
from docpipe.run.pages import chunks
from docpipe.run.pool import Pool
from docpipe.run.records import packed, unpacked
from docpipe.run.runner import CHUNK, DEADLINE, LEAST, DocumentRun
from docpipe.run.worker import Finished, Job
from docpipe.source import SourceRef
from docpipe.urls import place

ROWS = pa.schema(
    [
        ("document", pa.int64()),
        ("kind", pa.string()),
        ("source", pa.string()),
        ("sha256", pa.string()),
        ("numbers", pa.list_(pa.int64())),
        ("record", pa.binary()),
    ]
)
"""What goes from operator to operator. document: the source's place in the input. kind, and what `record` then holds:

- task: a source to be looked at. What an earlier run knew of it, or null: sha256, the opening, the numbers of the pages
  that are done (null: the whole document is).
- chunk: pages to be worked on, by their numbers; the opening
- opening: pages of the document follow; the opening
- page: a finished page
- same: nothing is left to be done; nothing
- error: the source cannot be worked on; code, subject and detail as JSON
"""

PAGES = pa.schema(
    [
        ("source", pa.string()),
        ("sha256", pa.string()),
        ("page", pa.int32()),
        ("status", pa.string()),
        ("error", pa.string()),
        ("json", pa.string()),
    ]
)
"""A page as `to_ray_dataset` gives it. error: one coded line, or null. json: the page as in document.v1.json. For a
source that cannot be opened page, json and sha256 are null."""

DOCUMENTS = pa.schema(
    [
        ("source", pa.string()),
        ("sha256", pa.string()),
        ("status", pa.string()),
        ("pages", pa.int32()),
        ("errors", pa.list_(pa.string())),
        ("json", pa.string()),
    ]
)
"""A document as `to_ray_dataset` gives it. errors: coded lines. json: the text of its document.json; null with sha256
and pages for a source that cannot be opened."""

Row = dict[str, Any]

ABREAST = 2
"""Chunks at work at once in a page actor, so that its worker process never waits and fills batches across documents."""


@dataclass(frozen=True)
class Work:
    """What the actors are told. workers: page actors, among which a document's pages are shared. wanted: a page range.
    deadline: seconds of work on a chunk without a page read after which its pages are given up. path: where modules are
    imported from, as worker processes on one machine are told: stages of one's own lie there.
    """

    file: PipelineFile
    workers: int = 1
    limits: Limits = field(default_factory=Limits)
    wanted: str | None = None
    password: str | None = field(default=None, repr=False)
    deadline: float = DEADLINE
    path: tuple[str, ...] = field(default_factory=lambda: tuple(sys.path))

    def arrive(self) -> None:
        """Import from where the driver does, too."""
        sys.path += [folder for folder in self.path if folder not in sys.path]

    def ref(self, source: str) -> SourceRef:
        """A source, by its path or URL."""
        return SourceRef(place(source).name, path=source, password=self.password)


def table(rows: Sequence[Row], schema: pa.Schema = ROWS) -> pa.Table:
    """Rows as Ray Data takes them; what a row has not is null."""
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)


def error_record(error: DocpipeError) -> bytes:
    """A coded error as the record of a row."""
    return json.dumps([error.code, error.subject, error.detail]).encode()


def recorded_error(record: bytes) -> DocpipeError:
    """The coded error of a row's record."""
    return DocpipeError(*json.loads(record))


class _Actor:
    """One worker process, started with the first row, kept until the actor is no more."""

    def __init__(self, work: Work) -> None:
        self.work = work
        work.arrive()
        # Ray sets OMP_NUM_THREADS to the processors that an actor asked for, which bounds this share of its node.
        self.pool = Pool(1, work.limits, sharing=work.workers)
        # multiprocessing runs its program's main file in every child: Ray's, which would load all of Ray there.
        with contextlib.suppress(AttributeError):
            del sys.modules["__main__"].__file__


class Looker(_Actor):
    """Takes the first look at sources: tasks in, chunks of pages (or what there is to say instead) out."""

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        for row in batch.to_pylist():
            said = {"document": row["document"], "source": row["source"]}
            try:
                for found in self._look(row):
                    yield table([said | found])
            except DocpipeError as error:
                yield table([said | {"kind": "error", "record": error_record(error)}])

    def _look(self, row: Row) -> Iterator[Row]:
        work, ref = self.work, self.work.ref(row["source"])
        opening: Opening | None = None
        done: set[int] = set()
        if row["sha256"] is not None and hashlib.sha256(ref.read()).hexdigest() == row["sha256"]:
            if row["record"] is None:
                yield {"kind": "same", "sha256": row["sha256"]}
                return
            opening, done = unpacked(row["record"]), set(row["numbers"])
        if opening is None:
            opening = self.pool.look(Look(ref, work.wanted))
        digest = opening.info.sha256
        left = [number for number in opening.wanted if number not in done]
        if not left:
            yield {"kind": "same", "sha256": digest}
        size = min(CHUNK, max(LEAST, -(-len(left) // (work.workers * ABREAST))))
        for part in chunks(left, size):
            yield {"kind": "chunk", "sha256": digest, "numbers": list(part), "record": packed(opening)}


class PageWorker(_Actor):
    """Works on chunks of pages with the pipeline's page stages; the models stay loaded. Several chunks may be at work
    at once, so that batches are filled from all of them. shown: pages for `to_ray_dataset`, not for a run.
    """

    def __init__(self, work: Work, shown: bool = False) -> None:
        super().__init__(work)
        self.shown = shown

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        for row in batch.to_pylist():
            for made in self._worked(row) if row["kind"] == "chunk" else [row]:
                if not self.shown:
                    yield table([made])
                elif made["kind"] in {"page", "error"}:
                    yield table([_shown(made)], PAGES)

    def _worked(self, row: Row) -> Iterator[Row]:
        said = {name: row[name] for name in ("document", "source", "sha256")}
        opening: Opening = unpacked(row["record"])
        yield said | {"kind": "opening", "record": row["record"]}
        job = Job(self.work.ref(row["source"]), tuple(row["numbers"]), opening.statistics, self.work.file)
        for done in self.pool.run([job], self.work.deadline):
            yield said | {"kind": "page", "record": packed(done)}


def _shown(row: Row) -> Row:
    if row["kind"] == "error":
        return {"source": row["source"], "status": "failed", "error": str(recorded_error(row["record"]))}
    page = unpacked(row["record"]).page
    said = f"{page.error.code} {page.error.message}" if page.error is not None else None
    return {
        "source": row["source"], "sha256": row["sha256"], "page": page.number, "status": page.status, "error": said,
        "json": page.model_dump_json(),
    }  # fmt: skip


@dataclass(frozen=True)
class _Gathered:
    """The pages of one document, all that will come. One that did not is a failed page."""

    name: str
    wanted: tuple[int, ...]
    pages: dict[int, Finished]

    def kept(self) -> set[int]:
        return set(self.wanted)

    def page(self, number: int) -> Finished:
        lost = DocpipeError("DP522", f"{self.name} page {number}", "the page did not come")
        return self.pages.get(number) or failure(number, lost)

    def keep(self, pages: Sequence[Finished]) -> None:
        raise AssertionError(f"{len(pages)} pages were worked on again")


@dataclass(frozen=True)
class Finisher:
    """All rows of one document in, one row of DOCUMENTS out, by the stages that see a document's pages in order."""

    work: Work

    def __call__(self, group: pa.Table) -> pa.Table:
        self.work.arrive()
        rows = group.to_pylist()
        source = rows[0]["source"]
        try:
            return table([{"source": source} | self._finished(source, rows)], DOCUMENTS)
        except DocpipeError as error:
            return table([{"source": source, "status": "failed", "errors": [str(error)]}], DOCUMENTS)

    def _finished(self, source: str, rows: Sequence[Row]) -> Row:
        opening: Opening | None = None
        pages: dict[int, Finished] = {}
        for row in rows:
            if row["kind"] == "error":
                raise recorded_error(row["record"])
            if row["kind"] == "opening":
                opening = opening or unpacked(row["record"])
            elif row["kind"] == "page":
                done: Finished = unpacked(row["record"])
                pages[done.page.number] = done
        ref = self.work.ref(source)
        if opening is None:
            raise DocpipeError("DP522", ref.name, "no page came")
        log = _Gathered(ref.name, opening.wanted, pages)
        run = DocumentRun(ref, Pipeline.from_file(self.work.file), opening=opening, log=log)
        with tempfile.TemporaryDirectory() as folder:
            write_run(run, Path(folder))
            text = Path(folder, DOCUMENT).read_text("utf-8")
        return {
            "sha256": opening.info.sha256, "status": run.status, "pages": run.page_count, "json": text,
            "errors": [f"{item.code} {item.message}" for item in run.errors],
        }  # fmt: skip
