"""Runs on a Ray cluster of several processes: the bytes of a run without one, whatever is killed meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pymupdf
import pytest

from docpipe.document import Page
from docpipe.errors import DocpipeError
from docpipe.pipeline import Pipeline
from docpipe.run.batch import BatchSettings, Outcome, convert_files
from docpipe.run.journal import JOURNAL, Journal
from docpipe.run.ray import connect
from docpipe.run.ray_batch import convert_on_ray
from docpipe.run.start import threads_of
from docpipe.stages.assemble import assemble

pytestmark = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="the stages look into /proc")


@pytest.fixture(scope="module")
def cluster():
    """The address of a cluster with two processors, of processes of its own."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = pytest.importorskip("ray")
    ray.init(
        address="local", num_cpus=2, object_store_memory=100 << 20, include_dashboard=False, log_to_driver=False,
        logging_level="ERROR",
    )  # fmt: skip
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


def pdf(path: Path, pages: int) -> Path:
    document = pymupdf.Document()
    for number in range(1, pages + 1):
        document.new_page().insert_text((72, 72), f"page {number} of {path.stem}")
    document.save(path, no_new_id=True)
    return path


def pipeline(tmp_path: Path, *stages: str) -> Path:
    path = tmp_path / "made.toml"
    entries = ['use = "odd_stages:marking"', *stages, 'use = "assemble"']
    path.write_text('name = "made"\n' + "".join(f"[[stage]]\n{entry}\n" for entry in entries), encoding="utf-8")
    return path


def files(out: Path) -> dict[str, bytes]:
    """What was written of documents, but for what says when and how fast."""
    apart = {"manifest.json", JOURNAL, JOURNAL + "-wal", JOURNAL + "-shm", "run.lock"}
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file() and p.name not in apart}


def told(outcomes: list[Outcome]) -> list[tuple[object, ...]]:
    return [(o.source.name, o.status, o.error, dict(o.pages), o.page_errors) for o in outcomes]


@pytest.mark.usefixtures("cluster")
def test_an_actor_killed_in_mid_run_costs_nothing_and_what_is_done_stays_done(tmp_path):
    sources = [pdf(tmp_path / "a.pdf", 12), tmp_path / "no.pdf", pdf(tmp_path / "b.pdf", 5)]
    sources[1].write_text("this is no PDF")
    flag = tmp_path / "killed"
    stages = (
        'use = "odd_stages:crashing"\npages = [11]',
        f'use = "cluster_stages:ending_its_actor"\npages = [3]\nonce = "{flag}"',
    )
    made = Pipeline.from_toml(pipeline(tmp_path, *stages))
    settings = BatchSettings(formats=("md",), jobs=2)
    here = convert_files(sources, tmp_path / "here", made, settings)
    assert not flag.exists()
    seen = []
    there = convert_on_ray(sources, tmp_path / "there", made, settings, seen.append)
    killed = int(flag.read_text())
    assert not Path(f"/proc/{killed}").exists()
    assert told(there) == told(here)
    assert [o.status for o in there] == ["partial", "failed", "complete"]
    assert "DP501" in there[0].page_errors[0]
    assert [o.note for o in there] == [None, None, None]  # the cluster did all of it
    assert files(tmp_path / "there") == files(tmp_path / "here")
    assert len([event for event in seen if type(event).__name__ == "PageDone"]) == 17

    pdf(sources[2], 6)
    again = convert_on_ray(sources[::2], tmp_path / "there", made, replace(settings, jobs=1))
    assert [(o.known, o.note) for o in again] == [
        (True, "finished already"),
        (False, "done again: the source has changed"),
    ]
    assert again[0].page_errors == there[0].page_errors
    assert again[1].pages["complete"] == 6


def test_a_run_that_was_killed_goes_on_from_its_pages(cluster, tmp_path):
    source = pdf(tmp_path / "a.pdf", 12)
    how = pipeline(tmp_path, 'use = "odd_stages:sleeping"\nseconds = 0.5')
    out = tmp_path / "there"
    common = ("-p", how, "--to", "md", "--partitions", "jsonl", "--jobs", 1)
    run = command(cluster, "convert", source, "-o", out, *common, "--on", "ray")
    until = time.monotonic() + 60
    while kept(out) < 3:
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    run.kill()
    run.wait()
    assert not (out / "a" / "document.json").exists()
    done = kept(out)
    assert 3 <= done < 12
    last = command(cluster, "resume", out, "--json")
    (one,) = json.loads(last.communicate(timeout=120)[0])
    assert last.returncode == 0
    assert one["note"] == f"{done} of 12 pages were done already"
    convert_files([source], tmp_path / "here", Pipeline.from_toml(how), BatchSettings(formats=("md",)))
    (line,) = (out / "partitions" / "part-00000.jsonl").read_text("utf-8").splitlines()
    shutil.rmtree(out / "partitions")
    assert files(out) == files(tmp_path / "here")
    assert json.loads(line) == json.loads((out / "a" / "document.json").read_bytes())


def command(address: str, *arguments: object) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", "from docpipe.cli import main; main()", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path, "RAY_ADDRESS": address}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def kept(out: Path) -> int:
    try:
        with Journal(out / JOURNAL, read_only=True) as journal:
            return sum(sum(journal.counts(entry.folder).values()) for entry in journal.entries())
    except DocpipeError:
        return 0


@pytest.mark.usefixtures("cluster")
def test_a_dataset_of_documents_read_from_urls(tmp_path):
    source = pdf(tmp_path / "a.pdf", 5)
    made = Pipeline.from_toml(pipeline(tmp_path))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(source, "in/a.pdf")
        archive.writestr("in/no.pdf", "this is no PDF")
        archive.writestr("in/notes.txt", "not asked for")
    url = f"zip://in::file://{tmp_path}/all.zip"
    whole, none = sorted(made.to_ray_dataset(url, jobs=1).take_all(), key=lambda row: row["source"])
    convert_files([source], tmp_path / "here", made, BatchSettings())
    assert whole["source"] == f"zip://in/a.pdf::file://{tmp_path}/all.zip"
    assert whole["json"] == (tmp_path / "here" / "a" / "document.json").read_text("utf-8")
    assert (whole["status"], whole["pages"], list(whole["errors"])) == ("complete", 5, [])
    assert (none["status"], none["json"]) == ("failed", None)
    assert none["errors"][0].startswith("DP101 no.pdf")


@pytest.mark.usefixtures("cluster")
def test_a_dataset_of_pages_written_as_partitions(tmp_path):
    sources = [pdf(tmp_path / "a.pdf", 6), pdf(tmp_path / "b.pdf", 2)]
    made = Pipeline.from_toml(pipeline(tmp_path))
    made.to_ray_dataset(sources, rows="page", pages="2-5", jobs=1).write_parquet(str(tmp_path / "parts"))
    rows = pq.read_table(tmp_path / "parts").to_pylist()
    assert sorted((Path(row["source"]).name, row["page"]) for row in rows) == [
        ("a.pdf", 2), ("a.pdf", 3), ("a.pdf", 4), ("a.pdf", 5), ("b.pdf", 2)
    ]  # fmt: skip
    assert {row["status"] for row in rows} == {"complete"}
    assert all(Page.model_validate_json(row["json"]).regions for row in rows)


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_an_actor_s_worker_has_the_threads_of_the_processors_that_the_actor_asks_for(tmp_path):
    made = Pipeline.from_toml(pipeline(tmp_path, f'use = "odd_stages:naming_threads"\nnote = "{tmp_path / "note"}"'))
    assert [row["status"] for row in made.to_ray_dataset(pdf(tmp_path / "a.pdf", 1), jobs=1).take_all()] == ["complete"]
    told = json.loads((tmp_path / "note").read_text())
    said = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}  # Ray sets it where nobody has
    assert told["torch"] == told["new session"] == threads_of(1, said)


@pytest.mark.usefixtures("cluster")
def test_pages_that_end_every_actor_are_done_without_the_cluster(tmp_path):
    source = pdf(tmp_path / "a.pdf", 6)
    made = Pipeline.from_toml(pipeline(tmp_path, 'use = "cluster_stages:ending_its_actor"\npages = [2]'))
    (there,) = convert_on_ray([source], tmp_path / "there", made, BatchSettings(jobs=2))
    assert there.status == "complete"
    assert "left by the cluster and done here" in (there.note or "")
    convert_files([source], tmp_path / "here", made, BatchSettings())
    assert files(tmp_path / "there") == files(tmp_path / "here")


def test_without_ray_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(DocpipeError, match=r"DP305 ray.*docpipe\[ray\]"):
        connect()
    with pytest.raises(DocpipeError, match="DP305"):
        Pipeline.from_toml(pipeline(tmp_path)).to_ray_dataset(pdf(tmp_path / "a.pdf", 1))


def test_a_pipeline_composed_in_python_is_refused(tmp_path):
    with pytest.raises(DocpipeError, match="DP523"):
        Pipeline([assemble()]).to_ray_dataset(pdf(tmp_path / "a.pdf", 1))
    with pytest.raises(DocpipeError, match="DP523"):
        convert_on_ray([tmp_path / "a.pdf"], tmp_path / "out", Pipeline([assemble()]), BatchSettings())


def test_a_cluster_that_cannot_be_used_is_refused(tmp_path):
    done = command("no address", "convert", pdf(tmp_path / "a.pdf", 1), "-o", tmp_path / "out", "--on", "ray")
    err = done.communicate(timeout=60)[1]
    assert (done.returncode, err[:5]) == (1, "DP520")
