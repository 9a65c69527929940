"""Edit distance and the error rates made of it, against worked values and the plain recursion."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.metrics.bag import word_f1
from docpipe.metrics.cer import cer, wer
from docpipe.metrics.levenshtein import distance, error_rate
from docpipe.metrics.rouge import rouge_l
from docpipe.metrics.ser import kern_cer, ler, ser


def plain_distance(first: str, second: str) -> int:
    row = list(range(len(second) + 1))
    for i, x in enumerate(first, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(second, 1):
            diagonal, row[j] = row[j], min(diagonal + (x != y), row[j] + 1, row[j - 1] + 1)
    return row[-1]


@given(st.text("abc", max_size=80), st.text("abc", max_size=80))
def test_distance_agrees_with_the_plain_recursion(first: str, second: str) -> None:
    assert distance(first, second) == plain_distance(first, second)


@pytest.mark.parametrize(
    ("first", "second", "edits"), [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "abc", 0), ("ab", "ba", 2)]
)
def test_distance_of_known_pairs(first: str, second: str, edits: int) -> None:
    assert distance(first, second) == edits


def test_an_invention_where_the_truth_is_empty_is_one_whole_error() -> None:
    assert error_rate("", "") == 0
    assert error_rate("a long invention", "") == 1


def test_cer_counts_letters_and_takes_runs_of_blanks_for_one() -> None:
    assert cer("the  c\nat", "the cat") == pytest.approx(1 / 7)
    assert cer("the\ncat ", "the cat") == 0
    assert cer("e\u0301t\u00e9", "\u00e9t\u00e9") == 0


def test_cer_exceeds_one_where_the_answer_runs_on() -> None:
    assert cer("aaaaaaaa", "bb") == 4


def test_wer_counts_whole_words() -> None:
    assert wer("the cut sat", "the cat sat") == pytest.approx(1 / 3)


def test_word_f1_does_not_see_order_but_counts_repeats() -> None:
    assert word_f1("sat cat the", "the cat sat") == 1
    assert word_f1("the the", "the cat") == pytest.approx(0.5)
    assert word_f1("", "") == 1
    assert word_f1("", "the") == 0


def test_rouge_l_is_the_f1_of_the_longest_common_subsequence() -> None:
    assert rouge_l("police kill the gunman", "police killed the gunman") == pytest.approx(0.75)
    assert rouge_l("the gunman kill police", "police killed the gunman") == pytest.approx(0.5)
    assert rouge_l("A dog.", "a DOG") == 1
    assert rouge_l("", "a dog") == 0


TRUTH = "**kern\t**kern\n4c 4e\t8dL\n.\t8eJ\n*-\t*-\n"


def test_ser_counts_chord_notes_tabs_and_line_ends_as_symbols() -> None:
    # 4 lines with a tab each, 3 line ends between them, 9 tokens (the chord has two): 16 symbols.
    assert ser(TRUTH.replace("4e", "4f"), TRUTH) == pytest.approx(1 / 16)
    assert ser(TRUTH.replace("8dL", "8d"), TRUTH) == pytest.approx(1 / 16)
    assert ser(TRUTH.replace(".\t8eJ\n", ""), TRUTH) == pytest.approx(4 / 16)


def test_line_ends_and_blank_lines_at_the_ends_do_not_count() -> None:
    same = "\n" + TRUTH.replace("\n", "\r\n") + "\n\n"
    assert ser(same, TRUTH) == kern_cer(same, TRUTH) == ler(same, TRUTH) == 0


def test_ler_counts_a_line_with_one_wrong_symbol_as_wrong() -> None:
    assert ler(TRUTH.replace("8dL", "8d"), TRUTH) == pytest.approx(1 / 4)
    assert kern_cer(TRUTH.replace("8dL", "8d"), TRUTH) == pytest.approx(1 / (len(TRUTH) - 1))


def test_no_kern_at_all_is_all_wrong() -> None:
    assert ser("", TRUTH) == ler("", TRUTH) == kern_cer("", TRUTH) == 1
