"""Metrics against an independent scorer, case by case.

Needs DOCPIPE_BENCH_DATA (folders `scores`, `molecules`, `ocr`, `tables`), DOCPIPE_JUDGE (the folder that holds
`judge/`) and that scorer's own requirements.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docpipe.metrics.bag import word_f1
from docpipe.metrics.calibration import brier, ece
from docpipe.metrics.cer import cer, wer
from docpipe.metrics.grits import grits_con, grits_top
from docpipe.metrics.notes import note_bar_f1, note_f1, pitch_f1
from docpipe.metrics.ser import kern_cer, ler, ser
from docpipe.metrics.smiles import exact_match, exact_match_no_stereo, inchi_match, tanimoto

DATA, JUDGE = os.environ.get("DOCPIPE_BENCH_DATA"), os.environ.get("DOCPIPE_JUDGE")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (DATA and JUDGE), reason="DOCPIPE_BENCH_DATA or DOCPIPE_JUDGE is not set"),
    pytest.mark.skipif(importlib.util.find_spec("rapidfuzz") is None, reason="the scorer needs rapidfuzz"),
]


def judged(task: str, truth: Path, answers: dict[str, str], folder: Path) -> dict[str, dict[str, Any]]:
    """The scorer's row for each answer."""
    lines = (json.dumps({"id": name, "output": text}) + "\n" for name, text in answers.items())
    (folder / "answers.jsonl").write_text("".join(lines))
    command = [sys.executable, "-m", "judge", task, "--truth", truth, "--pred", folder / "answers.jsonl"]
    environment = {**os.environ, "PYTHONPATH": f"{JUDGE}:{os.environ.get('PYTHONPATH', '')}"}
    subprocess.run(
        [*command, "--json", folder / "report.json", "--bootstrap", "0"],
        check=True, env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    report = json.loads((folder / "report.json").read_text())
    return {row["id"]: row for row in report["cases"] if row["id"] in answers}


def spoiled(text: str, rng: random.Random, share: float = 0.05) -> str:
    """The text with some characters dropped, doubled or changed."""
    out = []
    for letter in text:
        out.append(letter if rng.random() > share else rng.choice(("", letter * 2, "x", " ")))
    return "".join(out)


def test_kern_error_rates_agree(tmp_path: Path) -> None:
    rng, folder = random.Random(0), Path(DATA or "") / "scores"
    files = rng.sample(sorted(folder.glob("*/*.krn")), 40)
    truths = {str(f.relative_to(folder).with_suffix(".png")): f.read_text() for f in files}
    answers = {name: spoiled(text, rng) for name, text in truths.items()}
    rows = judged("scores", folder, answers, tmp_path)
    assert len(rows) == 40
    for name, row in rows.items():
        assert ser(answers[name], truths[name]) == pytest.approx(row["symbol_edits"] / row["symbols"])
        assert kern_cer(answers[name], truths[name]) == pytest.approx(row["char_edits"] / row["chars"])
        assert ler(answers[name], truths[name]) == pytest.approx(row["line_edits"] / row["lines"])


def test_molecule_metrics_agree(tmp_path: Path) -> None:
    rng, table = random.Random(0), Path(DATA or "") / "molecules" / "truth.tsv"
    rows = [line.split("\t") for line in table.read_text().splitlines()[1:]]
    truths = dict(rng.sample(rows, 120))
    others = list(truths.values())
    answers = {}
    for name, smiles in truths.items():
        flat = re.sub(r"@+|[/\\]", "", smiles)
        answers[name] = rng.choice((smiles, flat, smiles + "C", rng.choice(others), smiles[:-1]))
    for name, row in judged("molecules", table, answers, tmp_path).items():
        pair = answers[name], truths[name]
        assert exact_match(*pair) == row["exact"]
        assert exact_match_no_stereo(*pair) == row["exact_no_stereo"]
        assert inchi_match(*pair) == row["inchi"]
        assert tanimoto(*pair) == pytest.approx(row["tanimoto"])


def test_text_metrics_agree(tmp_path: Path) -> None:
    rng, folder = random.Random(0), Path(DATA or "") / "ocr"
    lines = [line.split("\t") for line in (folder / "MANIFEST.tsv").read_text().splitlines()]
    image, truth = lines[0].index("path"), lines[0].index("truth")
    chosen = rng.sample(lines[1:], 20)
    truths = {line[image]: (folder / line[truth]).read_text() for line in chosen}
    answers = {name: spoiled(text, rng) for name, text in truths.items()}
    for name, row in judged("text", folder, answers, tmp_path).items():
        assert cer(answers[name], truths[name]) == pytest.approx(row["char_edits"] / row["truth_chars"])
        assert wer(answers[name], truths[name]) == pytest.approx(row["word_edits"] / row["truth_words"])
        assert word_f1(answers[name], truths[name]) == pytest.approx(row["bow_f1"])


def test_table_metrics_agree(tmp_path: Path) -> None:
    rng, folder = random.Random(0), Path(DATA or "") / "tables"
    files = rng.sample(sorted(folder.glob("icdar2013/*.html")) + sorted(folder.glob("pubtabnet/*.html")), 25)
    truths = {str(f.relative_to(folder).with_suffix(".png")): f.read_text() for f in files}
    answers = {name: spoiled_table(text, rng) for name, text in truths.items()}
    compared = 0
    for name, row in judged("tables", folder, answers, tmp_path).items():
        if not row["tiles"]:
            continue  # cells that overlap or leave gaps have no one grid
        assert grits_con(answers[name], truths[name]) == pytest.approx(row["grits_con"], abs=1e-5), name
        assert grits_top(answers[name], truths[name]) == pytest.approx(row["grits_top"], abs=1e-5), name
        compared += 1
    assert compared >= 15


def spoiled_table(html: str, rng: random.Random) -> str:
    """The table with a row left out, some cells' text spoiled."""
    rows = re.findall(r"<tr.*?</tr>", html, re.DOTALL)
    if len(rows) > 3 and "rowspan" not in html:
        del rows[rng.randrange(len(rows))]
    changed = [re.sub(r">([^<>]+)<", lambda m: f">{spoiled(m[1], rng, 0.1)}<", row) for row in rows]
    return f"<table>{''.join(changed)}</table>"


def test_note_f1_agrees(tmp_path: Path) -> None:
    rng, folder = random.Random(1), Path(DATA or "") / "scores"
    files = rng.sample(sorted(folder.glob("*/*.krn")), 40)
    truths = {str(f.relative_to(folder).with_suffix(".png")): f.read_text() for f in files}
    answers = {name: repitched(text, rng) for name, text in truths.items()}
    for name, row in judged("scores", folder, answers, tmp_path).items():
        for metric, said in ((note_f1, "note_f1"), (note_bar_f1, "note_bar_f1"), (pitch_f1, "pitch_f1")):
            assert metric(answers[name], truths[name]) == pytest.approx(row[said], abs=1e-6), (name, said)


def repitched(kern: str, rng: random.Random) -> str:
    """The score with some notes moved to another pitch, its rhythm as it was."""

    def moved(letters: re.Match[str]) -> str:
        return "d" * len(letters[0]) if rng.random() < 0.1 else letters[0]

    lines = [re.sub(r"([a-g])\1*", moved, one) if one and one[0] not in "*!=" else one for one in kern.splitlines()]
    return "\n".join(lines) + "\n"


def test_calibration_agrees(tmp_path: Path) -> None:
    rng, table = random.Random(2), Path(DATA or "") / "molecules" / "truth.tsv"
    rows = [line.split("\t") for line in table.read_text().splitlines()[1:]][:300]
    sure, right, lines = [], [], []
    for name, smiles in rows:
        confidence = round(rng.random(), 3)
        hit = rng.random() < confidence**2
        sure.append(confidence)
        right.append(float(hit))
        lines.append(json.dumps({"id": name, "output": smiles if hit else "CCCCCCCCCO", "confidence": confidence}))
    (tmp_path / "answers.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "truth.tsv").write_text("path\tsmiles\n" + "".join(f"{n}\t{s}\n" for n, s in rows))
    command = [sys.executable, "-m", "judge", "molecules", "--truth", tmp_path / "truth.tsv"]
    environment = {**os.environ, "PYTHONPATH": f"{JUDGE}:{os.environ.get('PYTHONPATH', '')}"}
    subprocess.run(
        [*command, "--pred", tmp_path / "answers.jsonl", "--json", tmp_path / "r.json", "--bootstrap", "0"],
        check=True, env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    said = json.loads((tmp_path / "r.json").read_text())
    found = next(v for v in walk(said) if isinstance(v, dict) and "ece" in v and "brier" in v)
    assert ece(sure, right) == pytest.approx(found["ece"], abs=1e-6)
    assert brier(sure, right) == pytest.approx(found["brier"], abs=1e-6)


def walk(value: Any) -> Iterator[Any]:
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)
