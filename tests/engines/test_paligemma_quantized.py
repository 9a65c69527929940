"""The engine with quantized layers, within a memory budget, with drafts: the same engine, and the same answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from test_paligemma import CAPTION, MOLECULE, TEXT, ask, checkpoint, noise, only

from docpipe.document import canonical
from docpipe.engines import paligemma_weights
from docpipe.engines.paligemma import PaliGemmaEngine, draft_of
from docpipe.engines.paligemma_decoder import OwnDecoder
from docpipe.engines.paligemma_reference import PaliGemmaReference
from docpipe.errors import DocpipeError
from docpipe.models import draft, registry
from docpipe.models.kernels import Int8Linear
from docpipe.models.memory import OWN, predicted
from docpipe.models.network import Network
from docpipe.models.quantize import choose
from docpipe.models.quantized import save
from docpipe.stages.recognize import Reader

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCPIPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(registry, "SHIPPED", tmp_path / "no-such-folder")


@pytest.fixture
def model(tmp_path: Path) -> str:
    tasks = {name: {"max_tokens": 24} for name in ("text", "molecule", "table", "caption")}
    return checkpoint(tmp_path / "tiny", family="nano", tasks=tasks)


def network_of(engine: PaliGemmaEngine) -> Network:
    loaded = engine.load(registry.find_checkpoint(engine.model or ""))
    assert isinstance(loaded.decoder, OwnDecoder)
    return loaded.decoder.network


def kept(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / "quantized").glob("*"))


# --- quantize -------------------------------------------------------------------------------------------------


def test_a_small_checkpoint_stays_exact_and_says_so(model: str, tmp_path: Path) -> None:
    engine = PaliGemmaEngine(model=model)
    assert engine.how == ""
    answer = only(engine, ask(MOLECULE))
    assert answer.error is None
    assert engine.how == "tiny: float32: the network is small"
    assert network_of(engine).unembed is None
    assert kept(tmp_path) == []


def test_quantized_layers_are_used_kept_on_disk_and_told(model: str, tmp_path: Path) -> None:
    engine = PaliGemmaEngine(model=model, quantize="int8")
    answer = only(engine, ask(MOLECULE))
    assert answer.error is None
    assert answer.content is not None
    assert isinstance(network_of(engine).unembed, Int8Linear)
    assert engine.how.startswith("tiny: int8: W8A8 by ")
    (place,) = kept(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in place.iterdir()}
    again = only(PaliGemmaEngine(model=model, quantize="int8"), ask(MOLECULE))
    assert again.content == answer.content
    assert {path: path.stat().st_mtime_ns for path in place.iterdir()} == before, "made once"


def test_readings_of_other_arithmetic_are_other_readings(model: str) -> None:
    request = ask(MOLECULE)
    said = [PaliGemmaEngine(model=model, quantize=mode).identity(request) for mode in ("none", "auto", "int8", "bf16")]  # type: ignore[arg-type]
    told = [one["computed"] for one in said if one is not None]
    assert told[0] == "float32"
    assert len(set(told)) == 4
    assert "processor" in str(told[2])


@pytest.mark.parametrize(
    ("more", "code"), [({"quantize": "int3"}, "DP313"), ({"quantize": "int8", "device": "cuda"}, "DP313")]
)
def test_what_cannot_be_is_an_answer_with_a_code(model: str, more: dict[str, Any], code: str) -> None:
    answer = only(PaliGemmaEngine(model=model, **more), ask(MOLECULE))
    assert answer.error is not None
    assert answer.error.code == code


def test_the_reference_engine_refuses_to_quantize(model: str) -> None:
    answer = only(PaliGemmaReference(model=model, quantize="int8"), ask(MOLECULE))
    assert answer.error is not None
    assert answer.error.code == "DP313"
    exact = PaliGemmaReference(model=model)
    assert only(exact, ask(MOLECULE)).error is None
    assert exact.how == "tiny: transformers, float32"


def test_a_folder_that_was_quantized_is_a_checkpoint(model: str, tmp_path: Path) -> None:
    save(Path(model), tmp_path / "quantized", choose("int8"))
    right = only(PaliGemmaEngine(model=model, quantize="int8"), ask(MOLECULE))
    engine = PaliGemmaEngine(model=str(tmp_path / "quantized"), quantize="none")
    found = only(engine, ask(MOLECULE))
    assert found.content == right.content
    assert "int8: W8A8" in engine.how, "it is computed as it was made"


# --- memory ---------------------------------------------------------------------------------------------------


def sizes(engine: PaliGemmaEngine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests are run at once, told as they are."""
    found: list[int] = []
    plain = engine._answers
    monkeypatch.setattr(engine, "_answers", lambda jobs: (found.append(len(jobs)), plain(jobs))[1])
    return found


def test_a_budget_splits_batches_and_changes_no_answer(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    requests = [ask(MOLECULE, noise(seed=i)) for i in range(7)]
    free = PaliGemmaEngine(model=model)
    right = [answer.content for answer in free.read(requests)]
    loaded = free.load(registry.find_checkpoint(model))
    one = predicted(loaded.config, prompt=len(free._prepare(requests[0]).tokens), tokens=24)  # type: ignore[union-attr]
    budget = OWN + one.weights + 3 * (one.cache + one.activations)
    engine = PaliGemmaEngine(model=model, memory=str(budget))
    found = sizes(engine, monkeypatch)
    assert [answer.content for answer in engine.read(requests)] == right
    assert found == [3, 3, 1]


def test_a_budget_that_holds_nothing_is_an_error_that_says_what_is_needed(model: str) -> None:
    answer = only(PaliGemmaEngine(model=model, memory="300M"), ask(MOLECULE))
    assert answer.error is not None
    assert answer.error.code == "DP341"
    assert "memory is 0.3 GB" in answer.error.message
    config = PaliGemmaEngine(model=model).load(registry.find_checkpoint(model)).config
    barely = OWN + predicted(config).weights + 1000
    answer = only(PaliGemmaEngine(model=model, memory=f"{barely}"), ask(MOLECULE))
    assert answer.error is not None
    assert answer.error.code == "DP341", "the weights fit, an answer does not"


@pytest.mark.parametrize("said", ["much", "6 bananas", "0", "-1G", "6P", ""])
def test_a_budget_must_be_a_size(said: str) -> None:
    with pytest.raises(DocpipeError, match="DP340"):
        PaliGemmaEngine(memory=said)


def test_weights_of_other_checkpoints_count(model: str, tmp_path: Path) -> None:
    other = str(tmp_path / "other")
    shutil.copytree(model, other)
    config = PaliGemmaEngine(model=model).load(registry.find_checkpoint(model)).config
    both = OWN + predicted(config).weights * 3 // 2
    engine = PaliGemmaEngine(models={"molecule": model, "caption": other}, memory=str(both))
    weights = engine._weights
    weights.count(registry.locate(registry.find_checkpoint(model)), config, engine.choice(Path(model)))
    with pytest.raises(DocpipeError, match="DP341"):
        weights.count(registry.locate(registry.find_checkpoint(other)), config, engine.choice(Path(other)))


# --- adapters -------------------------------------------------------------------------------------------------


def test_adapters_share_a_quantized_base(model: str, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from docpipe.models.adapters import adapted, read_adapter
    from docpipe.models.decode import prefill
    from docpipe.models.load import load_network
    from docpipe.models.quantized import load

    transformers = pytest.importorskip("transformers")
    base = transformers.PaliGemmaForConditionalGeneration.from_pretrained(model)
    torch.manual_seed(3)
    settings = peft.LoraConfig(
        r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"], init_lora_weights=False
    )
    peft.get_peft_model(base, settings).save_pretrained(tmp_path / "adapter")
    adapter = read_adapter(tmp_path / "adapter")
    shared, _ = load(Path(model), "int8")
    both = adapted(shared, adapter)
    merged, _ = load(Path(model), "int8", adapter=adapter)
    side = shared.config.vision.side
    pixels = torch.rand(2, 3, side, side) * 2 - 1
    networks = load_network(Path(model), adapter=adapter), shared, both, merged
    with torch.inference_mode():
        right, *found = (prefill(n, pixels, [[2, 5, 4]] * 2, 1).logits for n in networks)
    plain, one, two = (float((logits - right).norm() / right.norm()) for logits in found)
    assert one < 1.5 * two, "as near to the exact network as when it is merged before quantizing"
    assert plain > 2 * one
    engine = PaliGemmaEngine(models={"molecule": f"{model}+{tmp_path / 'adapter'}", "caption": model}, quantize="int8")
    answers = list(engine.read([ask(MOLECULE), ask(CAPTION)]))
    assert [answer.error for answer in answers] == [None, None]
    assert len(engine._weights.bases) == 1
    assert isinstance(engine._weights, paligemma_weights.Weights)


# --- drafts ---------------------------------------------------------------------------------------------------


def test_a_lone_request_is_decoded_by_its_draft_with_the_same_answer(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = PaliGemmaEngine(model=model, quantize="int8", drafts="off")
    right = only(plain, ask(MOLECULE))
    said = canonical(right.content)
    assert len(said) > 10
    tallies: list[tuple[int, draft.Tally]] = []
    original = draft.generate_with_draft

    def counted(*given: Any, **more: Any) -> Any:
        tally = draft.Tally()
        tallies.append((len(given[4]), tally))
        return original(*given, **more, tally=tally)

    monkeypatch.setattr(draft, "generate_with_draft", counted)
    engine = PaliGemmaEngine(model=model, quantize="int8")
    for text in (None, said, said[: len(said) // 2] + "nonsense", "nothing of this is right"):
        found = only(engine, ask(MOLECULE, draft=text))
        assert found.content == right.content
        assert found.origin == right.origin
    assert [count > 0 for count, _ in tallies] == [False, True, True, True]
    assert tallies[1][1].steps < tallies[3][1].steps
    list(engine.read([ask(MOLECULE), ask(MOLECULE, noise(seed=4))]))
    assert len(tallies) == 4, "a batch fills the rows by itself"
    assert only(PaliGemmaEngine(model=model), ask(MOLECULE, draft=said)).error is None
    assert len(tallies) == 4, "nor is it worth it in float32"


def test_the_draft_of_a_text_is_what_the_pdf_says() -> None:
    pymupdf = pytest.importorskip("pymupdf")
    from docpipe.document import Box, Page, Region
    from docpipe.engines.base import Request
    from docpipe.sheet import Sheet
    from docpipe.source import SourceRef

    with pymupdf.open() as made:
        page = made.new_page(width=300, height=200)
        page.insert_text((20, 50), "Words of the file")
        page.insert_text((20, 150), "elsewhere")
        data = made.tobytes()
    sheet = Sheet(Page(number=1, width=300, height=200), SourceRef("a.pdf", data=data))
    region = Region(id="p1.r0", kind="paragraph", box=Box(0, 20, 300, 80))
    assert draft_of(Request(TEXT, sheet, region)) == "Words of the file"
    assert draft_of(Request(TEXT, sheet, region, draft="of an engine")) == "of an engine"
    assert draft_of(Request(MOLECULE, sheet, region)) == ""


def test_what_an_earlier_engine_read_in_vain_is_the_draft_of_the_next() -> None:
    from docpipe.document import Origin, TextContent
    from docpipe.engines.base import Answer

    class Says:
        """Answers with a text, not surely, and keeps what it was asked."""

        def __init__(self, name: str, confidence: float, takes_drafts: bool) -> None:
            self.name, self.confidence, self.takes_drafts = name, confidence, takes_drafts
            self.drafts: list[str | None] = []

        def can_read(self, task: Any) -> bool:
            return bool(task)

        def read(self, requests: Any) -> Any:
            self.drafts += [request.draft for request in requests]
            for _ in requests:
                yield Answer(Origin(engine=self.name), TextContent(text=f"by {self.name}"), self.confidence)

    first, second, third = Says("a", 0.2, True), Says("b", 0.3, False), Says("c", 0.9, True)
    ((taken, others),) = Reader(TEXT, [first, second, third], 0.8).read([ask(TEXT)])  # type: ignore[list-item]
    assert (first.drafts, second.drafts, third.drafts) == ([None], [None], ["by b"])
    assert taken.origin.engine == "c"
    assert len(others) == 2


def test_the_manifest_says_how_an_engine_computed(model: str, tmp_path: Path) -> None:
    from docpipe.pipeline import Pipeline
    from docpipe.run.runner import DocumentRun
    from docpipe.source import SourceRef

    noise(200, 160).save(tmp_path / "crop.png")
    (tmp_path / "p.toml").write_text(
        'name = "crop"\n[[stage]]\nuse = "crop"\nkind = "molecule"\n'
        '[[stage]]\nuse = "route"\ntasks = {molecule = ["molecule"]}\nfigures = false\n'
        '[[stage]]\nuse = "recognize"\nengines = {molecule = ["paligemma"]}\n'
        f'settings = {{paligemma = {{model = {json.dumps(model)}, quantize = "int8", memory = "2G"}}}}\n'
    )
    run = DocumentRun(SourceRef("crop.png", path=str(tmp_path / "crop.png")), Pipeline.from_toml(tmp_path / "p.toml"))
    assert len(list(run.pages())) == 1
    manifest = run.manifest({})
    (said,) = manifest.engines["paligemma"]
    assert said.startswith("tiny: int8: W8A8 by ")
    assert "processor with" in said
    assert "paligemma" not in manifest.pages[0].ways
