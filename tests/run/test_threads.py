"""Worker processes share the machine's cores out among them: each computes with its part, and with no more threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pymupdf
import pytest

from docpipe.models.cpu import physical_cores
from docpipe.pipeline import Pipeline
from docpipe.pipeline_file import PipelineFile
from docpipe.run.pool import Limits, Pool
from docpipe.run.runner import DocumentRun
from docpipe.run.start import threads_of
from docpipe.source import SourceRef


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def pdf() -> SourceRef:
    document = pymupdf.Document()
    document.new_page().insert_text((72, 72), "one page")
    return SourceRef("one.pdf", data=document.tobytes())


def told(pdf: SourceRef, note: Path, workers: int, **how: int) -> dict[str, object]:
    """What a real worker of a pool says of itself."""
    stages = [{"use": "odd_stages:naming_threads", "note": str(note)}, {"use": "assemble"}]
    pipeline = Pipeline.from_file(PipelineFile.model_validate({"name": "odd", "stage": stages}))
    with Pool(workers, Limits(60.0), tick=0.1, **how) as pool:
        assert [page.status for page in DocumentRun(pdf, pipeline, pool=pool).pages()] == ["complete"]
    found: dict[str, object] = json.loads(note.read_text())
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_computes_with_its_part_of_the_cores(pdf, tmp_path, workers):
    threads = max(1, physical_cores() // workers)
    assert told(pdf, tmp_path / "note", workers) == {
        "torch": threads,
        "new session": 1,
        "sessions": [1],  # PyMuPDF's layout, which asks nobody
        "environment": {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)},
    }


def test_workers_of_other_pools_count(pdf, tmp_path):
    found = told(pdf, tmp_path / "note", 1, sharing=8 * physical_cores())
    assert (found["torch"], found["sessions"]) == (1, [1])


def test_fewer_threads_asked_for_are_kept(pdf, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = told(pdf, tmp_path / "note", 1)
    assert (found["torch"], found["sessions"]) == (1, [1])


def test_how_cores_are_shared_out_and_what_a_person_says_of_threads():
    cores = physical_cores()
    assert threads_of(1, {}) == cores
    assert threads_of(cores, {}) == threads_of(3 * cores, {}) == 1
    assert threads_of(1, {"OMP_NUM_THREADS": "1"}) == 1
    assert threads_of(1, {"OMP_NUM_THREADS": "1,4"}) == 1
    for more in (str(cores + 1), "0", "-1", "many", ""):
        assert threads_of(1, {"OMP_NUM_THREADS": more}) == cores
    assert threads_of(cores, {"OMP_NUM_THREADS": str(cores)}) == 1


def test_nothing_that_makes_threads_is_loaded_before_they_are_bounded():
    said = (
        "import docpipe.run.start, sys\n"
        "print([name for name in ('numpy', 'onnxruntime', 'pymupdf', 'torch') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert ran.stdout.strip() == "[]"
