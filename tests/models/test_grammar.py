"""Decoding by a grammar: what it lets through, what it refuses, and that answers then hold."""

from __future__ import annotations

import pytest
import torch
from random_models import random_pixels
from rdkit.Chem import MolFromSmiles
from rdkit.Chem.Draw import MolToImage
from spelling_model import EOS, VOCABULARY, spelling_model

from docpipe.models.beam import likeliest
from docpipe.models.decode import Decoded, generate
from docpipe.models.drawings import drawing_square
from docpipe.models.grammar import Grammar, notation, rings_hold, rings_pair
from docpipe.models.load import load_network, network_config
from docpipe.models.network import Network
from docpipe.models.preprocess import Frame, to_pixels
from docpipe.models.registry import shipped
from docpipe.models.tiling import tiles
from docpipe.models.tokenizer import Tokenizer

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Tokenizer]:
    path = spelling_model(tmp_path_factory.mktemp("spelling") / "model")
    return load_network(path), Tokenizer(path, network_config(path))


def grammar(made: tuple[Network, Tokenizer], task: str) -> Grammar:
    return Grammar(task, made[1], len(VOCABULARY), EOS)


def refused_at(g: Grammar, tokenizer: Tokenizer, text: str) -> str | None:
    """What of a text is let through before the first token that is not; None when all is, and it may end there."""
    guide, so_far = g.guide(), ""
    for token in [*tokenizer.encode(text), EOS]:
        wish = torch.zeros(g.vocabulary)
        wish[token] = 9
        if int(guide.limited(wish, 1).argmax()) != token:
            return so_far
        guide = guide.take(token)
        so_far += tokenizer.piece(token)
    return None


@pytest.mark.parametrize("smiles", ["C1CC1", "CC(=O)O", "[NH4+].[Cl-]", "C%12CC%12", "F/C=C/F", "c1ccc2c(c1)CCN2",
                                    "[13C@@H](Br)(Cl)F", "C1CC2(C1)CC2", "N#N"])  # fmt: skip
def test_smiles_pass(made: tuple[Network, Tokenizer], smiles: str) -> None:
    assert refused_at(grammar(made, "molecule"), made[1], smiles) is None


@pytest.mark.parametrize(("smiles", "where"), [
    ("C1CC", "C1CC"), ("C(C", "C(C"), ("CC)C", "CC"), ("C[NH4", "C[NH4"), ("C11", "C1"), ("C()C", "C("),
    ("CC=", "CC="), ("Cq", "C"), ("", ""),
])  # fmt: skip
def test_smiles_that_do_not_close_are_refused_where_they_go_wrong(
    made: tuple[Network, Tokenizer], smiles: str, where: str
) -> None:
    assert refused_at(grammar(made, "molecule"), made[1], smiles) == where


TABLES = [
    "<table><tr><td>a</td><td>b</td></tr><tr><td>1</td><td>2</td></tr></table>",
    '<table><thead><tr><th colspan="2">a</th></tr></thead><tr><td>1</td><td></td></tr></table>',
    '<table><tr><td rowspan="2">a</td><td>b</td></tr><tr><td>c</td></tr></table>',
    '<table><tr><td>a</td><td rowspan="2">b</td></tr><tr><td>c</td></tr></table>',
]


@pytest.mark.parametrize("html", TABLES)
def test_tables_pass(made: tuple[Network, Tokenizer], html: str) -> None:
    assert refused_at(grammar(made, "table"), made[1], html) is None


@pytest.mark.parametrize(("html", "where"), [
    ("<table><tr><td>a</tr>", "<table><tr><td>a"),
    ("<table><tr><td>a</td></tr><tr><td>1</td><td>2</td>", "<table><tr><td>a</td></tr><tr><td>1</td>"),
    ("<table><tr><td>a</td><td>b</td></tr><tr><td>1</td></tr>",
     "<table><tr><td>a</td><td>b</td></tr><tr><td>1</td>"),
    ('<table><tr><td rowspan="2">a</td><td>b</td></tr></table>',
     '<table><tr><td rowspan="2">a</td><td>b</td></tr>'),
    ("<table><tr></tr>", "<table><tr>"),
])  # fmt: skip
def test_tables_that_do_not_nest_or_tile_are_refused(made: tuple[Network, Tokenizer], html: str, where: str) -> None:
    assert refused_at(grammar(made, "table"), made[1], html) == where


KERN = "**kern\t**kern\n*clefF4\t*clefG2\n4c\t8e 8g\n.\t8f\n*\t*^\n2C\t4a\t4c\n*\t*v\t*v\n=1\t=1\n!!note\n*-\t*-\n"


def test_scores_pass_with_spines_that_split_and_join(made: tuple[Network, Tokenizer]) -> None:
    assert refused_at(grammar(made, "score"), made[1], KERN) is None


@pytest.mark.parametrize(("kern", "where"), [
    ("**kern\t**kern\n4c\n", "**kern\t**kern\n4c"),
    ("**kern\n4c\t4d", "**kern\n4c"),
    ("**kern\t**kern\n*\t*^\n4c\t4d\n", "**kern\t**kern\n*\t*^\n4c\t4d"),
    ("**kern\t**kern\n*v\t*v\n4c\t4d", "**kern\t**kern\n*v\t*v\n4c"),
    ("**kern\n4c\n", "**kern\n4c\n"),
    ("4c", ""),
])  # fmt: skip
def test_lines_of_the_wrong_number_of_spines_are_refused(
    made: tuple[Network, Tokenizer], kern: str, where: str
) -> None:
    assert refused_at(grammar(made, "score"), made[1], kern) == where


def held(task: str, answer: Decoded, tokenizer: Tokenizer) -> bool:
    """Whether an answer's every token is one that the grammar lets through."""
    text = tokenizer.text(answer.tokens)
    if task == "molecule":
        return rings_hold(text) and text.count("(") >= text.count(")") and (not answer.finished or rings_pair(text))
    return tiles(text)


@pytest.mark.parametrize("task", ["molecule", "table"])
def test_a_model_that_speaks_nonsense_speaks_grammatical_nonsense(made: tuple[Network, Tokenizer], task: str) -> None:
    network, tokenizer = made
    g, pixels = grammar(made, task), random_pixels(4, seed=3)
    prompts = [[2, 30 + i, 40] for i in range(4)]
    free = generate(network, pixels, prompts, 40)
    bound = generate(network, pixels, prompts, 40, guides=[g.guide() for _ in prompts])
    assert any(refused_at(g, tokenizer, tokenizer.text(a.tokens)) is not None for a in free)
    for one in bound:
        where = refused_at(g, tokenizer, tokenizer.text(one.tokens))
        assert where is None or len(where) == len(tokenizer.text(one.tokens)), "only its end may be missing"
        assert held(task, one, tokenizer)
        assert all(log <= 0 for log in one.logprobs)
    beams = likeliest(network, pixels[:1], prompts[:1], [12], 3, guides=[g.guide()])[0]
    assert len(beams) == 3
    for one in beams:
        where = refused_at(g, tokenizer, tokenizer.text(one.tokens))
        assert where is None or len(where) == len(tokenizer.text(one.tokens))


def test_a_grammar_that_lets_all_through_changes_nothing() -> None:
    """nano-molecule's own answers are SMILES already: greedy and guided are the same, probabilities included."""
    checkpoint = shipped()["nano-molecule"]
    assert checkpoint.folder is not None
    config = network_config(checkpoint.folder)
    network, tokenizer = load_network(checkpoint.folder), Tokenizer(checkpoint.folder, config)
    g = Grammar("molecule", tokenizer, config.text.vocabulary, config.eos)
    frame = Frame(config.vision.side, config.vision.patch)
    drawn = [drawing_square(MolToImage(MolFromSmiles(smiles), (300, 300)), frame) for smiles in ("CCO", "CC(C)=O")]
    pixels, prompts = to_pixels(drawn), [tokenizer.prompt("smiles")] * 2
    free, bound = (generate(network, pixels, prompts, 30, guides=guides) for guides in ((), [g.guide(), g.guide()]))
    passes = [refused_at(g, tokenizer, tokenizer.text(a.tokens)) is None for a in free]
    for one, two, fine in zip(free, bound, passes, strict=True):
        if fine:
            assert one == two
    assert any(passes)


def test_a_guide_that_was_copied_goes_its_own_way(made: tuple[Network, Tokenizer]) -> None:
    g = grammar(made, "molecule")
    (opened, carbon) = made[1].encode("(C")
    guide = g.guide().take(carbon)
    other = guide.copy().take(opened)
    assert guide.limited(torch.zeros(len(VOCABULARY)), 99)[EOS] == 0
    assert other.limited(torch.zeros(len(VOCABULARY)), 99)[EOS] == -torch.inf


def test_only_tables_molecules_and_scores_have_grammars() -> None:
    assert notation("text") is None
    assert notation("chart") is None


def test_rings_and_tiles_by_themselves() -> None:
    assert rings_pair("C1CC1[13CH3]")
    assert not rings_pair("C1CC2CC1")
    assert rings_hold("C12CC1C2")
    assert not rings_hold("CC=1=1")
    assert tiles("<table><tr><td>a</td>")
    assert not tiles('<table><tr><td>a</td></tr><tr><td colspan="2">')
