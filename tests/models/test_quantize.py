"""Quantized layers: right where they should be, seen through where not, and the same network again from disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from random_models import random_model
from random_models import save as save_model

from docpipe.errors import DocpipeError
from docpipe.models import kernels
from docpipe.models.decode import generate
from docpipe.models.kernels import Int8Linear, PackedLinear, WeightOnlyLinear, quantize_rows
from docpipe.models.load import load_network
from docpipe.models.quantize import Choice, Treatment, choose, linear_names, quantize
from docpipe.models.quantized import HEADER, load, save

BACKENDS = [name for name in ("fbgemm", "onednn") if kernels.bits_of(name) is not None]  # type: ignore[arg-type]


def error(found: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Relative error of each row."""
    return (found - right).norm(dim=-1) / right.norm(dim=-1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_row_beside_an_outlier_token_keeps_its_precision(backend: kernels.Backend) -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(96, 256), torch.randn(6, 256)
    x[0] *= 300
    layer = Int8Linear(*quantize_rows(weight), bias=torch.ones(96), backend=backend)
    assert float(error(layer(x) - 1, x @ weight.T).max()) < 0.03, "a scale for the whole tensor would give 1"
    assert layer(x.view(2, 3, 256)).shape == (2, 3, 96)
    assert layer(x.bfloat16()).dtype is torch.bfloat16


@pytest.mark.parametrize("backend", BACKENDS)
def test_outlier_channels_can_stay_exact(backend: kernels.Backend) -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(96, 256), torch.randn(6, 256)
    x[:, 7] *= 200
    columns = torch.tensor([7])
    plain = Int8Linear(*quantize_rows(weight), backend=backend)
    rest = weight.index_fill(1, columns, 0.0)
    parted = Int8Linear(*quantize_rows(rest), columns=columns, exact=weight[:, columns], backend=backend)
    right = x @ weight.T
    assert float((parted(x) - right).norm()) < 0.2 * float((plain(x) - right).norm())


def test_the_safer_modes_are_closer() -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(64, 128), torch.randn(3, 128)
    right, bias = x @ weight.T + 2, torch.full((64,), 2.0)
    assert float(error(WeightOnlyLinear(*quantize_rows(weight), bias=bias)(x), right).max()) < 0.02
    assert float(error(PackedLinear(weight, bias)(x), right).max()) < 0.01
    many = torch.randn(40, 128)
    found = WeightOnlyLinear(*quantize_rows(weight), bias=bias)(many)
    assert float(error(found, many @ weight.T + 2).max()) < 0.02


class Saturating:
    """What a kernel without VNNI does at 8 bits: pairs of products are added in 16 bits, which overflow."""

    def __init__(self, weight: torch.Tensor, scale: torch.Tensor, bits: int) -> None:
        self.weight, self.scale, self.bits = weight.int(), scale, bits

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        size, top = x.abs().amax(1, keepdim=True), 2 ** (self.bits - 1) - 1
        rows = (x * (top / size)).round().int() + (top + 1)
        products = rows[:, None, :] * self.weight[None]
        pairs = (products[..., ::2] + products[..., 1::2]).clamp(-32768, 32767)
        whole = pairs.sum(-1) - (top + 1) * self.weight.sum(1)
        return whole * self.scale * size / top


def test_the_self_test_sees_saturation_and_its_end_at_7_bits() -> None:
    assert kernels.self_test(Saturating, 8) > kernels.TOLERANCE
    assert kernels.self_test(Saturating, 7) < kernels.TOLERANCE


def test_a_kernel_that_saturates_gets_7_bits_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kernels._BACKENDS, "fbgemm", Saturating)
    for cached in (kernels.bits_of, kernels.best_backend):
        cached.cache_clear()
    try:
        chosen = choose("auto")
        assert (chosen.mode, chosen.backend, chosen.bits) == ("int8", "fbgemm", 7)
        assert "saturate" in chosen.why
        torch.manual_seed(0)
        weight, x = torch.rand(32, 64) * 2 - 1, torch.rand(4, 64)
        assert float(error(Int8Linear(*quantize_rows(weight))(x), x @ weight.T).max()) < 0.05
    finally:
        for cached in (kernels.bits_of, kernels.best_backend):
            cached.cache_clear()


def test_without_a_right_kernel_auto_is_exact_and_int8_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "best_backend", lambda: None)
    assert choose("auto").mode == "none"
    with pytest.raises(DocpipeError, match="DP313"):
        choose("int8")
    with pytest.raises(DocpipeError, match=r"DP313 int3: .*int8-weight"):
        choose("int3")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(random_model(), tmp_path_factory.mktemp("checkpoint"))


def logits(network: object) -> torch.Tensor:
    from docpipe.models.decode import prefill

    with torch.inference_mode():
        side = network.config.vision.side  # type: ignore[attr-defined]
        pixels = torch.linspace(-1, 1, 2 * 3 * side * side).view(2, 3, side, side).sin()
        return prefill(network, pixels, [[2, 5, 6, 4], [2, 7, 4]], 8).logits  # type: ignore[arg-type]


@pytest.mark.parametrize(("mode", "bound"), [("int8", 0.15), ("int8-weight", 0.08), ("bf16", 0.08)])
def test_a_quantized_network_stays_close(checkpoint: Path, mode: str, bound: float) -> None:
    right = logits(load_network(checkpoint))
    network, chosen = load(checkpoint, mode)  # type: ignore[arg-type]
    assert chosen.mode == mode
    assert linear_names(network) == [], "every linear layer is swapped"
    assert network.words.dtype is torch.bfloat16
    found = logits(network)
    assert float((found - right).norm() / right.norm()) < bound
    side = network.config.vision.side
    said = generate(network, torch.zeros(1, 3, side, side), [[2, 5, 4]], 6)
    assert len(said[0].tokens) > 0


def test_swapping_a_loaded_network_and_loading_layer_by_layer_are_the_same(checkpoint: Path) -> None:
    chosen = choose("int8")
    assert torch.equal(logits(quantize(load_network(checkpoint), chosen)), logits(load(checkpoint, "int8")[0]))


def test_what_is_kept_on_disk_gives_the_same_network(checkpoint: Path, tmp_path: Path) -> None:
    first = logits(load(checkpoint, "int8", keep=tmp_path)[0])
    (place,) = tmp_path.iterdir()
    before = {path: path.stat().st_mtime_ns for path in place.iterdir()}
    assert torch.equal(logits(load(checkpoint, "int8", keep=tmp_path)[0]), first)
    assert {path: path.stat().st_mtime_ns for path in place.iterdir()} == before, "made once"
    assert torch.equal(logits(load(place)[0]), first), "and a checkpoint by itself"
    (place / HEADER).unlink()
    assert torch.equal(logits(load(checkpoint, "int8", keep=tmp_path)[0]), first), "an unfinished one is made anew"


def test_a_damaged_folder_is_an_error_with_a_code(checkpoint: Path, tmp_path: Path) -> None:
    save(checkpoint, tmp_path / "q", choose("int8"))
    header = json.loads((tmp_path / "q" / HEADER).read_text())
    (tmp_path / "q" / header["files"][0]).write_bytes(b"nothing")
    with pytest.raises(DocpipeError, match="DP302"):
        load(tmp_path / "q")
    (tmp_path / "q" / HEADER).write_text('{"format": 99}')
    with pytest.raises(DocpipeError, match="DP302"):
        load(tmp_path / "q")


def test_treated_layers_stay_in_bfloat16_and_their_outliers_exact(checkpoint: Path) -> None:
    treatment = Treatment(kept=("text_layers.0.down",), columns={"text_layers.0.gate_up": (1, 3)})
    network, _ = load(checkpoint, "int8", treatment=treatment)
    assert isinstance(network.get_submodule("text_layers.0.down"), PackedLinear)
    gate = network.get_submodule("text_layers.0.gate_up")
    assert isinstance(gate, Int8Linear)
    assert gate.columns is not None
    assert gate.columns.tolist() == [1, 3]


def test_a_choice_names_the_processor() -> None:
    chosen: Choice = choose("auto")
    assert "processor" in chosen.why


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_row_does_not_depend_on_who_shares_its_batch(backend: kernels.Backend) -> None:
    torch.manual_seed(0)
    layer, x = Int8Linear(*quantize_rows(torch.randn(48, 160)), backend=backend), torch.randn(11, 160)
    x[2] *= 200
    x[3].abs_()
    whole = layer(x)
    for first, last in ((0, 1), (3, 4), (3, 8), (2, 11)):
        assert torch.equal(layer(x[first:last]), whole[first:last])


def test_a_damaged_kept_form_is_made_anew(checkpoint: Path, tmp_path: Path) -> None:
    right = logits(load(checkpoint, "int8", keep=tmp_path)[0])
    (place,) = tmp_path.iterdir()
    next(place.glob("text_layers-0*")).write_bytes(b"nothing")
    assert torch.equal(logits(load(checkpoint, "int8", keep=tmp_path)[0]), right)
    assert [p.name for p in tmp_path.iterdir()] == [place.name], "nothing unfinished stays"


def test_without_room_to_keep_it_the_network_is_made_all_the_same(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder can be made here")
    network, chosen = load(checkpoint, "int8", keep=tmp_path / "file" / "kept")
    assert chosen.mode == "int8"
    assert torch.equal(logits(network), logits(load(checkpoint, "int8")[0]))


def test_a_finished_folder_is_not_taken_from_who_may_read_it(checkpoint: Path, tmp_path: Path) -> None:
    save(checkpoint, tmp_path / "q", choose("int8"))
    marked = tmp_path / "q" / HEADER
    before = marked.stat().st_mtime_ns, marked.stat().st_ino
    save(checkpoint, tmp_path / "q", choose("int8"), spare=True)
    assert (marked.stat().st_mtime_ns, marked.stat().st_ino) == before
    save(checkpoint, tmp_path / "q", choose("int8"))
    assert marked.stat().st_ino != before[1]
    assert [p.name for p in tmp_path.iterdir()] == ["q"]


def test_another_mode_or_treatment_has_a_form_of_its_own(checkpoint: Path) -> None:
    from docpipe.models.quantized import kept_name

    choices = choose("int8"), choose("bf16")
    names = {kept_name(checkpoint, choices[0]), kept_name(checkpoint, choices[1])}
    names.add(kept_name(checkpoint, choices[0], Treatment(kept=("unembed",))))
    assert len(names) == 3


def test_a_folder_says_how_it_computes_whatever_was_asked_for(checkpoint: Path, tmp_path: Path) -> None:
    save(checkpoint, tmp_path / "q", choose("bf16"))
    for mode in ("int8", "none"):
        assert load(tmp_path / "q", mode)[1].mode == "bf16"  # type: ignore[arg-type]


def test_a_pinned_digest_is_not_that_of_the_quantized_weights(checkpoint: Path, tmp_path: Path) -> None:
    source = tmp_path / "checkpoint"
    source.mkdir()
    for file in checkpoint.iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    (source / "docpipe.json").write_text('{"family": "nano", "digest": "' + "0" * 64 + '"}')
    save(source, tmp_path / "q", choose("int8"))
    assert json.loads((tmp_path / "q" / "docpipe.json").read_text()) == {"family": "nano"}
