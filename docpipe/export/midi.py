"""scores/<region>.mid: each score that was read, to listen to, as music21 writes it."""

from __future__ import annotations

from pathlib import Path

from docpipe.document import ScoreContent
from docpipe.errors import DocpipeError
from docpipe.export.atomic import write_whole
from docpipe.export.crops import file_name
from docpipe.export.json import Pages
from docpipe.export.musicxml import FOLDER, parsed, scores
from docpipe.source import SourceRef


def render(content: ScoreContent) -> bytes | None:
    """A standard MIDI file of a score; None when music21 cannot read it. Raises DP411 when it cannot write it."""
    from music21.midi.translate import streamToMidiFile

    stream = parsed(content)
    if stream is None:
        return None
    try:
        data: bytes = streamToMidiFile(stream).writestr()
    except Exception as error:
        raise DocpipeError("DP411", "MIDI", f"music21: {error}") from error
    return data


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:  # noqa: ARG001
    """Write a file for each score that music21 can read. Raises DP401, DP411."""
    written = []
    for region, content in scores(document):
        data = render(content)
        if data is not None:
            written.append(write_whole(folder / FOLDER / f"{file_name(region.id)}.mid", [data]))
    return written
