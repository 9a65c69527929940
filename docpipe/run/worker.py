"""A process that works on pages and can be killed: jobs come in over a pipe, finished pages go out one by one.

Jobs that wait in the pipe, of whatever document, are one stream of sheets through the stages: so a stage that gathers
requests fills its batches from several documents, and what is open at once is bounded by that stage's own window.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection

from pydantic_core import PydanticSerializationError

from docpipe.document import Page
from docpipe.errors import DocpipeError
from docpipe.pipeline import Pipeline, composed
from docpipe.pipeline_file import PipelineFile
from docpipe.run.exports import Writing
from docpipe.run.opening import Look, look
from docpipe.run.pages import failed_page, sheets_of
from docpipe.run.start import Terms
from docpipe.sheet import Sheet, Statistics
from docpipe.source import SourceRef
from docpipe.stages.answers import remembering


@dataclass(frozen=True)
class Job:
    """Pages of one document to be run through a pipeline's page stages. alone: with no other job in the stream."""

    ref: SourceRef
    numbers: tuple[int, ...]
    statistics: Statistics
    file: PipelineFile
    id: int = 0
    alone: bool = False


@dataclass(frozen=True)
class Errand:
    """Something else to be done with a document: the first look at it, an export of it."""

    task: Look | Writing
    id: int = 0
    alone: bool = False

    @property
    def ref(self) -> SourceRef:
        return self.task.ref if isinstance(self.task, Look) else self.task.source


@dataclass(frozen=True)
class Ready:
    """The process has started and waits for work."""


@dataclass(frozen=True)
class Began:
    """The worker is about to open this page of a job (0: to go on an errand): should it die, the page is a suspect."""

    number: int
    id: int = 0


@dataclass(frozen=True)
class Alive:
    """The worker is at an errand, and comes on."""


@dataclass(frozen=True)
class Finished:
    """A page with all page stages done; ways and seconds for the manifest."""

    page: Page
    ways: dict[str, str]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Result:
    """What came of a job's page, or of an errand."""

    id: int
    made: object


@dataclass(frozen=True)
class Done:
    """A job's last word. error: why it could not be worked on at all."""

    id: int
    error: DocpipeError | None = None


@dataclass(frozen=True)
class Broken:
    """A stage failed as a whole: the pages open are suspects, as if the process had crashed."""

    error: DocpipeError


def serve(connection: Connection, terms: Terms) -> None:
    """The body of a worker process. Ends when the pipe closes or its parent is gone.

    What the libraries print is thrown away: standard output belongs to the command. So does Ctrl-C.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(AttributeError, OSError):
        os.setpgid(0, 0)  # so that programs that an engine starts end with it
    quiet_native_output()
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    if terms.memory is not None:
        limit_memory(terms.memory)
    with contextlib.ExitStack() as stack:
        if terms.cache is not None:
            from docpipe.run.cache import AnswerCache

            stack.enter_context(remembering(stack.enter_context(AnswerCache(*terms.cache))))
        connection.send(Ready())
        with contextlib.suppress(BrokenPipeError, EOFError, ConnectionError):
            _Worker(connection, terms).run()


@dataclass
class _Worker:
    connection: Connection
    terms: Terms
    waiting: deque[Job | Errand] = field(default_factory=deque)
    left: dict[int, set[int]] = field(default_factory=dict)  # by job: pages of the stream that are not finished
    jobs: dict[tuple[SourceRef, int], list[int]] = field(default_factory=dict)  # the jobs that want a page
    pipelines: dict[str, Pipeline] = field(default_factory=dict)

    def run(self) -> None:
        """Work until the pipe closes. Raises EOFError or OSError then."""
        while True:
            job = self.waiting.popleft() if self.waiting else self.connection.recv()
            if isinstance(job, Errand):
                self._errand(job)
            else:
                self._stream(job)

    def _errand(self, job: Errand) -> None:
        self._begin(Began(0, job.id))
        try:
            made: object = look(job.task) if isinstance(job.task, Look) else job.task.run(self._alive)
        except DocpipeError as error:
            made = error
        except Exception as error:
            made = _coded(error, job.ref.name)
        self.connection.send(Result(job.id, made))
        self.connection.send(Done(job.id))

    def _stream(self, first: Job) -> None:
        """Work on a job and all that follow it without a pause."""
        key = first.file.model_dump_json()
        try:
            if key not in self.pipelines:
                self.pipelines = {key: Pipeline.from_file(first.file)}  # one at a time: models are large
            stages = self.pipelines[key].page_stages
        except DocpipeError as error:
            self.connection.send(Done(first.id, error))
            return
        except Exception as error:
            self.connection.send(Done(first.id, _coded(error, first.ref.name)))
            return
        self.left, self.jobs = {}, {}
        try:
            for sheet in composed(stages, self._sheets(first)):
                self._finished(sheet)
        except (BrokenPipeError, EOFError, ConnectionError):
            raise
        except Exception as error:
            coded = error if isinstance(error, DocpipeError) else _coded(error, first.ref.name)
            self.connection.send(Broken(coded))
        else:
            for id_ in list(self.left):
                self.connection.send(Done(id_))

    def _sheets(self, first: Job) -> Iterator[Sheet]:
        """The pages of a job, and of those that wait already when it ends."""
        job: Job | None = first
        while job is not None:
            self.left[job.id] = set(job.numbers)
            for number in job.numbers:
                self.jobs.setdefault((job.ref, number), []).append(job.id)
            begin = partial(self._begin_page, job.id)
            yield from sheets_of(job.ref, job.numbers, job.statistics, begin)
            job = self._next(job)

    def _next(self, job: Job) -> Job | None:
        """The job that goes on with the stream: none when it has to wait, or to be alone, or is another pipeline's."""
        while self.connection.poll():
            self.waiting.append(self.connection.recv())
        while self.waiting:
            found = self.waiting[0]
            if isinstance(found, Errand):
                self.waiting.popleft()
                self._errand(found)
            elif job.alone or found.alone or found.file != job.file:
                return None
            else:
                self.waiting.popleft()
                return found
        return None

    def _begin_page(self, id_: int, number: int) -> None:
        self._begin(Began(number, id_))

    def _begin(self, began: Began | Alive) -> None:
        if self.terms.cpu_seconds is not None:
            limit_cpu(self.terms.cpu_seconds)
        self.connection.send(began)

    def _alive(self) -> None:
        self._begin(Alive())

    def _finished(self, sheet: Sheet) -> None:
        number = sheet.page.number
        wanted = self.jobs.get((sheet.ref, number))
        if not wanted:
            return  # a page that nobody asked for
        id_ = wanted.pop(0)
        self.connection.send(Result(id_, finished(sheet)))
        self.left[id_].discard(number)
        if not self.left[id_]:
            del self.left[id_]
            self.connection.send(Done(id_))


def _coded(error: Exception, subject: str) -> DocpipeError:
    code = "DP504" if isinstance(error, MemoryError) else "DP505"
    return DocpipeError(code, subject, f"{type(error).__name__}: {error}")


def finished(sheet: Sheet) -> Finished:
    """What a sheet leaves behind when its page is done. A page that JSON cannot hold, found here, fails alone."""
    page = sheet.page
    try:
        page.model_dump_json()
    except (PydanticSerializationError, UnicodeError) as error:
        coded = DocpipeError("DP402", f"{sheet.ref.name} page {page.number}", str(error))
        page = failed_page(page.number, coded.item(page=page.number))
    return Finished(page, sheet.ways, sheet.seconds)


def quiet_native_output() -> None:
    """Send standard output and error of this process, native libraries' included, to nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    os.close(null)


def limit_memory(size: int) -> None:
    """Limit this process's address space to `size` bytes, where the system knows such limits."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def limit_cpu(seconds: float) -> None:
    """Let this process use so many more seconds of processor time (rounded up), where the system knows such limits."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        most = int(used.ru_utime + used.ru_stime + seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _end_with_parent(parent: int) -> None:
    """A parent that was killed closes no loop that runs here: look whether it is still there."""
    while os.getppid() == parent:
        time.sleep(1.0)
    with contextlib.suppress(AttributeError, OSError):
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
    os._exit(1)
