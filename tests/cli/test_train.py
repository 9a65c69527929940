"""`docpipe train`: recipes by name, a run and its resumption, coded errors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "train"))
import tiny

RECIPE = """
name = "shades"
[[data]]
name = "shades"
task = "question"
layout = "jsonl"
hold_out = 4
[schedule]
batch = 4
steps = 6
lr = 1e-3
[evaluation]
every = 3
"""


def test_recipes_and_layouts_are_listed(docpipe_cli):
    ran = docpipe_cli("train", "--list")
    assert ran.code == 0
    assert "transfer-table" in ran.out
    assert "molecules-small" in ran.out
    assert "pubtabnet" in ran.out.splitlines()[-1]


def test_a_run_is_made_gone_on_with_and_its_result_is_named(docpipe_cli, tmp_path):
    recipe = tmp_path / "shades.toml"
    recipe.write_text(RECIPE)
    base, data, out = tiny.checkpoint(tmp_path / "ck"), tiny.shades(tmp_path / "data", 12), tmp_path / "run"
    first = docpipe_cli(
        "train", recipe, "--model", base, "--data", data, "--out", out, "--steps", "3", "--learn", "lora"
    )
    assert first.code == 0, first.err
    second = docpipe_cli("train", recipe, "--model", base, "--data", data, "--out", out, "--learn", "lora")
    assert second.out == f"{out / 'best'}\n"
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line.get("event") == "begin"] == [0, 3]
    assert [line["step"] for line in lines if line.get("event") == "end"] == [3, 6]
    assert (out / "best" / "adapter_model.safetensors").is_file()
    assert (out / "curve.png").stat().st_size > 2000


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nothing", "--out", "x"], "DP621"),
        (["stage3"], "DP401"),
        ([], "DP621"),
        (["stage3", "--out", "x"], "DP303"),
        (["stage3", "--out", "x", "--model", "/nowhere"], "DP301"),
        (["molecules-small", "--out", "x", "--decay", "5"], "DP627"),
    ],
)
def test_what_cannot_be_trained_is_a_coded_error(docpipe_cli, tmp_path, monkeypatch, arguments, code):
    monkeypatch.chdir(tmp_path)
    ran = docpipe_cli("train", *arguments)
    assert ran.code == 1
    assert ran.err.startswith(code), ran.err
