"""Pages worked on in processes: a crash, an endless loop or a memory bomb costs its page and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pymupdf
import pytest

from docpipe.document import Page
from docpipe.errors import DocpipeError
from docpipe.pipeline import Pipeline
from docpipe.pipeline_file import PipelineFile
from docpipe.run.crew import AHEAD, PREFETCH, Ticket
from docpipe.run.opening import Look
from docpipe.run.pages import chunks
from docpipe.run.pool import Limits, Pool
from docpipe.run.runner import DocumentRun
from docpipe.run.stopping import StoppedError
from docpipe.run.worker import Job
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


def test_a_page_that_cannot_be_written_costs_itself_alone(pdf):
    stage = {"use": "odd_stages:unwritable", "pages": [2]}
    here = DocumentRun(pdf, pipeline(stage))
    assert [p.number for p in here.pages() if p.status == "failed"] == [2]
    made = run(pdf, stage)
    assert failures(made) == {error.page: error.code for error in here.errors} == {2: "DP402"}


def test_workers_and_no_workers_give_the_same_pages(pdf):
    stage = {"use": "odd_stages:marking"}
    assert list(DocumentRun(pdf, pipeline(stage)).pages()) == run(pdf, stage, workers=2).done  # type: ignore[attr-defined]


def test_a_file_that_cannot_be_opened_is_refused_in_a_worker_too():
    with Pool(1, Limits()) as pool, pytest.raises(DocpipeError, match="DP101"):
        DocumentRun(SourceRef("a.txt", data=b"no pdf"), pipeline({"use": "odd_stages:marking"}), pool=pool)


def test_a_worker_ends_with_its_pool(pdf):
    with Pool(1, Limits()) as pool:
        next(DocumentRun(pdf, pipeline({"use": "odd_stages:marking"}), pool=pool).pages())
        process = pool.crew.hands[0].process
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


# --- many documents, one pool ------------------------------------------------------------------------------


def single(name: str, pages: int = 1) -> SourceRef:
    document = pymupdf.Document()
    for number in range(pages):
        document.new_page().insert_text((72, 72), f"{name} {number}")
    return SourceRef(name, data=document.tobytes())


def together(refs: list[SourceRef], pool: Pool, made: Pipeline) -> list[list[Page]]:
    """The pages of several documents at once, each asked for in a thread of its own."""
    with ThreadPoolExecutor(len(refs)) as threads:
        return list(threads.map(lambda ref: list(DocumentRun(ref, made, pool=pool).pages()), refs))


def test_a_batch_is_filled_from_several_documents(tmp_path):
    refs = [single(f"{number}.pdf") for number in range(8)]
    stage = {"use": "odd_stages:counting", "folder": str(tmp_path), "size": 8}
    with Pool(1, Limits(), tick=0.1) as pool:
        pool.look(Look(refs[0]))  # the worker has started
        done = together(refs, pool, pipeline({"use": "odd_stages:sleeping", "seconds": 0.3}, stage))
    assert [len(pages) for pages in done] == [1] * 8
    batches = [file.read_text().split() for file in sorted(tmp_path.iterdir())]
    assert sorted(name for batch in batches for name in batch) == sorted(f"{ref.name}:1" for ref in refs)
    assert len(batches) < 8
    assert max(map(len, batches)) >= 4


def test_a_crash_in_a_batch_of_several_documents_costs_the_guilty_page_alone():
    refs = [single(f"{number}.pdf", pages=number) for number in (1, 2, 3)]
    stages = ({"use": "odd_stages:windowed", "size": 6}, {"use": "odd_stages:crashing", "pages": [3]})
    with Pool(1, Limits(), tick=0.1) as pool:
        done = together(refs, pool, pipeline(*stages))
    assert [[page.error.code if page.error else None for page in pages] for pages in done] == [
        [None], [None, None], [None, None, "DP501"]
    ]  # fmt: skip


def test_pages_are_not_made_faster_than_they_are_taken_without_bound():
    ref, made = single("long.pdf", pages=300), pipeline({"use": "odd_stages:marking"})
    with Pool(2, Limits(), tick=0.1) as pool:
        arrived: list[int] = []
        opening = pool.look(Look(ref))
        jobs = [Job(ref, part, opening.statistics, made.file) for part in chunks(opening.wanted, 16)]
        ticket = Ticket(jobs)
        pool.crew.submit(ticket)
        until = time.monotonic() + 20
        while ticket.given < AHEAD and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(1.0)  # it would go on if nothing held it
        assert AHEAD <= ticket.given <= AHEAD + 2 * (16 + PREFETCH)
        pool.crew.withdraw(ticket)
        for done in pool.run(jobs, keep=lambda pages: arrived.extend(p.page.number for p in pages)):
            assert arrived[-1] - done.page.number < AHEAD + 2 * (16 + PREFETCH) + 16
    assert sorted(arrived) == list(range(1, 301))


def test_a_worker_is_replaced_after_so_many_pages_and_none_is_lost(monkeypatch):
    monkeypatch.setattr("docpipe.run.crew.RECYCLE", 40)
    ref, made = single("long.pdf", pages=120), pipeline({"use": "odd_stages:leaking", "bytes_a_page": 1 << 20})
    with Pool(1, Limits(), tick=0.1) as pool:
        seen = set()
        for page in DocumentRun(ref, made, pool=pool).pages():
            assert page.status == "complete"
            seen.update(hand.process.pid for hand in pool.crew.hands)
    assert len(seen) >= 3


def test_processor_time_beyond_the_limit_costs_its_page_though_nobody_watches(pdf):
    with Pool(1, Limits(page_seconds=60.0, cpu_seconds=2.0), tick=0.1) as pool:
        made = DocumentRun(pdf, pipeline({"use": "odd_stages:busy", "pages": [3]}), pool=pool)
        made.done = list(made.pages())  # type: ignore[attr-defined]
    assert failures(made) == {3: "DP506"}


@pytest.mark.parametrize(("number", "wanted"), [(signal.SIGTERM, {}), (signal.SIGKILL, {"DP507"})])
def test_a_worker_ended_from_outside(pdf, number, wanted):
    """By the system that ends all at once: no page's fault. By one that has no memory left: the page says so."""
    with Pool(1, Limits(), tick=0.1) as pool:
        run = DocumentRun(pdf, pipeline({"use": "odd_stages:sleeping", "seconds": 0.3}), pool=pool)
        pages = run.pages()
        done = [next(pages)]
        time.sleep(0.15)  # until the next page is open
        os.kill(pool.crew.hands[0].process.pid, number)
        done += pages
    assert {page.error.code for page in done if page.error} == set(wanted)
    assert len(done) == 12


def test_a_program_that_a_page_started_ends_with_it(pdf, tmp_path):
    stage = {"use": "odd_stages:starting", "pages": [2], "note": str(tmp_path / "pid")}
    assert failures(run(pdf, stage, page=4.0)) == {2: "DP502"}
    shown = subprocess.run(
        ["ps", "-o", "stat=", "-p", (tmp_path / "pid").read_text()], capture_output=True, check=False
    )
    assert not shown.stdout.strip() or b"Z" in shown.stdout


def test_an_idle_worker_that_dies_costs_no_page(pdf):
    with Pool(1, Limits(), tick=0.1) as pool:
        pool.look(Look(pdf))
        os.kill(pool.crew.hands[0].process.pid, signal.SIGKILL)
        time.sleep(0.3)
        done = list(DocumentRun(pdf, pipeline({"use": "odd_stages:marking"}), pool=pool).pages())
    assert not any(page.error for page in done)


def test_a_closed_pool_ends_whoever_waits(pdf):
    pool = Pool(1, Limits(), tick=0.1)
    pages = DocumentRun(pdf, pipeline({"use": "odd_stages:sleeping", "seconds": 0.5}), pool=pool).pages()
    next(pages)
    pool.close()
    with pytest.raises(StoppedError):
        list(pages)
