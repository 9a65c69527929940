"""Decoding with a draft: the same answer, whatever the draft, in fewer steps when it is a good one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from random_models import random_model
from random_models import save as save_model
from rdkit.Chem import MolFromSmiles
from rdkit.Chem.Draw import MolToImage

from docpipe.models.decode import generate
from docpipe.models.draft import Guess, Tally, generate_with_draft
from docpipe.models.drawings import drawing_square
from docpipe.models.load import load_network, network_config
from docpipe.models.network import Network
from docpipe.models.preprocess import Frame, to_pixels
from docpipe.models.quantize import Mode
from docpipe.models.quantized import load
from docpipe.models.registry import shipped
from docpipe.models.tokenizer import Tokenizer

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


def test_a_right_draft_saves_steps_and_a_wrong_one_costs_hardly_any(network: Network) -> None:
    (right,) = generate(network, image(network, 2), [PROMPT], LIMIT)
    good, bad, none = Tally(), Tally(), Tally()
    generate_with_draft(network, image(network, 2), PROMPT, LIMIT, right.tokens, tally=good, lookup=False)
    generate_with_draft(network, image(network, 2), PROMPT, LIMIT, [298] * LIMIT, tally=bad, lookup=False)
    generate_with_draft(network, image(network, 2), PROMPT, LIMIT, tally=none, lookup=False)
    assert good.steps <= len(right.tokens) / 6 + 2
    assert bad.steps == none.steps == len(right.tokens) - (0 if right.finished else 1)
    assert bad.tried <= 20, "it is soon left alone"


def test_a_quantized_network_gives_its_own_greedy_answer(tmp_path: Path) -> None:
    quantized, _ = load(save_model(random_model(), tmp_path), "int8")
    (right,) = generate(quantized, image(quantized, 3), [PROMPT], LIMIT)
    found = generate_with_draft(quantized, image(quantized, 3), PROMPT, LIMIT, right.tokens)
    assert found.tokens == right.tokens


@pytest.fixture(scope="module")
def drawings() -> tuple[Path, list[torch.Tensor]]:
    """nano-molecule's folder, and drawings as it sees them."""
    folder = shipped()["nano-molecule"].folder
    assert folder is not None
    config = network_config(folder)
    frame = Frame(config.vision.side, config.vision.patch)
    drawn = [
        MolToImage(MolFromSmiles(one), (300, 300)) for one in ("CC(C)CO", "CC(C)=O", "c1ccccc1O", "CC(=O)OC1CCCC1")
    ]
    return folder, [to_pixels([drawing_square(image, frame)]) for image in drawn]


@pytest.mark.parametrize("mode", ["none", "int8"])
def test_nano_answers_alike_with_a_right_a_half_right_and_a_wrong_draft(
    drawings: tuple[Path, list[torch.Tensor]], mode: Mode
) -> None:
    folder, pixels = drawings
    nano, _ = load(folder, mode)
    prompt = Tokenizer(folder, nano.config).prompt("smiles")
    said = [generate(nano, image, [prompt], 64)[0] for image in pixels]
    assert all(one.finished and len(one.tokens) >= 4 for one in said), "real answers"
    for place, (image, right) in enumerate(zip(pixels, said, strict=True)):
        other = said[place - 1].tokens
        steps = []
        for draft in (right.tokens, [*right.tokens[: len(right.tokens) // 2], *other], other[::-1], ()):
            tally = Tally()
            found = generate_with_draft(nano, image, prompt, 64, draft, tally=tally)
            assert found.tokens == right.tokens
            assert found.finished
            assert found.logprobs == pytest.approx(right.logprobs, abs=1e-4 if mode == "none" else 0.05)
            steps.append(tally.steps)
        assert steps[0] < steps[-1]
        assert steps[0] <= steps[1]


@pytest.mark.parametrize("said", [[1, 2, 99], [1, 2], [1, 2, 99, 3], [1, 98, 99, 2, 3]], ids=str)
def test_the_draft_is_taken_up_again_after_a_mismatch(said: list[int]) -> None:
    guess = Guess([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], lookup=False)
    assert guess.next(3) == [1, 2, 3]
    guess.take([*said, 4, 5])
    assert guess.next(2) == [6, 7], "a token replaced, left out, or put in"


def test_a_draft_that_proves_wrong_is_tried_less_and_one_that_proves_right_again_more() -> None:
    guess = Guess(range(10, 60), lookup=False)
    assert len(guess.next(8)) == 8
    guess.take([500] * 20)
    assert guess.next(8) == []
    guess.take(range(30, 40))
    assert guess.next(8)[:3] == [40, 41, 42]


def test_repetitions_are_foretold() -> None:
    guess = Guess([])
    guess.take([10, 11, 12, 13, 14, 10, 11, 12])
    assert guess.next(2) == [13, 14]
    guess.take([13, 14])
    assert guess.next(4) == [10, 11, 12, 13], "tried further the more often it was right"
    assert Guess([], lookup=False).next(4) == []


def test_what_nearly_ties_is_computed_by_itself(network: Network) -> None:
    (right,) = generate(network, image(network, 1), [PROMPT], LIMIT)
    tally = Tally()
    found = generate_with_draft(network, image(network, 1), PROMPT, LIMIT, right.tokens, sure=1e9, tally=tally)
    assert found.tokens == right.tokens
    assert tally.kept == 0
    assert tally.tried > 0
