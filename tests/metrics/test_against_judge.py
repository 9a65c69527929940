"""Metrics against an independent scorer, case by case.

Needs DOCPIPE_BENCH_DATA (folders `scores`, `molecules`, `ocr`), DOCPIPE_JUDGE (the folder that holds `judge/`) and
that scorer's own requirements.
"""

from __future__ import annotations

import importlib.util
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from docpipe.metrics.bag import word_f1
from docpipe.metrics.cer import cer, wer
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
