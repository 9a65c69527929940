"""Engines by name. docpipe's own and a plug-in's are declared the same way: as entry points.

Groups: `docpipe.engines` (read regions) and `docpipe.layout` (find them). An entry point names a class or a function
that takes keyword settings and gives an engine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any

from pydantic import AfterValidator

from docpipe.engines.base import Engine, LayoutEngine
from docpipe.errors import DocpipeError

READING, LAYOUT = "docpipe.engines", "docpipe.layout"


def engine_names(group: str = READING) -> list[str]:
    """The names of the engines there are, sorted."""
    return sorted(_entries(group))


def engine(name: str, **settings: Any) -> Engine:
    """A reading engine. Raises DP205 for an unknown name or a setting it does not have."""
    made: Engine = _make(READING, name, settings)
    return made


def layout_engine(name: str, **settings: Any) -> LayoutEngine:
    """A layout engine. Raises DP205 for an unknown name or a setting it does not have."""
    made: LayoutEngine = _make(LAYOUT, name, settings)
    return made


@cache
def _entries(group: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=group)}


def _known(group: str) -> Callable[[str], str]:
    """A check, for the settings of stages, that an engine of that name exists."""

    def check(name: str) -> str:
        if name not in _entries(group):
            raise ValueError(f"no engine is called {name!r}; engines: " + ", ".join(engine_names(group)))
        return name

    return check


EngineName = Annotated[str, AfterValidator(_known(READING))]
LayoutName = Annotated[str, AfterValidator(_known(LAYOUT))]


def _make(group: str, name: str, settings: dict[str, Any]) -> Any:
    if name not in _entries(group):
        raise DocpipeError("DP205", name, "engines: " + ", ".join(engine_names(group)))
    try:
        made = _entries(group)[name].load()
    except ImportError as error:
        raise DocpipeError("DP305", name, str(error)) from error
    try:
        return made(**settings)
    except TypeError as error:
        raise DocpipeError("DP205", name, str(error)) from error
