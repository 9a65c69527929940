"""Made-up tables: the same for the same seed, true to what is drawn, and learnable as samples."""

from __future__ import annotations

import random
from itertools import islice

import numpy as np
import pytest

from docpipe.checks.html import check_table
from docpipe.document import Box
from docpipe.engines.alignment import Token
from docpipe.engines.table_fill import fill
from docpipe.metrics.teds import teds
from docpipe.notation.html import table_content
from docpipe.notation.table_structure import read
from docpipe.train.batches import IGNORED, Collator
from docpipe.train.domains import domain
from docpipe.train.domains.tables import LABELS, QUARTERS, Tables, sample_of, score
from docpipe.train.recipe import read_recipe
from docpipe.train.sample import Sample
from docpipe.train.synth.tables import Table, tables


@pytest.fixture(scope="module")
def made() -> list[Table]:
    return list(islice(tables(3), 60))


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(islice(Tables().stream(3), 40))


def test_a_table_depends_on_seed_and_number_alone(made: list[Table]) -> None:
    again = list(islice(tables(3, start=40), 20))
    assert [t.html for t in again] == [t.html for t in made[40:]]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(again, made[40:], strict=True))
    assert next(tables(4)).html != made[0].html
    assert next(tables(3, part="held out")).html != made[0].html


def test_shapes_and_looks_differ(made: list[Table]) -> None:
    rows, columns = [len(t.y) - 1 for t in made], [len(t.x) - 1 for t in made]
    assert min(rows) <= 4
    assert max(rows) >= 18
    assert min(columns) <= 3
    assert max(columns) >= 8
    assert {(t.style.across, t.style.down) for t in made} > {("booktabs", "none"), ("all", "all")}
    spanning = [any(c.row_span * c.column_span > 1 for c in t.cells) for t in made]
    assert 0.2 < np.mean(spanning) < 0.7
    assert any(t.head == 2 for t in made)
    assert any(t.style.head_fill is not None for t in made)
    lines = [(c.box.height, t.style.size) for t in made for c in t.cells if c.box]
    assert any(height > 1.9 * size for height, size in lines)  # cells of several lines


def test_cells_tile_the_grid_and_hold_up(made: list[Table]) -> None:
    for table in made:
        taken = [
            (r, c)
            for cell in table.cells
            for r in range(cell.row, cell.row + cell.row_span)
            for c in range(cell.column, cell.column + cell.column_span)
        ]
        assert sorted(taken) == [(r, c) for r in range(len(table.y) - 1) for c in range(len(table.x) - 1)]
        assert check_table(table.content).verdict.status == "valid"


def test_html_bears_the_coordinates_of_cells_that_are_not_empty(made: list[Table]) -> None:
    for table in made[:12]:
        height, width = table.pixels.shape
        side = max(height, width)
        square = Box(-((side - width) // 2), -((side - height) // 2), 0, 0)
        frame = Box(square.x0, square.y0, square.x0 + side, square.y0 + side)
        back = table_content(table.html, frame)
        assert teds(table.html, table.content.html) == 1.0
        for cell, was in zip(back.cells, table.content.cells, strict=True):
            assert (cell.box is None) == (not was.text) == (was.box is None)
            if cell.box and was.box:
                assert abs(cell.box.x0 - was.box.x0) <= side / 1023 + 0.01
                assert abs(cell.box.y1 - was.box.y1) <= side / 1023 + 0.01


def test_words_lie_on_ink() -> None:
    for table in islice(tables(5, noise=0.0), 12):
        if table.style.head_fill is not None or table.style.stripe is not None or table.style.stub_fill is not None:
            continue
        for text, (x0, y0, x1, y1) in table.words:
            part = table.pixels[max(0, round(y0)) : round(y1), max(0, round(x0)) : round(x1) + 1]
            assert part.min() < 200, text


def test_edges_part_the_letters_of_cells_as_the_engine_will(made: list[Table]) -> None:
    """The true structure with the true words gives the true table: so does a model that learnt it."""
    likeness = []
    for table in made:
        height, width = table.pixels.shape
        words = [Token(text, Box(*box), 0.75 * (box[3] - box[1])) for text, box in table.words]
        structure = table.structure
        filled = fill(structure, words, Box(0, 0, width, height))
        likeness.append(np.mean([a.text == b.text for a, b in zip(filled, table.content.cells, strict=True)]))
    assert np.mean(likeness) > 0.985


def test_pillow_s_own_face_is_enough_and_another_folder_is_told(tmp_path: object) -> None:
    with pytest.raises(ValueError, match="no readable"):
        Tables(fonts=str(tmp_path))


# --- as samples -----------------------------------------------------------------------------------------------


def test_samples_depend_on_seed_and_number_alone(samples: list[Sample]) -> None:
    again = list(islice(Tables().stream(3, start=30), 10))
    assert [s.target for s in again] == [s.target for s in samples[30:]]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(again, samples[30:], strict=True))
    held_out = Tables().validation(6)["held_out"]
    assert len(held_out) == 6
    assert not {s.pixels.tobytes() for s in held_out} & {s.pixels.tobytes() for s in islice(Tables().stream(0), 6)}


def test_samples_are_what_the_recipe_s_trainer_takes(samples: list[Sample]) -> None:
    recipe = read_recipe("tables")
    made = domain(recipe.domain, **recipe.options)
    a = recipe.architecture
    batch = Collator(made, a.grid, a.patch)(samples[:8])
    assert batch.pixels.shape == (8, a.size, a.size)
    assert batch.pointers.max() < a.patches
    assert max(len(s.target) for s in samples) < recipe.evaluation.max_tokens
    asked = batch.pointers[batch.pointers != IGNORED]
    assert len(set(asked.tolist())) > 40  # all over the picture


def test_a_target_reads_back_as_the_table(samples: list[Sample]) -> None:
    samples = [s for s in samples if int(s.slices["rows"]) * int(s.slices["columns"]) <= 70]
    assert len(samples) > 15
    scores = score(samples, [s.target for s in samples])
    assert (scores["s_teds"], scores["exact"], scores["edges"], scores["heads"]) == (1.0, 1.0, 0.0, 1.0)
    cut = score(samples, [s.target[: len(s.target) // 2] for s in samples])
    assert cut["s_teds"] < 0.8
    assert score(samples, [() for _ in samples])["s_teds"] == 0.0


def test_points_lie_at_the_edges_that_are_named() -> None:
    for table in islice(tables(8, rows=(2, 8), columns=(2, 8)), 10):
        sample = sample_of(table, 224, 16)
        there = read("".join(sample.target))
        assert there is not None
        columns = sample.points[1 : there.columns + 2]
        assert np.allclose(columns[:, 0], np.array(there.x) * 224, atol=2.1)
        assert len(set(columns[:, 1].tolist())) == 1
        assert len(sample.points) == len(sample.target)


def test_labels_follow_the_edges_and_stop_where_a_cell_spans() -> None:
    rng = random.Random("labels")
    for table in islice(tables(rng.randrange(99), rows=(3, 8), columns=(3, 8), noise=0.0), 12):
        sample = sample_of(table, 224, 16)
        marks = {(int(x // 16), int(y // 16), label) for x, y, label in sample.marks}
        structure = table.structure
        for span in structure.spans:
            inner = [structure.x[c] * 224 for c in range(span.column + 1, span.column + span.columns)]
            middle = (structure.y[span.row] + structure.y[span.row + span.rows]) / 2 * 224
            tall = (structure.y[span.row + span.rows] - structure.y[span.row]) * 224
            for x in inner if tall > 48 else ():
                quarter = int(x % 16 * QUARTERS / 16)
                assert (int(x // 16), int(middle // 16), quarter) not in marks
        assert {LABELS[label] for *_, label in marks} >= {"text", "corner"}
