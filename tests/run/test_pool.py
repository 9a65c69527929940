"""Pages worked on in processes: a crash, an endless loop or a memory bomb costs its page and nothing else."""

from __future__ import annotations

import pymupdf
import pytest

from docpipe.errors import DocpipeError
from docpipe.pipeline import Pipeline
from docpipe.pipeline_file import PipelineFile
from docpipe.run.pool import Limits, Pool
from docpipe.run.runner import DocumentRun
from docpipe.source import SourceRef


@pytest.fixture(scope="module")
def pdf() -> SourceRef:
    document = pymupdf.Document()
    for number in range(1, 13):
        document.new_page().insert_text((72, 72), f"page {number}")
    return SourceRef("twelve.pdf", data=document.tobytes())


def pipeline(*stages: dict[str, object]) -> Pipeline:
    return Pipeline.from_file(PipelineFile.model_validate({"name": "odd", "stage": [*stages, {"use": "assemble"}]}))


def run(pdf: SourceRef, *stages: dict[str, object], workers: int = 1, page: float = 30.0, **how: object) -> DocumentRun:
    with Pool(workers, Limits(page), tick=0.1) as pool:
        made = DocumentRun(pdf, pipeline(*stages), pool=pool, **how)  # type: ignore[arg-type]
        made.done = list(made.pages())  # type: ignore[attr-defined]
    return made


def failures(made: DocumentRun) -> dict[int, str]:
    pages = made.done  # type: ignore[attr-defined]
    assert [page.number for page in pages] == list(range(1, 13))
    return {page.number: page.error.code for page in pages if page.status == "failed"}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_crash_costs_its_page_and_no_other(pdf, workers):
    made = run(pdf, {"use": "odd_stages:marking"}, {"use": "odd_stages:crashing", "pages": [3, 8]}, workers=workers)
    assert failures(made) == {3: "DP501", 8: "DP501"}
    assert made.status == "partial"
    assert "signal 11" in made.errors[0].message
    assert all(page.regions for page in made.done if page.status == "complete")


def test_with_several_pages_open_only_the_guilty_one_fails(pdf):
    made = run(pdf, {"use": "odd_stages:windowed", "size": 4}, {"use": "odd_stages:crashing", "pages": [6]})
    assert failures(made) == {6: "DP501"}


def test_an_endless_loop_is_killed_and_the_pages_after_it_are_read(pdf):
    made = run(pdf, {"use": "odd_stages:hanging", "pages": [5]}, page=4.0)
    assert failures(made) == {5: "DP502"}


def test_what_a_pipeline_takes_to_make_is_no_page_s_fault(pdf):
    made = run(pdf, {"use": "odd_stages:slow_to_make", "seconds": 6.0}, page=2.0)
    assert failures(made) == {}


def test_a_document_without_progress_is_given_up_with_what_is_done(pdf):
    made = run(pdf, {"use": "odd_stages:hanging", "pages": list(range(4, 13))}, page=60.0, deadline=6.0)
    assert failures(made) == dict.fromkeys(range(4, 13), "DP503")
    assert made.status == "partial"


def test_memory_beyond_the_limit_costs_its_page(pdf):
    with Pool(1, Limits(30.0, memory=8 << 30)) as pool:
        made = DocumentRun(pdf, pipeline({"use": "odd_stages:hungry", "pages": [2]}), pool=pool)
        made.done = list(made.pages())  # type: ignore[attr-defined]
    assert failures(made) == {2: "DP504"}


def test_an_exception_costs_its_page_here_as_in_a_worker(pdf):
    stage = {"use": "odd_stages:raising", "pages": [1, 12]}
    here = DocumentRun(pdf, pipeline(stage))
    pages = list(here.pages())
    assert [p.number for p in pages if p.status == "failed"] == [1, 12]
    made = run(pdf, stage)
    assert made.done == pages
    assert failures(made) == {1: "DP505", 12: "DP505"}


def test_workers_and_no_workers_give_the_same_pages(pdf):
    stage = {"use": "odd_stages:marking"}
    assert list(DocumentRun(pdf, pipeline(stage)).pages()) == run(pdf, stage, workers=2).done  # type: ignore[attr-defined]


def test_a_file_that_cannot_be_opened_is_refused_in_a_worker_too():
    with Pool(1, Limits()) as pool, pytest.raises(DocpipeError, match="DP101"):
        DocumentRun(SourceRef("a.txt", data=b"no pdf"), pipeline({"use": "odd_stages:marking"}), pool=pool)


def test_a_worker_ends_with_its_pool(pdf):
    with Pool(1, Limits()) as pool:
        next(DocumentRun(pdf, pipeline({"use": "odd_stages:marking"}), pool=pool).pages())
        process = (pool._busy or pool._idle)[0].process
    assert not process.is_alive()


def test_skipped_pages_are_listed_with_their_size(pdf):
    made = DocumentRun(pdf, pipeline({"use": "odd_stages:marking"}), wanted="2-3")
    pages = list(made.pages())
    assert [p.status for p in pages[:4]] == ["skipped", "complete", "complete", "skipped"]
    assert pages[0].width == pytest.approx(595)
    assert made.status == "complete"


@pytest.mark.parametrize("text", ["0", "5-3", "x", "13", "-", "1,,2"])
def test_a_range_that_is_none_is_refused(pdf, text):
    with pytest.raises(DocpipeError, match="DP204"):
        DocumentRun(pdf, pipeline({"use": "odd_stages:marking"}), wanted=text)
