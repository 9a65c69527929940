"""`docpipe plan`: what a run will take, told from pages that are really converted."""

from __future__ import annotations

import json
from pathlib import Path

import pymupdf
import pytest

import docpipe
from docpipe.cli.plan import duration
from docpipe.export.json import read_document

SAMPLES = Path(__file__).parents[2] / "samples"

BENCH = {
    "shape": "paligemma2-3b-448", "batch": 1, "threads": 1, "vision_s": 1.0, "prefill_s": 2.0, "prefill_tokens": 1034,
    "decode_tok_s": 10.0, "peak_rss_gb": 4.0,
}  # fmt: skip


def pdf(path: Path, pages: int = 2) -> Path:
    document = pymupdf.Document()
    for number in range(1, pages + 1):
        page = document.new_page()
        page.insert_text((72, 90), f"{number} Heading of page {number}", fontsize=16)
        page.insert_text((72, 120), "Some words that make a paragraph of their own.", fontsize=11)
    document.save(path)
    return path


def one_line(err: str, code: str) -> bool:
    return err.startswith(code + " ") and err.count("\n") == 1 and "; " in err


def test_a_sample_of_all_pages_finds_what_converting_finds(docpipe_cli, tmp_path):
    (tmp_path / "in").mkdir()
    pdf(tmp_path / "in" / "a.pdf", 2)
    pdf(tmp_path / "in" / "b.pdf", 1)
    (tmp_path / "in" / "bad.pdf").write_text("not a pdf at all")
    ran = docpipe_cli("plan", tmp_path / "in", "--jobs", 1, "--price-per-hour", 2, "--json")
    assert ran.code == 0, ran.err
    made = json.loads(ran.out)
    assert (made["documents"], made["tried"], made["refused"]) == (3, 3, {"DP101": 1})
    assert made["pages"]["value"] == 3
    assert docpipe_cli("convert", tmp_path / "in", "-o", tmp_path / "out", "--jobs", 1, "-q").code == 1
    found = [r.kind for name in "ab" for r in read_document(tmp_path / "out" / name).regions()]
    assert {kind: e["value"] for kind, e in made["regions"].items()} == {k: found.count(k) for k in set(found)}
    assert made["statuses"] == {"complete": {"value": 3.0, "low": 3.0, "high": 3.0}}
    assert set(made["engines"]) == {"textlayer"}
    size = sum(f.stat().st_size for name in "ab" for f in (tmp_path / "out" / name).iterdir())
    assert made["output_gb"]["value"] * 1e9 == pytest.approx(size, rel=0.1)
    assert made["wall_s"]["value"] > 0
    assert made["cost"]["value"] == pytest.approx(made["wall_s"]["value"] * 2 / 3600, rel=1e-2)
    assert sum(made["stages"].values()) == pytest.approx(1.0, abs=0.01)
    if made["memory_gb"] is not None:
        assert 0.1 < made["memory_gb"] < 8


def test_a_model_that_is_not_here_is_reckoned_from_its_figures(docpipe_cli, tmp_path):
    (tmp_path / "bench.json").write_text(json.dumps(BENCH))
    arguments = ("plan", pdf(tmp_path / "a.pdf", 4), "-p", "paligemma", "--model", "google/paligemma2-3b-mix-448")
    ran = docpipe_cli(*arguments, "--jobs", 1, "--sample", 2, "--on", tmp_path / "bench.json", "--json")
    assert ran.code == 0, ran.err
    made = json.loads(ran.out)
    assert made["crops"]["value"] == 8  # a heading and a paragraph on each page
    told = (len("1 Heading of page 1") + len("Some words that make a paragraph of their own.")) / 3.5 + 2
    assert made["tokens"]["value"] == pytest.approx(4 * told, rel=1e-2)
    model = made["crops"]["value"] * 3.0 + made["tokens"]["value"] / 10.0
    assert made["model_s"]["value"] == pytest.approx(model, rel=1e-2)
    assert made["wall_s"]["value"] > made["model_s"]["value"]
    assert made["engines"]["paligemma2-3b-mix-448"]["value"] == 8
    assert any("was not run" in note for note in made["notes"])


def test_words_for_a_person_and_another_machine(docpipe_cli, tmp_path):
    (tmp_path / "big.toml").write_text('name = "a big one"\ncores = 32\nspeed = 2.0\nmemory_gb = 1\nprice_per_hour = 1')
    ran = docpipe_cli("plan", pdf(tmp_path / "a.pdf"), tmp_path / "none.pdf", "--on", tmp_path / "big.toml")
    assert ran.code == 1  # one source is not there
    assert one_line(ran.err, "DP107")
    assert "on a big one, 32 workers" in ran.out
    for word in ("wall time", "pages a second", "cost", "read by: textlayer", "lower --jobs", "2 times this one"):
        assert word in ran.out


def test_what_cannot_be_planned_is_one_line(docpipe_cli, tmp_path):
    source = pdf(tmp_path / "a.pdf", 1)
    (tmp_path / "bad.pdf").write_text("not a pdf at all")
    for arguments, code in (
        ([source, "--on", "a-machine"], "DP533"),
        ([source, "--model", "google/paligemma2-10b-pt-896"], "DP534"),
        ([source, "--model", "google/paligemma2-3b-pt-448", "--on", "amd-genoa-8"], "DP534"),
        ([tmp_path / "bad.pdf"], "DP535"),
        ([source, "--pages", "7"], "DP204"),
        ([source, "--to", "docx"], "DP206"),
        ([source, "-p", "papers", "--model", "google/paligemma2-3b-pt-448"], "DP209"),
    ):
        ran = docpipe_cli("plan", "--jobs", 1, *arguments)
        assert (ran.code, ran.err[:5], ran.out) == (1, code, ""), ran.err
        assert one_line(ran.err, code)


def test_a_plan_from_python():
    made = docpipe.plan(str(SAMPLES / "form.pdf"), sample=1, jobs=1)
    assert isinstance(made, docpipe.Plan)
    assert made.documents == 1
    assert made.wall_s.value > 0


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.25, "0.2 s"), (30, "30 s"), (600, "10.0 min"), (36_000, "10.0 h"), (864_000, "10.0 days")]
)
def test_durations(seconds, said):
    assert duration(seconds) == said
