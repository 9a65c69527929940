"""`docpipe ask`, `detect`, `caption` and `models` on the tiny checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from docpipe.checks.objects import check_objects
from docpipe.document import Reading
from docpipe.models import registry
from docpipe.models.load import digest
from docpipe.models.tokenizer import Tokenizer

GOLDEN = Path(__file__).parents[1] / "golden" / "tiny_10b"


@pytest.fixture
def photo(tmp_path) -> Path:
    noise = np.random.default_rng(3).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "image.png")
    return tmp_path / "image.png"


@pytest.fixture
def model(tmp_path) -> Path:
    shutil.copytree(GOLDEN, tmp_path / "tiny")
    names = ("question", "detect", "caption", "radiology", "chart", "formula", "describe")
    said = {"name": "tiny", "tasks": {name: {"max_tokens": 6} for name in names}}
    (tmp_path / "tiny" / "docpipe.json").write_text(json.dumps(said))
    return tmp_path / "tiny"


def test_an_answer_is_all_there_is_on_standard_output(docpipe_cli, photo, model):
    ran = docpipe_cli("ask", photo, "Where is the cow?", "--model", model)
    assert ran.code == 0
    assert ran.err.startswith("image.png p1.r1: the answer was cut at its limit"), "the tiny checkpoint never ends"
    told = json.loads(docpipe_cli("ask", photo, "Where is the cow?", "--model", model, "--json").out)
    reading = Reading.model_validate(told["reading"])
    assert ran.out == reading.content.answer + "\n"
    assert reading.origin.prompt == "answer en Where is the cow?"
    assert reading.confidence is None


def test_no_checkpoint_is_one_line_that_names_some(docpipe_cli, photo, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "SHIPPED", tmp_path / "none")
    for command in (["ask", photo, "Where?"], ["detect", photo, "cow"], ["caption", photo]):
        ran = docpipe_cli(*command)
        assert ran.code == 1
        assert ran.out == ""
        assert ran.err.startswith("DP303 ")
        assert "paligemma2-3b-mix-448" in ran.err
        assert ran.err.count("\n") == 1


def test_things_are_a_line_each_with_their_boxes(docpipe_cli, photo, model, monkeypatch):
    # The tiny vocabulary has no location tokens: what it says is read as if it had.
    answer = "<loc0000><loc0000><loc1023><loc0341> cow ; <loc0512><loc0512><loc0400><loc0600> dog"
    monkeypatch.setattr(Tokenizer, "text", lambda *_: answer)
    ran = docpipe_cli("detect", photo, "cow ; dog", "--model", model)
    assert ran.out == "cow\t0.00\t0.00\t20.00\t40.00\n"
    assert ran.code == 0
    told = json.loads(docpipe_cli("detect", photo, "cow ; dog", "--model", model, "--json").out)
    reading = Reading.model_validate(told["reading"])
    # What is left out would be a repair; that the tiny checkpoint never ends makes it invalid.
    assert reading.verdict.status == "invalid"
    assert {"detect.no-area", "truncated"} <= {f.code for f in reading.verdict.findings}
    assert reading.origin.prompt == "detect cow ; dog"
    assert check_objects(reading.content).content == reading.content


def test_an_answer_that_places_nothing_says_so(docpipe_cli, photo, model):
    ran = docpipe_cli("detect", photo, "cow", "--model", model)
    assert ran.out == ""
    assert "the answer places nothing" in ran.err


def test_the_banner_of_a_report_is_always_shown(docpipe_cli, photo, model):
    ran = docpipe_cli("ask", photo, "Cough.", "--task", "radiology", "--model", model)
    assert "no medical device" in ran.err
    told = json.loads(docpipe_cli("ask", photo, "Cough.", "-t", "radiology", "--model", model, "--json").out)
    assert "radiology.no-medical-device" in {f["code"] for f in told["reading"]["verdict"]["findings"]}


@pytest.mark.parametrize("task", ["chart", "formula", "describe"])
def test_an_image_is_read_for_the_new_tasks(docpipe_cli, photo, model, task):
    ran = docpipe_cli("read", photo, "--task", task, "--model", model, "--json")
    assert ran.code == 0, ran.err
    reading = Reading.model_validate(json.loads(ran.out)["reading"])
    assert reading.origin.checkpoint == "tiny"
    assert reading.origin.prompt.split()[0] == task


def test_a_box_that_is_none_is_one_line(docpipe_cli, photo, model):
    for box in ("a,b", "1,2", "90,90,99,99"):
        ran = docpipe_cli("ask", photo, "What?", "--model", model, "--box", box)
        assert (ran.code, ran.err[:6]) == (1, "DP208 ")
    assert docpipe_cli("ask", photo, "What?", "--model", model, "--box", "1,2,30,30").code == 0


# --- models ----------------------------------------------------------------------------------------------------


def test_all_public_checkpoints_are_listed(docpipe_cli):
    ran = docpipe_cli("models", "list")
    assert ran.code == 0
    assert all(name in ran.out for name in registry.PUBLIC)
    some = json.loads(docpipe_cli("models", "list", "--task", "segment", "--json").out)
    assert {"paligemma2-3b-mix-448", "paligemma2-28b-pt-896"} <= {one["name"] for one in some}
    assert "paligemma2-3b-ft-docci-448" not in {one["name"] for one in some}
    assert docpipe_cli("models", "list", "--task", "haiku").err.startswith("DP203 haiku")


def test_a_checkpoint_is_described(docpipe_cli, model):
    told = json.loads(docpipe_cli("models", "info", "google/paligemma2-3b-mix-448", "--json").out)
    assert (told["size"], told["side"], told["gated"], told["licence"]) == ("3b", 448, True, "gemma")
    ours = json.loads(docpipe_cli("models", "info", model, "--json").out)
    assert (ours["name"], ours["side"], ours["image tokens"]) == ("tiny", 56, 16)
    assert ours["digest"] == digest(model)
    assert docpipe_cli("models", "info", "nothing-of-the-kind").err.startswith("DP301 ")


def test_a_checkpoint_is_verified(docpipe_cli, model):
    ran = docpipe_cli("models", "verify", model)
    assert ran == (0, f"{digest(model)}  tiny\n", "")
    assert docpipe_cli("models", "verify", model, "--digest", digest(model)).code == 0
    wrong = docpipe_cli("models", "verify", model, "--digest", "0" * 64)
    assert (wrong.code, wrong.err[:6]) == (1, "DP306 ")
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    broken = docpipe_cli("models", "verify", model)
    assert (broken.code, broken.err[:6]) == (1, "DP302 ")
