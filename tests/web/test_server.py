"""The server, over real connections: what it takes, what it gives, and what it refuses."""

from __future__ import annotations

import io
import json
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import HOSTILE, Served

sys.path.insert(0, str(Path(__file__).parents[1] / "export"))

import pymupdf

from docpipe.serve.job import ServerSettings
from docpipe.serve.jobs import Jobs
from docpipe.serve.service import made_pipeline, server_app


def pdf(pages: int = 1, words: str = "Words on a page.", title: str = "") -> bytes:
    made = pymupdf.open()
    for number in range(pages):
        made.new_page(width=300, height=200).insert_text((40, 60), f"{words} {number + 1}")
    if title:
        made.set_metadata({"title": title})
    data: bytes = made.tobytes()
    return data


SETTINGS = ServerSettings(jobs=1, queue=3, most_bytes=200_000, most_pages=8, deadline=120.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    served = Served(server_app(tmp_path_factory.mktemp("server"), SETTINGS))
    yield served.url
    served.close()


def submit(url: str, data: bytes, name: str = "made.pdf", **more: Any) -> httpx.Response:
    return httpx.post(f"{url}/api/jobs", files={"file": (name, data)}, data=more, timeout=30)


def ended(url: str, job: str, seconds: float = 60.0, **how: Any) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        said: dict[str, Any] = httpx.get(f"{url}/api/jobs/{job}", **how).json()
        if said["state"] in {"finished", "failed", "cancelled"}:
            return said
        time.sleep(0.1)
    raise AssertionError(f"job {job} has not ended: {said}")


def test_a_document_is_submitted_watched_and_fetched(server: str) -> None:
    answer = submit(server, pdf(3), to="md,html")
    assert answer.status_code == 202
    job = answer.json()["id"]
    with httpx.stream("GET", f"{server}/api/jobs/{job}/events", timeout=60) as stream:
        events = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    assert [e["page"] for e in events if e["event"] == "page"] == [1, 2, 3]
    assert all(e["regions"] == {"paragraph": 1} for e in events if e["event"] == "page")
    assert (events[-1]["event"], events[-1]["status"], events[-1]["done"]) == ("ended", "complete", 3)
    said = httpx.get(f"{server}/api/jobs/{job}").json()
    assert {"document.json", "document.md", "document.html", "manifest.json"} <= set(said["files"])
    document = httpx.get(f"{server}/api/jobs/{job}/files/document.json").json()
    assert len(document["pages"]) == 3
    packed = zipfile.ZipFile(io.BytesIO(httpx.get(f"{server}/api/jobs/{job}/archive").content))
    assert json.loads(packed.read("document.json")) == document
    region = document["pages"][0]["regions"][0]["id"]
    shown = httpx.get(f"{server}/api/documents/{job}/pages/1").json()
    assert shown["regions"][0]["id"] == region
    crop = httpx.get(f"{server}/api/documents/{job}/regions/{region}/crop")
    assert crop.content.startswith(b"\x89PNG")


def test_what_was_read_is_never_served_as_a_page(server: str) -> None:
    job = submit(server, pdf(1, HOSTILE, HOSTILE), f"{HOSTILE}.pdf", to="html").json()["id"]
    said = ended(server, job)
    assert said["status"] == "complete"
    page = httpx.get(f"{server}/api/jobs/{job}/files/document.html")
    assert page.headers["content-disposition"].startswith("attachment")
    assert "<script>window" not in page.text
    for path in (f"/api/jobs/{job}", "/api/jobs", "/api/documents", f"/api/documents/{job}/regions"):
        answer = httpx.get(server + path)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"", "empty.pdf", "DP102"),
        (b"PK\x03\x04" + bytes(500), "bomb.zip", "DP101"),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>', "bomb.xml", "DP101"),
        (b"%PDF-1.7\nnothing of the kind", "broken.pdf", "DP103"),
        (pdf(9), "long.pdf", "DP423"),
    ],
)
def test_a_bad_file_is_a_failed_job_with_a_code(server: str, data: bytes, name: str, code: str) -> None:
    said = ended(server, submit(server, data, name).json()["id"])
    assert said["state"] == "failed"
    assert said["error"].startswith(code)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"pipeline": "../../etc/passwd"}, "DP201"),
        ({"pipeline": "https://example.org/p.toml"}, "DP201"),
        ({"to": "exe"}, "DP206"),
        ({"pages": "x"}, "DP204"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_kept(server: str, settings: dict[str, str], code: str) -> None:
    before = len(httpx.get(f"{server}/api/jobs").json())
    answer = submit(server, pdf(), **settings)
    assert answer.status_code in {404, 422}
    assert answer.json()["code"] == code
    assert len(httpx.get(f"{server}/api/jobs").json()) == before


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(server: str) -> None:
    assert submit(server, bytes(400_000)).status_code == 413
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n'

    def chunks() -> Iterator[bytes]:
        yield form
        for _ in range(60):
            yield bytes(10_000)
        yield b"\r\n--x--\r\n"

    with pytest.raises(httpx.HTTPError):
        httpx.post(f"{server}/api/jobs", content=chunks(), timeout=20,
                   headers={"Content-Type": "multipart/form-data; boundary=x"}).raise_for_status()  # fmt: skip
    assert httpx.get(f"{server}/health").json()["status"] == "ok"


@pytest.mark.parametrize(
    "path",
    ["../job.json", "..%2Fjob.json", "%2e%2e/%2e%2e/job.json", "/etc/passwd", "document.json/../../../job.json", "."],
)
def test_no_path_leads_out_of_a_jobs_folder(server: str, path: str) -> None:
    job = submit(server, pdf()).json()["id"]
    ended(server, job)
    request = httpx.Request("GET", f"{server}/api/jobs/{job}/files/x")
    request.url = request.url.copy_with(raw_path=f"/api/jobs/{job}/files/{path}".encode())
    with httpx.Client() as client:
        assert client.send(request).status_code in {404, 405}


def test_other_sites_cannot_make_a_browser_act(server: str) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = httpx.post(f"{server}/api/jobs", files={"file": ("a.pdf", pdf())}, headers=headers)
        assert answer.status_code == 403
    assert httpx.get(f"{server}/api/jobs", headers={"Host": "evil.example"}).status_code == 421, "DNS rebinding"


def test_the_api_documents_itself_without_another_site(server: str) -> None:
    described = httpx.get(f"{server}/openapi.json").json()
    assert {"/api/jobs", "/api/jobs/{id_}/events", "/api/documents/{name}/regions/{region_id}/crop"} <= set(
        described["paths"]
    )
    page = httpx.get(f"{server}/docs").text
    assert "https://" not in page


def test_health_and_metrics_say_how_it_is(server: str) -> None:
    job = submit(server, pdf()).json()["id"]
    ended(server, job)
    assert httpx.get(f"{server}/health").json()["room"] == SETTINGS.queue
    figures = httpx.get(f"{server}/metrics").text
    done = next(line for line in figures.splitlines() if line.startswith("docpipe_pages_complete_total "))
    assert float(done.split()[1]) >= 1
    assert 'docpipe_requests_total{method="POST",status="202"}' in figures


def test_a_token_is_asked_of_everything_but_health(tmp_path: Path) -> None:
    served = Served(server_app(tmp_path, SETTINGS, token="sesame", hosts=frozenset(("127.0.0.1", "docs.example"))))
    try:
        assert httpx.get(f"{served.url}/health").status_code == 200
        for path in ("/", "/api/jobs", "/openapi.json", "/metrics"):
            assert httpx.get(served.url + path).status_code == 401
            assert httpx.get(served.url + path, headers={"Authorization": "Bearer wrong"}).status_code == 401
            assert httpx.get(served.url + path, headers={"Authorization": "Bearer sesame"}).status_code == 200
        with httpx.Client() as browser:
            entered = browser.get(f"{served.url}/?token=sesame")
            assert "HttpOnly" in entered.headers["set-cookie"]
            assert "SameSite=Strict" in entered.headers["set-cookie"]
            assert browser.get(f"{served.url}/api/jobs").status_code == 200, "the cookie is enough from now on"
    finally:
        served.close()


def test_a_server_open_to_others_needs_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from docpipe.cli.serve import serve
    from docpipe.errors import DocpipeError

    monkeypatch.delenv("DOCPIPE_TOKEN", raising=False)
    with pytest.raises(DocpipeError, match="DP421"):
        serve(tmp_path, host="0.0.0.0")


def jobs_of(root: Path, **settings: Any) -> Jobs:
    made = ServerSettings(**({"jobs": 1, "queue": 2} | settings))
    return Jobs(root, made, lambda options: made_pipeline(options, None))


OPTIONS = {"pipeline": "default", "pages": None, "language": None, "formats": []}


def wait_for(jobs: Jobs, id_: str, state: str, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while jobs.get_job(id_).state != state:  # type: ignore[union-attr]
        assert time.monotonic() < until, jobs.get_job(id_)
        time.sleep(0.05)


def test_the_queue_is_bounded_and_a_job_in_it_can_be_cancelled(tmp_path: Path) -> None:
    from docpipe.serve.jobs import FullError

    jobs = jobs_of(tmp_path)  # not entered: nothing is worked on
    first, second = (jobs.submit("a.pdf", OPTIONS, lambda path: path.write_bytes(pdf())) for _ in range(2))
    with pytest.raises(FullError):
        jobs.submit("b.pdf", OPTIONS, lambda path: path.write_bytes(pdf()))
    assert len(list(tmp_path.iterdir())) == 2, "what was refused left nothing behind"
    jobs.cancel(first.id)
    assert (first.state, second.state, jobs.room()) == ("cancelled", "queued", 1)
    assert jobs.delete(second.id)
    assert not (tmp_path / second.id).exists()


def test_a_running_job_is_cancelled_at_once(tmp_path: Path) -> None:
    with jobs_of(tmp_path) as jobs:
        job = jobs.submit("a.pdf", OPTIONS, lambda path: path.write_bytes(pdf(400)))
        wait_for(jobs, job.id, "running")
        began = time.monotonic()
        jobs.cancel(job.id)
        wait_for(jobs, job.id, "cancelled", 10)
        assert time.monotonic() - began < 5
        other = jobs.submit("b.pdf", OPTIONS, lambda path: path.write_bytes(pdf()))
        wait_for(jobs, other.id, "finished")


def test_a_job_that_the_servers_end_cut_goes_on(tmp_path: Path) -> None:
    with jobs_of(tmp_path) as jobs:
        job = jobs.submit("a.pdf", OPTIONS, lambda path: path.write_bytes(pdf(60)))
        until = time.monotonic() + 60
        while job.done < 5:
            assert time.monotonic() < until
            time.sleep(0.02)
    assert not job.is_ended
    with jobs_of(tmp_path) as again:
        wait_for(again, job.id, "finished")
        found = again.get(job.id)
        assert found is not None
        assert [size.status for size in found.sizes()] == ["complete"] * 60


def test_a_deadline_ends_a_job(tmp_path: Path) -> None:
    with jobs_of(tmp_path, deadline=0.2) as jobs:
        job = jobs.submit("a.pdf", OPTIONS, lambda path: path.write_bytes(pdf(300)))
        wait_for(jobs, job.id, "failed")
        assert job.error is not None
        assert job.error.startswith("DP422")


def test_old_results_are_pruned(tmp_path: Path) -> None:
    jobs = jobs_of(tmp_path, keep=1000.0)
    old, new = (jobs.submit("a.pdf", OPTIONS, lambda path: path.write_bytes(pdf())) for _ in range(2))
    for job in (old, new):
        jobs.cancel(job.id)
    old.ended = time.time() - 2000
    assert jobs.prune() == 1
    assert [path.name for path in tmp_path.iterdir()] == [new.id]


def test_the_page_takes_uploads_and_shows_progress(chromium: Any, tmp_path: Path) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    served = Served(server_app(tmp_path / "server", ServerSettings(jobs=1)))
    try:
        page = chromium.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(served.url)
        page.set_input_files(
            "#files", [{"name": f"{HOSTILE}.pdf", "mimeType": "application/pdf", "buffer": pdf(4, title=HOSTILE)}]
        )
        page.click("text=Convert")
        page.locator("#jobs .badge", has_text="complete").wait_for(timeout=60_000)
        assert "4 paragraph" in page.locator("#jobs p").first.text_content()
        assert page.evaluate("window.hacked") is None
        page.set_input_files("#files", [{"name": "long.pdf", "mimeType": "application/pdf", "buffer": pdf(500)}])
        page.click("text=Convert")
        page.locator("#jobs progress").wait_for(timeout=60_000)
        page.click('button:has-text("Cancel")')
        page.locator("#jobs .badge", has_text="cancelled").wait_for(timeout=20_000)
        found = axe.Axe().run(page).response["violations"]
        assert [v["id"] for v in found if v["impact"] in {"serious", "critical"}] == []
        page.locator("#jobs a", has_text="Review").last.click()
        page.wait_for_selector("rect.region")
        assert errors == []
        page.close()
    finally:
        served.close()
