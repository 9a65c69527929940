"""Continuous batching: every answer as if it were alone, whoever shares the batch and in whatever order they end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from random_models import random_model
from random_models import save as save_model

from docpipe.models.continuous import Prompted, generate_all, longest_first
from docpipe.models.decode import generate
from docpipe.models.load import load_network
from docpipe.models.network import Network


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return load_network(save_model(random_model(), tmp_path_factory.mktemp("checkpoint")))


def requests(network: Network, seeds: range) -> list[Prompted]:
    side = network.config.vision.side

    def image(seed: int) -> torch.Tensor:
        return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1

    return [
        Prompted(lambda seed=seed: image(seed), [2, *range(5, 6 + seed % 4), 4], 3 + 5 * (seed % 6))  # type: ignore[misc]
        for seed in seeds
    ]


@pytest.mark.parametrize("rows", [1, 2, 5, 40])
def test_answers_do_not_depend_on_who_shares_the_batch(network: Network, rows: int) -> None:
    asked = requests(network, range(11))
    alone = [generate(network, one.pixels(), [one.prompt], one.limit)[0] for one in asked]
    found = dict(generate_all(network, asked, rows))
    assert sorted(found) == list(range(11)), "each once"
    for index, right in enumerate(alone):
        assert found[index].tokens == right.tokens
        assert found[index].finished == right.finished
        assert found[index].logprobs == pytest.approx(right.logprobs, abs=1e-4)


def test_a_row_that_ends_makes_room_before_the_others_have_ended(network: Network) -> None:
    side = network.config.vision.side
    begun: list[int] = []

    def image(index: int) -> torch.Tensor:
        begun.append(index)
        return torch.zeros(1, 3, side, side)

    limits = [30, 2, 2, 2]
    asked = [Prompted(lambda i=i: image(i), [2, 5, 4], limit) for i, limit in enumerate(limits)]  # type: ignore[misc]
    order = [index for index, _ in generate_all(network, asked, 2, eos=-1)]
    assert order[-1] == 0, "the long one ends last"
    assert begun == [0, 1, 2, 3]


def test_the_cache_is_used_again_when_its_slots_run_out(network: Network) -> None:
    asked = requests(network, range(30))
    alone = [generate(network, one.pixels(), [one.prompt], one.limit, eos=-1)[0].tokens for one in asked]
    found = dict(generate_all(network, asked, 3, eos=-1))
    assert [found[i].tokens for i in range(30)] == alone


def test_those_that_may_take_longest_begin(network: Network) -> None:
    asked = requests(network, range(6))
    assert [asked[i].limit for i in longest_first(asked)] == [28, 23, 18, 13, 8, 3]


def test_nothing_asked_is_nothing_answered(network: Network) -> None:
    assert list(generate_all(network, [], 4)) == []


def test_a_quantized_network_answers_alike(tmp_path: Path) -> None:
    from docpipe.models.quantized import load

    quantized, _ = load(save_model(random_model(), tmp_path), "int8")
    asked = requests(quantized, range(4))
    alone = [generate(quantized, one.pixels(), [one.prompt], one.limit)[0].tokens for one in asked]
    found = dict(generate_all(quantized, asked, 2))
    assert [found[i].tokens for i in range(4)] == alone
