"""`docpipe read`, `inspect` and the commands that tell about docpipe."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pymupdf
import pytest

from docpipe.document import Reading

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture
def words(tmp_path) -> Path:
    page = pymupdf.Document().new_page(width=300, height=60)
    page.insert_text((10, 35), "Seven quick words on", fontsize=16)
    page.get_pixmap(dpi=150).save(tmp_path / "words.png")
    return tmp_path / "words.png"


def test_text_of_an_image_is_all_there_is_on_standard_output(docpipe_cli, words):
    ran = docpipe_cli("read", words, "--task", "text")
    assert ran.code == 0, ran.err
    assert ran.out == "Seven quick words on\n"


def test_json_is_one_object_a_line_in_the_order_of_the_inputs(docpipe_cli, words, monkeypatch):
    monkeypatch.chdir(words.parent)
    ran = docpipe_cli("read", "words.png", SAMPLES / "mixed.pdf", "--task", "text", "--pages", "1", "--json")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert lines[0]["source"] == "words.png"
    assert {line["source"] for line in lines[1:]} == {str(SAMPLES / "mixed.pdf")}
    assert all(set(line) == {"source", "page", "region", "reading"} for line in lines)
    readings = [Reading.model_validate(line["reading"]) for line in lines]
    assert readings[0].origin.engine == "ocr"
    assert {reading.origin.engine for reading in readings[1:]} == {"textlayer"}


def test_tables_of_a_pdf_alone(docpipe_cli):
    ran = docpipe_cli("read", SAMPLES / "mixed.pdf", "--task", "table", "--pages", "2")
    assert ran.code == 0
    assert ran.out.count("<table>") == 1
    assert ran.out.startswith("<table>")


def test_what_cannot_be_read_is_an_honest_line(docpipe_cli, words):
    ran = docpipe_cli("read", words, "--task", "score", "--json")
    (line,) = [json.loads(line) for line in ran.out.splitlines()]
    reading = Reading.model_validate(line["reading"])
    assert reading.content is None or reading.content.type == "picture"
    assert reading.verdict.status == "unchecked"
    assert reading.verdict.findings
    assert ran.code == 0


def test_a_source_that_is_none_costs_only_itself(docpipe_cli, words, tmp_path):
    (tmp_path / "bad.png").write_text("bad")
    ran = docpipe_cli("read", tmp_path / "bad.png", words, "--task", "text")
    assert ran.code == 1
    assert ran.out == "Seven quick words on\n"
    assert ran.err.startswith("DP101 bad.png")


def test_inspect_says_what_a_pdf_holds(docpipe_cli):
    ran = docpipe_cli("inspect", SAMPLES / "mixed.pdf", "--json")
    facts = json.loads(ran.out)
    assert facts["pages"] == 4
    assert facts["pages_of_pixels_only"] == 0
    assert facts["words_in_text_layer"] > 1000
    assert json.loads(docpipe_cli("inspect", SAMPLES / "mixed_scan.pdf", "--json").out)["pages_of_pixels_only"] == 4
    assert "pages: 4" in docpipe_cli("inspect", SAMPLES / "mixed.pdf").out


def test_pipelines_schemas_and_errors_are_printed(docpipe_cli):
    assert "paligemma" in docpipe_cli("pipelines").out
    for name in ("document", "pipeline", "manifest"):
        assert json.loads(docpipe_cli("schema", name).out)["$id"] == f"urn:docpipe:{name}:v1"
    assert docpipe_cli("schema", "nothing").err.startswith("DP203")
    assert "DP501" in docpipe_cli("errors").out


HEAVY = ("torch", "rdkit", "music21", "onnxruntime", "pymupdf", "transformers", "numpy")


@pytest.mark.parametrize(
    "code", ["import docpipe", "import sys; sys.argv = ['docpipe', '--help']\nfrom docpipe.cli import main\nmain()"]
)
def test_importing_docpipe_and_its_help_load_nothing_heavy(code):
    check = f"import sys, atexit\natexit.register(lambda: print('loaded', *[m for m in {HEAVY} if m in sys.modules]))\n"
    ran = subprocess.run([sys.executable, "-c", check + code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1].strip() == "loaded"
