"""A run that was killed, interrupted or cut in any way goes on where it was, and ends with the same bytes."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pymupdf
import pytest

from docpipe.errors import DocpipeError
from docpipe.pipeline import Pipeline
from docpipe.run.batch import BatchSettings, convert_files
from docpipe.run.journal import JOURNAL, Journal
from docpipe.run.lock import FolderLock, is_held

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

PIPELINE = """
name = "slow"
[[stage]]
use = "odd_stages:marking"
[[stage]]
use = "odd_stages:sleeping"
seconds = {seconds}
[[stage]]
use = "assemble"
"""


def pdf(path: Path, pages: int) -> Path:
    document = pymupdf.Document()
    for number in range(1, pages + 1):
        document.new_page().insert_text((72, 72), f"page {number} of {path.stem}")
    document.save(path, no_new_id=True)
    return path


@pytest.fixture
def sources(tmp_path):
    return [pdf(tmp_path / "a.pdf", 12), pdf(tmp_path / "b.pdf", 8), pdf(tmp_path / "c.pdf", 1)]


def pipeline(tmp_path: Path, seconds: float = 0.0) -> Path:
    path = tmp_path / "slow.toml"
    path.write_text(PIPELINE.format(seconds=seconds), encoding="utf-8")
    return path


def command(*arguments: object) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    code = "from docpipe.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def convert(sources, out: Path, how: Path, *more: object) -> subprocess.Popen[str]:
    return command("convert", *sources, "-o", out, "-p", how, "--jobs", 2, "--to", "md,html", *more)


def kept(out: Path) -> int:
    try:
        with Journal(out / JOURNAL, read_only=True) as journal:
            return sum(sum(journal.counts(entry.folder).values()) for entry in journal.entries())
    except DocpipeError:
        return 0


def wait_for_pages(out: Path, process: subprocess.Popen[str], count: int) -> None:
    until = time.monotonic() + 60
    while kept(out) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def files(out: Path) -> dict[str, bytes]:
    """What was written of documents, but for what says when and how fast."""
    apart = {"manifest.json", JOURNAL, JOURNAL + "-wal", JOURNAL + "-shm", "run.lock"}
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file() and p.name not in apart}


def test_killed_and_started_again_it_ends_with_the_same_bytes(tmp_path, sources):
    how = pipeline(tmp_path, 0.1)
    whole = convert(sources, tmp_path / "whole", how)
    assert whole.wait(120) == 0
    for count in (1, 6):
        process = convert(sources, tmp_path / "cut", how)
        wait_for_pages(tmp_path / "cut", process, count)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "cut" / "a" / "document.json").exists()
    last = convert(sources, tmp_path / "cut", how, "--json")
    told = {Path(one["source"]).stem: one for one in json.loads(last.communicate(timeout=120)[0])}
    assert last.returncode == 0
    assert "pages were done already" in told["a"]["note"]
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_stops_at_once_and_can_be_gone_on_with(tmp_path, sources, number):
    out = tmp_path / "out"
    process = convert(sources, out, pipeline(tmp_path, 0.3))
    wait_for_pages(out, process, 3)
    children = _children(process.pid)
    began = time.monotonic()
    os.killpg(process.pid, number)  # as a terminal does: the workers hear it, too
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - began < 2.0 * slowness()
    assert process.returncode == 128 + number
    assert f"docpipe resume {out}" in err
    assert children
    assert not any(_is_alive(child) for child in children)
    with Journal(out / JOURNAL, read_only=True) as journal:
        assert not any(journal.counts(entry.folder).get("failed") for entry in journal.entries())
    status = command("status", out, "--json")
    told = json.loads(status.communicate(timeout=60)[0])
    assert not told["running"]
    assert sum(one["done"] for one in told["documents"]) >= 3
    assert any(one["left"] for one in told["documents"])
    resumed = command("resume", out, "-q")
    assert resumed.communicate(timeout=120) == ("", "")
    assert resumed.returncode == 0
    assert all((out / name / "document.json").is_file() for name in "abc")


def slowness() -> float:
    """How many times slower than a quiet one this machine is: as many processes wait for each processor."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(shown.strip()) and "Z" not in shown


# --- in this process ---------------------------------------------------------------------------------------


def run(sources, out: Path, how: Path, **settings: object):
    return convert_files(sources, out, Pipeline.from_toml(how), BatchSettings(**{"jobs": 1, **settings}))


def test_a_finished_document_is_left_alone_until_its_source_or_the_settings_change(tmp_path, sources):
    how, out = pipeline(tmp_path), tmp_path / "out"
    first = run(sources[:2], out, how)
    before = (out / "a" / "document.json").stat().st_mtime_ns
    again = run(sources[:2], out, how)
    assert [(o.known, o.status, o.pages) for o in again] == [(True, o.status, o.pages) for o in first]
    assert (out / "a" / "document.json").stat().st_mtime_ns == before
    pdf(sources[0], 13)
    changed = run(sources[:2], out, how)
    assert [(o.known, o.note) for o in changed] == [
        (False, "done again: the source has changed"), (True, "finished already")
    ]  # fmt: skip
    assert changed[0].pages == {"complete": 13}
    other = run(sources[:2], out, how, pages="1")
    assert all("settings have changed" in (o.note or "") for o in other)
    asked = run(sources[:2], out, how, pages="1", again=True)
    assert all(o.note == "done again, as asked" for o in asked)


def test_a_format_that_is_missing_is_added_to_a_finished_document(tmp_path, sources):
    how, out = pipeline(tmp_path), tmp_path / "out"
    run(sources[:1], out, how)
    assert not (out / "a" / "document.md").exists()
    (again,) = run(sources[:1], out, how, formats=("md",))
    assert again.known
    assert (out / "a" / "document.md").is_file()


def test_what_another_run_wrote_does_not_stay_beside_a_new_document(tmp_path, sources):
    how, out = pipeline(tmp_path), tmp_path / "out"
    run(sources[:1], out, how, formats=("html", "md"))
    (out / "a" / "mine.txt").write_text("a person's own file")
    run(sources[:1], out, how, formats=("md",), pages="1")
    assert sorted(p.name for p in (out / "a").iterdir()) == [
        "document.json",
        "document.md",
        "manifest.json",
        "mine.txt",
    ]


def test_a_failed_page_is_tried_again_when_it_may_cost_more(tmp_path, sources):
    how, out = tmp_path / "hang.toml", tmp_path / "out"
    how.write_text('name = "h"\n[[stage]]\nuse = "odd_stages:sleeping"\nseconds = 2.5\n', encoding="utf-8")
    from docpipe.run.crew import Limits

    (first,) = run(sources[2:], out, how, limits=Limits(1.0))
    assert first.status == "failed"
    (same,) = run(sources[2:], out, how, limits=Limits(1.0))
    assert (same.known, same.status, same.page_errors) == (True, "failed", first.page_errors)
    (more,) = run(sources[2:], out, how, limits=Limits(30.0))
    assert (more.known, more.status) == (False, "complete")
    (less,) = run(sources[2:], out, how, limits=Limits(1.0))
    assert (less.known, less.status) == (True, "complete")


def test_a_second_run_on_the_folder_is_refused_and_the_lock_dies_with_its_process(tmp_path, sources):
    out = tmp_path / "out"
    out.mkdir()
    assert not is_held(out)
    with FolderLock(out):
        assert is_held(out)
        with pytest.raises(DocpipeError, match=f"DP404.*{os.getpid()}"):
            run(sources, out, pipeline(tmp_path))
    process = convert(sources, out, pipeline(tmp_path, 0.5))
    wait_for_pages(out, process, 1)
    second = convert(sources, out, pipeline(tmp_path))
    assert second.communicate(timeout=60)[1].startswith("DP404 ")
    assert second.returncode == 1
    process.kill()
    process.wait()
    assert not is_held(out)


@pytest.mark.parametrize("damage", ["text", "middle", "torn"])
def test_a_damaged_journal_is_put_aside_and_the_run_starts_over(tmp_path, sources, docpipe_main, damage):
    how, out = pipeline(tmp_path), tmp_path / "out"
    run(sources, out, how)
    path = out / JOURNAL
    data = bytearray(path.read_bytes())
    if damage == "text":
        data = bytearray(b"this is no journal at all, and never was one" * 40)
    elif damage == "middle":
        data[4096:12288] = os.urandom(8192)
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)
    code, err = docpipe_main("status", out)
    assert (code, err[:5]) == (1, "DP405")
    assert err.count("\n") == 1
    outcomes = run(sources, out, how)
    assert all(o.whole for o in outcomes)
    assert (out / "run.journal.damaged").is_file()
    assert docpipe_main("status", out)[0] == 0


def test_a_journal_of_a_later_format_is_refused_by_name(tmp_path):
    base = sqlite3.connect(tmp_path / JOURNAL)
    base.execute("PRAGMA user_version = 99")
    base.close()
    with pytest.raises(DocpipeError, match=r"DP405.*format is 99"):
        Journal(tmp_path / JOURNAL)


def test_without_a_run_there_is_nothing_to_go_on_with(tmp_path, docpipe_main):
    for what in ("resume", "status"):
        code, err = docpipe_main(what, tmp_path)
        assert (code, err[:5]) == (1, "DP406")


@pytest.fixture
def docpipe_main(monkeypatch, capsys):
    from docpipe.cli import main

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["docpipe", *map(str, arguments)])
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0), capsys.readouterr().err
        return 0, capsys.readouterr().err

    return call
