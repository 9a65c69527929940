"""What a task is, and the register of all tasks.

A task is one file that says how one thing is read: the prompt for each family of checkpoints, the image preparation,
the parser, the check and the metric. Adding a task touches no other file: `@task` registers it, and packages add
theirs through the entry point group `docpipe.tasks`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

from PIL import Image
from pydantic import AfterValidator

from docpipe.checks import Check
from docpipe.document import Content, Kind
from docpipe.errors import DocpipeError

Metric = Callable[[str, str], float]


class Task(Protocol):
    """How one thing is read. `reads` are the region kinds it is for, `writes` the content type it gives.

    size: side of the square image in pixels that the papers' checkpoints take. max_tokens: of an answer. prompts: by
    checkpoint family (nano, pt, mix), "*" for any other; `{language}` and the like are filled in.
    """

    name: ClassVar[str]
    reads: ClassVar[frozenset[Kind]]
    writes: ClassVar[str]
    prompts: Mapping[str, str]
    size: int
    max_tokens: int
    prepare: Callable[[Image.Image], Image.Image]
    check: Check
    metric: Metric

    def parse(self, text: str) -> Content: ...


_REGISTER: dict[str, Task] = {}
T = TypeVar("T")


def task(name: str, *, reads: str, writes: str) -> Callable[[type[T]], type[T]]:
    """Register a class as the task `name`. reads: region kinds, separated by blanks. writes: a content type."""

    def register(cls: type[T]) -> type[T]:
        made: Any = cls
        made.name, made.reads, made.writes = name, frozenset(reads.split()), writes
        _REGISTER[name] = made()
        return cls

    return register


@cache
def _load_all() -> None:
    package = importlib.import_module("docpipe.tasks")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"docpipe.tasks.{module.name}")
    for entry in entry_points(group="docpipe.tasks"):
        entry.load()


def get_task(name: str) -> Task:
    """The task of that name. Raises DP203, naming those there are."""
    _load_all()
    if name not in _REGISTER:
        raise DocpipeError("DP203", name, "tasks: " + ", ".join(sorted(_REGISTER)))
    return _REGISTER[name]


def task_names() -> list[str]:
    """The names of all tasks."""
    _load_all()
    return sorted(_REGISTER)


def _known(name: str) -> str:
    if name not in task_names():
        raise ValueError(f"no task is called {name!r}; tasks: " + ", ".join(task_names()))
    return name


TaskName = Annotated[str, AfterValidator(_known)]
"""A task's name in the settings of a stage: one that does not exist is refused where it stands."""


def prompt_for(task: Task, family: str, language: str = "en", **parts: str) -> str:
    """The task's prompt for a checkpoint family, its blanks filled in."""
    pattern = task.prompts.get(family) or task.prompts["*"]
    return pattern.format(language=language, **parts)
