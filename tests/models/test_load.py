"""Loading: every spelling of the keys, every stored type, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from random_models import GOLDEN, random_model, random_pixels, random_prompts, save
from safetensors.torch import load_file, save_file

from docpipe.errors import DocpipeError
from docpipe.models.decode import generate
from docpipe.models.load import digest, load_network, network_config, weight_files

torch.set_num_threads(1)
STORED = GOLDEN / "tiny_10b"

SPELLINGS: dict[str, Callable[[str], str]] = {
    "published": lambda key: key,
    "without vision_model": lambda key: key.replace("vision_tower.vision_model.", "vision_tower."),
    "with model. before": lambda key: "model." + key.replace("language_model.model.", "language_model."),
    "neither": lambda key: "model." + key.replace("language_model.model.", "language_model.").replace(
        ".vision_model.", "."),
}  # fmt: skip


def copy(folder: Path, rename: Callable[[str], str] = lambda key: key, **edits: torch.Tensor | None) -> Path:
    """tiny_10b under other keys, with tensors replaced (None: left out)."""
    weights = {rename(k): v for k, v in load_file(STORED / "model.safetensors").items()}
    for name, value in edits.items():
        key = next(k for k in weights if k.endswith(name.replace("__", ".")))
        if value is None:
            del weights[key]
        else:
            weights[key] = value
    folder.mkdir(exist_ok=True)
    save_file(weights, folder / "model.safetensors")
    shutil.copyfile(STORED / "config.json", folder / "config.json")
    return folder


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_the_keys_gives_the_same_network(tmp_path: Path, spelling: str) -> None:
    plain, other = load_network(STORED), load_network(copy(tmp_path / "model", SPELLINGS[spelling]))
    for (name, a), (_, b) in zip(plain.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(a, b), name


def test_shards_are_read_by_their_index(tmp_path: Path) -> None:
    weights = load_file(STORED / "model.safetensors")
    names = sorted(weights)
    index = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({k: weights[k] for k in part}, tmp_path / file)
        index.update(dict.fromkeys(part, file))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    shutil.copyfile(STORED / "config.json", tmp_path / "config.json")
    assert torch.equal(load_network(tmp_path).words, load_network(STORED).words)
    weight_files(tmp_path)[0].unlink()
    with pytest.raises(DocpipeError, match=r"DP302.*files are missing"):
        load_network(tmp_path)


def test_float16_files_are_loaded_as_float32(tmp_path: Path) -> None:
    model = random_model("3b", attn_logit_softcapping=None, final_logit_softcapping=None).half()
    network = load_network(save(model, tmp_path))
    assert network.words.dtype is torch.float32
    assert network.text_layers[0].before_mlp.scale.dtype is torch.float32
    assert torch.equal(network.words, model.get_input_embeddings().weight.float())
    assert generate(network, random_pixels(1), random_prompts(4), 5)[0].logprobs


def test_float16_is_refused_as_the_type_to_run_in() -> None:
    with pytest.raises(DocpipeError, match=r"DP302.*overflow float16"):
        load_network(STORED, "float16")
    with pytest.raises(DocpipeError, match=r"DP302.*no such type"):
        load_network(STORED, "int8")


@pytest.mark.parametrize(("side", "patch"), [(96, 12), (64, 16), (30, 10)])
def test_any_square_and_patch_can_be_read(tmp_path: Path, side: int, patch: int) -> None:
    model = random_model("10b", side=side, patch=patch, num_key_value_heads=1)
    network = load_network(save(model, tmp_path))
    pixels = random_pixels(2, side)
    with torch.inference_mode():
        theirs = model.model.get_image_features(pixels).pooler_output
        assert torch.allclose(network.see(pixels), theirs, atol=1e-4)


def test_an_untied_head_is_used(tmp_path: Path) -> None:
    folder = copy(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    words = weights["language_model.model.embed_tokens.weight"]
    save_file({**weights, "language_model.lm_head.weight": words.flip(0).contiguous()}, folder / "model.safetensors")
    tied = load_network(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    untied = load_network(folder)
    x = torch.ones(1, 56)
    assert torch.equal(untied.logits(x), tied.logits(x).flip(1))


def test_the_defaults_of_a_sparse_published_config_are_filled_in(tmp_path: Path) -> None:
    """The published files leave out what transformers' classes default to."""
    text = {"model_type": "gemma2", "hidden_size": 4608, "num_hidden_layers": 46, "num_attention_heads": 32,
            "num_key_value_heads": 16, "head_dim": 128, "intermediate_size": 36864, "query_pre_attn_scalar": 144,
            "vocab_size": 257216}  # fmt: skip
    vision = {"model_type": "siglip_vision_model", "hidden_size": 1152, "num_hidden_layers": 27, "patch_size": 14,
              "num_attention_heads": 16, "intermediate_size": 4304, "image_size": 896}  # fmt: skip
    config = {"model_type": "paligemma", "text_config": text, "vision_config": vision, "image_token_index": 257152}
    (tmp_path / "config.json").write_text(json.dumps(config))
    read = network_config(tmp_path)
    assert read.vision.tokens == 4096
    assert (read.text.attention_cap, read.text.final_cap) == (50.0, 30.0)
    assert (read.text.window, read.text.longest, read.text.rope_base) == (4096, 8192, 10000.0)
    assert read.text.sliding[:3] == (True, False, True)
    assert (read.bos, read.eos, read.pad, read.tied) == (2, 1, 0, True)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"model_type": "llava"}, "not a PaliGemma 2 checkpoint: llava"),
        ({"model_type": "paligemma", "text_config": {"model_type": "gemma"}}, "gemma text model"),
        ({"model_type": "paligemma", "text_config": {"model_type": "gemma2", "hidden_activation": "silu"}}, "silu"),
    ],
)
def test_other_architectures_are_refused(tmp_path: Path, config: dict[str, object], why: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(DocpipeError, match=f"DP302.*{why}"):
        network_config(tmp_path)


def test_missing_misshapen_surplus_and_non_finite_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DocpipeError, match=r"DP302.*layers\.0\.mlp\.up_proj\.weight is missing"):
        load_network(copy(tmp_path / "a", layers__0__mlp__up_proj__weight=None))
    with pytest.raises(DocpipeError, match=r"DP302.*\(8, 56\), the config needs \(624, 56\)"):
        load_network(copy(tmp_path / "b", embed_tokens__weight=torch.zeros(8, 56)))
    with pytest.raises(DocpipeError, match=r"DP302.*not finite"):
        load_network(copy(tmp_path / "c", embed_tokens__weight=torch.full((624, 56), float("inf"))))
    folder = copy(tmp_path / "d")
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, "language_model.model.layers.9.mlp.up_proj.weight": torch.ones(2)},
              folder / "model.safetensors")  # fmt: skip
    with pytest.raises(DocpipeError, match=r"DP302.*layers\.9"):
        load_network(folder)


def test_pickled_and_damaged_weights_are_refused(tmp_path: Path) -> None:
    shutil.copyfile(STORED / "config.json", tmp_path / "config.json")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04N.")
    with pytest.raises(DocpipeError, match=r"DP302.*no \.safetensors"):
        load_network(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((STORED / "model.safetensors").read_bytes()[:5000])
    with pytest.raises(DocpipeError, match=r"DP302.*damaged"):
        load_network(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DocpipeError, match=r"DP302.*config\.json is broken"):
        load_network(tmp_path)


def test_the_digest_is_of_the_weights_alone(tmp_path: Path) -> None:
    one, two = copy(tmp_path / "one"), copy(tmp_path / "two")
    assert digest(one) == digest(two)
    assert len(digest(one)) == 64
    (two / "docpipe.json").write_text("{}")
    assert digest(one) == digest(two)
    other = copy(tmp_path / "three", embed_tokens__weight=torch.zeros(624, 56))
    assert digest(other) != digest(one)
