"""Which measures are right, by hand."""

from __future__ import annotations

from docpipe.metrics.measures import align, held, measures_right

TRUTH = """**kern\t**kern
*clefF4\t*clefG2
*k[b-]\t*k[b-]
*M2/4\t*M2/4
4C\t(8eeL
.\t8ff)J
4E 4G\t4b-'
=\t=
2r\t4cc 4ee
.\t4dd
=\t=
2F\t[2aa
=\t=
2F\t2aa]
==\t==
*-\t*-
"""


def test_the_truth_is_right_in_every_measure() -> None:
    assert measures_right(TRUTH, TRUTH) == [True] * 4


def test_a_wrong_pitch_length_or_tie_spoils_its_measure_alone() -> None:
    for wrong in (("8ff)J", "8gg)J"), ("4dd", "8dd"), ("[2aa", "2aa"), ("2r", "2D")):
        right = measures_right(TRUTH.replace(*wrong, 1), TRUTH, "notes")
        assert right.count(False) == 1, wrong


def test_slurs_beams_and_marks_count_as_written_and_not_as_notes() -> None:
    for sign, without in (("(8eeL", "8eeL"), ("(8eeL", "(8ee"), ("4b-'", "4b-")):
        less = TRUTH.replace(sign, without)
        assert measures_right(less, TRUTH) == [False, True, True, True]
        assert measures_right(less, TRUTH, "notes") == [True] * 4


def test_two_spellings_of_one_chord_are_one() -> None:
    for spelling in ("4E G", "4G 4E", "4G En"):
        assert measures_right(TRUTH.replace("4E 4G", spelling), TRUTH) == [True] * 4


def test_which_staff_a_note_stands_on_counts() -> None:
    swapped = "\n".join("\t".join(reversed(line.split("\t"))) for line in TRUTH.splitlines())
    assert not any(measures_right(swapped, TRUTH))


def test_a_measure_too_many_or_too_few_moves_no_other() -> None:
    more = TRUTH.replace("2F\t[2aa", "2DD\t2d\n=\t=\n2F\t[2aa")
    assert measures_right(more, TRUTH) == [True, True, False, True, True]
    lines = TRUTH.splitlines()
    less = "\n".join([*lines[:4], *lines[8:]])
    assert measures_right(less, TRUTH) == [True, True, True]


def test_measures_are_aligned_by_what_they_hold() -> None:
    one, two, three, four = held(TRUTH)
    assert align([one, three, four], [one, two, three, four]) == [0, 2, 3]
    assert align([one, two], []) == [None, None]
    assert align([], [one]) == []
