"""Made-up text: lines and blocks, words where their ink is, and lines as samples."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from docpipe.models.preprocess import fold_columns
from docpipe.train.batches import Collator
from docpipe.train.domains import domain
from docpipe.train.domains.scanned_lines import scanned_lines
from docpipe.train.domains.text import LETTERS, TextLines
from docpipe.train.recipe import read_recipe
from docpipe.train.synth import wording
from docpipe.train.synth.faces import BUILT_IN, faces_in, writes
from docpipe.train.synth.text import texts

PATCH = 16


def fonts_of_matplotlib() -> str:
    """A folder of free faces that the test extra brings along, Greek and Cyrillic among them."""
    matplotlib = pytest.importorskip("matplotlib")
    return str(matplotlib.get_data_path()) + "/fonts/ttf"


def test_a_text_depends_on_seed_and_number_alone() -> None:
    first = list(islice(texts(2), 30))
    again = list(islice(texts(2, start=20), 10))
    assert [t.text for t in again] == [t.text for t in first[20:]]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(again, first[20:], strict=True))
    assert {t.kind for t in first} == {"line", "block"}
    assert all(("\n" in t.text) == (t.kind == "block") for t in first)


def test_words_are_the_text_s_and_lie_on_ink() -> None:
    for text in islice(texts(5, noise=0.0), 40):
        assert " ".join(w for w, _ in text.words).split() == text.text.split()
        for word, (x0, y0, x1, y1) in text.words:
            part = text.pixels[max(0, int(y0)) : int(y1) + 1, max(0, int(x0)) : int(x1) + 1]
            assert part.size, word
            assert int(part.max()) - int(part.min()) > 60, word


def test_scripts_come_as_the_faces_have_them() -> None:
    assert {t.script for t in islice(texts(1), 20)} == {"latin"}  # Pillow's own face has no other
    with pytest.raises(ValueError, match="no face has letters of greek"):
        next(texts(1, scripts=("greek",)))
    faces = faces_in(fonts_of_matplotlib())
    assert {t.script for t in islice(texts(1, faces=faces), 60)} == set(wording.SCRIPTS)
    assert not any("cmsy" in f or "cmex" in f for f in faces)  # ornaments and signs


def test_the_built_in_face_is_the_fallback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCPIPE_FONTS", raising=False)
    assert faces_in() == (BUILT_IN,)
    assert writes(BUILT_IN, "latin")
    assert not writes(BUILT_IN, "cyrillic")


def test_lines_as_samples() -> None:
    recipe = read_recipe("text")
    made = domain(recipe.domain, **recipe.options)
    a = recipe.architecture
    samples = list(islice(made.stream(1), 60))
    again = list(islice(made.stream(1, start=50), 10))
    assert [s.target for s in again] == [s.target for s in samples[50:]]
    assert {s.slices["lines"] for s in samples} == {1}
    assert {c for s in samples for c in s.target} <= {*LETTERS, "\n"}
    batch = Collator(made, a.grid, a.patch)(samples[:16])
    assert batch.pixels.shape == (16, a.size, a.size)
    assert batch.labels.sum() > 50
    scores = made.score(samples, [s.target for s in samples])
    assert (scores["cer"], scores["exact"]) == (0.0, 1.0)
    assert made.score(samples, [s.target[:-1] for s in samples])["exact"] == 0.0


def test_a_share_of_pairs_gives_strips_of_two_lines() -> None:
    assert {s.slices["lines"] for s in islice(TextLines(pairs=0.5).stream(1), 30)} == {1, 2}


def test_what_calibrates_holds_lines_longer_than_those_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCPIPE_BENCH_DATA", raising=False)
    sets = TextLines(longest=20).calibration(16)
    assert {name: len(samples) for name, samples in sets.items()} == {"held_out": 16, "longer": 4}
    assert all(len(s.truth) > 24 for s in sets["longer"])
    assert all(len(s.truth) <= 20 for s in sets["held_out"])


def test_real_lines_are_cut_where_ocr_finds_what_the_truth_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ocr" / "scribe"
    folder.mkdir(parents=True)
    page, said = Image.new("L", (700, 420), 255), ("Invoice number 8213", "Paid in cash", "Total 14.50")
    for row, text in enumerate(said):
        ImageDraw.Draw(page).text((60, 60 + 110 * row), text, 0, ImageFont.load_default(32))
    page.save(folder / "a.png")
    (folder / "a.txt").write_text("\n".join((*said, "What is not there")))
    monkeypatch.setenv("DOCPIPE_BENCH_DATA", str(tmp_path))
    found = scanned_lines(30, 3, 40)
    assert [text for _, text in found] == list(said)
    for image, _ in found:
        assert 20 < image.height < 60
        assert np.asarray(image.convert("L")).min() < 60


def test_points_lie_on_the_letters_ink_in_reading_order() -> None:
    made = TextLines(noise=0.0)
    hits = asked = 0
    for sample in islice(made.stream(9), 30):
        places = sample.points[np.isfinite(sample.points).all(axis=1)]
        order = (places[:, 1] // PATCH * 8 + places[:, 0] // PATCH) // 2  # columns of the strip
        if sample.slices["lines"] == 1:
            assert (np.diff(order) >= 0).all()
        for letter, (x, y) in zip(sample.target, sample.points, strict=True):
            if letter.isalnum():
                left, top = int(x // PATCH) * PATCH, int(y // PATCH) * PATCH
                hits += int(sample.pixels[top : top + PATCH, left : left + PATCH].min()) < 128
                asked += 1
    assert hits > 0.95 * asked


def test_folding_is_that_of_the_engine() -> None:
    made = TextLines()
    strip = np.full((2 * PATCH, 512, 3), 255, np.uint8)
    strip[20, 300] = 0
    square = fold_columns(strip, 128, PATCH)
    row, column = np.argwhere(square[..., 0] == 0)[0]
    assert made.folded(300.5, 20.5) == (column + 0.5, row + 0.5)


def test_faces_of_symbols_and_of_small_capitals_write_no_latin(tmp_path: Path) -> None:
    ours = Path(fonts_of_matplotlib()) / "DejaVuSans.ttf"
    from fontTools.ttLib import TTFont

    shouting = TTFont(ours)
    names = shouting.getBestCmap()
    for table in shouting["cmap"].tables:
        if table.isUnicode():
            table.cmap.update({ord(c): names[ord(c.upper())] for c in "abcdefghijklmnopqrstuvwxyz"})
    shouting.save(tmp_path / "caps.ttf")
    signs = TTFont(ours)
    for record in signs["name"].names:
        if record.nameID in (1, 16):
            record.string = "Some Symbols"
    signs.save(tmp_path / "signs.ttf")
    assert writes(str(ours), "latin")
    assert not writes(str(tmp_path / "caps.ttf"), "latin")
    assert not writes(str(tmp_path / "signs.ttf"), "latin")


def test_crowded_lines_have_ink_of_others_at_their_edges_alone() -> None:
    alone = [TextLines(noise=0.0, pairs=0.0).sample(3, i) for i in range(40)]
    crowded = [TextLines(noise=0.0, pairs=0.0, crowded=1.0).sample(3, i) for i in range(40)]
    more = 0
    for a, b in zip(alone, crowded, strict=True):
        assert a.truth == b.truth
        changed = (a.pixels != b.pixels).mean()
        more += 0 < changed < 0.2
    assert more > 20


def test_a_share_of_the_lines_is_in_capitals() -> None:
    said = [s.truth for s in islice(TextLines(pairs=0.0, capitals=1.0).stream(4), 30)]
    assert all(text == text.upper() or "µ" in text for text in said)
