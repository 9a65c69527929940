"""Finished documents gathered into few files: OUT/partitions/part-00000.jsonl or .parquet, in the order of the input.

Each file holds so many documents, cut by their place in the input, and is written whole or not at all; the same
documents give the same bytes. Lines of JSON are documents as in document.v1.json; rows of Parquet are regions with the
pictures of figures, as in `export.parquet`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from docpipe.errors import DocpipeError
from docpipe.export.atomic import unwritable, whole_file
from docpipe.export.crops import pixels_of
from docpipe.export.json import DOCUMENT, StoredDocument
from docpipe.export.parquet import ROWS, rows, schema
from docpipe.run.batch import Outcome
from docpipe.source import SourceRef

Form = Literal["jsonl", "parquet"]

FOLDER = "partitions"

DOCUMENTS = 256
"""Documents in a file."""


def write_partitions(
    outcomes: Sequence[Outcome], out: Path, form: Form, password: str | None = None, size: int = DOCUMENTS
) -> list[Path]:
    """Gather the documents of a run; the files written. Files of an earlier, longer run are taken away.

    size: documents in a file; those that failed as a whole count and have no rows. Raises DP401, DP305 without pyarrow.
    """
    folder, written = out / FOLDER, []
    for number, start in enumerate(range(0, len(outcomes), size)):
        path = folder / f"part-{number:05d}.{form}"
        some = [one for one in outcomes[start : start + size] if (one.folder / DOCUMENT).is_file()]
        with whole_file(path) as file:
            if form == "jsonl":
                file.writelines(_line(one) for one in some)
            else:
                _write_parquet(file, some, password)
        written.append(path)
    with unwritable(folder):
        for stale in set(folder.glob("part-*.jsonl")) | set(folder.glob("part-*.parquet")):
            if stale not in written:
                stale.unlink()
    return written


def _line(outcome: Outcome) -> bytes:
    plain = json.loads((outcome.folder / DOCUMENT).read_bytes())
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _write_parquet(file: Any, outcomes: Sequence[Outcome], password: str | None) -> None:
    made = schema()  # raises DP305 before anything is written
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetWriter(file, made, compression="zstd") as writer:
        for outcome in outcomes:
            waiting = _regions(outcome, password)
            while some := list(islice(waiting, ROWS)):
                writer.write_table(pa.Table.from_pylist(some, schema=made))


def _regions(outcome: Outcome, password: str | None) -> Iterator[dict[str, Any]]:
    ref = SourceRef(outcome.source.name, path=str(outcome.source), password=password)
    try:
        yield from rows(StoredDocument(outcome.folder / DOCUMENT), pixels_of(ref))
    except DocpipeError as error:
        if error.code in {"DP107", "DP112", "DP521"}:  # finished earlier, and its source is gone since
            yield from rows(StoredDocument(outcome.folder / DOCUMENT))
        else:
            raise
