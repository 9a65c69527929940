"""Made-up text: lines and blocks, words where their ink is, and lines as samples."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from docpipe.models.preprocess import fold_columns
from docpipe.train.batches import Collator
from docpipe.train.domains import domain
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
    assert {s.slices["lines"] for s in samples} == {1, 2}
    assert {c for s in samples for c in s.target} <= {*LETTERS, "\n"}
    batch = Collator(made, a.grid, a.patch)(samples[:16])
    assert batch.pixels.shape == (16, a.size, a.size)
    assert batch.labels.sum() > 50
    scores = made.score(samples, [s.target for s in samples])
    assert (scores["cer"], scores["exact"]) == (0.0, 1.0)
    assert made.score(samples, [s.target[:-1] for s in samples])["exact"] == 0.0


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
