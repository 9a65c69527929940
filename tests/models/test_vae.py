"""The mask decoder against an independent one on random weights, and against big_vision's where it is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from docpipe.errors import DocpipeError
from docpipe.models.vae import MaskDecoder, mask_in_box

BOOK, WIDTHS = (128, 12), (6, 6, 5, 4, 3)


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights in the published layout, narrower."""
    made = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return made.normal(0, 0.5, shape).astype(np.float32)

    first = WIDTHS[0]
    layers = {"decoder.0": (first, BOOK[1], 1, 1), "decoder.12": (1, WIDTHS[4], 1, 1)}
    for block in (2, 3):
        layers.update({f"decoder.{block}.net.{i}": (first, first, 3 - i // 4 * 2, 3 - i // 4 * 2) for i in (0, 2, 4)})
    for layer, a, b in zip((4, 6, 8, 10), WIDTHS, WIDTHS[1:], strict=False):
        layers[f"decoder.{layer}"] = (a, b, 4, 4)
    kept = {"_vq_vae._embedding": normal(*BOOK), "encoder.0.weight": normal(2, 2)}
    for name, shape in layers.items():
        kept[f"{name}.weight"] = normal(*shape)
        kept[f"{name}.bias"] = normal(shape[1] if name in {f"decoder.{i}" for i in (4, 6, 8, 10)} else shape[0])
    return kept


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A convolution of odd size that keeps the side, pixel by pixel."""
    size = weight.shape[2]
    padded = np.pad(x, ((0, 0), (size // 2, size // 2), (size // 2, size // 2)))
    side = x.shape[1]
    return np.array([
        [[(padded[:, i : i + size, j : j + size] * kernel).sum() + b for j in range(side)] for i in range(side)]
        for kernel, b in zip(weight, bias, strict=True)
    ])  # fmt: skip


def double(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A transposed convolution of 4 x 4 at stride 2: every pixel stamps its kernel, the rim is cut off."""
    side = x.shape[1]
    out = np.zeros((weight.shape[1], 2 * side + 2, 2 * side + 2))
    for i in range(side):
        for j in range(side):
            out[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += np.tensordot(x[:, i, j], weight, 1)
    return out[:, 1:-1, 1:-1] + bias[:, None, None]


def slowly(w: dict[str, np.ndarray], codes: list[int]) -> np.ndarray:
    """The decoder written out in NumPy."""

    def layer(x: np.ndarray, name: str) -> np.ndarray:
        return convolve(x, w[f"{name}.weight"], w[f"{name}.bias"])

    x = np.maximum(layer(w["_vq_vae._embedding"][codes].reshape(4, 4, -1).transpose(2, 0, 1), "decoder.0"), 0)
    for block in (2, 3):
        y = np.maximum(layer(x, f"decoder.{block}.net.0"), 0)
        y = np.maximum(layer(y, f"decoder.{block}.net.2"), 0)
        x = x + layer(y, f"decoder.{block}.net.4")
    for number in (4, 6, 8, 10):
        x = np.maximum(double(x, w[f"decoder.{number}.weight"], w[f"decoder.{number}.bias"]), 0)
    return layer(x, "decoder.12")[0]


def test_masks_are_those_of_the_network_written_out(tmp_path: Path) -> None:
    kept = weights()
    np.savez(tmp_path / "vae.npz", **kept)
    codes = np.random.default_rng(1).integers(0, 128, (3, 16)).tolist()
    masks = MaskDecoder(tmp_path / "vae.npz").masks(codes)
    assert masks.shape == (3, 64, 64)
    assert masks.std() > 0.1
    for mask, row in zip(masks, codes, strict=True):
        wanted = slowly(kept, row)
        assert np.abs(mask - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_codes_that_make_no_mask_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "vae.npz", **weights())
    decoder = MaskDecoder(tmp_path / "vae.npz")
    for codes in ([3] * 15, [3] * 17, [3] * 15 + [128], [-1] * 16):
        with pytest.raises(ValueError, match="16 codes"):
            decoder.masks([codes])


def test_a_mask_is_fitted_into_its_box() -> None:
    mask = np.full((64, 64), -1, np.float32)
    mask[:, 32:] = 1
    on = mask_in_box(mask, 30, 7)
    assert on.shape == (7, 30)
    assert not on[:, :14].any()
    assert on[:, 16:].all()


def test_the_file_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "vae.npz"
    with pytest.raises(DocpipeError, match="DP302"):
        MaskDecoder(path)
    path.write_bytes(b"not a zip")
    with pytest.raises(DocpipeError, match="DP302"):
        MaskDecoder(path)
    np.savez(path, **{k: v for k, v in weights().items() if k != "decoder.8.bias"})
    with pytest.raises(DocpipeError, match=r"DP302.*decoder\.8\.bias"):
        MaskDecoder(path)
    np.savez(path, **weights())
    digest = MaskDecoder(path).digest
    assert MaskDecoder(path, digest).digest == digest
    with pytest.raises(DocpipeError, match="DP306"):
        MaskDecoder(path, "0" * 64)


@pytest.mark.slow
@pytest.mark.skipif("DOCPIPE_GOLDEN" not in os.environ, reason="DOCPIPE_GOLDEN names no folder")
def test_masks_are_big_visions() -> None:
    folder = Path(os.environ["DOCPIPE_GOLDEN"]) / "vae"
    with np.load(folder / "vae_cases.npz") as z:
        masks = MaskDecoder(folder / "vae_weights_fp16.npz").masks(z["codes"].tolist())
        wanted = z["masks"][..., 0]
        assert np.abs(masks - wanted).max() < 2e-4
        assert ((masks > 0) != (wanted > 0)).sum() <= 2
        for index in range(3):
            fitted = z[f"resized_{index}"]
            on = mask_in_box(masks[index], fitted.shape[1], fitted.shape[0])
            assert (on != (fitted > 0)).sum() <= 2
