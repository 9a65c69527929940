"""The Python API as a user writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

import docpipe
from docpipe.errors import DocpipeError

SAMPLES = Path(__file__).parents[1] / "samples"


def test_convert_gives_a_document_whose_tables_are_data_frames():
    document = docpipe.convert(SAMPLES / "mixed.pdf", pages="2")
    frame = document.tables[0].to_pandas()
    assert frame.shape == (8, 5)
    assert frame.iloc[0, 2] == "61"
    assert "Treble" in frame.columns[2]


def test_read_gives_regions_of_the_kinds_asked_for():
    found = docpipe.read(SAMPLES / "mixed.pdf", kinds=["table"], pages="2-3")
    assert [f.region.kind for f in found] == ["table"] * 3
    assert found.errors == ()
    assert all(f.text.startswith("<table>") for f in found)


def test_pages_come_one_by_one():
    pages = docpipe.pages(SAMPLES / "mixed.pdf")
    assert next(pages).number == 1
    assert next(pages).number == 2


def test_bytes_are_a_source_too():
    document = docpipe.convert((SAMPLES / "mixed.pdf").read_bytes(), pages="4")
    assert document.source.name == "bytes"
    assert [page.status for page in document.pages] == ["skipped"] * 3 + ["complete"]


def test_errors_are_coded():
    with pytest.raises(DocpipeError, match="DP101"):
        docpipe.convert(b"nothing")
    with pytest.raises(DocpipeError, match="DP203"):
        docpipe.read(SAMPLES / "mixed.pdf", kinds=["tabel"])
    with pytest.raises(DocpipeError, match="DP203"):
        docpipe.read(SAMPLES / "mixed.pdf", task="poem")
    with pytest.raises(AttributeError):
        docpipe.nothing  # noqa: B018


def test_a_document_survives_json():
    document = docpipe.convert(SAMPLES / "mixed.pdf", pages="1")
    again = docpipe.Document.model_validate_json(document.model_dump_json())
    assert [r.text for r in again.regions()] == [r.text for r in document.regions()]


def test_a_checkpoint_that_a_pipeline_would_not_use_is_refused():
    with pytest.raises(DocpipeError, match="DP209 papers"):
        docpipe.convert(SAMPLES / "mixed.pdf", "papers", model="somewhere")
    with pytest.raises(DocpipeError, match="DP209"):
        docpipe.convert(SAMPLES / "mixed.pdf", docpipe.Pipeline([]), model="somewhere")


def test_a_checkpoint_reaches_a_task_that_the_pipeline_does_not_name():
    found = docpipe.read(SAMPLES / "molecule.png", task="molecule", pipeline="papers", model="no/such-checkpoint")
    assert "DP301" in {finding.code for finding in found[0].reading.verdict.findings}


def test_a_pipeline_object_takes_a_checkpoint_too():
    pipeline = docpipe.Pipeline.from_toml("paligemma")  # other pipelines may read it without a checkpoint
    found = docpipe.read(SAMPLES / "molecule.png", task="molecule", pipeline=pipeline, model="no/such-checkpoint")
    assert "DP301" in {finding.code for finding in found[0].reading.verdict.findings}
