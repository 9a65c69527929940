"""regions.parquet: a row for each region, with the picture of each figure, as Hugging Face datasets load it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docpipe.errors import DocpipeError
from docpipe.export.atomic import write_whole
from docpipe.export.crops import Pixels, encoded, pixels_of, upright
from docpipe.export.flow import is_pictured
from docpipe.export.json import Pages
from docpipe.export.records import COLUMNS, record
from docpipe.source import SourceRef

if TYPE_CHECKING:
    import datasets
    import pyarrow

FILE = "regions.parquet"

ROWS = 500
"""Rows of a row group: bounds the memory of a long document."""

_FEATURES = {str: "string", int: "int32", float: "float64"}


def schema() -> pyarrow.Schema:
    """The columns of `records` and `image` (PNG bytes; null for what is no figure), with the note that tells
    Hugging Face datasets that it is one. Raises DP305 when pyarrow is not installed."""
    pa = _pyarrow()
    types = {str: pa.string(), int: pa.int32(), float: pa.float64(), list: pa.list_(pa.string())}
    fields = [pa.field(name, types[kind]) for name, kind in COLUMNS.items()]
    fields.append(pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])))
    features: dict[str, Any] = {
        name: {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}
        if kind is list
        else {"dtype": _FEATURES[kind], "_type": "Value"}
        for name, kind in COLUMNS.items()
    }
    features["image"] = {"_type": "Image"}
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def rows(document: Pages, pixels: Pixels | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a document. pixels: gives the pictures of its figures; without it there are none."""
    for page in document.pages:
        for region in sorted(page.regions, key=lambda r: r.order):
            picture = upright(page, region, pixels) if pixels is not None and is_pictured(region) else None
            image = {"bytes": encoded(picture), "path": f"{region.id}.png"} if picture is not None else None
            yield record(document.source, page, region) | {"image": image}


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:
    """Write regions.parquet. Raises DP305 without pyarrow, DP401."""
    pa = _pyarrow()
    import pyarrow.parquet as pq

    out, made = io.BytesIO(), schema()
    waiting = rows(document, pixels_of(source) if source else None)
    with pq.ParquetWriter(out, made, compression="zstd") as writer:
        while some := list(islice(waiting, ROWS)):
            writer.write_table(pa.Table.from_pylist(some, schema=made))
    return [write_whole(folder / FILE, [out.getvalue()])]


def to_dataset(documents: Iterable[Pages]) -> datasets.Dataset:
    """Documents as one Hugging Face dataset, a row for each region (without pictures; the Parquet files hold those).

    Raises DP305 when `datasets` is not installed.
    """
    try:
        import datasets
    except ImportError as error:
        raise DocpipeError("DP305", "datasets", "pip install docpipe[parquet]") from error
    features = datasets.Features.from_arrow_schema(schema())
    made = [row for document in documents for row in rows(document)]
    return datasets.Dataset.from_list(made, features=features)


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise DocpipeError("DP305", "pyarrow", "pip install docpipe[parquet]") from error
    return pyarrow
