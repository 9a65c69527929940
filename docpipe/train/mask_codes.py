"""Mask codes for nano: a mask of 64 x 64 as 16 of 64 codes, and the small decoder that makes a mask of them again.

PaliGemma's masks are 16 codes of a VQ-VAE (Ning et al., arXiv 2301.02229) whose weights are published but not ours to
ship. Nano has codes of its own in the same format: the mask is cut into 4 x 4 squares, and a code names the nearest of
64 patterns (k-means over the squares of scene masks), so that a code depends on its own square alone and a small model
can learn it. The decoder has the published layers, only narrower, and is read by `models.vae` as it is.

    python -m docpipe.train.mask_codes --to docpipe/train/synth/scene/vae-oid.npz
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor, nn

CODE_SIDE = 64
SQUARE = 16
CODES = 64
SHIPPED = Path(__file__).resolve().parent / "synth" / "scene" / "vae-oid.npz"
"""Codes and decoder that the scenes domain learns with; an exported checkpoint gets a copy."""

_PATTERNS = "encoder.patterns"

Floats = npt.NDArray[np.float32]


class Codebook:
    """The patterns that codes stand for. patterns: [codes, 256], squares of 16 x 16, 0..1."""

    def __init__(self, patterns: Floats) -> None:
        self.patterns = patterns
        self._lengths = (patterns**2).sum(axis=1)

    @classmethod
    def read(cls, path: Path = SHIPPED) -> Codebook:
        """The patterns of a file that `write` made. Raises KeyError when it holds none."""
        return _read(path)

    def encode(self, mask: Floats) -> tuple[int, ...]:
        """The 16 codes of a mask [64, 64], 0..1, row by row."""
        near = self._lengths[None] - 2 * squares(mask) @ self.patterns.T
        return tuple(int(code) for code in near.argmin(axis=1))


@cache
def _read(path: Path) -> Codebook:
    with np.load(path, allow_pickle=False) as stored:
        return Codebook(stored[_PATTERNS].astype(np.float32))


def squares(mask: Floats) -> Floats:
    """A mask [64, 64] as its 4 x 4 squares [16, 256]."""
    cut = mask.reshape(4, SQUARE, 4, SQUARE).transpose(0, 2, 1, 3)
    return cut.reshape(16, SQUARE * SQUARE)


def scene_masks(seed: int, side: int = 128) -> Iterator[Floats]:
    """Masks of what lies in scenes, [64, 64], endlessly."""
    from docpipe.train.synth.scene.exchange import cut, snapped
    from docpipe.train.synth.scenes import scenes

    for scene in scenes(seed, side=side, fresh="masks", noise=0.0):
        for thing in scene.things:
            yield cut(thing.mask, snapped(thing.box, side))


def patterns_of(masks: Floats, codes: int = CODES, rounds: int = 40) -> Floats:
    """k-means over the squares of masks [n, 64, 64]; the empty and the full square are always two of the patterns."""
    points = np.concatenate([squares(mask) for mask in masks])
    points = points[(points.mean(axis=1) > 0.02) & (points.mean(axis=1) < 0.98)]
    rng = random.Random(7)
    centres = points[sorted(rng.sample(range(len(points)), codes - 2))].copy()
    for _ in range(rounds):
        nearest = ((centres**2).sum(axis=1)[None] - 2 * points @ centres.T).argmin(axis=1)
        for code in range(len(centres)):
            members = points[nearest == code]
            centres[code] = members.mean(axis=0) if len(members) else points[rng.randrange(len(points))]
    order = np.argsort(centres.mean(axis=1), kind="stable")
    ends = np.zeros((1, centres.shape[1])), centres[order], np.ones((1, centres.shape[1]))
    return np.concatenate(ends).astype(np.float32)


def decoder(depth: int = 32, width: int = 48) -> nn.Module:
    """The published decoder's layers with fewer channels; its keys are those that `models.vae` reads."""
    from torch import nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
                nn.Conv2d(width, width, 1),
            )  # fmt: skip

        def forward(self, x: Tensor) -> Tensor:
            made: Tensor = x + self.net(x)
            return made

    def double(before: int, after: int) -> nn.Module:
        return nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)

    return nn.Sequential(
        nn.Conv2d(depth, width, 1), nn.ReLU(), Block(), Block(),
        double(width, 48), nn.ReLU(), double(48, 32), nn.ReLU(), double(32, 24), nn.ReLU(), double(24, 16), nn.ReLU(),
        nn.Conv2d(16, 1, 1),
    )  # fmt: skip


def fitted(book: Codebook, steps: int = 3000, depth: int = 32, seed: int = 1) -> dict[str, npt.NDArray[Any]]:
    """A decoder trained to draw scene masks from their codes: the arrays of a file in the published layout."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    torch.manual_seed(seed)
    table, net = torch.nn.Embedding(len(book.patterns), depth), decoder(depth)
    optimizer = torch.optim.AdamW([*table.parameters(), *net.parameters()], lr=2e-3, weight_decay=1e-4)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    masks = scene_masks(seed)
    for _ in range(steps):
        some = [next(masks) for _ in range(32)]
        codes = torch.tensor([book.encode(mask) for mask in some])
        wanted = torch.from_numpy(np.stack(some))[:, None]
        # On a 4 x 4 field of embeddings; the published layout sums its mask channel the same way.
        drawn = net(table(codes).view(len(some), 4, 4, depth).permute(0, 3, 1, 2))
        loss = binary_cross_entropy_with_logits(drawn, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        plan.step()
    arrays = {f"decoder.{name}": value.detach().numpy() for name, value in net.state_dict().items()}
    return arrays | {"_vq_vae._embedding": table.weight.detach().numpy()}


def write(path: Path, book: Codebook, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Write codes and decoder as one file, in float16."""
    half = {name: value.astype(np.float16) for name, value in arrays.items()}
    np.savez_compressed(path, **{_PATTERNS: book.patterns.astype(np.float16)}, **half)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docpipe.train.mask_codes", description="Make nano's mask codes.")
    parser.add_argument("--to", type=Path, default=SHIPPED)
    parser.add_argument("--steps", type=int, default=3000)
    given = parser.parse_args()
    source = scene_masks(0)
    book = Codebook(patterns_of(np.stack([next(source) for _ in range(1500)])))
    write(given.to, book, fitted(book, given.steps))


if __name__ == "__main__":
    main()
