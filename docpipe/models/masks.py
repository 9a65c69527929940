"""Answers to `segment` as things with masks, by the mask decoder; and where its weight file is found."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from pathlib import Path

from docpipe.document import Box, Detection
from docpipe.errors import DocpipeError
from docpipe.models.vae import MaskDecoder, mask_in_box
from docpipe.notation.masks import run_lengths
from docpipe.notation.tokens import read_objects
from docpipe.resources import cache_folder

FILE_NAME = "vae-oid.npz"
"""The published file; in a checkpoint's folder it is found by this name."""

LARGEST_SIDE = 2048
LARGEST_FILE = 64 * 2**20


def segmented(text: str, frame: Box, decoder: MaskDecoder | None) -> tuple[Detection, ...]:
    """The things of an answer to `segment`; frame: the box of the image in points.

    A thing with 16 valid codes has a mask of one pixel a point of its box (2048 a side at most) when there is a
    decoder; others have none. Codes beyond the decoder's codebook give no mask either. Never raises.
    """
    made = []
    for thing in read_objects(text)[0]:
        box = thing.box(frame)
        mask = size = None
        if decoder is not None and thing.codes:
            size = _pixels(box.width), _pixels(box.height)
            try:
                mask = run_lengths(mask_in_box(decoder.masks([thing.codes])[0], *size))
            except ValueError:
                mask = size = None
        made.append(Detection(label=thing.label, box=box, mask=mask, mask_size=size))
    return tuple(made)


def mask_decoder(where: str | None, folder: Path | None = None) -> MaskDecoder | None:
    """The mask decoder in a file or at an https address, or in a checkpoint's folder; None when neither is there.

    `#sha256=…` after the name pins its digest; an address must have one, and what it gives is kept in the cache
    (`DOCPIPE_CACHE`, else ~/.cache/docpipe). Raises DP302 when it cannot be had or read, DP306 when the digest differs.
    """
    if where is None:
        kept = folder / FILE_NAME if folder is not None else None
        return MaskDecoder(kept) if kept is not None and kept.is_file() else None
    name, _, digest = where.partition("#sha256=")
    if not name.startswith("https://"):
        return MaskDecoder(Path(name).expanduser(), digest.lower() or None)
    return MaskDecoder(_fetched(name, digest.lower()), digest.lower())


def _fetched(url: str, digest: str) -> Path:
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise DocpipeError("DP302", url, "an address of weights needs its digest: …/vae-oid.npz#sha256=…")
    cache = cache_folder()
    path = cache / f"{digest}.npz"
    if path.is_file():
        return path
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            data = answer.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise DocpipeError("DP302", url, "it is too large for a mask decoder")
        if (found := hashlib.sha256(data).hexdigest()) != digest:
            raise DocpipeError("DP306", url, f"it is {found}")
        cache.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise DocpipeError("DP302", url, f"it cannot be fetched: {error}") from error
    return path


def _pixels(points: float) -> int:
    return min(LARGEST_SIDE, max(1, round(points)))
