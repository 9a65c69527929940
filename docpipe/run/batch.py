"""Many documents into one output folder: each whole, in worker processes, and an account of what came of each.

A journal in the folder (`run.journal`) keeps every finished page, so that the same call after a crash goes on where it
was cut, and a document that is finished already is not worked on again.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docpipe.document import Page
from docpipe.errors import DocpipeError
from docpipe.export.json import DOCUMENT
from docpipe.notation.characters import whole_characters
from docpipe.pipeline import Pipeline
from docpipe.run.crew import Limits
from docpipe.run.events import Closed, Opened, PageDone, Watcher, nobody
from docpipe.run.exports import Writing, write_formats
from docpipe.run.folder import clear, clear_leftovers, folder_names, write_run
from docpipe.run.gate import Gate
from docpipe.run.journal import JOURNAL, Entry, Journal, set_aside
from docpipe.run.lock import FolderLock
from docpipe.run.opening import Opening
from docpipe.run.pool import Pool
from docpipe.run.runner import DEADLINE, DocumentRun
from docpipe.run.stopping import StoppedError, interruptible
from docpipe.run.worker import Finished
from docpipe.source import SourceRef
from docpipe.stages.answers import code_digest
from docpipe.urls import Place

ABREAST = 4
"""Documents open at once for each worker: enough that batches are filled from documents of a page or two."""

PAGES_ABREAST = 64
"""Pages left of open documents, for each worker, from which no other document is opened."""

END_SECONDS = 1.0
"""How long a run that is told to stop waits for documents that are being written."""


@dataclass(frozen=True)
class BatchSettings:
    """How documents are converted. formats: exports beside document.json. jobs: worker processes. deadline: seconds of
    work without a page read after which a document is given up. limits: what a page may cost. options: what the
    manifest says of the settings chosen. again: work on documents that are finished, too. asked: what the journal is
    to know so that the run can be gone on with.
    """

    pages: str | None = None
    password: str | None = None
    formats: tuple[str, ...] = ()
    jobs: int = 1
    deadline: float = DEADLINE
    limits: Limits = field(default_factory=Limits)
    options: dict[str, Any] = field(default_factory=dict)
    again: bool = False
    asked: dict[str, Any] = field(default_factory=dict)

    @property
    def costs(self) -> str:
        """What decides whether a page fails for what it costs."""
        return json.dumps([self.limits.page_seconds, self.limits.memory, self.limits.cpu_seconds, self.deadline])


@dataclass
class Outcome:
    """What came of one source: its folder and status, or the error that let nothing come of it.

    export_errors: why exports are missing. known: it was finished by an earlier run. note: what was done with an
    earlier run's work, where there was any.
    """

    source: Place
    folder: Path
    status: str = "failed"
    error: str | None = None
    seconds: float = 0.0
    pages: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    page_errors: list[str] = field(default_factory=list)
    export_errors: list[str] = field(default_factory=list)
    known: bool = False
    note: str | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing is missing: every page that was wanted has been read, every export made."""
        return self.status == "complete" and not self.export_errors

    def count(self, page: Page) -> None:
        """Take a finished page into the account."""
        self.pages[page.status] += 1
        if page.error is not None:
            self.page_errors.append(f"{page.error.code} {page.error.message}")
        for region in page.regions:
            self.kinds[region.kind] += 1
            if region.reading is not None:
                self.verdicts[region.reading.verdict.status] += 1

    @property
    def account(self) -> dict[str, Any]:
        """The account as plain JSON values, for the journal."""
        return {
            "status": self.status, "seconds": round(self.seconds, 3), "pages": dict(self.pages),
            "kinds": dict(self.kinds), "verdicts": dict(self.verdicts), "page_errors": self.page_errors,
        }  # fmt: skip

    def recall(self, account: dict[str, Any]) -> None:
        """Take the account of an earlier run for this one's."""
        self.status, self.seconds, self.known = str(account["status"]), float(account["seconds"]), True
        self.pages, self.kinds = Counter(account["pages"]), Counter(account["kinds"])
        self.verdicts, self.page_errors = Counter(account["verdicts"]), list(account["page_errors"])


@dataclass(frozen=True)
class _Log:
    """The journal's pages of one document."""

    journal: Journal
    folder: str

    def kept(self) -> set[int]:
        return self.journal.kept(self.folder)

    def page(self, number: int) -> Finished | None:
        return self.journal.page(self.folder, number)

    def keep(self, pages: Sequence[Finished]) -> None:
        self.journal.keep(self.folder, pages)


def convert_files(
    files: Sequence[Place],
    out: Path,
    pipeline: Pipeline,
    settings: BatchSettings,
    watch: Watcher = nobody,
    kind: type[Batch] | None = None,
) -> list[Outcome]:
    """Convert files into folders under `out`; outcomes in the order of the files. One bad file costs only itself.

    All documents share the workers. Called again after it was cut, it goes on; a document that is finished with the
    same bytes and settings is not worked on again. kind: who works on them, by default this machine. Raises DP401 when
    `out` cannot be written, DP404 when another run is at work in it, `Interrupted` (a KeyboardInterrupt) on Ctrl-C and
    SIGTERM.
    """
    writable(out)
    names = folder_names(files)
    outcomes = [Outcome(f, out / name) for f, name in zip(files, names, strict=True)]
    with FolderLock(out), _opened(out / JOURNAL) as journal, Pool(settings.jobs, settings.limits) as pool:
        journal.begin(settings.asked, [(n, str(f.resolve())) for n, f in zip(names, files, strict=True)])
        batch = (kind or Batch)(pipeline, settings, pool, journal, watch)
        with interruptible(journal.stop):
            batch.run(outcomes)
    return outcomes


def _opened(path: Path) -> Journal:
    """The folder's journal; a damaged one is put aside and a new one begun. Raises DP401."""
    try:
        return Journal(path)
    except DocpipeError as error:
        if error.code != "DP405":
            raise
        set_aside(path)
        return Journal(path)


@dataclass
class Batch:
    """Documents on their way into the folders of one journal, all on one pool of workers.

    stop: called every now and then; what it raises ends the document that is being worked on, with its pages kept.
    """

    pipeline: Pipeline
    settings: BatchSettings
    pool: Pool
    journal: Journal
    watch: Watcher = nobody
    stop: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._gate = Gate(PAGES_ABREAST * self.settings.jobs)

    def run(self, outcomes: Sequence[Outcome]) -> None:
        """Convert, several documents abreast, each in a thread that waits for its pages and writes its folder."""
        waiting: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        for outcome in outcomes:
            waiting.put(outcome)
        turn = threading.Lock()

        def work() -> None:
            try:
                while True:
                    with turn:  # so that they are let in in their order
                        outcome = waiting.get_nowait()
                        self._gate.enter(outcome.folder.name)
                    try:
                        self.convert(outcome)
                    finally:
                        self._gate.leave(outcome.folder.name)
            except queue.Empty:
                ended.put(None)
            except BaseException as error:
                ended.put(error)

        # A pipeline composed in Python runs in this process, where MuPDF must not be called from two threads at once.
        count = min(len(outcomes), ABREAST * self.settings.jobs if self.pipeline.file is not None else 1)
        # Daemons: a run that is told to stop does not wait for the writing of a long export, which leaves no trace.
        threads = [threading.Thread(target=work, name="docpipe-document", daemon=True) for _ in range(count)]
        try:
            for thread in threads:
                thread.start()
            for _ in threads:
                error = ended.get()
                if error is not None:
                    raise error
        except BaseException:
            self.journal.stop()
            self._gate.close()
            self.pool.close()
            until = time.monotonic() + END_SECONDS
            for thread in threads:
                if thread.ident is not None:
                    thread.join(max(0.0, until - time.monotonic()))
            raise

    def convert(self, outcome: Outcome) -> None:
        """Convert one document; its outcome is filled in. Raises StoppedError, and what `stop` raises."""
        began = time.monotonic()
        name = str(outcome.source)
        try:
            self._document(outcome, name, began)
        except StoppedError:
            raise
        except DocpipeError as error:
            outcome.error, outcome.status = str(error), "failed"
            if error.code < "DP400":  # the source's fault, not the disk's
                self.journal.refuse(outcome.folder.name, str(error))
        outcome.seconds = outcome.seconds or time.monotonic() - began
        self.watch(Closed(name, outcome.status, outcome.error))

    def _document(self, outcome: Outcome, name: str, began: float) -> None:
        settings, key = self.settings, outcome.folder.name
        ref = SourceRef(whole_characters(outcome.source.name), path=name, password=settings.password)
        wanted = self._entry(outcome, ref)
        before = self.journal.entry(key) or wanted
        same = (before.sha256, before.identity) == (wanted.sha256, wanted.identity) and not settings.again
        if same and before.state == "finished" and self.is_known(outcome, before, wanted):
            self._add_formats(outcome, before, ref)
            return
        opening = self.journal.opening(key) if same and before.state == "open" else None
        if opening is not None and before.limits != wanted.limits:
            self.journal.drop_failed(key, settings.costs)
        log = _Log(self.journal, key)
        run = DocumentRun(
            ref, self.pipeline, wanted=settings.pages, pool=self.pool, deadline=settings.deadline, opening=opening,
            log=log, stop=self.stop,
        )  # fmt: skip
        if opening is None:
            self.begin(outcome, before, wanted, run.opening)
        else:
            outcome.note = f"{len(log.kept())} of {run.page_count} pages were done already"
            clear_leftovers(outcome.folder)

        def count(page: Page) -> None:
            outcome.count(page)
            self._gate.page(key)
            self.watch(PageDone(name, page))

        self._gate.opened(key, run.page_count)
        self.watch(Opened(name, run.page_count))
        written = write_run(
            run, outcome.folder, formats=settings.formats, options=settings.options, watch=count, write=self._write
        )
        outcome.status, outcome.export_errors = run.status, written.errors
        outcome.seconds = time.monotonic() - began
        self.journal.finish(key, outcome.account, written.formats, written.files)

    def _write(self, what: Writing) -> list[str]:
        """Make an export: in a worker, where the pages were worked on in one."""
        return self.pool.write(what) if self.pipeline.file is not None else what.run()

    def begin(self, outcome: Outcome, before: Entry, wanted: Entry, opening: Opening) -> None:
        """Work on a document begins anew: say why, take away what an earlier run left of it, and keep its pages."""
        outcome.note = _why_again(before, wanted, self.settings.again)
        # Names of files stay known until all of them are gone: a kill between the two loses neither.
        clear(outcome.folder, before.files)
        self.journal.open(wanted, opening)

    def _entry(self, outcome: Outcome, ref: SourceRef) -> Entry:
        """What decides whether an earlier run's work can be taken for this one's."""
        digest, costs = self.digest(outcome, ref), self.settings.costs
        return Entry(outcome.folder.name, str(outcome.source.resolve()), digest, self.identity(ref), costs)

    def digest(self, outcome: Outcome, ref: SourceRef) -> str:  # noqa: ARG002 (others know it already)
        """SHA-256 of a document's file. Raises DP107, DP112, DP521."""
        return _digest(ref)

    def identity(self, ref: SourceRef) -> str:
        """Digest of all but the file's bytes that decides what its document says."""
        said = [code_digest(), self.pipeline.digest, self.settings.pages, ref.name]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def is_known(self, outcome: Outcome, before: Entry, wanted: Entry) -> bool:
        """Whether a finished document stands: it is there, and nothing failed that might not fail now."""
        if not (outcome.folder / DOCUMENT).is_file():
            return False
        return before.outcome.get("status") == "complete" or before.limits == wanted.limits

    def _add_formats(self, outcome: Outcome, before: Entry, ref: SourceRef) -> None:
        """Take a finished document's outcome, and write the exports that it lacks."""
        outcome.recall(before.outcome)
        outcome.note = "finished already"
        missing = [name for name in self.settings.formats if name not in before.formats]
        if missing:
            written = write_formats(outcome.folder / DOCUMENT, missing, ref, self._write)
            outcome.export_errors = written.errors
            formats, files = [*before.formats, *written.formats], list(dict.fromkeys((*before.files, *written.files)))
            self.journal.finish(outcome.folder.name, before.outcome, formats, files)


def _why_again(before: Entry, wanted: Entry, again: bool) -> str | None:
    """Why a document that an earlier run knew is worked on from its beginning; None for one that is new."""
    if before.state not in {"finished", "open"}:
        return None
    if again:
        return "done again, as asked"
    if before.sha256 != wanted.sha256:
        return "done again: the source has changed"
    if before.identity != wanted.identity:
        return "done again: docpipe or the settings have changed"
    return "done again: what a page may cost has changed" if before.limits != wanted.limits else "done again"


def _digest(ref: SourceRef) -> str:
    """SHA-256 of a source's file. Raises DP107 and DP112."""
    try:
        with Path(str(ref.path)).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return hashlib.sha256(ref.read()).hexdigest()  # which tells what is wrong with it


def writable(out: Path) -> None:
    """Make the output folder. Raises DP401 when it cannot be made or written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DocpipeError("DP401", str(out), error.strerror or str(error)) from error
    if not os.access(out, os.W_OK | os.X_OK):
        raise DocpipeError("DP401", str(out), "no permission to write")
