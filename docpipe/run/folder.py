"""The output folder of a document: which it is, and what is written into it.

    OUT/<stem>/{document.json, manifest.json, document.md, …}

Two sources of one stem get two folders. A folder's document.json is there only when the document is finished.
"""

from __future__ import annotations

import os
import pickle
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from docpipe.document import Page
from docpipe.export.atomic import sync_folder, unwritable
from docpipe.export.json import DOCUMENT, MANIFEST, DocumentWriter, write_manifest
from docpipe.notation.characters import whole_characters
from docpipe.run.exports import Write, Writing, Written, write_formats
from docpipe.run.runner import DocumentRun
from docpipe.stages.structure import with_ranks
from docpipe.urls import Place

_UNSAFE = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')


def folder_names(sources: Sequence[Place]) -> list[str]:
    """A folder name for each source, its stem where that is free: a later source of the same stem is numbered."""
    names: list[str] = []
    for source in sources:
        stem = _UNSAFE.sub("_", whole_characters(source.stem)).strip(" .") or "document"
        name, number = stem, 2
        while name.casefold() in {other.casefold() for other in names}:
            name, number = f"{stem}-{number}", number + 1
        names.append(name)
    return names


STAGED = ".document.json.new"
"""Where a document waits, finished, until all that is made of it is written, too."""


def write_run(
    run: DocumentRun,
    folder: Path,
    *,
    formats: Sequence[str] = (),
    options: dict[str, Any] | None = None,
    watch: Callable[[Page], None] = lambda _: None,
    write: Write = Writing.run,
) -> Written:
    """Work through a document's pages and write its folder: document.json comes last, when all else is there.

    formats: exports beside document.json, each made by `write`. Pages wait in an unnamed temporary file until the
    document's heading levels are known. Raises DP401 when the folder cannot be written, DP402 when a page does not meet
    the schema.
    """
    staged = folder / STAGED
    with DocumentWriter(staged, run.info) as writer, tempfile.TemporaryFile() as waiting:
        for page in run.pages():
            pickle.dump(page, waiting, pickle.HIGHEST_PROTOCOL)
            watch(page)
        waiting.seek(0)
        ranks = run.ranks
        for _ in range(run.page_count):
            writer.append(with_ranks(pickle.load(waiting), ranks))
        writer.finish(run.status, run.errors, run.metadata)
    write_manifest(run.manifest(options or {}), folder / MANIFEST)
    written = write_formats(staged, formats, run.ref, write)
    with unwritable(folder):
        os.replace(staged, folder / DOCUMENT)
        sync_folder(folder)
    written.files[:0] = [DOCUMENT, MANIFEST]
    return written


def clear(folder: Path, names: Iterable[str]) -> None:
    """Take away what an earlier run wrote of another document or with other settings, document.json first.

    names: the files of that run. What a killed run left half written goes, too; any other file stays. Raises DP401.
    """
    if not folder.is_dir():
        return
    with unwritable(folder):
        (folder / DOCUMENT).unlink(missing_ok=True)
        root = folder.resolve()
        for name in names:
            path = folder / name
            if root in path.resolve().parents:
                path.unlink(missing_ok=True)
        clear_leftovers(folder)


def clear_leftovers(folder: Path) -> None:
    """Take away what a killed run left half written. Raises DP401."""
    if not folder.is_dir():
        return
    with unwritable(folder):
        for part in (*folder.glob(".*.part"), *folder.glob("*/.*.part"), folder / STAGED):
            part.unlink(missing_ok=True)
