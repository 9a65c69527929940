"""The mask decoder of PaliGemma's segmentation: 16 `<seg>` codes to a mask of 64 x 64.

A VQ-VAE of its own (Ning et al., arXiv 2301.02229), trained apart from the language model and published as one file,
`vae-oid.npz`. Layer shapes are read off the file; its key names are those of PyTorch's layout.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from docpipe.errors import DocpipeError

if TYPE_CHECKING:
    from torch import Tensor

CODES = 16
"""Codes of a mask: a grid of 4 x 4, row by row."""

SIDE = 64

_CODEBOOK = "_vq_vae._embedding"


class MaskDecoder:
    """The decoder with its weights. path: an .npz in the published layout.

    digest: SHA-256 that the file must have. Raises DP302 when the file is missing, damaged or of another layout,
    DP306 when its digest differs.
    """

    def __init__(self, path: Path, digest: str | None = None) -> None:
        import torch

        try:
            data = path.read_bytes()
        except OSError as error:
            raise DocpipeError("DP302", path.name, error.strerror or str(error)) from error
        self.digest = hashlib.sha256(data).hexdigest()
        if digest is not None and digest != self.digest:
            raise DocpipeError("DP306", path.name, f"it is {self.digest}")
        try:
            with np.load(path, allow_pickle=False) as stored:
                kept = {k: torch.from_numpy(stored[k].astype(np.float32)) for k in stored.files if "encoder" not in k}
        except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
            raise DocpipeError("DP302", path.name, f"no mask decoder: {error}") from error
        missing = [name for name in (_CODEBOOK, *_LAYERS) if name not in kept]
        if missing:
            raise DocpipeError("DP302", path.name, f"no mask decoder: {missing[0]} is missing")
        self._weights: dict[str, Tensor] = kept

    def masks(self, codes: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Codes [B, 16], each 0..127, to masks [B, 64, 64]; a pixel is on where the value is above 0.

        Raises ValueError when there are not 16 codes or one is beyond the codebook.
        """
        import torch

        book = self._weights[_CODEBOOK]
        if any(len(row) != CODES or min(row) < 0 or max(row) >= len(book) for row in codes):
            raise ValueError(f"a mask takes {CODES} codes of 0..{len(book) - 1}")
        with torch.inference_mode():
            x = book[torch.tensor([list(row) for row in codes], dtype=torch.long)].view(len(codes), 4, 4, -1)
            x = self._convolve(x.permute(0, 3, 1, 2), "decoder.0").relu()  # [B, 128, 4, 4]
            for block in (2, 3):
                y = self._convolve(x, f"decoder.{block}.net.0", padding=1).relu()
                y = self._convolve(y, f"decoder.{block}.net.2", padding=1).relu()
                x = x + self._convolve(y, f"decoder.{block}.net.4")
            for layer in (4, 6, 8, 10):  # each doubles the side
                weight, bias = self._weights[f"decoder.{layer}.weight"], self._weights[f"decoder.{layer}.bias"]
                x = torch.nn.functional.conv_transpose2d(x, weight, bias, stride=2, padding=1).relu()
            made: NDArray[np.float32] = self._convolve(x, "decoder.12")[:, 0].numpy()
            return made

    def _convolve(self, x: Tensor, name: str, padding: int = 0) -> Tensor:
        import torch

        return torch.nn.functional.conv2d(
            x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], padding=padding
        )


_BLOCKS = [f"{block}.net.{i}" for block in (2, 3) for i in (0, 2, 4)]
_LAYERS = [
    f"decoder.{layer}.{end}" for layer in ("0", *_BLOCKS, "4", "6", "8", "10", "12") for end in ("weight", "bias")
]


def mask_in_box(mask: NDArray[np.float32], width: int, height: int) -> NDArray[np.bool_]:
    """A mask [64, 64] in a box of width x height pixels: resized bilinearly, then on where it is above 0."""
    resized = Image.fromarray(mask).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized) > 0
