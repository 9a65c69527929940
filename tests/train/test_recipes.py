"""Every shipped recipe runs: twenty steps on a tiny model, nano's on their own data, the papers' on a few pictures."""

from __future__ import annotations

import dataclasses
from itertools import islice
from pathlib import Path

import pytest
import tiny
from test_molecules import SMILES

from docpipe.errors import DocpipeError
from docpipe.models.registry import find_checkpoint
from docpipe.train.batches import Collator, batches
from docpipe.train.dataset import place
from docpipe.train.domains import domain
from docpipe.train.finetune import FineTuneJob
from docpipe.train.plan import FineTune, is_fine_tune, parse_fine_tune, read_fine_tune, to_table
from docpipe.train.processes import Processes
from docpipe.train.recipe import parse_recipe, read_recipe, read_table, shipped_recipes
from docpipe.train.start import Wishes, start
from docpipe.train.trainer import Trainer

NAMES = {name: is_fine_tune(read_table(name)) for name in shipped_recipes()}
STEPS = 20

TARGETS = {
    "table": '<table><tr><td coords="<loc0000><loc0000><loc0500><loc1023>">a</td></tr></table>',
    "molecule": "CCO", "score": "**kern\n4c\n*-", "detect": "<loc0000><loc0000><loc0511><loc0511> it",
    "segment": "<loc0000><loc0000><loc0511><loc0511>" + "<seg000>" * 16 + " it", "spatial": "True",
}  # fmt: skip


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.checkpoint(tmp_path_factory.mktemp("base") / "ck")


@pytest.mark.parametrize("name", [name for name, real in NAMES.items() if real])
def test_twenty_steps_of_a_papers_recipe(
    name: str, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a batch of 4 in 2 parts; everything else is the recipe's own."""
    made = read_fine_tune(name)
    schedule = dataclasses.replace(made.schedule, batch=4, accumulate=2, lr=made.schedule.lr * 30)
    data = tuple(dataclasses.replace(one, layout="jsonl", validation="", hold_out=4, options={}) for one in made.data)
    made = dataclasses.replace(made, schedule=schedule, data=data)
    given = []
    for one in data:
        answers = (TARGETS.get(one.task, "dark"), TARGETS.get(one.task, "dark")[:-1] or "pale")
        given.append(f"{one.name}={tiny.shades(tmp_path / one.name, 12, answers=answers)}")
    # The worker's start would cost more than the steps; what it would send is made here.
    monkeypatch.setattr("docpipe.train.finetune.Loader", lambda source, start, **_: source(start))
    job = FineTuneJob(made, find_checkpoint(str(base)), place(made, given), tmp_path, Processes())
    trainer = Trainer(made, tmp_path, job=job)
    losses = [trainer.take_step(batch, 1.0)["loss"] for batch in islice(iter(job.batches(0)), STEPS)]
    assert sum(losses[-5:]) < sum(losses[:5])
    asked = job.tasks[made.data[0].task]
    assert asked.max_tokens >= 18


@pytest.mark.parametrize("name", [name for name, real in NAMES.items() if not real])
def test_twenty_steps_of_a_nano_recipe(name: str, tmp_path: Path) -> None:
    made = read_recipe(name)
    options = dict(made.options)
    if made.domain == "molecules":
        lists = tmp_path / "some.smi"
        lists.write_text("\n".join(s for s in SMILES))
        options["smiles"] = [str(lists)]
    small = dataclasses.replace(
        made.architecture, vision_width=32, vision_layers=1, text_width=32, text_layers=1, head=16
    )
    losses = dataclasses.replace(made.losses, vision_first=min(made.losses.vision_first, 5))
    schedule = dataclasses.replace(made.schedule, batch=4)
    made = dataclasses.replace(made, options=options, architecture=small, losses=losses, schedule=schedule)
    trainer = Trainer(made, tmp_path / "run")
    drawn = domain(made.domain, **options)
    collate = Collator(drawn, small.grid, small.patch)
    few = list(islice(batches(drawn, collate, made.seed, 4), 5))
    found = [trainer.take_step(few[step % 5], 1.0) for step in range(STEPS)]
    values = [step["loss"] for step in found if "loss" in step]
    assert len(values) == STEPS - losses.vision_first
    assert sum(values[-5:]) < sum(values[:5])
    assert trainer.step == STEPS


def test_the_papers_values_are_as_published() -> None:
    """PaliGemma 2, appendix B, as far as it prints them."""
    published = {
        "transfer-table": (896, 256, 1e-4, 0.0, 15000, 4096),
        "transfer-spotting": (896, 256, 1e-5, 0.1, 15000, 2048),
        "transfer-molecule": (448, 256, 1e-4, 0.1, 30000, 256),
        "transfer-score": (896, 256, 1e-4, 0.1, 30000, 1024),
    }
    for name, wanted in published.items():
        made = read_fine_tune(name)
        tokens = made.tasks[made.data[0].task].max_tokens
        s = made.schedule
        assert (made.side, s.batch, s.lr, made.adapt.smoothing, s.steps, tokens) == wanted
        assert not made.adapt.final_cap
    assert read_fine_tune("transfer-radiology").schedule.epochs == 8
    assert read_fine_tune("transfer-detection").schedule.epochs == 50
    assert (read_fine_tune("transfer-spatial").schedule.batch, read_fine_tune("transfer-spatial").side) == (1024, 224)
    for name in ("stage1", "stage2-448", "stage2-896"):
        assert read_fine_tune(name).adapt.final_cap
    one = read_fine_tune("stage1")
    assert one.schedule.steps * one.schedule.batch == pytest.approx(1e9, rel=1e-3)


def test_a_recipe_survives_being_kept_as_a_table() -> None:
    made = read_fine_tune("transfer-table")
    assert parse_fine_tune(to_table(made)) == made


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": []}, "no \\[\\[data\\]\\]"),
        ({"data": [{"name": "x", "task": "nothing"}]}, "no task is called nothing"),
        ({"data": [{"name": "x"}]}, "task"),
        ({"adapt": {"train": "half"}}, "full, frozen-vision, lora, qlora"),
        ({"schedule": {"steps": 1, "batch": 10, "accumulate": 4}}, "4 equal parts"),
        ({"schedule": {"steps": 1, "lr": "fast"}}, "lr = 'fast'"),
        ({"schedule": {}}, "steps or epochs"),
        ({"tasks": {"table": {"prepare": "crumple"}}}, "white-square"),
        ({"colour": 1}, "unknown colour; there are name"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_named(change: dict[str, object], said: str) -> None:
    table = {"name": "x", "data": [{"name": "x", "task": "text"}], "schedule": {"steps": 5}}
    with pytest.raises(DocpipeError, match=rf"DP620 .*{said}"):
        parse_fine_tune({**table, **change})


def test_wishes_that_a_recipe_cannot_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DocpipeError, match=r"DP620 molecules-small: .*no --learn"):
        start("molecules-small", tmp_path, Wishes(learn="lora"))
    with pytest.raises(DocpipeError, match=r"DP620 stage3: .*no --decay"):
        start("stage3", tmp_path, Wishes(decay=5, model="x"))
    with pytest.raises(DocpipeError, match="DP303 stage3"):
        start("stage3", tmp_path, Wishes())
    (tmp_path / "broken.toml").write_text("name = ")
    with pytest.raises(DocpipeError, match=r"DP620 .*broken.toml.*Invalid value"):
        start(str(tmp_path / "broken.toml"), tmp_path, Wishes())


def test_wishes_go_through_a_launcher_unchanged() -> None:
    wishes = Wishes(
        model="a b", data=("x=1", "y"), learn="lora", batch=8, steps=3, threads=0, resume=False, offline=True
    )
    assert wishes.arguments() == ["--model=a b", "--data=x=1", "--data=y", "--learn=lora", "--batch=8", "--steps=3",
                                  "--threads=0", "--no-resume", "--offline"]  # fmt: skip


def test_weights_of_the_run_are_not_changed_by_what_a_recipe_may_say() -> None:
    """Recipes of runs that were begun before a key existed mean what they meant."""
    old = {"name": "x", "domain": "molecules", "schedule": {"batch": 8, "lr": 1e-2, "warmup": 5}}
    made = parse_recipe(old)
    assert [made.schedule.rate(s, 0) for s in (0, 4, 10**6)] == [0.2, 1.0, 1.0]
    assert (made.schedule.accumulate, made.schedule.betas, made.losses.smoothing) == (1, (0.9, 0.98), 0.0)
    assert isinstance(read_fine_tune("stage3"), FineTune)
