"""Location and mask tokens, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docpipe.document import Box
from docpipe.notation.tokens import (
    Found,
    detections,
    loc,
    place_in,
    read_box,
    read_objects,
    read_words,
    seg,
    text_lines,
    write_box,
    write_objects,
    write_words,
)

PAGE = Box(100, 200, 300, 600)


def test_a_coordinate_is_rounded_to_1023_parts_and_kept_inside() -> None:
    assert [loc(v) for v in (0, 0.5, 1, -1, 2)] == ["<loc0000>", "<loc0512>", "<loc1023>", "<loc0000>", "<loc1023>"]


def test_detect_puts_y_first_and_table_cells_x_first() -> None:
    box = Box(100, 300, 200, 600)
    assert write_box(box, PAGE) == "<loc0256><loc0000><loc1023><loc0512>"
    assert write_box(box, PAGE, order="xy") == "<loc0000><loc0256><loc0512><loc1023>"
    assert read_box("<loc0256><loc0000><loc1023><loc0512>") == (0, 256 / 1023, 512 / 1023, 1)
    assert read_box("<loc0000><loc0256><loc0512><loc1023>", order="xy") == (0, 256 / 1023, 512 / 1023, 1)


@given(st.lists(st.integers(0, 1023), min_size=4, max_size=4), st.sampled_from(["yx", "xy"]))
def test_reading_and_writing_are_inverse(values: list[int], order: str) -> None:
    tokens = "".join(f"<loc{v:04d}>" for v in values)
    place = read_box(tokens, order)  # type: ignore[arg-type]
    assert place is not None
    assert write_box(Box(*place), Box(0, 0, 1, 1), order) == tokens  # type: ignore[arg-type]


def test_an_answer_becomes_detections_on_the_page() -> None:
    text = "<loc0000><loc0000><loc1023><loc1023> cat ; <loc0256><loc0000><loc1023><loc0512> old dog"
    found, findings = detections(text, PAGE)
    assert findings == ()
    assert [d.label for d in found] == ["cat", "old dog"]
    assert found[0].box == pytest.approx(PAGE)
    assert found[1].box == pytest.approx(Box(100, 300.1, 200.1, 600), abs=0.1)


CODES = "".join(f"<seg{n:03d}>" for n in range(16))


def test_a_segment_answer_keeps_its_codes() -> None:
    found, findings = read_objects(f"<loc0000><loc0000><loc0100><loc0100>{CODES} cat")
    assert findings == []
    assert found[0].codes == tuple(range(16))
    assert write_objects(found) == f"<loc0000><loc0000><loc0100><loc0100>{CODES} cat"


@pytest.mark.parametrize(
    ("text", "code", "kept"),
    [
        ("<loc0000><loc0000><loc0100> cat", "detect.coordinates", 0),
        ("<loc0000><loc0000><loc0100><loc9999> cat", "detect.coordinates", 0),
        ("<loc0000><loc0000><loc0000><loc0000><loc0000> cat", "detect.coordinates", 0),
        ("<loc0500><loc0000><loc0100><loc0100> cat", "detect.no-area", 0),
        ("<loc0000><loc0000><loc0100><loc0100>", "detect.no-label", 1),
        ("<loc0000><loc0000><loc0100><loc0100><seg000><seg001> cat", "detect.mask", 1),
        (f"<loc0000><loc0000><loc0100><loc0100>{CODES.replace('003', '300')} cat", "detect.mask", 1),
        ("<loc0000><loc0000><loc0100><loc0100> cat ; <loc00", "detect.cut-off", 1),
        ("<loc0000><loc0000><loc0100><loc0100> cat ; <loc0000><loc0001>", "detect.coordinates", 1),
    ],
)
def test_broken_runs_give_findings(text: str, code: str, kept: int) -> None:
    found, findings = read_objects(text)
    assert code in {finding.code for finding in findings}
    assert len(found) == kept
    assert all(f.codes == () for f in found)


@given(st.text(alphabet="<locseg0129> ;cat\n", max_size=120))
def test_no_answer_whatever_raises(text: str) -> None:
    found, _ = read_objects(text)
    assert all(0 <= value <= 1 for f in found for value in f.place)


def test_codes_outside_the_codebook_and_frames_without_area_are_refused() -> None:
    with pytest.raises(ValueError, match="mask codes"):
        seg(128)
    with pytest.raises(ValueError, match="no area"):
        write_box(PAGE, Box(0, 0, 0, 0))


def test_objects_go_back_and_forth() -> None:
    found = [Found("cat", (0.0, 0.0, 1.0, 1.0)), Found("dog", (0.0, 512 / 1023, 512 / 1023, 1.0), tuple(range(16)))]
    assert read_objects(write_objects(found)) == (found, [])


# --- text spotting ---------------------------------------------------------------------------------------------


def test_spotted_words_are_read_with_their_places_and_spans() -> None:
    text = "<loc0000><loc0000><loc0100><loc0200> Hello ; <loc0000><loc0300><loc0100><loc0500> a;b <loc0001> x"
    first, second = read_words(text)
    assert (first.text, second.text) == ("Hello", "a;b")
    assert first.place == pytest.approx((0, 0, 200 / 1023, 100 / 1023))
    assert [text[slice(*word.span)] for word in (first, second)] == ["Hello", "a;b"]


def test_spotted_words_go_back_and_forth() -> None:
    frame = Box(100, 50, 300, 450)
    words = [("Hello", Box(100, 50, 150, 60)), ("5 < 6", Box(160, 51, 200, 61)), ("there ;)", Box(110, 80, 140, 92))]
    found = read_words(write_words(words, frame))
    assert [word.text for word in found] == [text for text, _ in words]
    for word, (_, box) in zip(found, words, strict=True):
        assert place_in(word.place, frame) == pytest.approx(box, abs=400 / 1023)


def test_words_become_lines_from_the_top_down_and_left_to_right() -> None:
    page = Box(0, 0, 1000, 1000)
    slanted = [(f"w{i}", Box(10 + 100 * i, 100 + 4 * i, 90 + 100 * i, 130 + 4 * i)) for i in range(8)]
    below = [("second", Box(10, 140, 200, 170)), ("line", Box(210, 145, 300, 172))]
    title = [("Title", Box(400, 20, 600, 80))]
    lines = text_lines(read_words(write_words([*below, *slanted[::-1], *title], page)))
    assert [" ".join(w.text for w in line) for line in lines] == [
        "Title", "w0 w1 w2 w3 w4 w5 w6 w7", "second line",
    ]  # fmt: skip


@given(st.text(alphabet="<loc0123456789> ;ab\n", max_size=80))
def test_no_spotted_answer_whatever_raises(text: str) -> None:
    for word in read_words(text):
        assert word.text == text[slice(*word.span)]
