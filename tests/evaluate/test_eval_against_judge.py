"""A whole evaluation against an independent scorer: the same answers, the same figures.

Needs DOCPIPE_BENCH_DATA (folders `molecules`, `tables`), DOCPIPE_JUDGE (the folder that holds `judge/`) and that
scorer's own requirements.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from docpipe.evaluate import Report, System, evaluate, read_cases, sampled

DATA, JUDGE = os.environ.get("DOCPIPE_BENCH_DATA"), os.environ.get("DOCPIPE_JUDGE")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (DATA and JUDGE), reason="DOCPIPE_BENCH_DATA or DOCPIPE_JUDGE is not set"),
    pytest.mark.skipif(importlib.util.find_spec("rapidfuzz") is None, reason="the scorer needs rapidfuzz"),
]


def judged(task: str, truth: Path, report: Report, folder: Path) -> dict[str, Any]:
    """The scorer's row for each case that was run."""
    lines = [
        {"id": o.case.id, "output": o.text if o.answered else None, "confidence": o.confidence if o.answered else None}
        for o in report.outcomes
    ]
    (folder / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    environment = {**os.environ, "PYTHONPATH": f"{JUDGE}:{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-m", "judge", task, "--truth", truth, "--pred", folder / "answers.jsonl"]
    subprocess.run(
        [*command, "--json", folder / "r.json", "--bootstrap", "0"],
        check=True, env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    ids = {o.case.id for o in report.outcomes}
    return {row["id"]: row for row in json.loads((folder / "r.json").read_text())["cases"] if row["id"] in ids}


@pytest.mark.parametrize("gated", [True, False])
def test_molecules(tmp_path: Path, gated: bool) -> None:
    folder = Path(DATA or "") / "molecules"
    cases = sampled(read_cases(folder / "uob", "molecule"), 40)
    report = evaluate(cases, "molecule", System(model="nano-molecule", gated=gated))
    assert sum(report.counts.values()) == len(report.outcomes) == 40
    rows = judged("molecules", folder / "truth.tsv", report, tmp_path)
    for name, key in (("exact", "exact"), ("exact, no stereo", "exact_no_stereo"), ("Tanimoto", "tanimoto")):
        figure = next(f for f in report.figures if f.name == name)
        assert figure.overall.value == pytest.approx(sum(row[key] for row in rows.values()) / 40)


def test_tables(tmp_path: Path) -> None:
    folder = Path(DATA or "") / "tables"
    cases = sampled(read_cases(folder / "pubtabnet", "table"), 4)
    report = evaluate(cases, "table", System(engine="imagetable"))
    rows = judged("tables", folder, report, tmp_path)
    for name, key in (("TEDS", "teds"), ("S-TEDS", "s_teds"), ("GriTS Con", "grits_con"), ("GriTS Top", "grits_top")):
        figure = next(f for f in report.figures if f.name == name)
        assert figure.overall.value == pytest.approx(sum(row[key] for row in rows.values()) / 4, abs=1e-5)
