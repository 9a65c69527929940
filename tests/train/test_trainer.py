"""The trainer: it learns, it goes on exactly after a kill, and what it exports loads and answers alike."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from docpipe.errors import DocpipeError
from docpipe.train import state
from docpipe.train.architecture import Architecture, build
from docpipe.train.batches import IGNORED, Collator, batches
from docpipe.train.calibration import Judged, abstain_below, fit, rising_means, separation
from docpipe.train.domains import domain
from docpipe.train.growth import centred
from docpipe.train.logs import Progress, read_log
from docpipe.train.muon import orthogonalized
from docpipe.train.plots import plot, series
from docpipe.train.recipe import Evaluation, Losses, Recipe, Schedule, parse_recipe, read_recipe
from docpipe.train.sample import Sample, vocabulary_of
from docpipe.train.trainer import Trainer, train


class Squares:
    """A toy: which quarters of the image are black, as letters in reading order."""

    name = "squares"
    prompts = ("look",)
    vocabulary = tuple("abcd")
    labels = tuple("abcd")

    def __init__(self, side: int = 32) -> None:
        self.side = side

    def stream(self, seed: int, start: int = 0) -> Iterator[Sample]:
        while True:
            yield self._sample(np.random.default_rng((seed, start)).permutation(4)[:2])
            start += 1

    def _sample(self, chosen: np.ndarray) -> Sample:
        half, pixels = self.side // 2, np.full((self.side, self.side), 255, np.uint8)
        cells = sorted(int(i) for i in chosen)
        points = []
        for cell in cells:
            row, column = divmod(cell, 2)
            pixels[row * half : (row + 1) * half, column * half : (column + 1) * half] = 0
            points.append((column * half + half / 2, row * half + half / 2))
        said = tuple("abcd"[c] for c in cells)
        marks = tuple((x, y, c) for (x, y), c in zip(points, cells, strict=True))
        return Sample(pixels, "look", said, np.array(points, np.float32), marks, "".join(said))

    def validation(self, count: int) -> dict[str, list[Sample]]:
        pairs = [(i, j) for i in range(4) for j in range(i)]
        return {"held_out": [self._sample(np.array(p)) for p in pairs[:count]]}

    def score(self, samples: Sequence[Sample], answers: Sequence[tuple[str, ...]]) -> dict[str, float]:
        right = ["".join(a) == s.truth for s, a in zip(samples, answers, strict=True)]
        return {"exact": sum(right) / len(right)}


PLACE = f"{__name__}:Squares"
TINY = Architecture(
    size=32, patch=8, vision_width=32, vision_layers=2, text_width=32, text_layers=2, head=16, vision_hidden=2
)
RECIPE = Recipe(
    name="squares",
    domain=PLACE,
    options={"side": 32},
    architecture=TINY,
    schedule=Schedule(batch=8, lr=1e-2, warmup=5, decay=10),
    evaluation=Evaluation(every=10, count=6, max_tokens=4),
)


@pytest.fixture(autouse=True)
def _importable_in_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))


def _log(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_sequence_is_image_bos_prompt_newline_answer_eos() -> None:
    made = Squares()
    collate = Collator(made, TINY.grid, TINY.patch)
    assert vocabulary_of(made)[:6] == ["<pad>", "<eos>", "<bos>", "<image>", "\n", "look"]
    batch = next(batches(made, collate, 1, 4))
    row, begin = batch.tokens[0], 16 + 3
    assert row[:begin].tolist() == [3] * 16 + [2, 5, 4]
    assert batch.kinds[0].tolist() == [0] * begin + [1] * 3
    assert batch.targets[0, :begin].tolist() == [IGNORED] * begin
    assert batch.targets[0, begin:].tolist() == row[begin:].tolist()
    assert batch.targets[0, -1] == 1  # <eos> is asked for
    assert batch.pointers[0, -1] == IGNORED
    x, y = batch.pointers[0, begin] % 4, batch.pointers[0, begin] // 4
    assert batch.labels[0, y * 4 + x].sum() == 1


def test_suffix_is_causal_and_prefix_is_not() -> None:
    torch.manual_seed(0)
    model = build(TINY, 16).eval()
    tokens = torch.tensor([[3] * 16 + [2, 5, 4, 6, 7, 1]])
    kinds = torch.tensor([[0] * 19 + [1] * 3])
    seen = {"token_type_ids": kinds, "attention_mask": torch.ones_like(tokens), "use_cache": False}
    pixels = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        base = model(input_ids=tokens, pixel_values=pixels, **seen).logits
        tokens[0, 20] = 8
        later = model(input_ids=tokens, pixel_values=pixels, **seen).logits
        tokens[0, 17] = 9
        prompt = model(input_ids=tokens, pixel_values=pixels, **seen).logits
    assert torch.equal(base[:, :20], later[:, :20])
    assert not torch.equal(base[:, 20:], later[:, 20:])
    assert not torch.equal(later[:, 0], prompt[:, 0])


def test_attention_agrees_with_transformers_eager() -> None:
    from transformers import PaliGemmaForConditionalGeneration

    torch.manual_seed(0)
    model = build(TINY, 16).eval()
    eager = PaliGemmaForConditionalGeneration._from_config(model.config, attn_implementation="eager").eval()
    eager.load_state_dict(model.state_dict())
    tokens = torch.tensor([[3] * 16 + [2, 5, 4, 6, 7, 1]])
    seen = {"token_type_ids": torch.tensor([[0] * 19 + [1] * 3]), "attention_mask": torch.ones_like(tokens)}
    pixels = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        ours = build(TINY, 16).eval()
        ours.load_state_dict(model.state_dict())
        first = ours(input_ids=tokens, pixel_values=pixels, **seen).logits
        second = eager(input_ids=tokens, pixel_values=pixels, **seen).logits
    assert (first - second).abs().max() < 1e-5


def test_twenty_steps_lower_the_loss(tmp_path: Path) -> None:
    trainer = Trainer(RECIPE, tmp_path)
    losses = [trainer.take_step(batch, 1.0)["loss"] for batch, _ in zip(_batches(), range(20), strict=False)]
    assert np.mean(losses[-4:]) < 0.6 * np.mean(losses[:2])


def _batches(start: int = 0) -> Iterator[object]:
    made = Squares()
    return batches(made, Collator(made, TINY.grid, TINY.patch), RECIPE.seed, RECIPE.schedule.batch, start)


def test_vision_first_leaves_the_text_model_alone(tmp_path: Path) -> None:
    trainer = Trainer(dataclasses.replace(RECIPE, losses=Losses(vision_first=1)), tmp_path)
    before = {n: p.detach().clone() for n, p in trainer.model.named_parameters()}
    assert set(trainer.take_step(next(_batches()), 1.0)) == {"labels"}  # type: ignore[arg-type]
    changed = {n for n, p in trainer.model.named_parameters() if not torch.equal(p, before[n])}
    assert changed
    assert all("vision_tower" in n for n in changed)


def test_a_resumed_run_is_the_run_itself(tmp_path: Path) -> None:
    whole = train(RECIPE, tmp_path / "whole", steps=14)
    train(RECIPE, tmp_path / "parts", steps=9)
    parts = train(RECIPE, tmp_path / "parts", steps=14)
    one, two = (torch.load(folder / "state.pt", weights_only=False) for folder in (whole, parts))
    assert one["step"] == two["step"] == 14
    assert all(torch.equal(one["model"][n], two["model"][n]) for n in one["model"])
    assert all(torch.equal(one["averaged"][n], two["averaged"][n]) for n in one["averaged"])


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    """kill -9 in the middle: the last state on disk is whole, and the rest is made again exactly."""
    code = (
        f"from {__name__} import RECIPE; from docpipe.train import trainer; trainer.SAVE_EVERY = 0.0\n"
        f"trainer.train(RECIPE, {str(tmp_path / 'killed')!r})"
    )
    with subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"OMP_NUM_THREADS": "1"}) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not (tmp_path / "killed" / "best.pt").exists():
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    at = torch.load(tmp_path / "killed" / "state.pt", weights_only=False)["step"]
    assert at > 0
    train(RECIPE, tmp_path / "killed", steps=at + 5)
    train(RECIPE, tmp_path / "whole", steps=at + 5)
    one, two = (torch.load(tmp_path / name / "state.pt", weights_only=False) for name in ("killed", "whole"))
    assert all(torch.allclose(one["model"][n], two["model"][n], atol=1e-5) for n in one["model"])


def test_a_branch_decays_and_leaves_the_trunk(tmp_path: Path) -> None:
    train(RECIPE, tmp_path / "run", steps=12)
    trunk = (tmp_path / "run" / "state.pt").read_bytes()
    branch = train(RECIPE, tmp_path / "run", decay=10)
    assert branch.name == "branch-12"
    assert (tmp_path / "run" / "state.pt").read_bytes() == trunk
    rates = [line["rate"] for line in _log(branch) if "rate" in line]
    assert rates[-1] == pytest.approx(0.1, abs=0.02)
    assert torch.load(branch / "best.pt", weights_only=False)["step"] <= 22


def test_a_larger_grid_grows_around_the_known_patches(tmp_path: Path) -> None:
    table = torch.arange(4.0).reshape(4, 1)
    assert centred(table, 4).reshape(4, 4)[1:3, 1:3].tolist() == [[0, 1], [2, 3]]
    train(RECIPE, tmp_path, steps=4)
    larger = dataclasses.replace(RECIPE, options={"side": 48}, architecture=dataclasses.replace(TINY, size=48))
    grown = Trainer(larger, tmp_path)
    assert grown.step == 4
    assert grown.model.model.vision_tower.embeddings.position_embedding.weight.shape[0] == 36
    grown.save()
    with pytest.raises(ValueError, match="only grow"):
        Trainer(RECIPE, tmp_path)


def test_orthogonalized_brings_singular_values_to_one() -> None:
    stack = torch.randn(3, 24, 16, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonalized(stack))
    assert values.min() > 0.5
    assert values.max() < 1.3
    alone = torch.cat([orthogonalized(matrix[None]) for matrix in stack])
    assert torch.allclose(orthogonalized(stack), alone, atol=1e-4)


@pytest.mark.parametrize("table", [{"schedule": {"batches": 3}}, {"wrong": 1}])
def test_a_recipe_names_what_it_does_not_know(table: dict[str, object]) -> None:
    with pytest.raises(DocpipeError, match=r"unknown (batches|wrong); there are"):
        parse_recipe({"name": "x", "domain": "molecules"} | table)


@pytest.mark.parametrize("name", ["molecules-small", "molecules-medium", "molecules-large"])
def test_shipped_recipes_are_sound(name: str) -> None:
    recipe = read_recipe(name)
    assert recipe.options["side"] == recipe.architecture.size
    assert recipe.architecture.patches == (recipe.architecture.size // recipe.architecture.patch) ** 2


def test_unknown_names_are_errors() -> None:
    with pytest.raises(DocpipeError, match="DP621 nothing"):
        read_recipe("nothing")
    with pytest.raises(ValueError, match="no such domain"):
        domain("nothing")


def test_calibration_rises_and_abstains() -> None:
    assert rising_means(np.array([0.0, 1.0, 0.0, 1.0])).tolist() == [0.0, 0.5, 0.5, 1.0]
    sure = np.array([0.9, 0.8, 0.3, 0.2])
    assert separation(sure, np.array([True, True, False, False])) == 1.0
    assert separation(sure, np.array([True, False, True, False])) == 0.75
    answers = [Judged((-0.01, -0.02), True)] * 15 + [Judged((-0.01, -3.0), False)] * 15
    found = fit(answers)
    assert found["x"] == sorted(found["x"])
    assert found["y"] == sorted(found["y"])
    assert found["y"][0] < 0.2
    assert found["y"][-1] > 0.8
    sure = [0.9, 0.88, 0.86, 0.8, 0.7, 0.6]
    assert abstain_below(sure, [True] * 5 + [False]) == 0.7
    assert abstain_below(sure[2:], [True] * 3 + [False]) == 1.01, "three right answers may be luck"
    assert abstain_below(sure, [False] * 6) == 1.01
    with pytest.raises(ValueError, match="too few"):
        fit(answers[:5])


def test_accumulation_changes_nothing_but_memory(tmp_path: Path) -> None:
    made = []
    for parts in (1, 4):
        recipe = dataclasses.replace(RECIPE, schedule=dataclasses.replace(RECIPE.schedule, accumulate=parts))
        trainer = Trainer(recipe, tmp_path / str(parts))
        trainer.job.native = False  # type: ignore[attr-defined]
        losses = [trainer.take_step(batch, 1.0)["loss"] for batch, _ in zip(_batches(), range(3), strict=False)]
        made.append((losses, {n: p.detach() for n, p in trainer.model.named_parameters()}))
    (one, first), (four, second) = made
    assert one == pytest.approx(four, abs=2e-3)
    assert all((first[n] - second[n]).abs().mean() < 2e-3 for n in first)


@pytest.fixture
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches made in this process: a worker's start would cost more than the run."""

    class Here:
        def __init__(self, source: Any, start: int) -> None:
            self._batches = source(start)

        def __iter__(self) -> Any:
            return self._batches

        def close(self) -> None:
            """Nothing to end."""

    monkeypatch.setattr("docpipe.train.nano.Loader", Here)


@pytest.mark.usefixtures("_here")
def test_a_state_of_an_older_trainer_is_gone_on_with(tmp_path: Path) -> None:
    """What runs wrote before there were jobs: the same keys, a recipe without the newer ones."""
    train(RECIPE, tmp_path / "new", steps=6)
    kept = torch.load(tmp_path / "new" / "state.pt", weights_only=True)
    assert {"model", "auxiliary", "averaged", "optimizers", "best", "step", "samples", "cpu", "recipe"} <= kept.keys()
    for key in ("accumulate", "shape", "betas", "epochs", "warmup_share"):
        del kept["recipe"]["schedule"][key]
    (tmp_path / "old").mkdir()
    torch.save(kept | {"best": -0.5}, tmp_path / "old" / "state.pt")
    for name in ("new", "old"):
        train(RECIPE, tmp_path / name, steps=9)
    one, two = (torch.load(tmp_path / name / "state.pt", weights_only=True) for name in ("new", "old"))
    assert all(torch.equal(one["model"][n], two["model"][n]) for n in one["model"])
    parse_recipe(kept["recipe"])


def test_a_state_runs_no_code_when_it_is_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"step": Trap()}, tmp_path / "state.pt")
    with pytest.raises(DocpipeError, match="DP627"):
        state.load(tmp_path / "state.pt")
    assert not (tmp_path / "sprung").exists()
    with pytest.raises(TypeError, match="Trap cannot be kept"):
        state.save(tmp_path / "other.pt", {"x": Trap()})
    state.save(tmp_path / "plain.pt", {"a": np.float64(1.5), "b": (np.int64(2), [None, True])})
    assert state.load(tmp_path / "plain.pt") == {"a": 1.5, "b": (2, [None, True])}


@pytest.mark.usefixtures("_here")
def test_a_run_is_logged_and_drawn(tmp_path: Path) -> None:
    recipe = dataclasses.replace(RECIPE, schedule=dataclasses.replace(RECIPE.schedule, steps=20))
    train(recipe, tmp_path)
    lines = read_log(tmp_path)
    losses, scores = series(lines)
    assert [step for step, _ in losses["loss"]] == [20]
    assert [step for step, _ in scores["held_out.exact"]] == [10, 20]
    assert all(line["cpu"] >= 0 for line in lines)
    first = (tmp_path / "curve.png").read_bytes()
    assert plot(tmp_path, "held_out.exact") == tmp_path / "curve.png"
    assert (tmp_path / "curve.png").read_bytes() == first
    with Image.open(tmp_path / "curve.png") as drawn:
        assert drawn.size == (800, 700)
    if find_spec("tensorboard"):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
        assert [event.step for event in board.Scalars("held_out/exact")] == [10, 20]


def test_a_torn_last_line_of_a_log_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"step": 50, "loss": 2.0}\n{"step": 100, "lo')
    assert series(read_log(tmp_path))[0] == {"loss": [(50, 2.0)]}
    (tmp_path / "log.jsonl").unlink()
    assert plot(tmp_path) is None


def test_progress_tells_losses_and_time_left_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(written, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", written)
    bar = Progress("squares", 5, 40)
    bar.show(20, {"loss": 1.25})
    bar.close()
    assert "squares" in written.getvalue()
    assert "20/40" in written.getvalue()
    assert "loss 1.250" in written.getvalue()
    monkeypatch.setattr(written, "isatty", lambda: False)
    written.truncate(0)
    quiet = Progress("squares", 5, 40)
    quiet.show(20, {"loss": 1.25})
    quiet.close()
    assert not written.getvalue().strip("\0")
