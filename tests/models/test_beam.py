"""The n likeliest answers, against trying every answer there is."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import torch
from random_models import random_model, random_pixels, random_prompts, save

from docpipe.models.beam import likeliest
from docpipe.models.decode import generate, prefill, step
from docpipe.models.load import load_network
from docpipe.models.network import Network

torch.set_num_threads(1)
SMALL = 9


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A network with a vocabulary so small that all its answers can be counted."""
    folder = save(random_model("10b", seed=3), tmp_path_factory.mktemp("model"))
    network = load_network(folder)
    network.words = torch.nn.Parameter(network.words[:SMALL] * 0.5, requires_grad=False)
    return network


PROMPT = [2, 3, 4, 5]


def every_answer(network: Network, limit: int, eos: int) -> list[tuple[float, tuple[int, ...]]]:
    """All answers of at most `limit` tokens with their probability's logarithm, likeliest first."""
    found: dict[tuple[int, ...], float] = {}
    with torch.inference_mode():
        for tokens in product(range(SMALL), repeat=limit):
            state = prefill(network, random_pixels(1), [PROMPT], limit)
            logits, total, said = state.logits, 0.0, []
            for token in tokens:
                total += float(logits.log_softmax(-1)[0, token])
                if token == eos:
                    break
                said.append(token)
                logits = step(network, state, torch.tensor([token]))
            found[(*said, eos) if len(said) < limit else tuple(said)] = total
    return sorted(((total, said) for said, total in found.items()), reverse=True)


def test_a_wide_beam_finds_the_likeliest_of_all_answers(small: Network) -> None:
    eos, limit = 6, 3
    truth = every_answer(small, limit, eos)
    answers = likeliest(small, random_pixels(1), [PROMPT], [limit], SMALL**2, eos=eos)[0]
    got = [(sum(a.logprobs), (*a.tokens, eos) if a.finished else a.tokens) for a in answers[:8]]
    assert [said for _, said in got] == [said for _, said in truth[:8]]
    assert [total for total, _ in got] == pytest.approx([total for total, _ in truth[:8]], abs=1e-4)
    assert any(a.finished for a in answers)
    assert len({a.tokens for a in answers if a.finished}) == sum(a.finished for a in answers)


def test_width_one_is_greedy(tmp_path: Path) -> None:
    network = load_network(save(random_model("3b", seed=5), tmp_path))
    pixels, prompts, limits = random_pixels(3), random_prompts(4, 9, 6), [12, 5, 20]
    greedy = generate(network, pixels, prompts, limits)
    eos = greedy[2].tokens[7]
    greedy = generate(network, pixels, prompts, limits, eos)
    beams = likeliest(network, pixels, prompts, limits, 1, eos=eos)
    assert [b[0].tokens for b in beams] == [g.tokens for g in greedy]
    assert [b[0].finished for b in beams] == [g.finished for g in greedy]
    for beam, answer in zip(beams, greedy, strict=True):
        assert beam[0].logprobs == pytest.approx(answer.logprobs, abs=1e-4)


def test_answers_are_ranked_and_no_less_likely_than_the_greedy_one(tmp_path: Path) -> None:
    network = load_network(save(random_model("10b", seed=6), tmp_path))
    pixels, prompts = random_pixels(2), random_prompts(5, 7)
    greedy = generate(network, pixels, prompts, 10)
    for answers, one in zip(likeliest(network, pixels, prompts, [10, 10], 5), greedy, strict=True):
        totals = [sum(a.logprobs) for a in answers]
        assert len(answers) == 5
        assert totals == sorted(totals, reverse=True)
        assert totals[0] >= sum(one.logprobs) - 1e-3
        assert len({a.tokens for a in answers}) == 5


def test_prompts_in_a_batch_are_searched_as_if_alone(tmp_path: Path) -> None:
    network = load_network(save(random_model("10b", seed=6), tmp_path))
    pixels, prompts, limits = random_pixels(3), random_prompts(5, 11, 5), [6, 9, 3]
    together = likeliest(network, pixels, prompts, limits, 3)
    for row, answers in enumerate(together):
        alone = likeliest(network, pixels[row : row + 1], [prompts[row]], [limits[row]], 3)[0]
        assert [a.tokens for a in answers] == [a.tokens for a in alone]
