"""The output folder of a document: which it is, and what is written into it.

    OUT/<stem>/{document.json, manifest.json, document.md, …}

Two sources of one stem get two folders. A folder's document.json is there only when the document is finished.
"""

from __future__ import annotations

import pickle
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from docpipe.document import Page, Status
from docpipe.export import export
from docpipe.export.json import DOCUMENT, MANIFEST, DocumentWriter, StoredDocument, write_manifest
from docpipe.run.runner import DocumentRun
from docpipe.stages.structure import with_ranks

_UNSAFE = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')


def folder_names(sources: Sequence[Path]) -> list[str]:
    """A folder name for each source, its stem where that is free: a later source of the same stem is numbered."""
    names: list[str] = []
    for source in sources:
        stem = _UNSAFE.sub("_", source.stem).strip(" .") or "document"
        name, number = stem, 2
        while name.casefold() in {other.casefold() for other in names}:
            name, number = f"{stem}-{number}", number + 1
        names.append(name)
    return names


def write_run(
    run: DocumentRun,
    folder: Path,
    *,
    formats: Iterable[str] = (),
    options: dict[str, Any] | None = None,
    watch: Callable[[Page], None] = lambda _: None,
) -> Status:
    """Work through a document's pages and write its folder. formats: exports beside document.json.

    Pages wait in an unnamed temporary file until the document's heading levels are known. Raises DP401 when the
    folder cannot be written, DP402 when a page does not meet the schema even as a failed one.
    """
    with DocumentWriter(folder / DOCUMENT, run.info) as writer, tempfile.TemporaryFile() as waiting:
        for page in run.pages():
            pickle.dump(page, waiting, pickle.HIGHEST_PROTOCOL)
            watch(page)
        waiting.seek(0)
        ranks = run.ranks
        for _ in range(run.page_count):
            writer.append(with_ranks(pickle.load(waiting), ranks))
        writer.finish(run.status, run.errors, run.metadata)
    write_manifest(run.manifest(options or {}), folder / MANIFEST)
    document = StoredDocument(folder)
    for name in formats:
        export(document, name, folder, source=run.ref)
    return run.status
