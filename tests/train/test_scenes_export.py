"""A checkpoint of several tasks and of a closed world of words: exported, asked, and honest about what it is not."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_trainer import TINY

import docpipe
from docpipe import asking
from docpipe.errors import DocpipeError
from docpipe.models import registry
from docpipe.models.registry import read_folder
from docpipe.models.vocabulary import ClosedVocabulary
from docpipe.train.batches import Collator, batches
from docpipe.train.calibration import Judged, silent_below
from docpipe.train.domains.scenes import TASKS
from docpipe.train.export import _threshold, export
from docpipe.train.mask_codes import SHIPPED as CODES
from docpipe.train.recipe import Evaluation, Recipe, Schedule, Shipment, read_recipe
from docpipe.train.sample import Sample
from docpipe.train.trainer import Trainer

SIDE = 32


class Lights:
    """A toy: one square, red or green, left or right; two tasks, and a grey picture to which there is no answer."""

    name = "lights"
    prompts: tuple[str, ...] = ()
    vocabulary = (
        "answer", "caption", " ", " en", " what", " colour", " is", " the", " light", "?", " red", " green", " left",
        " right", "<loc0000>", "<loc0341>", "<loc1023>",
    )  # fmt: skip
    labels = ("red", "green", "left", "right")
    mask_codes = CODES

    def stream(self, seed: int, start: int = 0) -> Iterator[Sample]:
        while True:
            yield self.sample(*(int(n) for n in np.random.default_rng((seed, start)).integers(0, (3, 2, 2))))
            start += 1

    def sample(self, colour: int, side: int, task: int) -> Sample:
        pixels = np.full((SIDE, SIDE, 3), 255, np.uint8)
        half = SIDE // 2
        rgb = ((220, 20, 20), (20, 160, 20), (128, 128, 128))[colour]
        pixels[8:24, side * half : side * half + half] = rgb
        words = ((" red", " green")[colour] if task else (" left", " right")[side],) if colour < 2 else ()
        prompt = "answer en what colour is the light?" if task else "caption en"
        point = (side * half + 8.0, 16.0)
        marks = ((*point, colour), (*point, 2 + side)) if colour < 2 else ()
        points = np.array([point] * len(words), np.float32).reshape(-1, 2)
        truth, slices = "".join(words), {"task": ("caption", "question")[task]}
        return Sample(pixels, prompt, words, points, marks, truth, slices)

    def validation(self, count: int) -> dict[str, list[Sample]]:
        every = [self.sample(c, s, t) for c in (0, 1) for s in (0, 1) for t in (0, 1)]
        outside = [self.sample(2, s, t) for s in (0, 1) for t in (0, 1)]
        return {"held_out": every * (count // 8), "outside": outside * (count // 8)}

    def score(self, samples: Sequence[Sample], answers: Sequence[tuple[str, ...]]) -> dict[str, float]:
        return {"exact": float(np.mean(["".join(a) == s.truth for s, a in zip(samples, answers, strict=True)]))}


RECIPE = Recipe(
    name="lights",
    domain=f"{__name__}:Lights",
    architecture=dataclasses.replace(TINY, size=SIDE),
    schedule=Schedule(batch=16, lr=1e-2, warmup=5, ema=0.9),
    evaluation=Evaluation(count=8, max_tokens=3),
    ship=Shipment(
        name="nano-lights",
        summary="A toy.",
        prepare="squeeze",
        max_tokens=3,
        world="red and green lights",
        tasks=[
            {"task": "question", "prompt": "answer {language} {question}"},
            {"task": "caption", "prompt": "caption {language}", "max_tokens": 2},
            {"task": "describe", "prompt": "describe {language}"},
            {"task": "grounded-caption", "prompt": "caption {place}"},
        ],
    ),
)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("lights")
    trainer = Trainer(RECIPE, folder)
    for batch, _ in zip(batches(trainer.job.domain, trainer.job.collate, 1, 16), range(160), strict=False):
        trainer.take_step(batch, 1.0)
    trainer.save()
    export(folder / "state.pt", folder / "nano-lights", count=160)
    return folder / "nano-lights"


def light(colour: int, side: int) -> Image.Image:
    return Image.fromarray(Lights().sample(colour, side, 0).pixels)


def test_every_task_has_its_prompt_its_map_and_its_threshold(shipped: Path) -> None:
    said = json.loads((shipped / "docpipe.json").read_text())
    assert list(said["tasks"]) == ["question", "caption"]  # what it was never right in is not offered
    assert said["tasks"]["caption"]["max_tokens"] == 2
    assert said["tasks"]["question"]["max_tokens"] == 3
    assert said["tasks"]["question"]["prompt"] == "answer {language} {question}"
    assert set(said["confidence"]) == set(said["abstain_below"]) == {"question", "caption"}
    assert {"question, held_out", "question, outside", "caption, held_out"} <= set(said["measured"])
    assert said["measured"]["question, outside"]["emitted"] <= 0.05
    checkpoint = read_folder(shipped)
    assert checkpoint.world == "red and green lights"
    assert not checkpoint.can_read("describe")
    card = (shipped / "README.md").read_text()
    assert "- question: `answer {language} {question}`" in card
    assert "Not offered, being right too seldom: describe, grounded-caption." in card


def test_a_checkpoint_that_is_never_right_does_not_ship(shipped: Path, tmp_path: Path) -> None:
    ship = dataclasses.replace(RECIPE.ship, tasks=[{"task": "describe", "prompt": "describe {language}"}])
    with pytest.raises(ValueError, match="no task is right often enough"):
        export(shipped.parent / "state.pt", tmp_path / "none", ship, count=16)
    assert not (tmp_path / "none" / "config.json").exists()


def test_it_answers_in_its_world_in_any_case_of_letters(shipped: Path) -> None:
    for colour, word in enumerate(("red", "green")):
        for side, where in enumerate(("left", "right")):
            image = light(colour, side)
            assert docpipe.ask(image, "answer en What colour is the light?", model=str(shipped)).text == word
            assert docpipe.caption(image, model=str(shipped)).text == where
    found = docpipe.ask(light(0, 0), "answer en what colour is the light?", model=str(shipped))[0]
    assert found.reading.confidence is not None
    assert found.reading.origin.checkpoint == "nano-lights"


def test_of_another_picture_it_says_nothing_and_what_its_world_is(shipped: Path) -> None:
    (found,) = docpipe.ask(light(2, 0), "answer en what colour is the light?", model=str(shipped))
    assert found.reading.content is None
    assert found.text == ""
    told = " ".join(f.message for f in found.reading.verdict.findings)
    assert "abstained" in {f.code for f in found.reading.verdict.findings}
    assert "red and green lights" in told or "not sure enough" in told


@pytest.mark.parametrize("prompt", ["answer en what colour is the cow?", "answer de what colour is the light?"])
def test_a_word_it_never_learnt_is_refused_and_others_are_named(shipped: Path, prompt: str) -> None:
    (found,) = docpipe.ask(light(0, 0), prompt, model=str(shipped))
    assert found.reading.content is None
    (told,) = [f.message for f in found.reading.verdict.findings if f.code == "DP307"]
    assert ("cow" in told) or ("de" in told)
    assert "its world: red and green lights" in told
    assert "paligemma2-3b-mix-448" in told


def test_shipped_it_is_asked_without_being_named(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "SHIPPED", shipped.parent)
    asking._engine.cache_clear()
    answers = docpipe.ask(light(1, 0), "answer en what colour is the light?")
    assert (answers.text, answers[0].reading.origin.checkpoint) == ("green", "nano-lights")
    with pytest.raises(DocpipeError, match=r"DP303 detect: .*paligemma2-3b-mix-448"):
        docpipe.detect(light(1, 0), "light")
    asking._engine.cache_clear()


def test_transformers_processor_spells_prompts_alike(shipped: Path) -> None:
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(shipped)
    prompt = "answer en what colour is the light?"
    inputs = processor(images=light(0, 0), text=f"<image>{prompt}", return_tensors="pt")
    collate = Collator(Lights(), TINY.grid, TINY.patch)
    assert inputs["input_ids"][0].tolist() == collate.prefix(prompt)


def test_closed_vocabularies_take_the_nearest_place_and_name_what_they_lack() -> None:
    closed = ClosedVocabulary(Lights.vocabulary)
    assert closed.spelt("caption <loc0100><loc0300><loc0900><loc1023>") == (
        "caption <loc0000><loc0341><loc1023><loc1023>"
    )
    assert closed.spelt("Answer en What colour is the Light?") == "answer en what colour is the light?"
    assert closed.unknown("answer en is the lighthouse red?") == ["lighthouse"]
    with pytest.raises(DocpipeError, match=r"DP307 .*does not hold dog, seg001"):
        closed.spelt("answer en the dog <seg001>".replace("<seg001>", "seg001"))


def test_nothing_is_emitted_where_nothing_should_be() -> None:
    assert silent_below([0.9, 0.8, 0.2], 60, 0.05) == 0.0
    assert silent_below([0.9, 0.8, 0.7, 0.6], 40, 0.05) == 0.7001
    assert silent_below([0.9] * 10, 40, 0.05) == 0.9001
    assert silent_below([1.0] * 10, 40, 0.05) > 1
    assert silent_below([], 40) == 0.0

    def sure(logprobs: Sequence[float]) -> float:
        return float(np.exp(logprobs[0]))

    right = [Judged((float(np.log(0.9)),), True)] * 20
    stray = [Judged((float(np.log(0.5)),), False, True, False)] * 4 + [Judged((0.0,), True, False, False)] * 16
    assert _threshold({"held_out": right, "outside": stray}, sure) == pytest.approx(0.9)  # type: ignore[arg-type]


def test_prompts_of_one_token_make_the_batches_they_always_made() -> None:
    """Molecules and scores go on with the same order: length differs from the answer's by one throughout."""
    from test_trainer import Squares

    collate = Collator(Squares(), TINY.grid, TINY.patch)
    samples = Squares().validation(6)["held_out"]
    assert {collate.length(s) - len(s.target) for s in samples} == {1}
    assert collate.prefix("look")[16:] == [2, 5, 4]


def test_the_recipe_ships_every_task_of_the_domain_with_its_prompt() -> None:
    recipe = read_recipe("scenes")
    assert {entry["task"] for entry in recipe.ship.tasks} == set(TASKS)
    assert recipe.options["side"] == recipe.architecture.size
    assert recipe.ship.world
