"""Note F1 of music and RadGraph F1 of reports, by hand."""

from __future__ import annotations

import pytest

from docpipe.metrics.notes import note_bar_f1, note_f1, pitch_f1
from docpipe.metrics.radgraph import Entity, entity_f1, entity_relation_f1, radgraph_f1, read_graph, relation_f1

SCORE = "**kern\t**kern\n*M2/4\t*M2/4\n4CC\t4cL\n4r\t8d\n.\t8eJ\n=\t=\n2DD\t4f#\n.\t[4g\n==\t==\n*-\t*-\n"


def test_what_is_written_otherwise_but_sounds_alike_agrees() -> None:
    plain = SCORE.replace("L", "").replace("J", "").replace("[", "").replace("4CC", "4CC\\")
    for metric in (note_f1, note_bar_f1, pitch_f1):
        assert metric(plain, SCORE) == 1


def test_a_wrong_pitch_costs_its_note() -> None:
    wrong = SCORE.replace("8d", "8d#")  # 7 notes on either side, the rest is none
    for metric in (note_f1, note_bar_f1, pitch_f1):
        assert metric(wrong, SCORE) == pytest.approx(6 / 7)


def test_a_wrong_length_moves_what_follows_but_not_beyond_the_bar_line() -> None:
    longer = SCORE.replace("4CC\t4cL\n4r\t8d\n.\t8eJ", "4.CC\t4.cL\n4r\t8d\n.\t8eJ")
    assert pitch_f1(longer, SCORE) == 1
    assert note_bar_f1(longer, SCORE) == pytest.approx(3 / 7)
    assert note_f1(longer, SCORE) == 0


def test_the_staff_counts_but_not_for_pitches() -> None:
    swapped = "\n".join("\t".join(reversed(line.split("\t"))) for line in SCORE.splitlines())
    assert note_f1(swapped, SCORE) == 0
    assert pitch_f1(swapped, SCORE) == 1


@pytest.mark.parametrize("answer", ["", "no music", "**kern\n*-\n"])
def test_no_note_scores_zero_unless_there_is_none(answer: str) -> None:
    assert note_f1(answer, SCORE) == note_bar_f1(answer, SCORE) == pitch_f1(answer, SCORE) == 0
    assert note_f1(answer, "**kern\n4r\n*-\n") == 1


OPACITY = Entity("Opacity", "OBS-DP", (("located_at", 1),))
TRUTH = [OPACITY, Entity("lung", "ANAT-DP"), Entity("effusion", "OBS-DA")]


def test_radgraph_f1_is_the_mean_of_entities_and_relations() -> None:
    assert radgraph_f1(TRUTH, TRUTH) == 1
    bare = [Entity("opacity", "OBS-DP"), *TRUTH[1:]]
    assert entity_f1(bare, TRUTH) == 1
    assert relation_f1(bare, TRUTH) == 0
    assert radgraph_f1(bare, TRUTH) == 0.5
    assert entity_relation_f1(bare, TRUTH) == pytest.approx(2 * 2 / 6)


def test_a_finding_denied_is_not_a_finding_present() -> None:
    present = [*TRUTH[:2], Entity("effusion", "OBS-DP")]
    assert entity_f1(present, TRUTH) == pytest.approx(2 * 2 / 6)
    assert relation_f1(present, TRUTH) == 1


def test_empty_graphs_agree_and_one_alone_scores_zero() -> None:
    assert radgraph_f1([], []) == 1
    assert radgraph_f1([], TRUTH) == 0


def test_graphs_are_read_as_radgraph_writes_them() -> None:
    said = {
        "1": {"tokens": "opacity", "label": "OBS-DP", "start_ix": 3, "end_ix": 3, "relations": [["located_at", "2"]]},
        "2": {"tokens": "Lung", "label": "ANAT-DP", "start_ix": 5, "end_ix": 5, "relations": []},
    }
    assert radgraph_f1(read_graph(said), TRUTH[:2]) == 1
    with pytest.raises(ValueError, match="not a graph"):
        read_graph({"1": {"tokens": "x", "label": "y", "relations": [["modify", "9"]]}})
