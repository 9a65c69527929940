"""Readings of strips are chosen that add up: with the other staff, with the other measures, with the meter."""

from __future__ import annotations

from fractions import Fraction

import pytest

from docpipe.notation.kern_agreement import Candidate, agree, first_choice
from docpipe.notation.kern_assembly import assemble, joined_systems
from docpipe.notation.kern_system import write_system


def reading(tokens: str, probability: float = -0.1) -> Candidate:
    return Candidate(tuple(tokens.split()), (probability,))


HALF, THREE, FOUR = "2 p0 =", "2. p0 =", "1 p0 ="


def test_the_less_likely_reading_is_taken_where_only_it_is_as_long_as_the_other_staff() -> None:
    columns = [[[reading(HALF, -0.2), reading(THREE, -1.5)], [reading(THREE)]] for _ in range(3)]
    found = agree(columns)
    assert found.chosen == ((1, 0),) * 3
    assert found.fits == ((True, True),) * 3
    assert found.length == 3
    assert found.common == 3
    assert first_choice(columns).chosen == ((0, 0),) * 3


def test_measures_of_one_staff_agree_with_one_another() -> None:
    columns = [[[reading(FOUR)]], [[reading(HALF, -0.2), reading(FOUR, -2.0)]], [[reading(FOUR)]], [[reading(FOUR)]]]
    assert agree(columns).chosen == ((0,), (1,), (0,), (0,))


def test_a_pickup_is_left_as_short_as_it_is() -> None:
    columns = [[[reading("4 p0 =", -0.2), reading(FOUR, -2.0)]], *[[[reading(FOUR)]]] * 3]
    found = agree(columns)
    assert found.chosen[0] == (0,)
    assert found.lengths[0] == (Fraction(1),)


def test_a_far_less_likely_reading_is_not_taken_and_the_strip_is_told() -> None:
    found = agree([[[reading(HALF, -0.2), reading(THREE, -9.0)], [reading(THREE)]]])
    assert found.chosen == ((0, 0),)
    assert found.fits != ((True, True),)


def test_the_line_before_tells_the_meter_where_a_line_is_in_doubt() -> None:
    columns = [[[reading(THREE, -0.9), reading(FOUR, -1.0)]]] * 4
    assert agree(columns).length == 3
    assert agree(columns, Fraction(4)).length == 4


def test_a_meter_is_read_so_that_the_measures_have_it() -> None:
    first = [[reading("*G2 k0 M2/4 " + THREE, -0.2), reading("*G2 k0 M3/4 " + THREE, -1.8)]]
    assert agree([first, *[[[reading(THREE)]]] * 3]).chosen[0] == (1,)


def test_an_upper_voice_that_ends_before_the_lower_is_no_fit() -> None:
    uneven = "2 p4 + 2. p-4 ="
    found = agree([[[reading(uneven, -0.2), reading(THREE, -2.0)], [reading(THREE)]]])
    assert found.chosen == ((1, 0),)


def test_whole_measure_rests_and_no_readings_fit_what_they_may() -> None:
    assert agree([[[reading("R =")], [reading(THREE)]]]).fits == ((True, True),)
    assert agree([]).chosen == ()


def test_systems_go_on_without_signs_that_hold_already() -> None:
    first = assemble([["*G2 k-1 M3/4 2. p0 [ =".split()]])
    second = assemble([["*G2 k-1 2. p0 =".split(), "2. p1 =".split()]])
    third = assemble([["*G2 k2 M3/4 2. p0 =".split()]])
    text = write_system(joined_systems([first, second, third]))
    signs = [line for line in text.splitlines() if line.startswith("*")]
    assert signs == ["**kern", "*clefG2", "*k[b-]", "*M3/4", "*k[f#c#]", "*-"]
    assert "[2.b-" in text
    assert "2.b-]" in text  # the tie goes on over the end of the line


def test_systems_of_different_numbers_of_staves_are_not_joined() -> None:
    one, two = assemble([[["4", "p0", "="]]]), assemble([[["4", "p0", "="]], [["4", "p0", "="]]])
    with pytest.raises(ValueError, match="staves"):
        joined_systems([one, two])
