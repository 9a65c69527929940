"""`docpipe eval` from the command line."""

from __future__ import annotations

import json
import sys

import pymupdf
import pytest


@pytest.fixture
def pages(tmp_path):
    folder = tmp_path / "pages"
    folder.mkdir()
    for name, text in (("a", "seven brown cats"), ("b", "two red hens")):
        with pymupdf.open() as pdf:
            pdf.new_page(width=200, height=60).insert_text((10, 30), text)
            pdf.save(folder / f"{name}.pdf")
        (folder / f"{name}.txt").write_text(text)
    return folder


def test_a_report_is_a_table_or_json(docpipe_cli, pages, tmp_path):
    ran = docpipe_cli("eval", "text", "--data", pages, "--engine", "textlayer", "--out", tmp_path / "out")
    assert (ran.code, ran.err) == (0, "")
    assert "text by textlayer at native: 2 cases, 2 emitted" in ran.out
    assert "coverage" in ran.out
    told = json.loads(docpipe_cli("eval", "text", "--data", pages, "--engine", "textlayer", "--json").out)
    assert told == json.loads((tmp_path / "out/report.json").read_text())
    assert told["measures"][0] == {"name": "CER", "better": "lower", "all": [0, 0, 0], "emitted": [0, 0, 0]}


def test_a_sweep_is_one_table(docpipe_cli, pages, tmp_path):
    arguments = ("--engine", "textlayer", "--sweep", "resolution", "--resolution", "72dpi,150dpi")
    ran = docpipe_cli("eval", "text", "--data", pages, *arguments, "--out", tmp_path / "out")
    assert (ran.code, ran.err) == (0, "")
    assert "CER, lower is better" in ran.out
    assert "72dpi" in ran.out
    assert "150dpi" in ran.out
    told = json.loads((tmp_path / "out/sweep.json").read_text())
    assert [run["resolution"] for run in told["runs"]] == ["72dpi", "150dpi"]


def test_graphs_of_reports_need_their_package(docpipe_cli, pages, monkeypatch):
    monkeypatch.setitem(sys.modules, "radgraph", None)
    ran = docpipe_cli("eval", "text", "--data", pages, "--engine", "textlayer", "--radgraph")
    assert ran.code == 1
    assert ran.err.startswith("DP634 ")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--sweep", "resolution"), "DP632"),
        (("--sweep", "depth"), "DP632"),
        (("--resolution", "100,200"), "DP632"),
        (("--model", "x", "--model", "y"), "DP632"),
        (("--resolution", "huge"), "DP632"),
        (("--measure", "CER"), "DP632"),
        (("--sweep", "resolution", "--resolution", "72dpi,90dpi", "--measure", "TEDS"), "DP632"),
        (("--engine", "none"), "DP205"),
        (("--engine", "pdftable"), "DP633"),
    ],
)
def test_what_cannot_be_measured_is_one_coded_line(docpipe_cli, pages, arguments, code):
    ran = docpipe_cli("eval", "text", "--data", pages, *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"{code} ")
    assert ran.err.count("\n") == 1


def test_unknown_tasks_and_empty_folders_are_named(docpipe_cli, pages, tmp_path):
    assert docpipe_cli("eval", "smell", "--data", pages).err.startswith("DP203 ")
    assert docpipe_cli("eval", "score", "--data", pages).err.startswith("DP630 ")
    assert docpipe_cli("eval", "score", "--data", tmp_path / "none").err.startswith("DP107 ")
