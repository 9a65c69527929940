"""How sure each part of an answer is: tokens brought to atoms, cells and notes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.models.parts import Spelling, parts_of


def parts(writes: str, *tokens: tuple[str, float]) -> list[tuple[str, str, float]]:
    """Parts of an answer of tokens with these probabilities, <eos> after them."""
    made = parts_of(writes, [t for t, _ in tokens], [*(math.log(p) for _, p in tokens), math.log(0.01)])
    return [(part.where, part.text, round(part.confidence, 6)) for part in made]


def test_atoms_are_as_sure_as_their_least_sure_token() -> None:
    found = parts("molecule", ("C", 0.9), ("[", 0.8), ("N", 0.5), ("H3", 0.7), ("+]", 0.95), ("Cl", 0.6))
    assert sorted((text, sure) for _, text, sure in found) == [("C", 0.9), ("Cl", 0.6), ("[NH3+]", 0.5)]


def test_atoms_are_numbered_as_in_the_canonical_smiles() -> None:
    from rdkit import Chem

    read = "OC(=O)CN"
    found = {where: text for where, text, _ in parts("molecule", *((c, 0.9) for c in read))}
    canonical = Chem.MolFromSmiles(Chem.CanonSmiles(read))
    assert found == {f"atom {atom.GetIdx()}": atom.GetSymbol() for atom in canonical.GetAtoms()}
    unread = parts("molecule", ("C", 0.9), ("(", 0.2), ("O", 0.8))
    assert unread == [("atom 0", "C", 0.9), ("atom 1", "O", 0.8)]


def test_cells_are_where_a_browser_places_them() -> None:
    tokens = [("<table><tr>", 1.0), ('<td rowspan="2">', 0.3), ("ab", 0.9), ("c</td>", 0.7), ("<td>", 0.9), ("d", 0.6),
              ("</td></tr><tr><td>", 0.2), ("&lt;5", 0.5), ("</td></tr></table>", 0.1)]  # fmt: skip
    assert parts("table", *tokens) == [
        ("row 0, column 0", "abc", 0.7), ("row 0, column 1", "d", 0.6), ("row 1, column 1", "<5", 0.5),
    ]  # fmt: skip


@pytest.mark.parametrize(("line", "tab"), [("\n", "\t"), ("<b>", "<t>")])
def test_notes_are_told_by_line_and_spine(line: str, tab: str) -> None:
    tokens = [("**kern", 0.9), (tab, 0.9), ("**kern", 0.9), (line, 0.2), ("4", 0.9), ("c", 0.5), (tab, 0.1),
              (".", 0.3), (line, 0.9), ("=1", 0.2), (tab, 0.9), ("=1", 0.2), (line, 0.9), ("2d", 0.8), (tab, 0.9),
              ("8ee", 0.7)]  # fmt: skip
    assert parts("score", *tokens) == [
        ("line 1, spine 0", "4c", 0.5), ("line 3, spine 0", "2d", 0.8), ("line 3, spine 1", "8ee", 0.7),
    ]  # fmt: skip


def test_other_contents_have_no_parts() -> None:
    assert parts("answer", ("yes", 0.5)) == []
    assert parts("table", ("no table", 0.5)) == []
    assert parts("molecule") == []


@given(st.lists(st.text(max_size=6), max_size=12), st.sampled_from(["molecule", "table", "score"]))
def test_no_answer_whatever_raises(pieces: list[str], writes: str) -> None:
    for part in parts_of(writes, pieces, [-0.5] * (len(pieces) + 1)):
        assert 0 <= part.confidence <= 1


def test_a_spelling_knows_its_tokens() -> None:
    spelling = Spelling(["ab", "", "c", "de"], [math.log(p) for p in (0.9, 0.1, 0.8, 0.7)])
    assert [round(spelling.least(*span), 6) for span in ((0, 1), (0, 2), (2, 3), (1, 4), (3, 5))] == [
        0.9, 0.9, 0.8, 0.1, 0.7,
    ]  # fmt: skip
