"""Image preparation: the three resizes, white padding, strips, and pixels to -1..1."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from random_models import GOLDEN

from docpipe.errors import DocpipeError
from docpipe.models.preprocess import (
    ARRANGEMENTS,
    Frame,
    arrangement,
    fold_columns,
    is_blank,
    pad_to_white_square,
    resize,
    squeeze,
    strip_columns,
    to_pixels,
)

torch.set_num_threads(1)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize(("key", "method"), [("aa", "bilinear"), ("noaa", "bilinear-plain")])
def test_resize_is_within_one_grey_level_of_big_vision(key: str, method: str) -> None:
    with np.load(GOLDEN / "resize.npz") as stored:
        numbers = sorted(k.rpartition("_")[2] for k in stored.files if k.startswith(f"{key}_u8_"))
        assert len(numbers) == 5
        for number in numbers:
            wanted = stored[f"{key}_u8_{number}"].astype(int)
            size = wanted.shape[1], wanted.shape[0]
            got = np.asarray(resize(Image.fromarray(stored[f"in_{number}"]), size, method)).astype(int)  # type: ignore[arg-type]
            off = np.abs(got - wanted)
            assert off.max() <= 1
            assert (off > 0).mean() < 0.02


def test_the_bicubic_resize_is_transformers_processor_pixel_for_pixel() -> None:
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    processor = SiglipImageProcessorPil(size={"height": 56, "width": 56})
    for size in ((37, 53), (200, 90), (56, 56)):
        theirs = processor(images=noise(*size), return_tensors="pt")["pixel_values"]
        ours = to_pixels([resize(noise(*size), 56, "bicubic")])
        assert ours.shape == theirs.shape == (1, 3, 56, 56)
        assert float((ours - theirs).abs().max()) < 1e-6


def test_the_resizes_are_not_the_same() -> None:
    made = {m: np.asarray(resize(noise(150, 90), 56, m)).astype(int) for m in ("bilinear", "bilinear-plain", "bicubic")}  # type: ignore[arg-type]
    assert np.abs(made["bilinear"] - made["bicubic"]).max() > 10
    assert np.abs(made["bilinear"] - made["bilinear-plain"]).max() > 10


@pytest.mark.parametrize("method", ["bilinear", "bilinear-plain", "bicubic"])
@pytest.mark.parametrize("level", [0, 77, 128, 254, 255])
def test_flat_areas_keep_their_level(method: str, level: int) -> None:
    flat = Image.new("RGB", (157, 83), (level, level, level))
    assert set(np.asarray(resize(flat, 56, method)).ravel()) == {level}  # type: ignore[arg-type]


def test_an_image_of_the_right_size_is_not_touched() -> None:
    image = noise(56, 56)
    assert np.array_equal(np.asarray(resize(image, 56)), np.asarray(image))


def test_padding_centres_the_image_in_white() -> None:
    image = noise(41, 20)
    square = np.asarray(pad_to_white_square(image))
    assert square.shape == (41, 41, 3)
    assert np.array_equal(square[10:30], np.asarray(image))
    assert (square[:10] == 255).all()
    assert (square[30:] == 255).all()
    tall = np.asarray(pad_to_white_square(noise(3, 8)))
    assert (tall[:, :2] == 255).all()
    assert (tall[:, 5:] == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK"])
def test_other_modes_become_rgb(mode: str) -> None:
    image = noise(9, 5).convert(mode)
    assert pad_to_white_square(image).mode == "RGB"
    assert squeeze(image).mode == "RGB"
    assert resize(image, 4).mode == "RGB"


def test_pixels_span_minus_one_to_one() -> None:
    pair = [Image.new("RGB", (4, 4), "white"), Image.new("RGB", (4, 4), (0, 51, 255))]
    pixels = to_pixels(pair)
    assert pixels.dtype is torch.float32
    assert pixels.shape == (2, 3, 4, 4)
    assert pixels[0].unique().tolist() == [1.0]
    assert pixels[1, :, 0, 0].tolist() == pytest.approx([-1.0, -0.6, 1.0])


def test_a_folded_strip_is_met_column_by_column() -> None:
    rows, columns, patch, side = 2, 8, 3, 12
    strip = np.zeros((rows * patch, columns * patch, 3), np.uint8)
    for row in range(rows):
        for column in range(columns):
            strip[row * patch : (row + 1) * patch, column * patch : (column + 1) * patch] = column * rows + row
    square = fold_columns(strip, side, patch)
    assert square.shape == (side, side, 3)
    assert square[::patch, ::patch, 0].ravel().tolist() == list(range(16))
    with pytest.raises(ValueError, match="does not fold"):
        fold_columns(strip, 15, patch)


def test_strips_keep_their_proportions_on_white() -> None:
    strip = strip_columns(Image.new("RGB", (100, 50), "black"), Frame(160, 16))
    assert strip.size == (160, 160)
    dark = (np.asarray(strip)[:, :, 0] < 128).sum()
    assert dark == 160 * 80  # 100 x 50 scaled to the height of 80 of a strip of 80 x 320


def test_arrangements_are_named() -> None:
    frame = Frame(56, 14)
    for name, arrange in ARRANGEMENTS.items():
        assert arrangement(name) is arrange
        assert arrange(noise(30, 20), Frame(160, 16) if name == "strip-columns" else frame).mode == "RGB"
    with pytest.raises(DocpipeError, match=r"DP302.*white-square"):
        arrangement("upside-down")


def test_blank_images_are_told_from_faint_ones() -> None:
    white = Image.new("RGB", (30, 30), "white")
    assert is_blank(white)
    assert is_blank(Image.new("RGB", (30, 30), (20, 20, 25)))
    white.putpixel((4, 5), (200, 200, 200))
    assert not is_blank(white)
