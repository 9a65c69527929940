"""Finished output folders, found again: which there are below a place, and the file that each was made from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from docpipe.errors import DocpipeError
from docpipe.export.json import DOCUMENT, Pages
from docpipe.run.journal import JOURNAL, Journal
from docpipe.source import SourceRef


def documents_in(places: Sequence[Path]) -> list[Path]:
    """The document folders that places name: each itself or those right below it, in order of name, each once.

    Raises DP403 for a place that holds none.
    """
    found: dict[Path, None] = {}
    for place in places:
        if (place / DOCUMENT).is_file():
            found[place] = None
            continue
        below = sorted(path.parent for path in place.glob(f"*/{DOCUMENT}"))
        if not below:
            raise DocpipeError("DP403", str(place))
        found.update(dict.fromkeys(below))
    return list(found)


def source_of(
    folder: Path, document: Pages, given: Path | None = None, password: str | None = None
) -> SourceRef | None:
    """The file a document was made from: the one given, else the one that the journal beside its folder names.

    None when it is not known or no longer there. Raises, for a file given, DP107 when it is not there and DP412 when it
    is another one by its SHA-256.
    """
    path = given or _remembered(folder)
    if path is None or not path.is_file():
        if given is not None:
            raise DocpipeError("DP107", str(given))
        return None
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != document.source.sha256:
        if given is not None:
            raise DocpipeError("DP412", str(given), f"{folder.name} was made from another file")
        return None
    return SourceRef(document.source.name, path=str(path), password=password)


def _remembered(folder: Path) -> Path | None:
    resolved = folder.resolve()
    place = resolved.parent / JOURNAL
    if not place.is_file():
        return None
    try:
        with Journal(place, read_only=True) as journal:
            entry = journal.entry(resolved.name)
    except DocpipeError:  # a damaged journal names nothing
        return None
    return Path(entry.source) if entry is not None else None
