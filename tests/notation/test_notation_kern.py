"""Reading, timing, writing and joining **kern."""

from __future__ import annotations

from fractions import Fraction

import pytest

from docpipe.notation.kern import duration, from_encoded, join_systems, read, read_token
from docpipe.notation.rhythm import rhythm


def kern(*lines: str) -> str:
    """Lines whose cells are separated by blanks-and-bars for legibility: "4c | 4e" is two cells."""
    return "".join(line.replace(" | ", "\t") + "\n" for line in lines)


PIANO = kern(
    "**kern | **kern",
    "*clefF4 | *clefG2",
    "*k[b-] | *k[b-]",
    "*M2/4 | *M2/4",
    "* | *^",
    "4C 4c | (8ccL | 2a",
    ". | 8dd | .",
    "4D | 8eeJ) | .",
    ". | 8r | .",
    "* | *v | *v",
    "=2 | =2",
    "2E | [4ff",
    ". | 4ff]",
    "== | ==",
    "*- | *-",
)


@pytest.mark.parametrize(
    ("digits", "quarters"),
    [("4", "1"), ("8.", "3/4"), ("2..", "7/2"), ("12", "1/3"), ("0", "8"), ("00", "16"), ("3%2", "8/3"), ("1%3", "12")],
)
def test_durations_in_quarters(digits: str, quarters: str) -> None:
    assert duration(digits) == Fraction(quarters)


@pytest.mark.parametrize("digits", ["", "x", "4%0", ".", "1" * 40])
def test_no_duration_is_refused(digits: str) -> None:
    with pytest.raises(ValueError, match="no duration"):
        duration(digits)


def test_a_chord_has_a_note_for_each_part_and_the_first_duration_may_stand_for_all() -> None:
    notes = read_token("8dddL ff# d-")
    assert [note.pitch for note in notes] == ["ddd", "ff#", "d-"]
    assert {note.quarters for note in notes} == {Fraction(1, 2)}
    assert [note.beams_begun for note in notes] == [1, 0, 0]


def test_marks_of_a_note() -> None:
    (note,) = read_token("(>[16.ee--LL'")
    assert (note.quarters, note.pitch, note.ties) == (Fraction(3, 8), "ee--", "[")
    assert (note.slurs_begun, note.slurs_ended, note.beams_begun) == (1, 0, 2)
    (grace,) = read_token("(32cPqq")
    assert grace.grace
    assert grace.quarters == 0
    (rest,) = read_token("8raa")
    assert rest.is_rest
    assert not rest.hidden
    assert read_token("4ryy")[0].hidden
    assert read_token("4bnX")[0].pitch == "b"
    assert read_token(".") == ()


@pytest.mark.parametrize("token", ["8", "c", "4h", "4cd", "48c8", "4c#-", "4#c", "4c  4e", "4c é", "4ccccccc"])
def test_a_token_that_is_no_kern_is_refused(token: str) -> None:
    with pytest.raises(ValueError):
        read_token(token)


def test_writing_gives_back_what_was_read() -> None:
    assert read(PIANO).write() == PIANO
    assert read(PIANO).problems == ()


def test_voices_of_a_split_spine_keep_their_spine() -> None:
    row = next(row for row in read(PIANO).rows if row.kind == "data")
    assert [path.spine for path in row.paths] == [0, 1, 1]
    assert len({path.voice for path in row.paths}) == 3


def test_onsets_and_measures() -> None:
    time = rhythm(read(PIANO))
    assert time.problems == []
    assert [(bar.number, bar.quarters, bar.bar_line) for bar in time.bars] == [(1, 2, "="), (2, 2, "==")]
    assert [(placed.note.pitch, placed.onset) for placed in time.notes if placed.path.spine == 0] == [
        ("C", 0), ("c", 0), ("D", 1), ("E", 2),
    ]  # fmt: skip
    assert time.end == 4
    assert [(bar.first_line, bar.last_line) for bar in time.bars] == [(1, 9), (11, 12)]


def test_tuplets_and_grace_notes_add_up() -> None:
    text = kern("**kern", "12cL", "12d", "8qee", "12eJ", "4f", "*-")
    time = rhythm(read(text))
    assert time.problems == []
    assert [placed.onset for placed in time.notes] == [0, Fraction(1, 3), Fraction(2, 3), Fraction(2, 3), 1]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["4c | 8e", "4d | 8f"], "overlap"),
        (["4c | 8e", "4d | ."], "overlap"),
        (["8c | 4e", ". | 4f"], "gap"),
        (["4c | 4e", ". | 4f"], "gap"),
    ],
)
def test_voices_that_do_not_add_up(lines: list[str], code: str) -> None:
    problems = rhythm(read(kern("**kern | **kern", *lines, "= | =", "*- | *-"))).problems
    assert code in {problem.code for problem in problems}


def test_voices_that_do_not_end_together() -> None:
    problems = rhythm(read(kern("**kern | **kern", "4c | 2e", "= | =", "4d | 4f", "*- | *-"))).problems
    assert [problem.code for problem in problems] == ["voices"]


def test_one_slip_gives_no_problem_in_the_measures_after_it() -> None:
    text = kern("**kern | **kern", "4c | 2e", "= | =", *["4d | 4f", "= | ="] * 5, "*- | *-")
    assert len(rhythm(read(text)).problems) == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (kern("**kern | **kern", "4c", "*- | *-"), "columns"),
        (kern("**kern | **kern", "4c | =", "*- | *-"), "mixed"),
        (kern("**kern | **kern", "*v | *", "*- | *-"), "merge"),
        (kern("**kern | **kern", "*v | *v", "4c", "*- | *-"), "merge"),
        (kern("**kern | **kern", "*x | *", "*- | *-"), "exchange"),
        (kern("**kern", "4c"), "unterminated"),
        (kern("4c", "*-"), "header"),
        (kern("**kern", "*-", "4c"), "columns"),
        ("", "header"),
    ],
)
def test_breaches_of_the_syntax_are_listed(text: str, code: str) -> None:
    assert code in {problem.code for problem in read(text).problems}


def test_exchanged_spines_keep_their_time() -> None:
    text = kern("**kern | **kern", "4c | 2e", "4d | .", "*x | *x", "4f | 4a", "*- | *-")
    time = rhythm(read(text))
    assert time.problems == []
    assert [placed.path.spine for placed in time.notes][-2:] == [1, 0]


def test_training_encodings_are_undone() -> None:
    encoded = "**ekern_1.0<t>**ekern_1.0<b>4@c·#<s>4@e<t>8@d·L<b>*-<t>*-"
    assert from_encoded(encoded) == "**kern\t**kern\n4c# 4e\t8dL\n*-\t*-"
    assert from_encoded(PIANO) == PIANO


NEXT = kern(
    "**kern | **kern", "*clefF4 | *clefG2", "*k[b-] | *k[f#]",
    "4C | 4a", "4D | 4b", "*^ | *", "2E | 2G | 2cc", "*- | *- | *-",
)  # fmt: skip


def test_joined_systems_carry_clefs_keys_and_meters_over() -> None:
    text = join_systems([PIANO.replace("==", "="), NEXT, NEXT])
    joined = read(text)
    assert joined.problems == ()
    assert [row.cells for row in joined.rows].count(("*clefF4", "*clefG2")) == 1
    assert [row.cells for row in joined.rows].count(("*", "*k[f#]")) == 1
    assert text.count("**kern") == 2
    assert text.count("*M2/4") == 2
    time = rhythm(joined)
    assert time.problems == []
    assert time.end == 4 + 4 + 4
    assert [bar.bar_line for bar in time.bars] == ["=", "=", "=", ""]


def test_one_system_joined_alone_is_itself() -> None:
    assert join_systems([PIANO]) == PIANO


def test_systems_of_different_spines_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="different spines"):
        join_systems([PIANO, kern("**kern", "4c", "*-")])
    with pytest.raises(ValueError, match="no systems"):
        join_systems([])
