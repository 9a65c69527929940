"""Several prompts about one image share what the vision tower makes of it, and nothing of what is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from random_models import random_model
from random_models import save as save_model

from docpipe.models.decode import generate, seen
from docpipe.models.load import load_network
from docpipe.models.network import Network


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return load_network(save_model(random_model(), tmp_path))


def test_an_image_is_looked_at_once_for_all_prompts_about_it(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    side = network.config.vision.side
    first, second = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(3)) * 2 - 1
    asked = [(first, [2, 5, 4]), (second, [2, 5, 4]), (first, [2, 6, 7, 4]), (first, [2, 8, 4]), (second, [2, 9, 9, 4])]
    alone = [generate(network, image[None], [prompt], 12)[0].tokens for image, prompt in asked]
    looked: list[int] = []
    see = network.see

    def counting(pixels: torch.Tensor) -> torch.Tensor:
        looked.append(len(pixels))
        return see(pixels)

    monkeypatch.setattr(network, "see", counting)
    pixels = torch.stack([image for image, _ in asked])
    found = generate(network, pixels, [prompt for _, prompt in asked], 12)
    assert looked == [2]
    assert [one.tokens for one in found] == alone


def test_features_come_in_the_order_of_the_prompts(network: Network) -> None:
    side = network.config.vision.side
    images = torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(4))
    order = [2, 0, 2, 1, 0]
    with torch.inference_mode():
        torch.testing.assert_close(seen(network, images[order]), network.see(images)[order])
