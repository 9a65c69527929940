"""What a loader is given: a file to convert, or the output folder of one that was converted."""

from __future__ import annotations

from pathlib import Path

from docpipe.api import convert
from docpipe.export.corrections import Corrected, read_corrections
from docpipe.export.json import Pages, StoredDocument


def opened(source: str | Path, pipeline: str | Path = "default") -> Pages:
    """The document of a PDF or an image, converted now, or of an output folder with its corrections.

    Raises DocpipeError as `convert` does, and DP403 for a folder that is none.
    """
    path = Path(source)
    if path.is_dir():
        return Corrected(StoredDocument(path), read_corrections(path))
    return convert(path, pipeline)
