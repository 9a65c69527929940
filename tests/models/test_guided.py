"""Decoding within rules: what must not follow is never taken, and no probability is changed by that."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from random_models import random_model, random_pixels, random_prompts, save

from docpipe.models.beam import likeliest
from docpipe.models.decode import generate
from docpipe.models.guided import guided
from docpipe.models.load import load_network
from docpipe.models.network import Network

torch.set_num_threads(1)
VOCABULARY = 300


class Free:
    """Everything may follow everything."""

    start = 0

    def after(self, state: int, token: int) -> int:  # noqa: ARG002
        return state

    def mask(self, state: int) -> NDArray[np.bool_]:  # noqa: ARG002
        return np.ones(VOCABULARY, bool)


class Alternating(Free):
    """Even and odd tokens in turns, four of them, then the end."""

    def after(self, state: int, token: int) -> int:  # noqa: ARG002
        return state + 1

    def mask(self, state: int) -> NDArray[np.bool_]:
        allowed = np.zeros(VOCABULARY, bool)
        if state == 4:
            allowed[1] = True
        else:
            allowed[10 + state % 2 : VOCABULARY : 2] = True
        return allowed


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return load_network(save(random_model("3b", seed=5), tmp_path_factory.mktemp("model")))


def test_without_rules_it_is_greedy_decoding(network: Network) -> None:
    pixels, prompts = random_pixels(3), random_prompts(3, 5, 4)
    plain = generate(network, pixels, prompts, 12)
    found = guided(network, pixels, prompts, [12] * 3, [Free()] * 3)
    for one, every in zip(plain, found, strict=True):
        assert every[0].tokens == one.tokens
        assert every[0].logprobs == pytest.approx(one.logprobs, abs=1e-4)


def test_without_rules_it_is_beam_search(network: Network) -> None:
    pixels, prompts = random_pixels(2), random_prompts(3, 5)
    wide = likeliest(network, pixels, prompts, [6] * 2, 3)
    found = guided(network, pixels, prompts, [6] * 2, [Free()] * 2, 3)
    for mine, theirs in zip(found, wide, strict=True):
        assert mine[0].tokens == theirs[0].tokens


@pytest.mark.parametrize("width", [1, 4])
def test_answers_keep_to_the_rules(network: Network, width: int) -> None:
    found = guided(network, random_pixels(2), random_prompts(3, 5), [12] * 2, [Alternating()] * 2, width)
    for every in found:
        assert len(every) == width
        for answer in every:
            assert answer.finished
            assert [token % 2 for token in answer.tokens] == [0, 1, 0, 1]
            assert len(answer.logprobs) == 5
        sums = [sum(answer.logprobs) for answer in every]
        assert sums == sorted(sums, reverse=True)


def test_probabilities_are_the_networks_own(network: Network) -> None:
    """Rules that leave one way do not make it certain."""
    answer = guided(network, random_pixels(1), random_prompts(3), [12], [Alternating()])[0][0]
    assert answer.logprobs[-1] < -0.5  # <eos>, the only token that may come, and an unlikely one


def test_an_answer_at_its_limit_is_not_finished(network: Network) -> None:
    answer = guided(network, random_pixels(1), random_prompts(3), [3], [Alternating()], 2)[0][0]
    assert len(answer.tokens) == 3
    assert not answer.finished
