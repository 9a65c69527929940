"""The PaliGemma 2 engine on a tiny checkpoint: abstaining, loading, batches, prompts, confidence, errors."""

from __future__ import annotations

import io
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from docpipe.document import Box, Page, Region, TextContent
from docpipe.engines.base import Answer, Engine, Request
from docpipe.engines.paligemma import PaliGemmaEngine
from docpipe.engines.paligemma_job import Job, picture
from docpipe.engines.paligemma_reference import PaliGemmaReference
from docpipe.engines.paligemma_view import upright
from docpipe.models import registry
from docpipe.models.decode import Decoded, prefill
from docpipe.models.load import digest
from docpipe.models.preprocess import to_pixels
from docpipe.sheet import Sheet
from docpipe.source import SourceRef
from docpipe.tasks.base import Task
from docpipe.tasks.caption import CaptionTask
from docpipe.tasks.molecule import MoleculeTask
from docpipe.tasks.table import TableTask
from docpipe.tasks.text import TextTask

torch.set_num_threads(1)
GOLDEN = Path(__file__).parent.parent / "golden" / "tiny_10b"
TEXT: Task = TextTask()  # type: ignore[assignment]
MOLECULE: Task = MoleculeTask()  # type: ignore[assignment]
TABLE: Task = TableTask()  # type: ignore[assignment]
CAPTION: Task = CaptionTask()  # type: ignore[assignment]


def noise(width: int = 60, height: int = 40, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def ask(task: Task, image: Image.Image | None = None, **more: Any) -> Request:
    """A request about a whole image."""
    image = image or noise()
    data = io.BytesIO()
    image.save(data, "PNG")
    page = Page(number=1, width=image.width, height=image.height)
    sheet = Sheet(page, SourceRef("crop.png", data=data.getvalue()))
    region = Region(id="p1.r0", kind="other", box=Box(0, 0, image.width, image.height))
    return Request(task, sheet, region, **more)


def checkpoint(path: Path, **said: object) -> str:
    """A copy of the tiny checkpoint; it answers in nonsense and never ends by itself."""
    shutil.copytree(GOLDEN, path)
    if said:
        (path / "docpipe.json").write_text(json.dumps(said))
    return str(path)


def only(engine: Engine, request: Request) -> Answer:
    answers = list(engine.read([request]))
    assert len(answers) == 1
    return answers[0]


@pytest.fixture
def nothing_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "SHIPPED", tmp_path / "no-such-folder")


@pytest.fixture
def model(tmp_path: Path) -> str:
    tasks = {name: {"max_tokens": 8} for name in ("text", "molecule", "table", "caption")}
    return checkpoint(tmp_path / "tiny", family="nano", tasks=tasks)


# --- abstaining -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_shipped")
def test_without_a_checkpoint_it_abstains_and_says_what_to_name() -> None:
    engine = PaliGemmaEngine()
    assert isinstance(engine, Engine)
    assert engine.name == "paligemma"
    assert engine.can_read(MOLECULE)
    assert not engine.in_batches
    answer = only(engine, ask(MOLECULE))
    assert answer.content is None
    assert answer.error is None
    assert answer.confidence is None
    assert answer.reason is not None
    assert answer.reason.startswith("no checkpoint for molecule: name one with --model (a folder or hub name)")


@pytest.mark.usefixtures("nothing_shipped")
def test_the_reason_names_registered_checkpoints_that_can() -> None:
    answer = only(PaliGemmaEngine(), ask(TEXT))
    assert "paligemma2-3b-mix-448" in (answer.reason or "")
    answer = only(PaliGemmaEngine(), ask(TABLE))
    assert "no registered checkpoint was trained for it" in (answer.reason or "")


@pytest.mark.usefixtures("nothing_shipped")
def test_a_mix_checkpoint_is_not_asked_for_a_molecule() -> None:
    answer = only(PaliGemmaEngine(model="google/paligemma2-3b-mix-448"), ask(MOLECULE))
    assert answer.content is None
    assert answer.error is None
    assert "paligemma2-3b-mix-448 was not trained for it" in (answer.reason or "")


def test_a_shipped_checkpoint_is_used_when_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint(tmp_path / "molecules", name="nano-molecules", family="nano", tasks={"molecule": {"max_tokens": 4}})
    monkeypatch.setattr(registry, "SHIPPED", tmp_path)
    engine = PaliGemmaEngine()
    assert engine.in_batches
    assert only(engine, ask(MOLECULE)).origin.checkpoint == "nano-molecules"
    assert only(engine, ask(TEXT)).content is None
    mix = PaliGemmaEngine(model="paligemma2-3b-mix-448")
    assert only(mix, ask(MOLECULE)).origin.checkpoint == "nano-molecules"


# --- reading --------------------------------------------------------------------------------------------------


def test_an_answer_says_where_it_comes_from(model: str) -> None:
    request = ask(MOLECULE)
    answer = only(PaliGemmaEngine(model=model), request)
    assert answer.error is None
    assert answer.content is not None
    assert answer.content.type == "molecule"
    origin = answer.origin
    assert (origin.engine, origin.checkpoint, origin.prompt, origin.tokens) == ("paligemma", "tiny", "smiles", 8)
    assert origin.digest == digest(Path(model))
    assert origin.crop == request.clipping.record
    assert origin.crop is not None
    assert origin.crop.sha256


def test_the_same_request_gives_the_same_answer(model: str) -> None:
    first, second = (only(PaliGemmaEngine(model=model, confidence="raw"), ask(TEXT)) for _ in range(2))
    assert first == second


def test_it_agrees_with_the_transformers_reference(model: str) -> None:
    requests = [ask(TEXT, noise(seed=s), language=lang) for s, lang in enumerate(["en", "de", "en"])]
    requests += [ask(MOLECULE, noise(90, 30, 7)), ask(CAPTION, language="de")]
    ours = list(PaliGemmaEngine(model=model, confidence="raw").read(requests))
    theirs = list(PaliGemmaReference(model=model, confidence="raw").read(requests))
    assert theirs[0].origin.engine == "paligemma-transformers"
    for a, b in zip(ours, theirs, strict=True):
        assert a.content == b.content
        assert a.content is not None
        assert a.confidence == pytest.approx(b.confidence, abs=1e-4)
        assert a.origin.model_copy(update={"engine": ""}) == b.origin.model_copy(update={"engine": ""})


def test_order_is_kept_over_tasks_batches_and_abstentions(model: str) -> None:
    requests = [ask((TEXT, MOLECULE)[s % 2], noise(seed=s)) for s in range(7)]
    requests.insert(3, ask(TEXT, Image.new("RGB", (30, 30), "white")))
    together = list(PaliGemmaEngine(model=model, batch=3).read(requests))
    assert len(together) == 8
    for request, answer in zip(requests, together, strict=True):
        assert answer == only(PaliGemmaEngine(model=model, batch=1), request)
    assert [a.content.type if a.content else None for a in together][2:5] == ["text", "text", "molecule"]
    assert len({a.origin.crop.sha256 for a in together if a.origin.crop}) == 7


def test_batches_are_as_large_as_set_and_of_one_task(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, sizes = PaliGemmaEngine(model=model, batch=3), []
    loaded = engine.load(registry.find_checkpoint(model))
    run = loaded.decoder.decode

    def watch(
        pixels: torch.Tensor, prompts: Sequence[Sequence[int]], limits: Sequence[int], **more: Any
    ) -> list[Decoded]:
        sizes.append((len(prompts), len(set(map(tuple, prompts)))))
        return run(pixels, prompts, limits, **more)

    monkeypatch.setattr(loaded.decoder, "decode", watch)
    list(engine.read([ask((TEXT, MOLECULE)[s % 2], noise(seed=s)) for s in range(9)]))
    assert sizes == [(3, 1), (2, 1), (3, 1), (1, 1)]


def test_a_prompt_follows_family_language_and_docpipe_json(tmp_path: Path) -> None:
    said = {"caption": {"prompt": "say {language}", "max_tokens": 3}, "text": {"max_tokens": 3}}
    engine = PaliGemmaEngine(model=checkpoint(tmp_path / "a", family="nano", tasks=said))
    assert only(engine, ask(CAPTION, language="fr")).origin.prompt == "say fr"
    assert only(engine, ask(TEXT)).origin.prompt == "ocr"
    other = PaliGemmaEngine(models={"caption": checkpoint(tmp_path / "b", tasks={"caption": {"max_tokens": 3}})})
    assert only(other, ask(CAPTION, language="fr")).origin.prompt == "caption fr"


def test_a_prompt_whose_blank_was_not_given_is_an_error(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "a", tasks={"text": {"prompt": "answer {language} {question}", "max_tokens": 3}})
    engine = PaliGemmaEngine(model=path)
    assert only(engine, ask(TEXT, parts={"question": "why?"})).origin.prompt == "answer en why?"
    error = only(engine, ask(TEXT)).error
    assert error is not None
    assert error.code == "DP307"
    assert "question" in error.message


def test_each_task_can_have_a_checkpoint_of_its_own(tmp_path: Path) -> None:
    one = checkpoint(tmp_path / "one", name="one", tasks={"text": {"max_tokens": 3}, "molecule": {"max_tokens": 3}})
    two = checkpoint(tmp_path / "two", name="two", tasks={"molecule": {"max_tokens": 3}})
    engine = PaliGemmaEngine(model=one, models={"molecule": two})
    answers = list(engine.read([ask(MOLECULE), ask(TEXT), ask(MOLECULE)]))
    assert [a.origin.checkpoint for a in answers] == ["two", "one", "two"]


def test_an_answer_cut_at_its_limit_is_kept_and_said_to_be_cut(model: str) -> None:
    answer = only(PaliGemmaEngine(model=model), ask(TEXT))
    assert answer.content is not None
    assert answer.reason == "the answer was cut at its limit of 8 tokens (no <eos>)"


def test_an_answer_that_ends_is_not_said_to_be_cut(model: str) -> None:
    loaded = PaliGemmaEngine(model=model).load(registry.find_checkpoint(model))
    job = Job(ask(TEXT), loaded, "ocr", tuple(loaded.tokenizer.prompt("ocr")), 1)
    first = loaded.decoder.decode(to_pixels([picture(job)]), [job.tokens], [1])[0].tokens[0]
    path = Path(model) / "config.json"
    config = json.loads(path.read_text())
    config["eos_token_id"] = config["text_config"]["eos_token_id"] = first
    path.write_text(json.dumps(config))
    answer = only(PaliGemmaEngine(model=model), ask(TEXT))
    assert answer.reason is None
    assert answer.content == TextContent(text="")
    assert answer.origin.tokens == 0


def test_candidates_become_alternatives_likeliest_first_as_transformers_beam_search_finds_them(model: str) -> None:
    requests = [ask(TEXT, noise(seed=1)), ask(MOLECULE, noise(seed=2))]
    ours = list(PaliGemmaEngine(model=model, candidates=3, confidence="raw").read(requests))
    theirs = list(PaliGemmaReference(model=model, candidates=3, confidence="raw").read(requests))
    plain = list(PaliGemmaEngine(model=model).read(requests))
    for a, b, one in zip(ours, theirs, plain, strict=True):
        assert a.error is None
        assert len(a.alternatives) == 2
        assert a.content not in a.alternatives
        assert (a.content, a.alternatives) == (b.content, b.alternatives)
        assert a.confidence == pytest.approx(b.confidence, abs=1e-4)
        assert one.alternatives == ()


# --- images ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [255, 250, 0])
def test_a_blank_crop_never_yields_words(model: str, level: int) -> None:
    blank = Image.new("RGB", (80, 50), (level, level, level))
    engine = PaliGemmaEngine(model=model)
    text = only(engine, ask(TEXT, blank))
    assert text.content == TextContent(text="")
    for task in (MOLECULE, TABLE, CAPTION):
        answer = only(engine, ask(task, blank))
        assert answer.content is None
        assert answer.error is None
        assert answer.reason == "the crop is blank"


def seen(model: str, request: Request) -> np.ndarray:
    loaded = PaliGemmaEngine(model=model).load(registry.find_checkpoint(model))
    image = picture(Job(request, loaded, "", (), 1))
    assert image.size == (56, 56)
    return np.asarray(image)


def test_molecules_are_padded_white_and_text_is_squeezed(model: str) -> None:
    black = Image.new("RGB", (80, 40), "black")
    assert (seen(model, ask(MOLECULE, black))[:10] == 255).all()
    assert (seen(model, ask(TEXT, black)) == 0).all()


def test_a_checkpoint_may_arrange_images_its_own_way(tmp_path: Path) -> None:
    black = Image.new("RGB", (80, 40), "black")
    path = checkpoint(tmp_path / "a", tasks={"text": {"prepare": "white-square"}, "molecule": {"prepare": "squeeze"}})
    assert (seen(path, ask(TEXT, black))[:10] == 255).all()
    assert (seen(path, ask(MOLECULE, black)) == 0).all()
    wrong = checkpoint(tmp_path / "b", tasks={"text": {"prepare": "sideways"}})
    error = only(PaliGemmaEngine(model=wrong), ask(TEXT)).error
    assert error is not None
    assert error.code == "DP302"


def test_a_crop_of_a_turned_page_is_read_upright() -> None:
    upright_image = noise(40, 30)
    for rotation, undo in ((90, Image.Transpose.ROTATE_90), (270, Image.Transpose.ROTATE_270)):
        request = ask(TEXT, upright_image.transpose(undo))
        page = request.sheet.page.model_copy(update={"rotation": rotation})
        turned = replace(request, sheet=replace(request.sheet, page=page))
        assert np.array_equal(np.asarray(upright(turned)), np.asarray(upright_image))


def test_a_tables_parser_is_given_the_padded_square_in_points(model: str) -> None:
    given: list[Box | None] = []

    class Watched(TableTask):
        def parse(self, text: str, boxes: Box | None = None) -> Any:
            given.append(boxes)
            return super().parse(text)

    only(PaliGemmaEngine(model=model), ask(Watched(), noise(60, 40)))  # type: ignore[arg-type]
    assert given == [Box(0, -10, 60, 50)]


# --- confidence -----------------------------------------------------------------------------------------------


def test_confidence_is_calibrated_raw_on_demand_or_none(tmp_path: Path, model: str) -> None:
    assert only(PaliGemmaEngine(model=model), ask(TEXT)).confidence is None
    raw = only(PaliGemmaEngine(model=model, confidence="raw"), ask(TEXT)).confidence
    assert raw is not None
    assert 0 < raw < 1
    line = {"measure": "mean", "x": [0, 1], "y": [0.5, 1]}
    tasks = {"text": {"max_tokens": 8}}
    calibrated = checkpoint(tmp_path / "c", family="nano", tasks=tasks, confidence={"text": line})
    assert only(PaliGemmaEngine(model=calibrated), ask(TEXT)).confidence == pytest.approx(0.5 + raw / 2)


@pytest.mark.parametrize(("least", "answers"), [(0.69, True), (0.71, False)])
def test_below_the_checkpoints_threshold_it_abstains(tmp_path: Path, least: float, answers: bool) -> None:
    always = {"measure": "mean", "x": [0, 1], "y": [0.7, 0.7]}
    tasks = {"text": {"max_tokens": 4}}
    path = checkpoint(tmp_path / "a", tasks=tasks, confidence={"text": always}, abstain_below={"text": least})
    answer = only(PaliGemmaEngine(model=path), ask(TEXT))
    assert answer.error is None
    assert answer.confidence == pytest.approx(0.7)
    assert (answer.content is not None) == answers
    assert (answer.reason or "").startswith("not sure enough") != answers


def test_confidence_is_of_the_soft_capped_probabilities(model: str) -> None:
    engine = PaliGemmaEngine(model=model)
    loaded = engine.load(registry.find_checkpoint(model))
    network = loaded.decoder.network  # type: ignore[attr-defined]
    request = ask(TEXT)
    job = Job(request, loaded, "ocr", tuple(loaded.tokenizer.prompt("ocr")), 1)
    pixels = to_pixels([picture(job)])
    with torch.inference_mode():
        logits = prefill(network, pixels, [job.tokens], 1).logits
    assert float(logits.abs().max()) <= 30
    decoded = loaded.decoder.decode(pixels, [job.tokens], [1])[0]
    assert math.exp(decoded.logprobs[0]) == pytest.approx(float(logits.softmax(-1).max()), abs=1e-5)


# --- errors as values -----------------------------------------------------------------------------------------


def code(answer: Answer) -> str:
    assert answer.content is None
    assert answer.error is not None
    assert (answer.error.page, answer.error.region) == (1, "p1.r0")
    return answer.error.code


def test_what_cannot_be_loaded_is_an_error_each_time_and_never_an_exception(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert code(only(PaliGemmaEngine(model=str(empty)), ask(TEXT))) == "DP301"
    assert code(only(PaliGemmaEngine(model="nonsense"), ask(TEXT))) == "DP301"
    broken = Path(checkpoint(tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"nothing")
    engine = PaliGemmaEngine(model=str(broken))
    assert [code(a) for a in engine.read([ask(TEXT), ask(TEXT)])] == ["DP302", "DP302"]


def test_offline_a_checkpoint_that_is_not_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    answer = only(PaliGemmaEngine(model="paligemma2-3b-pt-224", offline=True), ask(TEXT))
    assert code(answer) == "DP301"


def test_a_checkpoint_named_for_a_task_it_was_not_trained_for_is_an_error(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "a", name="only-text", tasks={"text": {}})
    answer = only(PaliGemmaEngine(models={"molecule": path}), ask(MOLECULE))
    assert code(answer) == "DP307"
    assert "only-text" in answer.error.message  # type: ignore[union-attr]


@pytest.mark.parametrize("engine", [PaliGemmaEngine, PaliGemmaReference])
def test_float16_is_refused(model: str, engine: type[PaliGemmaEngine]) -> None:
    answer = only(engine(model=model, dtype="float16"), ask(TEXT))
    assert code(answer) == "DP302"
    assert "overflow" in answer.error.message  # type: ignore[union-attr]


def test_a_prompt_longer_than_the_model_is_an_error(tmp_path: Path) -> None:
    path = Path(checkpoint(tmp_path / "a", tasks={"text": {"prompt": "{question}", "max_tokens": 400}}))
    config = json.loads((path / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 100
    (path / "config.json").write_text(json.dumps(config))
    engine = PaliGemmaEngine(model=str(path))
    answer = only(engine, ask(TEXT, parts={"question": "x" * 70}))
    assert answer.origin.tokens == 100 - 16 - 72  # what image and prompt leave of it
    assert code(only(engine, ask(TEXT, parts={"question": "x" * 90}))) == "DP307"


def test_a_crop_that_fails_costs_only_itself(model: str) -> None:
    engine = PaliGemmaEngine(model=model, batch=4)
    bad = ask(TEXT, noise(seed=3))

    class Failing(TextTask):
        def parse(self, text: str) -> TextContent:
            raise RuntimeError(text)

    requests = [ask(TEXT, noise(seed=1)), replace(bad, task=Failing()), ask(TEXT, noise(seed=2))]  # type: ignore[arg-type]
    answers = list(engine.read(requests))
    assert [a.error.code if a.error else None for a in answers] == [None, "DP304", None]
    assert answers[1].origin.prompt == "ocr"


def test_nothing_asked_is_nothing_answered() -> None:
    assert list(PaliGemmaEngine().read([])) == []


def test_importing_the_engine_loads_neither_torch_nor_transformers() -> None:
    loaded = "import sys, docpipe.engines.paligemma; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_reading_loads_no_transformers(model: str) -> None:
    read = (
        "import sys, docpipe.engines.paligemma as e; from docpipe.models.registry import find_checkpoint as f;"
        f"e.PaliGemmaEngine().load(f({model!r})); print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, check=True).stdout
        == "True False\n"
    )
