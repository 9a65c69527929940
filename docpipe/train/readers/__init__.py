"""Data sets as they lie on disk, read as examples for fine-tuning. One file a layout, found by its name.

A reader is a function `read(place, split, task, …)` in the module of its layout; what comes after `task` are options
that a recipe's [[data]] may set. Readers open no images: they yield paths.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docpipe.errors import DocpipeError
from docpipe.train.examples import Example


def layouts() -> list[str]:
    """The names of all layouts."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def read(
    layout: str, place: Path, *, split: str, task: str, options: Mapping[str, Any] | None = None
) -> Iterator[Example]:
    """The examples of a split, in the order of the files. split "": all there are.

    Raises DP620 for an unknown layout or option, DP622 where the data are not laid out so.
    """
    name = layout.replace("-", "_")
    if layout not in layouts():
        raise DocpipeError("DP620", layout, "no such layout; there are " + ", ".join(layouts()))
    reader: Any = importlib.import_module(f"{__name__}.{name}").read
    known = list(inspect.signature(reader).parameters)[3:]
    wrong = sorted(set(options or {}) - set(known))
    if wrong:
        raise DocpipeError(
            "DP620", layout, f"unknown options {', '.join(wrong)}; there are {', '.join(known) or 'none'}"
        )
    if not place.exists():
        raise DocpipeError("DP107", str(place))
    examples: Iterator[Example] = reader(place, split, task, **(options or {}))
    return examples
