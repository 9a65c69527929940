"""Calibration finds what int8 hurts, and the card says what quantization cost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from random_models import random_model
from random_models import save as save_model

from docpipe.models.calibrate import inputs_of, layer_errors, outliers, quantize_folder, treatment_of
from docpipe.models.load import load_network
from docpipe.models.quantize import choose
from docpipe.models.quantized import load
from docpipe.models.speed import measure, random_network, shape, weight_bytes
from docpipe.train.export import tokenizer_json

PROMPT = [2, 5, 4]


@pytest.fixture(scope="module")
def hurt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose MLP in the first layer gets one input channel a hundred times as large as the others."""
    model = random_model()
    with torch.no_grad():
        model.model.language_model.layers[0].pre_feedforward_layernorm.weight[5] = 400.0
    return save_model(model, tmp_path_factory.mktemp("hurt"))


def images(side: int) -> list[torch.Tensor]:
    return [torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(i)) * 2 - 1 for i in range(2)]


def test_outlier_channels_are_found_and_stay_exact_where_that_pays(hurt: Path) -> None:
    network = load_network(hurt)
    errors = layer_errors(network, inputs_of(network, images(network.config.vision.side), PROMPT), choose("int8"))
    assert {e.name for e in errors} >= {"vision_layers.0.qkv", "projector", "text_layers.2.down"}
    found = next(e for e in errors if e.name == "text_layers.0.gate_up")
    assert found.columns == (5,)
    assert found.parted < 0.8 * found.plain
    assert treatment_of(errors).columns["text_layers.0.gate_up"] == (5,)


def test_no_channel_of_even_data_stands_out() -> None:
    assert outliers(torch.randn(64, 128, generator=torch.Generator().manual_seed(0))) == ()


def test_a_quantized_folder_says_what_it_cost_and_loads(hurt: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(hurt, source)
    vocabulary = ["<pad>", "<eos>", "<bos>", "<image>", "\n", *(f"<t{i}>" for i in range(5, 300))]
    (source / "tokenizer.json").write_text(tokenizer_json(vocabulary))
    lines = quantize_folder(source, tmp_path / "made", "int8")
    card = (tmp_path / "made" / "README.md").read_text()
    assert all(line in card for line in lines)
    assert "text_layers.0.gate_up" in card
    assert "synthetic images" in card, "it says that the figures stand on no real page"
    network, chosen = load(tmp_path / "made")
    assert chosen.mode == "int8"
    assert network.get_submodule("text_layers.0.gate_up").columns.tolist() == [5]


def test_speed_is_measured_beside_its_bound(hurt: Path) -> None:
    config = load_network(hurt).config
    chosen = choose("int8")
    speed = measure(random_network(config, chosen), chosen, tokens=4, times=1)
    assert speed.prefill_tokens == config.vision.tokens + 10
    assert min(speed.vision_s, speed.decode_tok_s, speed.bandwidth_gb_s, speed.gflop_s) > 0
    assert speed.decode_fraction == pytest.approx(speed.decode_tok_s / speed.roofline_tok_s, rel=0.05, abs=6e-4)
    assert speed.seconds(10) > speed.seconds(1)


def test_the_bytes_of_a_token_are_those_of_the_published_3b() -> None:
    config = shape("paligemma2-3b-224")
    assert weight_bytes(config, choose("int8")) == pytest.approx(2.617e9, rel=0.01)
    assert weight_bytes(config, choose("bf16")) == 2 * weight_bytes(config, choose("int8"))
