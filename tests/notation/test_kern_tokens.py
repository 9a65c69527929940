"""What is printed, as tokens and back, and as **kern text and back."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from docpipe.notation.kern_assembly import assemble, to_kern
from docpipe.notation.kern_reading import read_staves
from docpipe.notation.kern_system import System, recip_of, write_system
from docpipe.notation.kern_tokens import VOCABULARY, decode, encode
from docpipe.notation.staff import Alterations, Change, Event, Head, Measure, Pitch, duration, flags
from docpipe.train.synth.music.piece import Taste, random_system

PIANO = """\
**kern\t**kern
*clefF4\t*clefG2
*k[b-]\t*k[b-]
*M3/4\t*M3/4
*^\t*
4c\t2C\t(8.ffL
.\t.\t16ggJk
4d\t.\t8a'L
.\t.\t[8b-XJ
4e\t4BBn\t8b-]
.\t.\t8r
*v\t*v\t*
=\t=
2.r\t12aL
.\t12b-
.\t12ccJ
.\t4cc# 4ee)
.\t8qff
.\t4dd;
=:|!\t=:|!
*-\t*-
"""


def systems(count: int, taste: Taste | None = None) -> list[System]:
    out = []
    for seed in range(count):
        rng = random.Random(seed)
        out.append(random_system(rng, 4, rng.choice((1, 2)), taste))
    return out


def test_a_piano_system_goes_through_tokens_unchanged() -> None:
    staves = read_staves(PIANO)
    assert [len(staff) for staff in staves] == [2, 2]
    tokens = [[encode([m]) for m in staff if m is not None] for staff in staves]
    assert tokens[0][1] == (
        ["12L", "p-1", "12M", "p0", "12J", "p1", "4", ")", "a#", "p1", "p3", "q8", "p4", "4", "m;", "p2", "=:|!"]
    )
    assert tokens[1][1] == ["R", "=:|!"]
    assert to_kern(tokens) == PIANO


def test_positions_do_not_depend_on_the_clef() -> None:
    treble = encode([m for m in read_staves("**kern\n*clefG2\n4g\n4b\n=\n*-\n")[0] if m])
    bass = encode([m for m in read_staves("**kern\n*clefF4\n4BB\n4D\n=\n*-\n")[0] if m])
    assert treble[1:] == bass[1:] == ["4", "p-2", "4", "p0", "="]


def test_thousands_of_generated_measures_go_through_tokens_and_through_text() -> None:
    measures = 0
    for system in systems(350):
        for staff in system.staves:
            for measure in staff:
                assert decode(encode([measure])) == [measure]
                measures += 1
        again = read_staves(write_system(system))
        for staff, read in zip(system.staves, again, strict=True):
            known = [(a, b) for a, b in zip(staff, read, strict=True) if b is not None]
            assert len(known) == len(staff)
            assert sum(a == b for a, b in known) >= len(known) - 1
    assert measures > 2000


def test_text_from_tokens_is_the_text_they_came_from() -> None:
    same = 0
    for system in systems(60):
        readings = [[encode([measure]) for measure in staff] for staff in system.staves]
        same += write_system(System(tuple(tuple(decode(t)[0] for t in staff) for staff in readings))) == write_system(
            system
        )
    assert same == 60


def test_log_probabilities_go_with_the_events_and_measures_that_their_tokens_say() -> None:
    tokens = ["*G2", "x0", "8L", "p1", "+", "4", "a#", "p-3", "x5", "8J", "p2", "=", "r4", "="]
    logs = [-0.01 * k for k in range(len(tokens))]
    first, second = decode(tokens, [*logs, -9.0])
    assert [first, second] == decode(tokens)
    assert first.items[0].sure == 0.0
    assert [event.sure for event in first.events()] == [logs[3], logs[7], logs[10]]
    assert first.logprobs == tuple(logs[:12])
    assert second.logprobs == (*logs[12:], -9.0)  # <eos> after the last bar
    unread = decode(["4", "p0"])[0]
    assert next(unread.events()).sure is None
    (staff,) = assemble([[["k1", "="], tokens]], [[[-0.5, -0.6, -0.7], [*logs, -9.0]]]).staves
    assert [len(measure.logprobs) for measure in staff] == [3 + 12, 3]  # a key alone goes into the measure after it


def test_every_token_of_generated_music_is_in_the_vocabulary_and_the_vocabulary_has_none_twice() -> None:
    assert len(set(VOCABULARY)) == len(VOCABULARY)
    with pytest.raises(ValueError, match="no 'p30'"):
        encode([Measure((Event("note", "4", (Head(30),)),))])


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        ["["],
        ["+", "+", "x3"],
        ["p3", "a#", "m'", "=", "="],
        ["4", "4", "p0", "p0", "[", "("],
        ["8J", "p1", "R", "p2", "*G2", "k3", "q8", "y4", "="],
        list(VOCABULARY),
        list(VOCABULARY)[::-1],
    ],
)
def test_whatever_a_model_says_can_be_written(tokens: list[str]) -> None:
    text = to_kern([[tokens, tokens], [tokens, tokens]])
    assert text.startswith("**kern\t**kern\n")
    assert text.endswith("*-\t*-\n")


def test_random_tokens_give_text_with_as_many_fields_as_spines() -> None:
    rng = random.Random(5)
    for _ in range(150):
        readings = [[rng.choices(VOCABULARY, k=rng.randint(0, 30)) for _ in range(3)] for _ in range(2)]
        spines = 2
        for line in to_kern(readings).splitlines():
            fields = line.split("\t")
            assert len(fields) == spines
            spines += fields.count("*^") - fields.count("*v") // 2


def test_accidentals_hold_to_the_bar_and_ties_carry_over_it() -> None:
    state = Alterations("G2", -1)
    assert state.needed(34, -1) == ""
    assert state.needed(34, 0) == "n"
    assert state.needed(34, 0) == ""
    state.next_measure()
    assert state.needed(34, 0) == "n"
    tied = [["*G2", "k0", "1", "a#", "p1", "[", "="], ["2", "p1", "2", "p1", "="]]
    assert [line for line in to_kern([tied]).splitlines() if line[0] not in "*="] == ["[1cc#", "2cc#]", "2cc"]


def test_a_tie_that_meets_no_note_is_dropped_inside_and_kept_at_the_end() -> None:
    strips = [["*G2", "k0", "2", "p0", "[", "2", "p3", "="], ["1", "p0", "[", "="]]
    assert [line for line in to_kern([strips]).splitlines() if line[0] not in "*="] == ["2b", "2ee", "[1b"]


def test_beams_by_level() -> None:
    text = to_kern([["*G2 k0 8.L p0 16M p0 16M p0 16J p0 16L p0 8J p0 =".split()]])
    assert [line for line in text.splitlines() if line[0] not in "*="] == [
        "8.bL",
        "16bL",
        "16b",
        "16bJJ",
        "16bLK",
        "8bJ",
    ]


def test_staves_agree_on_key_and_bars() -> None:
    upper = [["*G2", "k-3", "M3/4", "2.", "p0", "="], ["2.", "p1", "=="]]
    lower = [["*F4", "k-3", "2.", "p0", "="], ["R", "="]]
    system = assemble([upper, lower])
    assert [staff[0].header["key"] for staff in system.staves] == ["-3", "-3"]
    assert {staff[1].bar for staff in system.staves} == {"==", "="} or system.staves[0][1].bar == system.staves[1][
        1
    ].bar
    assert "2.r\t2.cc" in write_system(system)


def test_strips_that_differ_in_bars_become_one_measure() -> None:
    system = assemble([[["2", "p0", "=", "2", "p1", "="]], [["1", "p0", "="]]])
    assert [len(staff) for staff in system.staves] == [1, 1]
    assert [len(list(staff[0].events())) for staff in system.staves] == [2, 1]


def test_signs_without_notes_join_the_next_measure_or_are_left_out_at_the_end() -> None:
    system = assemble([[["*F4", "k2", "=!|:"], ["1", "p0", "="], ["k-1"]]])
    assert len(system.staves[0]) == 1
    assert system.staves[0][0].header == {"clef": "F4", "key": "2"}


def test_slurs_without_an_end_are_left_out() -> None:
    system = assemble([[["4", "(", "p0", "="], ["4", "p0", "="], ["4", ")", "p1", "4", ")", "p1", "="]]])
    events = [e for measure in system.staves[0] for e in measure.events()]
    assert [(e.opens, e.closes) for e in events] == [(1, 0), (0, 0), (0, 1), (0, 0)]


def test_what_the_tokens_cannot_say_is_none() -> None:
    text = "**kern\n*clefG2\n4c 8e\n=\n4c\n=\n*-\n"
    assert [measure is None for measure in read_staves(text)[0]] == [True, False]
    with pytest.raises(ValueError, match="header"):
        read_staves("hello")


def test_durations_and_pitches() -> None:
    assert duration("8.") == Fraction(3, 4)
    assert duration("12") == Fraction(1, 3)
    assert [flags(r) for r in ("4", "8", "12", "16.", "24", "32", "6")] == [0, 1, 1, 2, 2, 3, 0]
    assert [recip_of(Fraction(n, 2)) for n in (3, 6, 8, 9)] == ["4.", "2.", "1", "8%9"]
    assert [Pitch(n, a).kern for n, a in ((28, 0), (35, 1), (27, -1), (20, 0))] == ["c", "cc#", "B-", "BB"]
    assert Measure((Change("clef", "F4"), Change("key", "1"))).header == {"clef": "F4", "key": "1"}
