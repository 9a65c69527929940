"""Adapters in the engine: one base for several tasks, switched without loading again; and how they are named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from test_paligemma import CAPTION, GOLDEN, MOLECULE, TEXT, ask, checkpoint, noise, only

from docpipe.engines.paligemma import PaliGemmaEngine
from docpipe.engines.paligemma_reference import PaliGemmaReference
from docpipe.errors import DocpipeError
from docpipe.models import load, registry
from docpipe.models.digests import whole_digest

LIMITS = {name: {"max_tokens": 12} for name in ("text", "molecule", "caption")}


def adapter(folder: Path, seed: int, base: str | None = None, **said: Any) -> Path:
    """An adapter for the tiny checkpoint, in peft's files."""
    folder.mkdir()
    text = json.loads((GOLDEN / "config.json").read_text())["text_config"]
    width, out = text["hidden_size"], text["num_attention_heads"] * text["head_dim"]
    made, weights = torch.Generator().manual_seed(seed), {}
    for layer in range(text["num_hidden_layers"]):
        key = f"base_model.model.model.language_model.layers.{layer}.self_attn.q_proj"
        weights[f"{key}.lora_A.weight"] = torch.randn(3, width, generator=made)
        weights[f"{key}.lora_B.weight"] = torch.randn(out, 3, generator=made)
    save_file(weights, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 3, "lora_alpha": 6, "base_model_name_or_path": base}
    (folder / "adapter_config.json").write_text(json.dumps({**config, "target_modules": ["q_proj"]}))
    if said:
        (folder / "docpipe.json").write_text(json.dumps(said))
    return folder


@pytest.fixture
def base(tmp_path: Path) -> str:
    return checkpoint(tmp_path / "base", tasks=LIMITS)


@pytest.fixture
def adapters(tmp_path: Path) -> tuple[Path, Path]:
    one, two = (adapter(tmp_path / name, seed, tasks=LIMITS) for seed, name in enumerate(("one", "two")))
    return one, two


def test_adapters_of_one_base_are_switched_in_one_run_without_loading_again(
    base: str, adapters: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[Path] = []
    real = load.load_network

    def counted(folder: Path, *given: Any, **more: Any) -> Any:
        loaded.append(folder)
        return real(folder, *given, **more)

    monkeypatch.setattr(load, "load_network", counted)
    one, two = adapters
    engine = PaliGemmaEngine(models={"molecule": f"{base}+{one}", "text": f"{base}+{two}", "caption": base})
    requests = [ask(task, noise(seed=s)) for s, task in enumerate((MOLECULE, TEXT, CAPTION) * 2)]
    answers = list(engine.read(requests))
    assert loaded == [Path(base)]
    assert [a.origin.checkpoint for a in answers] == ["base+one", "base+two", "base"] * 2
    assert len({a.origin.digest for a in answers}) == 3
    alone = [PaliGemmaEngine(model=name) for name in (f"{base}+{one}", f"{base}+{two}", base)]
    for i, (request, answer) in enumerate(zip(requests, answers, strict=True)):
        assert answer.error is None
        own = only(alone[i % 3], request)
        assert (answer.content, answer.origin) == (own.content, own.origin)
    assert len(loaded) == 4, "a base that serves one adapter alone is merged with it while it is loaded"


def test_an_adapter_changes_answers_as_it_does_in_transformers(base: str, adapters: tuple[Path, Path]) -> None:
    name = f"{base}+{adapters[0]}"
    request = ask(TEXT, noise(seed=4))
    ours, theirs, plain = (
        only(engine(model=model, confidence="raw"), request)
        for engine, model in ((PaliGemmaEngine, name), (PaliGemmaReference, name), (PaliGemmaEngine, base))
    )
    assert ours.content == theirs.content
    assert ours.confidence == pytest.approx(theirs.confidence, abs=1e-4)
    assert ours.content != plain.content


def test_an_adapters_folder_alone_is_put_onto_the_base_that_it_names(tmp_path: Path, base: str) -> None:
    found = registry.find_checkpoint(str(adapter(tmp_path / "mine", 1, base)))
    assert (found.name, found.folder, found.base) == ("base+mine", Path(base), "base")
    assert found.can_read("score"), "an adapter that says nothing is taken at its user's word"
    with pytest.raises(DocpipeError, match=r"DP311 lost: .*no/such/folder.*base\+folder"):
        registry.find_checkpoint(str(adapter(tmp_path / "lost", 1, "/no/such/folder")))
    with pytest.raises(DocpipeError, match=r"DP311 silent: .*names no base"):
        registry.find_checkpoint(str(adapter(tmp_path / "silent", 1)))


def test_what_an_adapter_can_do_is_said_by_its_docpipe_json(tmp_path: Path, base: str) -> None:
    made = adapter(tmp_path / "tables", 2, tasks={"table": {"prompt": "read the table"}}, licence="CC-BY-4.0")
    found = registry.find_checkpoint(f"{base}+{made}")
    assert found.tasks == {"table"}
    assert found.settings["table"].prompt == "read the table"
    assert found.licence == "CC-BY-4.0"


def test_an_adapter_of_another_published_checkpoint_is_refused(tmp_path: Path) -> None:
    mix = tmp_path / "paligemma2-3b-mix-448"
    shutil.copytree(GOLDEN, mix)
    made = adapter(tmp_path / "mine", 1, "google/paligemma2-3b-pt-448")
    with pytest.raises(DocpipeError, match=r"DP311 mine: .*paligemma2-3b-pt-448, not on paligemma2-3b-mix-448"):
        registry.find_checkpoint(f"{mix}+{made}")
    assert registry.find_checkpoint(str(made)).hub == "google/paligemma2-3b-pt-448"
    with pytest.raises(DocpipeError, match="DP311"):
        registry.find_checkpoint(f"google/paligemma2-3b-mix-448+{made}")


def test_an_adapter_that_does_not_fit_is_an_error_of_its_requests(tmp_path: Path, base: str) -> None:
    made = adapter(tmp_path / "bad", 1)
    weights = {"base_model.model.model.language_model.layers.9.mlp.up_proj.lora_A.weight": torch.ones(2, 2)}
    save_file(
        {**weights, next(iter(weights)).replace("_A", "_B"): torch.ones(2, 2)}, made / "adapter_model.safetensors"
    )
    answer = only(PaliGemmaEngine(model=f"{base}+{made}"), ask(TEXT))
    assert answer.error is not None
    assert answer.error.code == "DP311"
    with pytest.raises(DocpipeError, match="DP310"):
        registry.find_checkpoint(f"{base}+{tmp_path}")


def test_alpha_is_as_much_of_an_adapter_as_its_weights(tmp_path: Path, base: str) -> None:
    made = adapter(tmp_path / "mine", 1)
    before = whole_digest(registry.find_checkpoint(f"{base}+{made}"))
    path = made / "adapter_config.json"
    path.write_text(path.read_text().replace('"lora_alpha": 6', '"lora_alpha": 7'))
    assert whole_digest(registry.find_checkpoint(f"{base}+{made}")) != before
