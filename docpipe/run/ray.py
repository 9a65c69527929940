"""Pipelines on a Ray cluster, as Ray Data operators: sources → chunks of pages → pages → documents.

A document is looked at by one actor, which hands out its pages in chunks; page actors keep the pipeline's models
loaded. What is at work at once is bounded by Ray's own back-pressure. docpipe must be installed on every node, and a
source's path must lead to it from each (a URL does).
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from docpipe.errors import DocpipeError
from docpipe.pipeline import Pipeline
from docpipe.source import find_sources
from docpipe.urls import place

if TYPE_CHECKING:
    from ray.data import Dataset

    from docpipe.run.ray_actors import Row, Work

CPUS = 0.9
"""Processors that a page actor asks for: what is left of each is for those that look at documents."""

LOOK_CPUS = 0.1

RETRIES = 3
"""How often a chunk is begun again whose actor or node was lost, before it is left out: it may be what kills them."""

DOCUMENTS_A_BLOCK = 16
"""Sources that are one block of input. Ray would make 200 blocks of any input."""


_own: list[str] = []  # where the cluster is that `connect` started


def connect(jobs: int | None = None) -> None:
    """Join the cluster at RAY_ADDRESS, or start one on this machine that ends with this process; once is enough.

    jobs: processors of the one that is started. Raises DP305 when Ray is not installed, DP520 when no cluster can be
    joined or started.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Else each run begins with an error of Ray's own: how Ray Data makes actors is not how Ray would have it.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise DocpipeError("DP305", "ray", f"pip install docpipe[ray]: {error}") from error
    if ray.is_initialized():
        return
    address = os.environ.get("RAY_ADDRESS")
    own: dict[str, Any] = {"num_cpus": jobs, "include_dashboard": False} if address is None else {}
    try:
        with _hushed():  # it says that it heeds RAY_BACKEND_LOG_LEVEL
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except Exception as error:  # whatever of a dozen kinds
        said = str(error).strip().split("\n", maxsplit=1)[0]
        raise DocpipeError("DP520", address or "this machine", f"{type(error).__name__}: {said}") from error
    if address is None:
        _own.append(ray.get_runtime_context().gcs_address)


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Within, what native code writes to standard error goes nowhere."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def end_own(seconds: float) -> None:
    """End the cluster that was started here, for so long: one that its driver just leaves lets go of some of its
    processes late or never. One that was joined goes on.
    """
    import ray

    if _own:
        _own.clear()
        ending = threading.Thread(target=ray.shutdown, daemon=True)
        ending.start()
        ending.join(seconds)


def actors(pipeline: Pipeline, jobs: int | None = None) -> int:
    """How many page actors the cluster has room for: one a processor, or one a GPU for a pipeline that names one.

    jobs: the most there shall be.
    """
    import ray

    found = ray.cluster_resources()  # type: ignore[no-untyped-call]
    room = max(1, int(found.get("GPU" if gpus(pipeline) else "CPU", 1)))
    return min(room, jobs) if jobs else room


def gpus(pipeline: Pipeline) -> int:
    """GPUs that a page actor asks for."""
    return int(any(device.startswith("cuda") for device in pipeline.devices))


def sendable(pipeline: Pipeline) -> None:
    """Raises DP523 for a pipeline that was composed in Python: other machines could not make it."""
    if pipeline.file is None:
        raise DocpipeError("DP523", pipeline.name)


def pages_of(tasks: Sequence[Row], work: Work, *, at_once: bool = False, shown: bool = False) -> Dataset:
    """The finished pages of sources, lazily: rows of ROWS, or with `shown` of PAGES.

    at_once: each page is handed on as soon as it is done, and what an actor keeps losing is left out; else pages are
    gathered into blocks, and a chunk that kills its actors ends the whole.
    """
    import ray

    from docpipe.run.ray_actors import Looker, PageWorker, table

    _quiet()
    cuda = gpus(Pipeline.from_file(work.file))
    blocks = [table(tasks[i : i + DOCUMENTS_A_BLOCK]) for i in range(0, len(tasks), DOCUMENTS_A_BLOCK)]
    given = ray.data.from_arrow(blocks)
    given.context.enable_progress_bars = False
    if at_once:
        given.context.target_max_block_size = 1
        given.context.max_errored_blocks = -1
    looks = _operator(given, Looker, (work,), max(1, work.workers // 8), cpus=LOOK_CPUS)
    return _operator(looks, PageWorker, (work, shown), work.workers, cpus=CPUS, cuda=cuda)


def to_ray_dataset(
    pipeline: Pipeline,
    sources: str | Path | Iterable[str | Path],
    *,
    rows: Literal["document", "page"] = "document",
    pages: str | None = None,
    password: str | None = None,
    jobs: int | None = None,
) -> Dataset:
    """See `Pipeline.to_ray_dataset`."""
    from docpipe.run.crew import Limits
    from docpipe.run.machine import memory_of_machine
    from docpipe.run.ray_actors import Finisher, Work

    sendable(pipeline)
    assert pipeline.file is not None
    connect(jobs)
    several = [sources] if isinstance(sources, str | Path) else sources
    found = {str(place(str(one)).resolve()): None for given in several for one in find_sources(str(given))}
    tasks: list[Row] = [{"document": i, "kind": "task", "source": source} for i, source in enumerate(found)]
    memory = memory_of_machine() if pipeline.devices <= {"cpu"} else None
    workers = actors(pipeline, jobs)
    work = Work(pipeline.file, workers, Limits(memory=memory), pages, password)
    if rows == "page":
        return pages_of(tasks, work, shown=True)
    made = pages_of(tasks, work)
    # Ray would make 200 partitions of any number of documents.
    grouped = made.groupby("document", **_taken(made.groupby, num_partitions=min(len(tasks), 4 * workers)))
    return grouped.map_groups(Finisher(work).__call__, batch_format="pyarrow", num_cpus=LOOK_CPUS)


def _operator(dataset: Dataset, what: type, told: tuple[Any, ...], size: int, *, cpus: float, cuda: int = 0) -> Dataset:
    """Rows through a pool of actors, one row a call. A lost actor is made anew, and what it was at is done again."""
    import ray

    from docpipe.run.ray_actors import ABREAST

    make = ray.data.ActorPoolStrategy
    abreast = _taken(make, max_concurrent_calls_per_actor=ABREAST, enable_true_multi_threading=True)
    pool = make(size=size, max_tasks_in_flight_per_actor=ABREAST, **abreast)
    how: dict[str, Any] = {
        "fn_constructor_args": told, "batch_size": 1, "batch_format": "pyarrow", "compute": pool, "num_cpus": cpus,
        "num_gpus": cuda or None,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that these two are to go
        try:
            return dataset.map_batches(what, max_restarts=-1, max_task_retries=RETRIES, **how)
        except TypeError:  # they have gone: Ray's own are as good, but that it tries for ever
            return dataset.map_batches(what, **how)


def _taken(function: Callable[..., Any], **settings: Any) -> dict[str, Any]:
    """Those of the settings that a function of the installed Ray knows: earlier releases know fewer."""
    known = inspect.signature(function).parameters
    return {name: value for name, value in settings.items() if name in known}


def _quiet() -> None:
    """Ray Data tells of every step."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
