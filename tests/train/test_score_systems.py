"""Whole systems judged for calibration as the engine reads them; and a measure that has room for long answers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest
import torch

from docpipe.models.confidence import Calibration
from docpipe.train.architecture import Architecture, build
from docpipe.train.calibration import Judged, fit, fit_parts
from docpipe.train.domains.scores import Scores
from docpipe.train.export import write_transformers
from docpipe.train.recipe import Recipe, read_recipe
from docpipe.train.sample import vocabulary_of
from docpipe.train.score_systems import UNREAD, rendered

pytest.importorskip("resvg_py")


def test_renders_and_scans_are_read_and_judged(tmp_path: Path) -> None:
    torch.manual_seed(1)
    sizes = Architecture(size=160, vision_width=64, vision_layers=1, text_width=64, text_layers=1)
    words = vocabulary_of(Scores())
    folder = tmp_path / "weights"
    write_transformers(build(sizes, len(words)), Recipe("scores", "scores", architecture=sizes), words, folder)
    scans = tmp_path / "scans" / "some"
    scans.mkdir(parents=True)
    for number, (image, text) in enumerate(islice(rendered(0.0), 2)):
        image.save(scans / f"{number}.png")
        (scans / f"{number}.krn").write_text(text)
    found = Scores(real=str(tmp_path / "scans")).judged(folder, 3)
    assert {name: len(some) for name, some in found.items()} == {"held_out": 1, "scans": 2}
    for one in (one for some in found.values() for one in some):
        assert not one.right  # it has learnt nothing
        assert len(one.logprobs) > 10
        assert one.logprobs != (UNREAD,)
        assert one.parts
        assert not any(part.right for part in one.parts)


def test_a_system_of_hundreds_of_tokens_is_not_measured_by_its_joint_probability() -> None:
    answers = [Judged((-0.02 - 0.01 * k,) * 300, right=k < 10) for k in range(40)]
    said = fit(answers)
    assert said["measure"] != "joint"
    sure = Calibration.from_json(said, "nano-score")
    assert sure(answers[0].logprobs) > 0.8
    assert sure(answers[-1].logprobs) < 0.2


def test_measures_get_a_map_of_their_own() -> None:
    def system(loss: float, right: Sequence[int]) -> Judged:
        parts = tuple(Judged((-0.01 * k - loss,) * 10, k in right) for k in range(10))
        return Judged((-1.0,), right=False, parts=parts)

    judged = {"held_out": [system(0.0, range(9))] * 6, "scans": [system(0.2, (3, 6))] * 6}
    said = fit_parts(judged)
    assert said is not None
    sure = Calibration.from_json(said, "nano-score")
    assert sure((-0.005,) * 10) > 0.85
    assert sure((-0.25,) * 10) < 0.3
    assert {name: row["n"] for name, row in said["measured"].items()} == {"held_out": 60, "scans": 60}
    assert all(row["ece"] < row["ece_before"] for row in said["measured"].values())
    assert said["measured"]["held_out"]["right_from"] < 1
    assert said["measured"]["scans"]["right_from"] > 1
    assert fit_parts({"held_out": [Judged((-1.0,), right=True)] * 40}) is None


def test_the_recipe_says_how_it_ships() -> None:
    shipped = read_recipe("scores").ship
    assert (shipped.task, shipped.prompt, shipped.prepare) == ("score", "kern", "staves")
    assert shipped.max_tokens == read_recipe("scores").evaluation.max_tokens
