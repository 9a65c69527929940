"""Fine-tuning a real folder: it learns, goes on exactly, freezes what it should; the engine reads what comes out."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from PIL import Image

from docpipe.errors import DocpipeError
from docpipe.models.decode import generate
from docpipe.models.load import load_network
from docpipe.models.preprocess import resize, squeeze, to_pixels
from docpipe.models.registry import find_checkpoint
from docpipe.models.tokenizer import Tokenizer
from docpipe.train import state
from docpipe.train.batches import IGNORED
from docpipe.train.dataset import place
from docpipe.train.finetune import FineTuneJob, fine_tune
from docpipe.train.greedy import answers
from docpipe.train.mixture import numbers
from docpipe.train.plan import Adaptation, parse_fine_tune
from docpipe.train.processes import Processes
from docpipe.train.recipe import Schedule
from docpipe.train.trainer import Trainer

TABLE: dict[str, Any] = {
    "name": "shades",
    "data": [{"name": "shades", "task": "question", "layout": "jsonl", "hold_out": 5}],
    "adapt": {"smoothing": 0.05},
    "schedule": {"batch": 8, "accumulate": 2, "lr": 3e-3, "steps": 60, "warmup": 5},
    "evaluation": {"every": 30},
}


def plan(**more: Any) -> Any:
    table = {**TABLE, **more}
    return parse_fine_tune(json.loads(json.dumps(table)))


class Here:
    """The loader's batches without its worker, whose start costs more than these runs; it has tests of its own."""

    def __init__(self, source: Any, start: int, **_: Any) -> None:
        self._batches = source(start)

    def __iter__(self) -> Any:
        return self._batches

    def close(self) -> None:
        """Nothing to end."""


@pytest.fixture(autouse=True)
def _exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32: what is compared here is the arithmetic, not the machine's rounding."""
    for module in ("finetune", "trainer", "adapters"):
        monkeypatch.setattr(f"docpipe.train.{module}.native_bfloat16", lambda: False)
    monkeypatch.setattr("docpipe.train.finetune.Loader", Here)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.checkpoint(tmp_path_factory.mktemp("base") / "ck")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.shades(tmp_path_factory.mktemp("data") / "shades", 40)


@pytest.fixture(scope="module")
def tuned(base: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned")
    fine_tune(plan(), str(base), [str(data)], out)
    return out


def job(base: Path, data: Path, out: Path, **more: Any) -> FineTuneJob:
    made = plan(**more)
    out.mkdir(exist_ok=True)
    return FineTuneJob(made, find_checkpoint(str(base)), place(made, [str(data)]), out, Processes())


def validations(out: Path) -> list[dict[str, Any]]:
    return [line for line in tiny.log_of(out) if line.get("event") == "validation"]


def test_it_learns_what_it_is_shown_and_measures_the_whole_validation_set(base: Path, data: Path, tuned: Path) -> None:
    before = job(base, data, tuned / "before").validate()["shades"]
    after = validations(tuned)[-1]["shades"]
    assert before["exact"] == 0.0
    assert after["exact"] == after["metric"] == 1.0
    assert after["loss"] < 0.5 * before["loss"]
    assert after["examples"] == 8  # every fifth of 40


def test_the_result_is_a_checkpoint_that_the_engine_answers_with(data: Path, tuned: Path) -> None:
    checkpoint = find_checkpoint(str(tuned / "best"))
    assert checkpoint.tasks == {"question"}
    assert checkpoint.family == "ft"
    assert checkpoint.folder is not None
    network = load_network(checkpoint.folder)
    tokenizer = Tokenizer(checkpoint.folder, network.config)
    prompt = tokenizer.prompt("answer en how light?")
    images = [resize(squeeze(Image.open(data / f"{i:03d}.png")), tiny.SIDE) for i in range(6)]
    found = generate(network, to_pixels(images), [prompt] * 6, 12)
    assert [tokenizer.text(one.tokens) for one in found] == ["dark", "pale"] * 3
    assert all(one.finished for one in found)  # <eos> was learnt


def test_what_is_learnt_is_prefix_and_answer_with_end(base: Path, data: Path, tmp_path: Path) -> None:
    made = job(base, data, tmp_path / "x")
    batch = made.prepare([made.shelves[0].learning[0]])
    prefix = [*[tiny.IMAGE_TOKEN] * 4, *made.prepare.tokenizer.prompt("answer en how light?")]
    target = [*made.prepare.tokenizer.encode("pale"), 1]
    assert batch.tokens[0].tolist() == prefix + target
    assert batch.targets[0].tolist() == [IGNORED] * len(prefix) + target
    assert batch.kinds[0].tolist() == [0] * len(prefix) + [1] * 5
    assert prefix[-1] == tiny.VOCABULARY.index("\n")


def test_an_answer_sees_the_whole_prefix_and_not_what_follows(base: Path, data: Path, tmp_path: Path) -> None:
    """In a window of 8 tokens, too: training has none."""
    made = job(base, data, tmp_path / "x")
    batch = made.prepare([made.shelves[0].learning[0]])
    inputs = made.inputs(batch)
    begin, last = int((batch.kinds[0] == 0).sum()), batch.tokens.shape[1] - 1

    def seen(place: int | None) -> torch.Tensor:
        ids = inputs["input_ids"].clone()
        if place is not None:
            ids[0, place] = 50
        with torch.no_grad():
            return made.core.model(**inputs | {"input_ids": ids}, use_cache=False).last_hidden_state[0]

    plain = seen(None)
    after, before = seen(last - 1), seen(5)
    assert torch.equal(after[: last - 1], plain[: last - 1])
    assert not torch.allclose(after[last], plain[last], atol=1e-4)
    changed = (before - plain).abs().amax(-1) > 1e-6
    assert bool(changed[:begin].all())  # bidirectional
    assert bool(changed[begin:].all())


def test_validation_answers_do_not_depend_on_neighbours(base: Path, data: Path, tmp_path: Path) -> None:
    made = job(base, data, tmp_path / "x")
    some = [made.shelves[0].learning[i] for i in range(3)]
    some[1] = dataclasses.replace(some[1], parts={"question": "is it rather light, or rather dark?"})
    together = answers(made.core, made.prepare, some, 8, "cpu")
    alone = [answers(made.core, made.prepare, [one], 8, "cpu")[0] for one in some]
    assert together == alone


def test_parts_of_a_batch_make_the_step_of_the_whole(base: Path, data: Path, tmp_path: Path) -> None:
    weights = []
    for parts in (1, 4):
        schedule = {**TABLE["schedule"], "accumulate": parts}
        made = job(base, data, tmp_path / f"{parts}", schedule=schedule)
        trainer = Trainer(made.plan, tmp_path / f"{parts}", job=made)
        batch = made.prepare([made.shelves[0].learning[i] for i in range(8)])
        loss = trainer.take_step(batch, 1.0)["loss"]
        weights.append((loss, {n: p.detach().clone() for n, p in made.model.named_parameters()}))
    (one, first), (four, second) = weights
    assert one == pytest.approx(four, abs=1e-5)
    # Adam's first step is the sign of the gradient: where that is nearly nothing, rounding decides.
    off = torch.cat([(first[n] - second[n]).abs().flatten() for n in first])
    assert (off > 1e-4).float().mean() < 0.002


@pytest.mark.parametrize("train", ["full", "frozen-vision", "lora"])
def test_what_is_frozen_does_not_move(train: str, base: Path, data: Path, tmp_path: Path) -> None:
    made = job(base, data, tmp_path / "x", adapt={"train": train})
    trainer = Trainer(made.plan, tmp_path / "x", job=made)
    before = {n: p.detach().clone() for n, p in made.model.named_parameters()}
    batch = made.prepare([made.shelves[0].learning[i] for i in range(8)])
    for _ in range(2):
        trainer.take_step(batch, 1.0)
    moved = {n for n, p in made.model.named_parameters() if not torch.equal(p, before[n])}
    if train == "lora":
        assert moved
        assert all("lora_" in name for name in moved)
    else:
        assert any("vision_tower" in n for n in moved) == (train == "full")
        assert any("language_model" in n for n in moved)


def test_adapters_are_a_peft_folder_that_says_its_base(base: Path, data: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    schedule = {**TABLE["schedule"], "lr": 1e-2, "steps": 24}
    tune = plan(adapt={"train": "lora", "dropout": 0.1}, schedule=schedule, evaluation={"every": 100})
    best = fine_tune(tune, str(base), [str(data)], tmp_path / "run")
    assert {p.name for p in best.iterdir()} == {"adapter_config.json", "adapter_model.safetensors", "docpipe.json"}
    settings = json.loads((best / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str(base)
    said = json.loads((best / "docpipe.json").read_text())
    assert said["base"]["name"] == str(base)
    assert said["tasks"]["question"]["max_tokens"] == 128
    whole = AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
    model = PeftModel.from_pretrained(whole, best).eval()
    made = job(base, data, tmp_path / "x", adapt={"train": "lora", "dropout": 0.1})
    learnt = state.load(tmp_path / "run" / "state.pt")["learnt"]
    loaded = {n: p for n, p in model.named_parameters() if "lora_" in n}
    assert loaded.keys() == learnt.keys()
    assert all(torch.equal(loaded[n], learnt[n]) for n in loaded)
    assert made.random


def test_bits_of_four_need_cuda(base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DocpipeError, match="DP626 qlora"):
        fine_tune(plan(adapt={"train": "qlora"}), str(base), [str(data)], tmp_path)


@pytest.mark.parametrize("train", ["full", "lora"])
def test_a_resumed_run_is_the_run_itself(train: str, base: Path, data: Path, tmp_path: Path) -> None:
    tune = plan(adapt={"train": train, "dropout": 0.1}, evaluation={"every": 8})
    fine_tune(tune, str(base), [str(data)], tmp_path / "whole", steps=14)
    for steps in (5, 14):
        fine_tune(tune, str(base), [str(data)], tmp_path / "parts", steps=steps)
    one, two = (state.load(tmp_path / name / "state.pt") for name in ("whole", "parts"))
    assert one["step"] == two["step"] == 14
    assert all(torch.equal(one["learnt"][n], two["learnt"][n]) for n in one["learnt"])
    assert validations(tmp_path / "whole")[0]["shades"] == validations(tmp_path / "parts")[0]["shades"]


def test_a_killed_run_goes_on_to_the_same_weights(base: Path, data: Path, tmp_path: Path) -> None:
    """kill -9 in the middle of a run with accumulation."""
    recipe = tmp_path / "shades.json"
    recipe.write_text(json.dumps({**TABLE, "schedule": {**TABLE["schedule"], "steps": 400}}))
    code = (
        "import json, pathlib; from docpipe.train import adapters, finetune, plan, trainer\n"
        "for m in (adapters, finetune, trainer): m.native_bfloat16 = lambda: False\n"
        f"trainer.SAVE_EVERY = 0.0; table = json.loads(pathlib.Path({str(recipe)!r}).read_text())\n"
        "made = plan.parse_fine_tune(table)\n"
        f"finetune.fine_tune(made, {str(base)!r}, [{str(data)!r}], {str(tmp_path / 'killed')!r})"
    )
    with subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"OMP_NUM_THREADS": "1"}) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not validations_there(tmp_path / "killed"):
            time.sleep(0.05)
        assert process.poll() is None, "it ended by itself"
        process.send_signal(signal.SIGKILL)
    at = state.load(tmp_path / "killed" / "state.pt")["step"]
    assert at >= 20
    tune = parse_fine_tune(json.loads(recipe.read_text()))
    for name in ("killed", "whole"):
        fine_tune(tune, str(base), [str(data)], tmp_path / name, steps=at + 3)
    one, two = (state.load(tmp_path / name / "state.pt") for name in ("killed", "whole"))
    assert all(torch.allclose(one["learnt"][n], two["learnt"][n], atol=1e-5) for n in one["learnt"])


def validations_there(out: Path) -> bool:
    return (out / "log.jsonl").exists() and '"event": "validation"' in (out / "log.jsonl").read_text()


def test_two_processes_make_the_run_of_one(base: Path, data: Path, tmp_path: Path) -> None:
    """Two CPU processes over gloo, each with half of every batch."""
    table = {**TABLE, "schedule": {**TABLE["schedule"], "steps": 10}, "evaluation": {"every": 5}}
    script = tmp_path / "part.py"
    script.write_text(
        "import json, sys; sys.path.insert(0, " + repr(str(Path(__file__).parent)) + ")\n"
        "import test_finetune as t\n"
        "from docpipe.train import adapters, finetune, processes, trainer\n"
        "for m in (adapters, finetune, trainer): m.native_bfloat16 = lambda: False\n"
        "finetune.Loader = t.Here\n"
        f"made = t.parse_fine_tune(json.loads({json.dumps(table)!r}))\n"
        f"t.fine_tune(made, {str(base)!r}, [{str(data)!r}], {str(tmp_path / 'two')!r}, among=processes.processes())\n"
    )
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    subprocess.run(launcher, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True)
    fine_tune(parse_fine_tune(table), str(base), [str(data)], tmp_path / "one")
    one, two = (tiny.log_of(tmp_path / name) for name in ("one", "two"))
    assert next(line for line in two if line.get("event") == "begin")["processes"] == 2
    losses = [[line["loss"] for line in lines if "loss" in line] for lines in (one, two)]
    assert losses[0] == pytest.approx(losses[1], abs=2e-3)
    for first, second in zip(validations(tmp_path / "one"), validations(tmp_path / "two"), strict=True):
        assert first["shades"] == pytest.approx(second["shades"], abs=5e-3)
        assert second["shades"]["examples"] == 8
    assert (tmp_path / "two" / "best" / "model.safetensors").is_file()


def test_the_mixture_is_by_weight_and_each_set_is_met_whole() -> None:
    stream = numbers([5, 1000], [1.0, 3.0], 3, 0)
    first = [next(stream) for _ in range(8000)]
    assert sum(which for which, _ in first) / 8000 == pytest.approx(0.75, abs=0.02)
    small = [number for which, number in first if which == 0][:20]
    assert all(sorted(small[i : i + 5]) == list(range(5)) for i in range(0, 20, 5))
    assert small[:5] != small[5:10] or small[5:10] != small[10:15]
    later = numbers([5, 1000], [1.0, 3.0], 3, 5000)
    assert [next(later) for _ in range(50)] == first[5000:5050]


def test_a_run_goes_on_with_its_own_data_and_base_alone(base: Path, data: Path, tmp_path: Path) -> None:
    fine_tune(plan(), str(base), [str(data)], tmp_path / "run", steps=1)
    other = tiny.shades(tmp_path / "other", 10)
    with pytest.raises(DocpipeError, match=r"DP627 .*other data"):
        fine_tune(plan(), str(base), [str(other)], tmp_path / "run", steps=2)
    changed = tiny.checkpoint(tmp_path / "ck2", seed=5)
    with pytest.raises(DocpipeError, match=r"DP627 .*another checkpoint"):
        fine_tune(plan(), str(changed), [str(data)], tmp_path / "run", steps=2)
    with pytest.raises(DocpipeError, match=r"DP627 .*other weights"):
        fine_tune(plan(adapt={"train": "lora"}), str(base), [str(data)], tmp_path / "run", steps=2)
    fine_tune(plan(), str(base), [str(other)], tmp_path / "run", steps=1, resume=False)
    assert state.load(tmp_path / "run" / "state.pt")["step"] == 1


def test_answers_that_are_too_long_are_left_out_and_counted(base: Path, tmp_path: Path) -> None:
    data = tiny.shades(tmp_path / "long", 12, answers=("dark", "a very long answer indeed", "pale"))
    tune = plan(tasks={"question": {"max_tokens": 8}})
    fine_tune(tune, str(base), [str(data)], tmp_path / "run", steps=1)
    found = next(line for line in tiny.log_of(tmp_path / "run") if line.get("event") == "data")
    assert (found["learning"] + found["validation"], found["left_out"]) == (8, 4)


def test_a_loss_that_is_no_number_ends_the_run_before_it_is_saved(base: Path, data: Path, tmp_path: Path) -> None:
    made = job(base, data, tmp_path / "x")
    trainer = Trainer(made.plan, tmp_path / "x", job=made)
    with torch.no_grad():
        made.core.lm_head.weight.fill_(float("nan"))
    with pytest.raises(DocpipeError, match="DP629 step 0"):
        trainer.take_step(made.prepare([made.shelves[0].learning[0]]), 1.0)
    assert trainer.step == 0


def test_nothing_to_train_on_is_told(base: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(DocpipeError, match=r"DP625 shades: .*shades \(jsonl\)"):
        fine_tune(plan(), str(base), [], tmp_path)
    two = plan(data=[TABLE["data"][0], {**TABLE["data"][0], "name": "more"}])
    with pytest.raises(DocpipeError, match=r"DP625 .*names: shades, more"):
        place(two, [str(data)])
    assert [one.data.name for one in place(two, [f"more={data}"])] == ["more"]


def test_rates_warm_up_and_end() -> None:
    cosine = Schedule(shape="cosine", warmup=4, final=0.1)
    assert [cosine.rate(s, 24) for s in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert cosine.rate(14, 24) == pytest.approx(0.55)
    assert cosine.rate(24, 24) == pytest.approx(0.1)
    assert Schedule(shape="linear", warmup=0, warmup_share=0.5, final=0.0).rate(15, 20) == pytest.approx(0.5)
    assert Schedule(warmup=4).rate(10**6, 0) == 1.0


def test_precision_is_never_emulated() -> None:
    from docpipe.train.precision import native_bfloat16

    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    known = "avx512_bf16" in flags or "amx_bf16" in flags
    assert native_bfloat16() == (torch.cuda.is_bf16_supported() if torch.cuda.is_available() else known)
    assert Adaptation(train="lora", weights="bfloat16").weights == "bfloat16"
