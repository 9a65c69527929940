"""The check of scores: real music passes, each kind of mistake is named with its place."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from PIL import Image

from docpipe.checks import Checked
from docpipe.checks.kern import check_score, music21_refusal
from docpipe.document import ScoreContent

SYSTEM = """**kern\t**kern
*clefF4\t*clefG2
*k[b-]\t*k[b-]
*M2/4\t*M2/4
8r\t(8cc
=1\t=1
*\t*^
4C 4c\t(8ccL\t2a
.\t8ddJ)\t.
4D\t[4ee\t.
*\t*v\t*v
=2\t=2
2E\t8ee])L
.\t8ff
.\t8ggJ
.\t8r
=3\t=3
2F\t[2ff
*-\t*-
"""


def checked(kern: str) -> Checked:
    return check_score(ScoreContent(kern=kern))


def codes(kern: str) -> set[str]:
    return {finding.code for finding in checked(kern).verdict.findings}


def test_a_system_with_pickup_and_open_tie_at_its_end_is_valid_and_its_facts_are_filled_in() -> None:
    content, verdict = checked(SYSTEM)
    assert verdict.status == "valid"
    assert verdict.original is None
    assert isinstance(content, ScoreContent)
    assert content.kern == SYSTEM
    assert (content.spines, content.clefs, content.keys, content.meters) == (2, ("F4", "G2"), ("k[b-]",), ("2/4",))
    assert [(m.number, m.quarters) for m in content.measures] == [(0, 0.5), (1, 2.0), (2, 2.0), (3, 2.0)]
    assert SYSTEM.splitlines()[content.measures[1].first_line] == "*\t*^"
    assert len(content.to_music21().parts) == 2


@pytest.mark.parametrize(
    ("old", "new", "code", "where"),
    [
        ("4D\t[4ee\t.", "4D\t[4ee", "score.columns", "measure 1, line 10"),
        (".\t8ff\n", "", "score.voices", "measure 2, line 16"),
        ("8ddJ)", "16ddJ)", "score.overlap", "measure 1, line 10"),
        ("2E\t", "4E\t", "score.gap", "measure 2, line 15"),
        ("8ddJ)", "8dd)", "score.beam", "measure 1, line 8"),
        ("8ggJ", "8gg", "score.beam", "measure 2, line 13"),
        ("[4ee", "4ee", "score.tie", "measure 2, line 13"),
        ("8ee]", "8ee", "score.tie", "measure 1, line 10"),
        ("*clefG2", "*clefH2", "score.clef", "line 2"),
        ("*k[b-]\t*k[b-]", "*k[e-]\t*k[b-]", "score.key", None),
        ("*M2/4\t*M2/4", "*M2/5\t*M2/5", "score.meter", None),
        ("*M2/4\t*M2/4", "*M3/4\t*M3/4", "score.measure-length", "measure 1, line 7"),
        ("4C 4c", "4C 4h", "score.token", "measure 1, line 8"),
        ("*\t*v\t*v", "*\t*v\t*", "score.merge", None),
        ("=2\t=2", "=2\t4c", "score.mixed", None),
    ],
)
def test_each_kind_of_mistake_is_invalid_and_says_where(old: str, new: str, code: str, where: str | None) -> None:
    assert old in SYSTEM
    _, verdict = checked(SYSTEM.replace(old, new))
    assert verdict.status == "invalid"
    found = [finding for finding in verdict.findings if finding.code == code]
    assert found, [f.code for f in verdict.findings]
    if where is not None:
        assert any(finding.where and finding.where.endswith(where) for finding in found), [f.where for f in found]


def test_a_missing_header_is_put_back() -> None:
    content, verdict = checked(SYSTEM.split("\n", 1)[1])
    assert isinstance(content, ScoreContent)
    assert (verdict.status, content.kern) == ("repaired", SYSTEM)
    assert verdict.original == SYSTEM.split("\n", 1)[1]


def test_missing_terminators_are_put_back_one_for_each_voice() -> None:
    content, verdict = checked("**kern\n*^\n4c\t4e\n")
    assert isinstance(content, ScoreContent)
    assert (verdict.status, content.kern) == ("repaired", "**kern\n*^\n4c\t4e\n*-\t*-\n")


def test_blank_lines_and_ends_are_cut() -> None:
    content, verdict = checked(SYSTEM.replace("=2\t=2", "=2\t=2  \n"))
    assert isinstance(content, ScoreContent)
    assert (verdict.status, content.kern) == ("repaired", SYSTEM)


def test_an_answer_cut_off_in_a_line_is_invalid_not_mended() -> None:
    content, verdict = checked(SYSTEM[: SYSTEM.index("[4ee")].rstrip("\t"))
    assert verdict.status == "invalid"
    assert isinstance(content, ScoreContent)
    assert "*-" not in content.kern


@pytest.mark.parametrize("text", ["", "  \n", "**kern\n*-\n", "**kern\n*clefG2\n=1\n*-\n", "a photo of a cat"])
def test_no_music_is_invalid(text: str) -> None:
    assert checked(text).verdict.status == "invalid"


def test_music_read_from_a_blank_crop_is_invalid() -> None:
    class Blank:
        image = Image.new("RGB", (400, 100), "white")

    verdict = check_score(ScoreContent(kern=SYSTEM), Blank()).verdict
    assert "score.blank" in {finding.code for finding in verdict.findings}
    assert verdict.status == "invalid"


WHOLE = "**kern\n*clefG2\n*M2/4\n=1\n(4c\n4d)\n=2\n4e\n4f\n==\n*-\n"


def test_slurs_may_cross_the_edges_of_a_system_but_not_of_a_piece() -> None:
    assert checked(WHOLE).verdict.status == "valid"
    system = WHOLE.replace("4d)", "4d").replace("==", "=")
    assert checked(system).verdict.status == "valid"
    assert codes(system) == {"score.slur-open"}
    assert checked(WHOLE.replace("4d)", "4d")).verdict.status == "invalid"
    assert checked(WHOLE.replace("(4c", "4c")).verdict.status == "invalid"
    assert checked(WHOLE.replace("(4c", "4c").replace("*M2/4\n", "")).verdict.status == "valid"


def test_a_tie_may_arrive_from_the_system_before() -> None:
    assert checked("**kern\n*clefG2\n4c]\n4d\n=\n*-\n").verdict.status == "valid"
    assert codes("**kern\n*clefG2\n4d\n4c]\n=\n*-\n") == {"score.tie"}


def test_two_voices_may_be_tied_to_one_note_and_an_arpeggio_to_its_chord() -> None:
    unison = "**kern\n*clefG2\n*^\n[4c\t[4c\n*v\t*v\n4c]\n4d\n=\n*-\n"
    assert codes(unison) == set()
    arpeggio = "**kern\n*clefG2\n[[8cL\n[[8e\n[8gJ\n4c]] 4e]] 4g]\n4d\n=\n*-\n"
    assert codes(arpeggio) == set()
    assert codes(arpeggio.replace("[[8e", "[8e")) == {"score.tie"}


def test_a_measure_that_a_repeat_divides_is_as_long_as_its_parts() -> None:
    text = "**kern\n*clefG2\n*M2/4\n=1\n4c\n4d\n=2\n4e\n=:|!\n4f\n=3\n4e\n4f\n==\n*-\n"
    assert checked(text).verdict.status == "valid"
    assert codes(text.replace("=:|!", "=2a")) == {"score.measure-length"}


def test_without_a_meter_a_measure_unlike_all_others_is_found() -> None:
    bars = ["4c\n4d\n=\n"] * 5
    assert codes("**kern\n*clefG2\n" + "".join(bars) + "*-\n") == set()
    bars[2] = "4c\n4d\n4e\n=\n"
    assert codes("**kern\n*clefG2\n" + "".join(bars) + "*-\n") == {"score.measure-length"}


def test_an_output_gone_astray_gives_a_readable_number_of_findings() -> None:
    text = "**kern\n" + "4h\n" * 500 + "*-\n"
    findings = checked(text).verdict.findings
    assert len(findings) < 50
    assert findings[-1].code == "score.more"


def test_music21_is_heard() -> None:
    assert music21_refusal(SYSTEM) is None
    assert music21_refusal("**kern\n4c\t4d\n*-\n") is not None


def test_what_music21_passes_over_is_noted_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    odd = "**kern\n*clefG2\n8r 8r\n8c\n=\n*-\n"
    assert checked(odd).verdict.status == "valid"
    assert codes(odd) == {"score.music21-passed"}
    assert capfd.readouterr() == ("", "")


DATA = os.environ.get("DOCPIPE_BENCH_DATA")


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="DOCPIPE_BENCH_DATA is not set")
def test_real_systems_pass_and_spoiled_ones_do_not() -> None:
    rng, files = random.Random(0), sorted((Path(DATA or "") / "scores").glob("*/*.krn"))
    statuses = [checked(file.read_text()).verdict.status for file in files]
    assert statuses.count("valid") >= 0.98 * len(files)
    passed = 0
    for file in rng.sample(files, 100):
        lines = file.read_text().splitlines()
        notes = [i for i, line in enumerate(lines) if line[0] not in "*=!"]
        cells = lines[chosen := rng.choice(notes)].split("\t")
        del cells[rng.randrange(len(cells))]
        lines[chosen] = "\t".join(cells)
        passed += checked("\n".join(lines) + "\n").verdict.status != "invalid"
    assert passed == 0
