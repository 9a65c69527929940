"""Exports: what is made of a document alone, by name. Each format is a file here, loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from docpipe.errors import DocpipeError

if TYPE_CHECKING:
    from docpipe.export.json import Pages
    from docpipe.source import SourceRef

FORMATS: dict[str, str] = {
    "md": "markdown",
    "html": "html",
    "txt": "text",
    "files": "files",
    "overlay": "overlay",
    "searchable": "searchable",
    "hocr": "hocr",
    "chunks": "chunks",
    "xlsx": "spreadsheet",
    "sdf": "sdf",
    "musicxml": "musicxml",
    "midi": "midi",
    "docling": "docling",
    "parquet": "parquet",
}
"""Each format's name and its module here, whose `write(document, folder, source)` makes it."""


def check_formats(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each once, in order. Raises DP206 for one that is no format."""
    found = tuple(dict.fromkeys(name.strip() for name in names))
    for name in found:
        if name not in FORMATS:
            raise DocpipeError("DP206", name, "formats: json, " + ", ".join(FORMATS))
    return found


def export(document: Pages, name: str, folder: Path, source: SourceRef | None = None) -> list[Path]:
    """Write one format of a document into a folder; the paths written.

    source: the file the document was read from, for formats that show its pixels. Raises DP206, DP401.
    """
    (name,) = check_formats([name])
    module = import_module(f"docpipe.export.{FORMATS[name]}")
    written: list[Path] = module.write(document, folder, source)
    return written
