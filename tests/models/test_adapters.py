"""LoRA adapters held against peft: merged, shared, switched; and those that are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from random_models import random_model, random_pixels, random_prompts, save
from safetensors.torch import load_file, save_file

from docpipe.errors import DocpipeError
from docpipe.models.adapters import adapted, read_adapter
from docpipe.models.decode import generate, prefill
from docpipe.models.load import load_network

torch.set_num_threads(1)

EVERYWHERE = r".*\.(q_proj|k_proj|v_proj|o_proj|out_proj|gate_proj|up_proj|down_proj|fc1|fc2|linear)"


def trained(model: Any, folder: Path, seed: int = 5, **settings: Any) -> tuple[Path, Any]:
    """An adapter of random weights, as peft saves it; and the model with it merged in by peft."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    said: dict[str, Any] = {"r": 4, "lora_alpha": 10, "target_modules": EVERYWHERE, **settings}
    made = get_peft_model(model, LoraConfig(**said))
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                weight.normal_(0, 0.2)
    made.save_pretrained(folder)
    return folder, made.merge_and_unload().eval()


def peft_logits(model: Any, pixels: torch.Tensor, prompt: list[int]) -> torch.Tensor:
    from docpipe.engines.paligemma_reference import TransformersDecoder

    decoder = TransformersDecoder.__new__(TransformersDecoder)
    decoder.model = model
    decoder.image_tokens = (model.config.vision_config.image_size // model.config.vision_config.patch_size) ** 2
    with torch.inference_mode():
        logits: torch.Tensor = model(**decoder.inputs(pixels, [prompt])).logits[:, -1].float()
    return logits


SETTINGS: dict[str, dict[str, Any]] = {
    "everywhere": {},
    "attention of the text alone": {"target_modules": r".*language_model.*\.(q_proj|v_proj)"},
    "rank-stabilised": {"use_rslora": True},
    "ranks and alphas by pattern": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {r"layers\.1\.mlp\.up_proj": 3}},
    "with the projector whole": {"target_modules": ["q_proj"], "modules_to_save": ["multi_modal_projector"]},
    "with a layer of three stored weights whole": {"target_modules": ["o_proj"], "modules_to_save": ["k_proj"]},
    "patches": {"target_modules": ["patch_embedding", "v_proj"]},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_merged_and_shared_give_pefts_logits(tmp_path: Path, name: str) -> None:
    base = save(random_model("10b"), tmp_path / "base")
    folder, merged = trained(random_model("10b"), tmp_path / "adapter", **SETTINGS[name])
    adapter = read_adapter(folder)
    pixels, (prompt,) = random_pixels(1), random_prompts(6)
    expected = peft_logits(merged, pixels, prompt)
    plain = load_network(base)
    for network in (load_network(base, adapter=adapter), adapted(plain, adapter)):
        with torch.inference_mode():
            found = prefill(network, pixels, [prompt], 1).logits
        assert (found - expected).abs().max() / expected.abs().max() < 1e-4
    with torch.inference_mode():
        without = prefill(plain, pixels, [prompt], 1).logits
    assert (without - expected).abs().max() / expected.abs().max() > 1e-2, "the adapter changes nothing"


def test_decoding_with_a_shared_adapter_gives_the_merged_ones_tokens(tmp_path: Path) -> None:
    base = save(random_model(), tmp_path / "base")
    adapter = read_adapter(trained(random_model(), tmp_path / "adapter")[0])
    pixels, prompts = random_pixels(3), random_prompts(4, 7, 5)
    one = generate(load_network(base, adapter=adapter), pixels, prompts, 24, eos=-1)
    two = generate(adapted(load_network(base), adapter), pixels, prompts, 24, eos=-1)
    assert [a.tokens for a in one] == [b.tokens for b in two]


def test_adapters_of_one_base_share_its_weights_and_leave_it_as_it_is(tmp_path: Path) -> None:
    plain = load_network(save(random_model(), tmp_path / "base"))
    before = {name: value.clone() for name, value in plain.named_parameters()}
    held = {value.data_ptr() for value in plain.parameters()}
    own = 0
    for seed in (1, 2):
        folder, _ = trained(random_model(), tmp_path / f"a{seed}", seed, target_modules=["q_proj", "down_proj"])
        network = adapted(plain, read_adapter(folder))
        own = sum(value.numel() for value in network.parameters() if value.data_ptr() not in held)
    assert own < 0.1 * sum(value.numel() for value in plain.parameters())
    assert all(torch.equal(before[name], value) for name, value in plain.named_parameters())


def damaged(folder: Path, into: Path, weights: Any = None, **settings: Any) -> Path:
    into.mkdir()
    config = json.loads((folder / "adapter_config.json").read_text())
    (into / "adapter_config.json").write_text(json.dumps({**config, **settings}))
    stored = load_file(folder / "adapter_model.safetensors")
    save_file(weights(stored) if weights else stored, into / "adapter_model.safetensors")
    return into


def test_other_kinds_are_refused(tmp_path: Path) -> None:
    folder, _ = trained(random_model(), tmp_path / "adapter", target_modules=["q_proj"])
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"use_dora": True}, "use_dora"),
        ({"peft_type": "IA3"}, "IA3"),
        ({"init_lora_weights": "pissa"}, "pissa"),
        ({"r": None}, "known form"),
        ({"lora_bias": True}, "lora_bias"),
    )
    for number, (said, why) in enumerate(refused):
        with pytest.raises(DocpipeError, match=rf"DP310 {number}: .*{why}"):
            read_adapter(damaged(folder, tmp_path / str(number), **said))
    with pytest.raises(DocpipeError, match=r"DP310.*adapter_config\.json"):
        read_adapter(tmp_path)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    folder, _ = trained(random_model(), tmp_path / "adapter", target_modules=["q_proj"])
    key = next(k for k in load_file(folder / "adapter_model.safetensors") if k.endswith("lora_A.weight"))
    for number, (change, why) in enumerate(
        (
            (lambda w: {k: v for k, v in w.items() if k != key}, "half of a pair"),
            (lambda w: {**w, key: w[key] * torch.nan}, "not finite"),
            (lambda w: {**w, key: w[key][:2].clone()}, "ranks"),
            (lambda w: {**w, key.replace("lora_A.weight", "lora_magnitude_vector"): torch.ones(3)}, "not plain LoRA"),
        )
    ):
        with pytest.raises(DocpipeError, match=rf"DP310 {number}:.*{why}"):
            _ = read_adapter(damaged(folder, tmp_path / str(number), change)).weights
    pickled = damaged(folder, tmp_path / "pickled")
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    with pytest.raises(DocpipeError, match=r"DP310 pickled: .*never opened"):
        _ = read_adapter(pickled).weights


def test_an_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    base = save(random_model("10b"), tmp_path / "base")
    adapter = read_adapter(trained(random_model("3b"), tmp_path / "wide", target_modules=["q_proj"])[0])
    with pytest.raises(DocpipeError, match=r"DP311 wide: .*q_proj\.weight is for \(64, 72\), the base's is \(64, 56\)"):
        load_network(base, adapter=adapter)
    with pytest.raises(DocpipeError, match="DP311 wide"):
        adapted(load_network(base), adapter)
    deep = trained(random_model("10b", num_hidden_layers=5), tmp_path / "deep", target_modules=["q_proj"])[0]
    with pytest.raises(DocpipeError, match=r"DP311 deep: .*no weight language_model\.layers\.3"):
        load_network(base, adapter=read_adapter(deep))
