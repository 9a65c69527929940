"""The digest of a checkpoint as a whole, held against the one that it is pinned to."""

from __future__ import annotations

import hashlib

from docpipe.errors import DocpipeError
from docpipe.models.adapters import read_adapter
from docpipe.models.load import digest
from docpipe.models.registry import Checkpoint


def whole_digest(checkpoint: Checkpoint, *, anew: bool = False) -> str:
    """The digest of a located checkpoint's weights, and of its adapter's. anew: see `load.digest`.

    Raises DP306 when the weights are not those that the checkpoint's docpipe.json pins ("digest"), DP302 when there
    are none.
    """
    if checkpoint.folder is None:
        raise DocpipeError("DP301", checkpoint.name, "it was not fetched")
    weights = digest(checkpoint.folder, anew=anew)
    if checkpoint.pinned and weights != checkpoint.pinned:
        raise DocpipeError("DP306", checkpoint.name, f"it is {weights}, pinned is {checkpoint.pinned}")
    if checkpoint.adapter is None:
        return weights
    return hashlib.sha256((weights + read_adapter(checkpoint.adapter).digest).encode()).hexdigest()
