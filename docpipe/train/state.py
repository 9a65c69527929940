"""Files of a run: written whole or not at all, read without running code that is in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from docpipe.errors import DocpipeError


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Write through a file beside it, so that a kill leaves the old file or the new one, never half of one."""
    beside = path.with_name(path.name + ".new")
    write(beside)
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    beside.replace(path)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and containers of them: all that `load` takes."""
    kept = plain(state)
    write_atomically(path, lambda beside: torch.save(kept, beside))


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote, on the CPU. The file is never unpickled beyond tensors and plain values.

    Raises DP627 when it is damaged or holds anything else.
    """
    try:
        found: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # zip, pickle and torch each have their own
        raise DocpipeError("DP627", str(path), f"it cannot be read: {str(error).splitlines()[0]}") from error
    return found


_PLAIN = (bool, int, float, str)
_KEPT = (torch.Tensor, torch.dtype, torch.Size, type(None))


def plain(value: Any) -> Any:
    """The value with NumPy's numbers and all subclasses of plain types made plain ones.

    Raises TypeError for anything that `load` would refuse: better now than when the run is gone on with.
    """
    if isinstance(value, _KEPT) or type(value) in _PLAIN:
        return value
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        made = [plain(item) for item in value]
        return made if isinstance(value, list) else tuple(made)
    if type(value).__module__ == "numpy":
        return value.tolist()
    for kind in _PLAIN:
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"{type(value).__name__} cannot be kept in a run's state")
