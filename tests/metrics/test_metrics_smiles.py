"""Molecule metrics on pairs whose relation is known."""

from __future__ import annotations

import pytest

from docpipe.metrics.smiles import exact_match, exact_match_no_stereo, inchi_match, tanimoto


def test_the_order_in_which_a_molecule_is_written_does_not_count() -> None:
    assert exact_match("C1=CC=CC=C1O", "Oc1ccccc1") == 1
    assert tanimoto("C1=CC=CC=C1O", "Oc1ccccc1") == 1


def test_stereo_counts_unless_it_is_left_out() -> None:
    left, right = "F[C@H](Cl)Br", "F[C@@H](Cl)Br"
    assert exact_match(left, right) == 0
    assert exact_match_no_stereo(left, right) == 1
    assert exact_match_no_stereo("C/C=C/C", "C/C=C\\C") == 1


def test_isotopes_and_fragments_count_even_without_stereo() -> None:
    assert exact_match_no_stereo("[13CH4]", "C") == 0
    assert exact_match("CC(=O)[O-].[Na+]", "CC(=O)[O-]") == 0


def test_inchi_takes_mobile_hydrogens_for_one_molecule() -> None:
    assert exact_match("Oc1ccccn1", "O=c1cccc[nH]1") == 0
    assert inchi_match("Oc1ccccn1", "O=c1cccc[nH]1") == 1
    assert inchi_match("*CC", "CC*") == 1


def test_tanimoto_says_how_near_a_wrong_answer_is() -> None:
    assert 0 < tanimoto("CCO", "CCN") < 1
    assert tanimoto("CCO", "c1ccccc1") < tanimoto("CCO", "CCCO")


@pytest.mark.parametrize("answer", ["", "   ", "not a molecule", "C1CC", "C(C)(C)(C)(C)C"])
def test_what_is_no_molecule_scores_zero(answer: str) -> None:
    for metric in (exact_match, exact_match_no_stereo, inchi_match, tanimoto):
        assert metric(answer, "CCO") == 0
        assert metric("CCO", answer) == 0
