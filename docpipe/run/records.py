"""Pages and answers as bytes and back, losing nothing: what the journal and the cache of readings keep.

Pickles, since the JSON of a page rounds its numbers and a resumed run must go on with the very numbers it had. They are
read back by an unpickler that knows docpipe's own records and nothing else, so a file from elsewhere cannot run code;
what does not fit is a `ValueError`.
"""

from __future__ import annotations

import io
import pickle
import zlib
from typing import Any

from docpipe import document

_RECORDS: dict[str, frozenset[str]] = {
    "docpipe.box": frozenset(("Box",)),
    "docpipe.document": frozenset(
        name for name, found in vars(document).items() if isinstance(found, type) and issubclass(found, document.Model)
    ),
    "docpipe.engines.base": frozenset(("Answer",)),
    "docpipe.run.opening": frozenset(("Opening",)),
    "docpipe.run.worker": frozenset(("Finished",)),
    "docpipe.sheet": frozenset(("Statistics",)),
    "builtins": frozenset(("frozenset", "set")),
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name not in _RECORDS.get(module, ()):
            raise ValueError(f"{module}.{name} is no record of docpipe")
        return super().find_class(module, name)


def packed(record: object) -> bytes:
    """A record as bytes, with a check sum."""
    plain = pickle.dumps(record, 5)
    data = zlib.compress(plain, 1)
    return zlib.crc32(data).to_bytes(4, "big") + data


def unpacked(data: bytes) -> Any:
    """The record of these bytes. Raises ValueError when they are damaged or hold anything but docpipe's records."""
    if len(data) < 5 or zlib.crc32(data[4:]) != int.from_bytes(data[:4], "big"):
        raise ValueError("the record is damaged")
    try:
        return _Reader(io.BytesIO(zlib.decompress(data[4:]))).load()
    except (pickle.UnpicklingError, zlib.error, EOFError, AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"the record cannot be read: {error}") from error
