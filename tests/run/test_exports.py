"""Exports are made in the workers: one that crashes there, or never ends, costs itself and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pymupdf
import pytest

from docpipe.export.json import read_document
from docpipe.pipeline import Pipeline
from docpipe.run.batch import BatchSettings, Outcome, convert_files
from docpipe.run.crew import Limits

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

PIPELINE = """
name = "odd"
[[stage]]
use = "odd_stages:marking"
[[stage]]
use = "odd_stages:exporting_badly"
form = "txt"
hangs = {hangs}
[[stage]]
use = "assemble"
"""


def run(tmp_path: Path, formats: tuple[str, ...], *, hangs: bool = False) -> Outcome:
    source = tmp_path / "a.pdf"
    if not source.exists():
        document = pymupdf.Document()
        for _ in range(3):
            document.new_page().insert_text((72, 72), "a page")
        document.save(source)
    how = tmp_path / f"odd-{hangs}.toml"
    how.write_text(PIPELINE.format(hangs=str(hangs).lower()), encoding="utf-8")
    settings = BatchSettings(formats=formats, jobs=1, limits=Limits(page_seconds=3.0))
    (outcome,) = convert_files([source], tmp_path / "out", Pipeline.from_toml(how), settings)
    return outcome


@pytest.mark.parametrize(("hangs", "why"), [(False, "DP501"), (True, "DP502")])
def test_an_export_that_crashes_or_hangs_leaves_the_document_and_the_other_exports(tmp_path, hangs, why):
    outcome = run(tmp_path, ("md", "txt", "html"), hangs=hangs)
    folder = tmp_path / "out" / "a"
    assert (outcome.status, outcome.whole) == ("complete", False)
    (line,) = outcome.export_errors
    assert line.startswith("DP414 a.pdf as txt: ")
    assert why in line
    assert read_document(folder).status == "complete"
    assert {p.name for p in folder.iterdir()} == {"document.json", "manifest.json", "document.md", "document.html"}


def test_a_missing_export_is_tried_again_and_the_pages_are_not(tmp_path):
    assert run(tmp_path, ("txt",)).export_errors
    again = run(tmp_path, ("txt",))  # no page is read, so nothing breaks the export of this worker
    assert (again.note, again.export_errors, again.whole) == ("finished already", [], True)
    assert (tmp_path / "out" / "a" / "document.txt").is_file()


def test_an_error_of_a_format_s_own_is_told_as_it_is(tmp_path):
    (line,) = run(tmp_path, ("nonsense",)).export_errors
    assert line.startswith("DP206 nonsense: ")
