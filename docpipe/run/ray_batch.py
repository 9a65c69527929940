"""Many documents into one output folder, their pages worked on by a Ray cluster, with the journal of a run without one.

This process gives the cluster what the journal lacks, keeps each page in the journal as it comes in, and writes a
document when its pages are all there, the way `run.batch` does. So a lost worker or node costs nothing but time, a
killed run goes on from its pages, and the bytes are those of a run on this machine. What the cluster leaves out (a
chunk that takes its actors with it again and again) is worked on here.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from docpipe.errors import DocpipeError
from docpipe.pipeline import Pipeline
from docpipe.run.batch import Batch, BatchSettings, Outcome, convert_files
from docpipe.run.events import Closed, Opened, PageDone, Watcher, nobody
from docpipe.run.journal import Entry
from docpipe.run.opening import Opening
from docpipe.run.ray import actors, connect, end_own, pages_of, sendable
from docpipe.run.ray_actors import Row, Work, recorded_error
from docpipe.run.records import packed, unpacked
from docpipe.run.worker import Finished
from docpipe.source import SourceRef
from docpipe.urls import Place

END_SECONDS = 1.0
"""How long a run that is told to stop waits for the cluster to end, and for the document that is being written."""


def convert_on_ray(
    files: Sequence[Place], out: Path, pipeline: Pipeline, settings: BatchSettings, watch: Watcher = nobody
) -> list[Outcome]:
    """`run.batch.convert_files` on a Ray cluster. settings.jobs: page actors at most, 0 for as many as it has room for.

    Raises as that does, and DP305 without Ray, DP520 when no cluster can be joined or started, DP522 when it is lost,
    DP523 for a pipeline that was composed in Python.
    """
    sendable(pipeline)
    connect(settings.jobs or None)  # before signals are looked after: Ray has handlers of its own
    return convert_files(files, out, pipeline, settings, watch, RayBatch)


@dataclass
class _Progress:
    """A document on its way. before: what the journal knew. left: its pages that have not come, once it is known which.
    note: what was done with an earlier run's work. fresh: none of it counts. complete: nothing more is waited for.
    """

    outcome: Outcome
    before: Entry
    began: float = field(default_factory=monotonic)
    left: set[int] | None = None
    digest: str | None = None
    error: DocpipeError | None = None
    note: str | None = None
    fresh: bool = False
    complete: bool = False


@dataclass
class RayBatch(Batch):
    """Documents on their way through a cluster into the folders of one journal. `settings.jobs`: page actors at most,
    0 for as many as there is room for.
    """

    on_way: dict[str, _Progress] = field(default_factory=dict)
    tell: Watcher = nobody

    def __post_init__(self) -> None:
        super().__post_init__()
        # Pages are told of as they come in, and not a second time when their document is written.
        tell = self.tell = self.watch
        self.watch = lambda event: tell(event) if isinstance(event, Closed) else None

    def run(self, outcomes: Sequence[Outcome]) -> None:
        """Convert. Raises DP523, and DP522 when the cluster is lost (what came of it is kept)."""
        sendable(self.pipeline)
        assert self.pipeline.file is not None
        settings = self.settings
        workers = actors(self.pipeline, settings.jobs or None)
        work = Work(
            self.pipeline.file, workers, settings.limits, settings.pages, settings.password, settings.deadline
        )  # fmt: skip
        if not outcomes:
            return
        tasks = [self._task(place, outcome) for place, outcome in enumerate(outcomes)]
        progress = [self.on_way[outcome.folder.name] for outcome in outcomes]
        waiting: queue.SimpleQueue[_Progress | None] = queue.SimpleQueue()
        ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

        def write() -> None:
            try:
                while (one := waiting.get()) is not None:
                    self.convert(one.outcome)
                ended.put(None)
            except BaseException as error:
                ended.put(error)

        # One thread: MuPDF, which exports use, must not be called from two at once.
        writer = threading.Thread(target=write, name="docpipe-document", daemon=True)
        writer.start()
        try:
            for rows in _streamed(tasks, work):
                if not ended.empty():
                    break
                for one in self._take(rows, progress):
                    waiting.put(one)
            for one in progress:
                if not one.complete:
                    waiting.put(one)
            waiting.put(None)
            error = ended.get()
            if error is not None:
                raise error
        except BaseException:
            stopped = monotonic()
            self.journal.stop()
            self.pool.close()
            waiting.put(None)
            end_own(END_SECONDS)
            writer.join(max(0.1, END_SECONDS - (monotonic() - stopped)))
            raise

    # --- what the cluster is given -------------------------------------------------------------------------

    def _task(self, number: int, outcome: Outcome) -> Row:
        """A document as a row for the cluster, with what the journal knows of it."""
        key, settings = outcome.folder.name, self.settings
        source = str(outcome.source.resolve())
        ref = SourceRef(outcome.source.name, path=source, password=settings.password)
        before = self.journal.entry(key) or Entry(key, source)
        one = self.on_way[key] = _Progress(outcome, before)
        row: Row = {"document": number, "kind": "task", "source": source}
        if settings.again and before.state in {"finished", "open"}:
            one.note = "done again, as asked"
            self.journal.forget(key)
            one.before = self.journal.entry(key) or before
            return row
        if before.sha256 is None or before.identity != self.identity(ref):
            return row
        wanted = Entry(key, source, before.sha256, before.identity, settings.costs)
        if before.state == "finished" and self.is_known(outcome, before, wanted):
            return row | {"sha256": before.sha256}
        opening = self.journal.opening(key) if before.state == "open" else None
        if opening is None:
            return row
        if before.limits != wanted.limits:
            self.journal.drop_failed(key, settings.costs)
        done = sorted(self.journal.kept(key))
        return row | {"sha256": before.sha256, "numbers": done, "record": packed(opening)}

    # --- what comes of it ----------------------------------------------------------------------------------

    def _take(self, rows: Sequence[Row], progress: Sequence[_Progress]) -> Iterator[_Progress]:
        """Keep what has come in; the documents that are complete now."""
        pages: dict[int, list[Finished]] = {}
        touched = dict.fromkeys(row["document"] for row in rows)
        for row in rows:
            one = progress[row["document"]]
            if one.complete:
                continue  # what was given twice
            if row["kind"] == "opening" and one.left is None:
                self._begin(one, row["sha256"], unpacked(row["record"]))
            elif row["kind"] == "same":
                one.digest, one.left = row["sha256"], set()
            elif row["kind"] == "error":
                one.error, one.left = recorded_error(row["record"]), set()
            elif row["kind"] == "page":
                pages.setdefault(row["document"], []).append(unpacked(row["record"]))
        for number, finished in pages.items():
            one = progress[number]
            self.journal.keep(one.outcome.folder.name, finished)
            assert one.left is not None
            for done in finished:
                one.left.discard(done.page.number)
                self.tell(PageDone(str(one.outcome.source), done.page))
        for number in touched:
            one = progress[number]
            if one.left is not None and not one.left and not one.complete:
                one.complete = True
                yield one

    def _begin(self, one: _Progress, digest: str, opening: Opening) -> None:
        """Pages of a document come: those that the journal has are its own, or it begins anew."""
        outcome, before = one.outcome, one.before
        key, name = outcome.folder.name, str(outcome.source)
        ref = SourceRef(outcome.source.name, path=name, password=self.settings.password)
        one.began, one.digest = monotonic(), digest
        identity, kept = self.identity(ref), set[int]()
        if before.state == "open" and (before.sha256, before.identity) == (digest, identity):
            kept = self.journal.kept(key)
            one.note = f"{len(kept)} of {len(opening.wanted) + len(opening.skipped)} pages were done already"
        else:
            wanted = Entry(key, str(outcome.source.resolve()), digest, identity, self.settings.costs)
            self.begin(outcome, before, wanted, opening)
            one.note, one.fresh = one.note or outcome.note, True
        one.left = set(opening.wanted) - kept
        self.tell(Opened(name, len(opening.wanted) + len(opening.skipped)))

    # --- writing, as without a cluster ---------------------------------------------------------------------

    def digest(self, outcome: Outcome, ref: SourceRef) -> str:
        """What the cluster found of the file, or raises what kept it from opening it."""
        one = self.on_way[outcome.folder.name]
        if one.error is not None:
            raise one.error
        return one.digest or super().digest(outcome, ref)

    def _document(self, outcome: Outcome, name: str, began: float) -> None:
        one = self.on_way[outcome.folder.name]
        began = one.began if one.digest is not None else began
        super()._document(outcome, name, began)
        lost = len(one.left or ())
        if one.digest is None or lost:
            left = "all" if one.digest is None else f"{lost} of its"
            outcome.note = f"{left} pages were left by the cluster and done here"
        elif one.fresh or one.note:
            outcome.note = one.note


def _streamed(tasks: Sequence[Row], work: Work) -> Iterator[list[Row]]:
    """What the cluster gives, as it comes. Raises DP522 when it gives no more."""
    try:
        batch: Any
        for batch in pages_of(tasks, work, at_once=True).iter_batches(batch_size=None, batch_format="pyarrow"):
            yield batch.to_pylist()
    except Exception as error:  # Ray's own, the actors', the network's
        said = str(error).strip().rsplit("\n", maxsplit=1)[-1]
        raise DocpipeError("DP522", "ray", f"{type(error).__name__}: {said}") from error
