"""Files that ship with docpipe and are no code: pipelines and schemas; and the folder where it keeps what it made.

In the repository (and so in an editable install and an unpacked sdist) they are folders beside the package; a wheel
carries them inside it, under `_data`. Both are found by the same names.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

Folder = Literal["pipelines", "schemas"]

_PACKAGE = Path(__file__).resolve().parent


def resource_folder(folder: Folder) -> Path:
    """The folder as it is installed. Raises FileNotFoundError when the installation lacks it."""
    packed = _PACKAGE / "_data" / folder
    if packed.is_dir():
        return packed
    beside = _PACKAGE.parent / folder
    # Beside an installed package lie other packages: only a project's own folder counts.
    if beside.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file():
        return beside
    raise FileNotFoundError(f"this installation of docpipe has no {folder}")


def resource_names(folder: Folder) -> list[str]:
    """The names of the files in a folder, sorted."""
    return sorted(f.name for f in resource_folder(folder).iterdir() if f.suffix in {".toml", ".json"})


def resource(folder: Folder, name: str) -> Path:
    """The path of a file that ships with docpipe. Raises FileNotFoundError when there is none of that name."""
    if name not in resource_names(folder):
        raise FileNotFoundError(f"docpipe ships no {folder}/{name}")
    return resource_folder(folder) / name


def cache_folder() -> Path:
    """Where docpipe keeps what can be made again: the folder DOCPIPE_CACHE, else where the system keeps caches."""
    named = os.environ.get("DOCPIPE_CACHE")
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "docpipe"
