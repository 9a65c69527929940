"""scores/<region>.musicxml: each score that was read, as music21 writes it, for notation programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docpipe.document import Region, ScoreContent
from docpipe.errors import DocpipeError
from docpipe.export.atomic import write_whole
from docpipe.export.crops import file_name
from docpipe.export.json import Pages
from docpipe.source import SourceRef

FOLDER = "scores"

_MADE = re.compile(rb"<encoding-date>[^<]*</encoding-date>")
_DRAWN_ID = re.compile(rb"\b([PI])[0-9a-f]{32}\b")
"""Ids of parts and instruments, which music21 draws anew each time."""

_TITLES = re.compile(rb"<movement-title>Music21 Fragment</movement-title>|<creator type=\"composer\">Music21</creator>")


def scores(document: Pages) -> Iterator[tuple[Region, ScoreContent]]:
    """Every score that was read and is music to music21's knowledge, with its region."""
    for page in document.pages:
        for region in sorted(page.regions, key=lambda r: r.order):
            reading = region.reading
            if reading is not None and isinstance(reading.content, ScoreContent):
                yield region, reading.content


def parsed(content: ScoreContent) -> Any:
    """The score as a music21 stream; None when music21 cannot read it (its verdict says so, too)."""
    try:
        return content.to_music21()
    except Exception:  # music21 raises what it likes
        return None


def render(content: ScoreContent) -> bytes | None:
    """MusicXML of a score, the same each time; None when music21 cannot read it."""
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    stream = parsed(content)
    if stream is None:
        return None
    try:
        data: bytes = GeneralObjectExporter(stream).parse()
    except Exception as error:
        raise DocpipeError("DP411", "MusicXML", f"music21: {error}") from error
    names: dict[bytes, bytes] = {}
    data = _TITLES.sub(b"", _MADE.sub(b"", data))
    return _DRAWN_ID.sub(lambda m: names.setdefault(m[0], m[1] + str(len(names) + 1).encode()), data)


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:  # noqa: ARG001
    """Write a file for each score that music21 can read. Raises DP401; DP411 when music21 cannot write one."""
    written = []
    for region, content in scores(document):
        data = render(content)
        if data is not None:
            written.append(write_whole(folder / FOLDER / f"{file_name(region.id)}.musicxml", [data]))
    return written
