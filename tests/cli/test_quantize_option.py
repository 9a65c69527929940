"""`--quantize` on the commands and `quantize=` on the calls that read, and what `docpipe cache` says of the weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rdkit.Chem import MolFromSmiles
from rdkit.Chem.Draw import MolToImage

import docpipe
from docpipe.api import as_pipeline, converting_pipeline
from docpipe.errors import DocpipeError
from docpipe.pipeline import Pipeline


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCPIPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def drawing(tmp_path: Path) -> Path:
    MolToImage(MolFromSmiles("CC(C)CO"), (300, 300)).save(tmp_path / "molecule.png")
    return tmp_path / "molecule.png"


def test_a_crop_read_in_int8_leaves_its_weights_in_the_cache(docpipe_cli, drawing, cache):
    ran = docpipe_cli("read", drawing, "--task", "molecule", "--pipeline", "paligemma", "--quantize", "int8")
    assert ran.code == 0, ran.err
    assert "nano-molecule" in ran.err or ran.out == "CC(C)CO\n", "it may not be sure enough to answer"
    told = json.loads(docpipe_cli("cache", "info", "--json").out)["quantized"]
    assert told["checkpoints"] == 1
    assert told["bytes"] > 1_000_000
    assert told["path"] == str(cache / "quantized")
    assert "weights of 1 quantized checkpoints" in docpipe_cli("cache", "info").out
    assert docpipe_cli("cache", "clear").code == 0
    assert json.loads(docpipe_cli("cache", "info", "--json").out)["quantized"]["checkpoints"] == 0
    assert not (cache / "quantized").exists()


def test_a_mode_that_there_is_not_is_refused_before_anything_is_read(docpipe_cli, drawing, tmp_path):
    commands = (
        ("read", drawing, "--task", "molecule"), ("convert", drawing, "-o", tmp_path / "out"), ("plan", drawing),
        ("ask", drawing, "What is it?"), ("detect", drawing, "circle"), ("caption", drawing),
    )  # fmt: skip
    for command in commands:
        ran = docpipe_cli(*command, "--quantize", "int3")
        assert ran.code != 0
        assert "DP313 int3" in ran.err
        assert "int8-weight" in ran.err
    assert not (tmp_path / "out").exists()


def test_a_question_asked_in_int8_leaves_its_weights_too(docpipe_cli, drawing, cache):
    ran = docpipe_cli("caption", drawing, "--quantize", "int8")
    assert "DP" not in ran.err, ran.err
    assert [path.name.rpartition("-v")[0].partition("-")[2] for path in (cache / "quantized").iterdir()] == ["int8"]


ONE_MOLECULE = """
name = "one"
[[stage]]
use = "crop"
kind = "molecule"
[[stage]]
use = "route"
tasks = { molecule = ["molecule"] }
figures = false
[[stage]]
use = "recognize"
engines = { molecule = ["paligemma"] }
"""

SCENES = {"ask": ("What is it?",), "detect": ("circle",), "caption": ()}


@pytest.mark.parametrize("call", ["convert", "pages", "read", *SCENES])
def test_python_calls_take_the_mode(call, drawing, tmp_path, cache):
    (tmp_path / "one.toml").write_text(ONE_MOLECULE)
    told = (drawing, *SCENES[call]) if call in SCENES else (drawing,)
    how = {} if call in SCENES else {"pipeline": tmp_path / "one.toml"}
    if call == "read":
        how["task"] = "molecule"

    def kept(mode):
        made = getattr(docpipe, call)(*told, **how, quantize=mode)
        if call == "pages":
            list(made)
        return {path.name.rpartition("-v")[0].partition("-")[2] for path in cache.glob("quantized/*")}

    assert kept(None) == set(), "nano is computed as it is loaded"
    assert kept("int8") == {"int8"}
    with pytest.raises(DocpipeError, match="DP313 int3"):
        kept("int3")


def test_the_mode_is_a_setting_of_the_pipeline():
    made = converting_pipeline("default", quantize="int8")
    assert made.file is not None
    (settings,) = [entry.settings["settings"] for entry in made.file.stage if entry.use == "recognize"]
    assert settings["paligemma"]["quantize"] == "int8"
    assert made.digest != as_pipeline("default").digest
    with pytest.raises(DocpipeError, match="DP209"):
        as_pipeline(Pipeline([]), quantize="int8")
