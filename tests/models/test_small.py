"""The NumPy step of small networks against PyTorch's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from random_models import random_model, random_pixels, random_prompts, save

from docpipe.engines.paligemma_reference import TransformersDecoder
from docpipe.models import decode
from docpipe.models.decode import generate, prefill, small_step, step
from docpipe.models.load import load_network
from docpipe.models.network import Network
from docpipe.models.small import SMALL_PRODUCT, SmallStep

torch.set_num_threads(1)
VARIANTS: list[dict[str, Any]] = [
    {},
    {"attn_logit_softcapping": None, "final_logit_softcapping": None},
    {"num_key_value_heads": 1},
]


def by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "small_step", lambda _: None)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shape", ["3b", "10b", "28b"])
def test_both_steps_give_the_same_logits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: str, variant: dict[str, Any]
) -> None:
    network = load_network(save(random_model(shape, **variant), tmp_path))
    pixels, prompts = random_pixels(3), random_prompts(4, 13, 7)

    def steps() -> list[torch.Tensor]:
        with torch.inference_mode():
            state = prefill(network, pixels, prompts, 12)
            assert (state.small is None) == (decode.small_step is not small_step)
            return [step(network, state, torch.tensor([5, 6 + i, 7])) for i in range(12)]

    fast = steps()
    by_torch(monkeypatch)
    slow = steps()
    for a, b in zip(fast, slow, strict=True):
        assert a.dtype is b.dtype is torch.float32
        assert float((a - b).abs().max() / b.abs().max()) < 1e-4


def test_pytorchs_step_gives_transformers_tokens_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(random_model("3b", seed=2), tmp_path)
    network, pixels, prompts = load_network(folder), random_pixels(3), random_prompts(4, 13, 7)
    fast = generate(network, pixels, prompts, 40)
    by_torch(monkeypatch)
    slow = generate(network, pixels, prompts, 40)
    theirs = TransformersDecoder(folder).decode(pixels, prompts, [40] * 3)
    assert [a.tokens for a in fast] == [a.tokens for a in slow] == [a.tokens for a in theirs]


def test_products_too_large_for_numpy_give_the_same(tmp_path: Path) -> None:
    network = load_network(save(random_model("10b"), tmp_path))
    rows = SMALL_PRODUCT // network.text_layers[0].down.weight.numel() + 2
    pixels, prompts = random_pixels(1).expand(rows, -1, -1, -1), random_prompts(6) * rows
    assert len({a.tokens for a in generate(network, pixels, prompts, 6)}) == 1
    assert generate(network, pixels, prompts, 6)[0].tokens == generate(network, pixels[:1], prompts[:1], 6)[0].tokens


def test_only_small_float32_networks_take_it(tmp_path: Path) -> None:
    folder = save(random_model("10b"), tmp_path)
    assert SmallStep.fits(load_network(folder))
    assert not SmallStep.fits(load_network(folder, "bfloat16"))
    wide = load_network(folder)
    wide.words = torch.nn.Parameter(torch.zeros(9000, 56), requires_grad=False)
    object.__setattr__(wide.config.text, "vocabulary", 9000)
    assert not SmallStep.fits(wide)


def test_the_step_is_made_once_and_goes_with_its_network(tmp_path: Path) -> None:
    network: Network | None = load_network(save(random_model("10b"), tmp_path))
    assert network is not None
    assert small_step(network) is small_step(network)
    before = len(decode._SMALL)
    del network
    assert len(decode._SMALL) < before
