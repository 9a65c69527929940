"""Decoding with a draft: the same answer, whatever the draft, in fewer steps when it is a good one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from random_models import random_model
from random_models import save as save_model

from docpipe.models.decode import generate
from docpipe.models.draft import Guess, Tally, generate_with_draft
from docpipe.models.load import load_network
from docpipe.models.network import Network
from docpipe.models.quantize import load

LIMIT = 40
PROMPT = [2, 5, 9, 4]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    return load_network(save_model(random_model(), tmp_path_factory.mktemp("checkpoint")))


def image(network: Network, seed: int) -> torch.Tensor:
    side = network.config.vision.side
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("seed", range(4))
def test_any_draft_gives_the_greedy_answer(network: Network, seed: int) -> None:
    (right,) = generate(network, image(network, seed), [PROMPT], LIMIT)
    noise = random.Random(seed)
    said = list(right.tokens)
    half = [token if noise.random() < 0.8 else noise.randrange(5, 299) for token in said]
    for draft in ([], said, said[3:], half, half[:5] + said[5:], [7] * 50, said + said):
        for at_once in (1, 3, 8):
            found = generate_with_draft(network, image(network, seed), PROMPT, LIMIT, draft, at_once=at_once)
            assert found.tokens == right.tokens, draft
            assert found.finished == right.finished
            assert found.logprobs == pytest.approx(right.logprobs, abs=1e-4)


def test_a_limit_and_an_end_are_kept(network: Network) -> None:
    (right,) = generate(network, image(network, 1), [PROMPT], LIMIT)
    for limit in (1, 2, 7):
        found = generate_with_draft(network, image(network, 1), PROMPT, limit, right.tokens)
        assert found.tokens == right.tokens[:limit]
        assert not found.finished
    end = right.tokens[6]
    (ended,) = generate(network, image(network, 1), [PROMPT], LIMIT, eos=end)
    found = generate_with_draft(network, image(network, 1), PROMPT, LIMIT, right.tokens, eos=end)
    assert (found.tokens, found.finished) == (ended.tokens, True)


def test_a_right_draft_saves_steps_and_a_wrong_one_costs_none(network: Network) -> None:
    (right,) = generate(network, image(network, 2), [PROMPT], LIMIT)
    good, bad, none = Tally(), Tally(), Tally()
    generate_with_draft(network, image(network, 2), PROMPT, LIMIT, right.tokens, tally=good, lookup=False)
    generate_with_draft(network, image(network, 2), PROMPT, LIMIT, [298] * LIMIT, tally=bad, lookup=False)
    generate_with_draft(network, image(network, 2), PROMPT, LIMIT, tally=none, lookup=False)
    assert good.steps <= len(right.tokens) / 7 + 1
    assert bad.steps == none.steps == len(right.tokens) - (0 if right.finished else 1)


def test_a_quantized_network_gives_its_own_greedy_answer(tmp_path: Path) -> None:
    quantized, _ = load(save_model(random_model(), tmp_path), "int8")
    (right,) = generate(quantized, image(quantized, 3), [PROMPT], LIMIT)
    found = generate_with_draft(quantized, image(quantized, 3), PROMPT, LIMIT, right.tokens)
    assert found.tokens == right.tokens


def test_the_draft_is_taken_up_again_after_a_mismatch() -> None:
    guess = Guess([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], lookup=False)
    assert guess.next(3) == [1, 2, 3]
    guess.take([1, 2, 99])
    assert guess.next(3) == []
    guess.take([4, 5])
    assert guess.next(3) == [6, 7, 8], "behind the two tokens that agree"


def test_repetitions_are_foretold() -> None:
    guess = Guess([])
    guess.take([10, 11, 12, 13, 14, 10, 11, 12])
    assert guess.next(4) == [13, 14, 10, 11]
    assert Guess([], lookup=False).next(4) == []
