"""A process that works on pages and can be killed: jobs come in over a pipe, finished pages go out one by one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection

from docpipe.document import Page
from docpipe.errors import DocpipeError
from docpipe.pipeline import Pipeline, composed
from docpipe.pipeline_file import PipelineFile
from docpipe.run.opening import Look, look
from docpipe.run.pages import sheets_of
from docpipe.sheet import Sheet, Statistics
from docpipe.source import SourceRef


@dataclass(frozen=True)
class Job:
    """Pages of one document to be run through a pipeline's page stages."""

    ref: SourceRef
    numbers: tuple[int, ...]
    statistics: Statistics
    file: PipelineFile


@dataclass(frozen=True)
class Ready:
    """The process has started and waits for work."""


@dataclass(frozen=True)
class Began:
    """The worker is about to open this page: should it die, the page is a suspect."""

    number: int


@dataclass(frozen=True)
class Finished:
    """A page with all page stages done; ways and seconds for the manifest."""

    page: Page
    ways: dict[str, str]
    seconds: dict[str, float]


@dataclass(frozen=True)
class Done:
    """A job's last word. error: why it could not be worked on at all."""

    error: DocpipeError | None = None


def serve(connection: Connection, memory: int | None) -> None:
    """The body of a worker process. memory: limit of its address space in bytes.

    Ends when the pipe closes. What the libraries print is thrown away: standard output belongs to the command.
    """
    quiet_native_output()
    if memory is not None:
        limit_memory(memory)
    pipelines: dict[str, Pipeline] = {}
    connection.send(Ready())
    while True:
        try:
            job: Job | Look = connection.recv()
        except (EOFError, OSError):
            return
        try:
            if isinstance(job, Look):
                connection.send(_looked(job))
                continue
            key = job.file.model_dump_json()
            if key not in pipelines:
                pipelines = {key: Pipeline.from_file(job.file)}  # one at a time: models are large
            for message in work(job, pipelines[key], connection):
                connection.send(message)
            connection.send(Done())
        except (BrokenPipeError, EOFError):
            return
        except DocpipeError as error:
            connection.send(Done(error))
        except Exception as error:
            connection.send(Done(DocpipeError("DP505", job.ref.name, f"{type(error).__name__}: {error}")))


def _looked(at: Look) -> object:
    try:
        return look(at)
    except DocpipeError as error:
        return error


def work(job: Job, pipeline: Pipeline, connection: Connection) -> Iterator[Finished]:
    """Run a job's pages through the page stages, saying over the connection when each begins."""
    sheets = sheets_of(job.ref, job.numbers, job.statistics, lambda number: connection.send(Began(number)))
    for sheet in composed(pipeline.page_stages, sheets):
        yield finished(sheet)


def finished(sheet: Sheet) -> Finished:
    """What a sheet leaves behind when its page is done."""
    return Finished(sheet.page, sheet.ways, sheet.seconds)


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
