"""The server: submit documents, watch them being read, fetch what came of them. Bounded in every direction."""

from __future__ import annotations

import io
import json
import shutil
import time
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, HTTPException, Request, Response, UploadFile
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from docpipe.api import converting_pipeline
from docpipe.errors import DocpipeError
from docpipe.export import check_formats
from docpipe.pipeline import Pipeline
from docpipe.resources import resource_names
from docpipe.run.pages import parse_pages
from docpipe.serve.app import base_app, pages
from docpipe.serve.guard import Guard
from docpipe.serve.job import Job, ServerSettings
from docpipe.serve.jobs import FullError, Jobs
from docpipe.serve.review import review_routes
from docpipe.serve.workshop import Workshop

OPEN_PATHS = frozenset(("/health",))


def server_app(
    root: Path, settings: ServerSettings, *, token: str | None = None, hosts: frozenset[str] | None = None
) -> FastAPI:
    """The server on a folder of its own. token: asked of every request but /health. hosts: names it answers to, None:
    the loopback names alone. Raises DP401 when the folder cannot be written."""
    jobs, workshop = Jobs(root, settings, lambda options: made_pipeline(options, settings.model)), Workshop()
    app = base_app(workshop)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def life(running: FastAPI) -> AsyncIterator[Any]:
        with jobs:
            async with inner(running) as state:
                yield state

    app.router.lifespan_context = life
    _add_jobs(app, jobs, settings)
    _add_metrics(app, jobs)
    app.include_router(review_routes(jobs, workshop), prefix="/api")
    static = files("docpipe.serve") / "static"

    @app.get("/", include_in_schema=False)
    def home() -> FileResponse:
        return FileResponse(str(static / "home.html"))

    @app.get("/review", include_in_schema=False)
    def review() -> FileResponse:
        return FileResponse(str(static / "index.html"))

    @app.get("/docs", include_in_schema=False)
    def documentation() -> FileResponse:
        return FileResponse(str(static / "docs.html"))

    app.mount("/", pages(), name="pages")
    app.add_middleware(Guard, token=token, hosts=hosts, most_bytes=settings.most_bytes + 100_000, open_paths=OPEN_PATHS)
    return app


def made_pipeline(options: dict[str, Any], model: str | None) -> Pipeline:
    """A job's pipeline: one of those that ship, by name. Raises DP201."""
    name, known = options["pipeline"], [file.removesuffix(".toml") for file in resource_names("pipelines")]
    if name not in known:  # a path is a pipeline's name, too, but not for strangers
        raise DocpipeError("DP201", str(name), "pipelines: " + ", ".join(known))
    try:
        return converting_pipeline(name, model, options.get("language"))
    except DocpipeError as error:
        if error.code != "DP209":
            raise
        return converting_pipeline(name, None, options.get("language"))


def _add_jobs(app: FastAPI, jobs: Jobs, settings: ServerSettings) -> None:
    def found(id_: str) -> Job:
        job = jobs.get_job(id_)
        if job is None:
            raise HTTPException(404, f"no job is called {id_}")
        return job

    @app.post("/api/jobs", status_code=202, tags=["jobs"])
    def submit(
        file: Annotated[UploadFile, File(description="A PDF or an image.")],
        pipeline: Annotated[str, Form(max_length=60)] = "default",
        pages: Annotated[str | None, Form(max_length=200)] = None,
        language: Annotated[str | None, Form(max_length=10)] = None,
        to: Annotated[str, Form(max_length=200, description="Formats, such as md,html.")] = "md",
    ) -> dict[str, Any]:
        """Submit a document; 202 with its job. 413: too large. 422: no such setting. 503: the queue is full,
        try again later."""
        formats = check_formats(name for name in to.split(",") if name and name != "json")
        if pages is not None:
            parse_pages(pages, settings.most_pages)
        options = {"pipeline": pipeline, "pages": pages or None, "language": language or None, "formats": list(formats)}
        made_pipeline(options, settings.model)
        if file.size is not None and file.size > settings.most_bytes:
            raise HTTPException(413, f"at most {settings.most_bytes} bytes")

        def store(path: Path) -> None:
            with path.open("wb") as out:
                shutil.copyfileobj(file.file, out, 1 << 20)

        try:
            job = jobs.submit(file.filename or "document", options, store)
        except FullError:
            raise HTTPException(503, "the queue is full", headers={"Retry-After": "30"}) from None
        return asdict(job)

    @app.get("/api/jobs", tags=["jobs"])
    def listed() -> list[dict[str, Any]]:
        """Every job that is kept, newest first."""
        return [asdict(job) for job in jobs.all_jobs()]

    @app.get("/api/jobs/{id_}", tags=["jobs"])
    def status(id_: str) -> dict[str, Any]:
        """A job as it stands, and the files that came of it."""
        job = found(id_)
        return asdict(job) | {"files": [path.as_posix() for path in jobs.files(job)]}

    @app.get("/api/jobs/{id_}/events", tags=["jobs"])
    def events(id_: str) -> StreamingResponse:
        """A stream of server-sent events: opened, a page with its regions as each is done, ended."""
        found(id_)

        def stream() -> Iterator[str]:
            for event in jobs.follow(id_):
                yield ": still here\n\n" if event is None else f"data: {json.dumps(event)}\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    @app.post("/api/jobs/{id_}/cancel", tags=["jobs"])
    def cancel(id_: str) -> dict[str, Any]:
        """Cancel a job that waits or runs."""
        found(id_)
        job = jobs.cancel(id_)
        return asdict(job) if job is not None else {}

    @app.delete("/api/jobs/{id_}", status_code=204, tags=["jobs"])
    def delete(id_: str) -> Response:
        """Cancel a job and remove it with its upload and all that came of it."""
        if not jobs.delete(id_):
            raise HTTPException(404, f"no job is called {id_}")
        return Response(status_code=204)

    @app.get("/api/jobs/{id_}/files/{path:path}", tags=["jobs"])
    def fetch(id_: str, path: str) -> FileResponse:
        """One of a job's files, as a download."""
        job = found(id_)
        folder = jobs.folder(job)
        # Only a name of the list leads to a file: nothing that a client writes is joined to a path.
        name = next((one for one in jobs.files(job) if one.as_posix() == path), None)
        if folder is None or name is None:
            raise HTTPException(404, f"the job has no file {path}")
        return FileResponse(str(folder / name), filename=name.name, content_disposition_type="attachment")

    @app.get("/api/jobs/{id_}/archive", tags=["jobs"])
    def archive(id_: str) -> Response:
        """All of a job's files as a zip archive."""
        job = found(id_)
        folder = jobs.folder(job)
        if folder is None:
            raise HTTPException(404, "the job has no files (yet)")
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
            for name in jobs.files(job):
                packed.write(folder / name, name.as_posix())
        headers = {"Content-Disposition": f'attachment; filename="{job.id}.zip"'}
        return Response(out.getvalue(), media_type="application/zip", headers=headers)


def _add_metrics(app: FastAPI, jobs: Jobs) -> None:
    registry = CollectorRegistry()
    requests = Counter("docpipe_requests", "Requests answered", ["method", "status"], registry=registry)
    seconds = Histogram("docpipe_request_seconds", "Until an answer begins", registry=registry)
    Gauge("docpipe_jobs_waiting", "Jobs that wait", registry=registry).set_function(jobs.waiting)
    Gauge("docpipe_jobs_running", "Jobs being worked on", registry=registry).set_function(jobs.running)
    ended = {
        state: Gauge(f"docpipe_jobs_{state}_total", f"Jobs {state} since the start", registry=registry)
        for state in ("finished", "failed", "cancelled")
    }
    read = {
        status: Gauge(f"docpipe_pages_{status}_total", f"Pages {status} since the start", registry=registry)
        for status in ("complete", "partial", "failed")
    }
    for state, gauge in ended.items():
        gauge.set_function(lambda state=state: jobs.ended[state])  # type: ignore[misc]
    for status, gauge in read.items():
        gauge.set_function(lambda status=status: jobs.pages[status])  # type: ignore[misc]

    @app.middleware("http")
    async def count(request: Request, answer: Any) -> Response:
        began = time.perf_counter()
        response: Response = await answer(request)
        seconds.observe(time.perf_counter() - began)
        requests.labels(request.method, str(response.status_code)).inc()
        return response

    @app.get("/health", tags=["server"])
    def health() -> dict[str, Any]:
        """Whether the server takes work, and how much waits."""
        return {"status": "ok", "waiting": jobs.waiting(), "running": jobs.running(), "room": jobs.room()}

    @app.get("/metrics", tags=["server"])
    def metrics() -> PlainTextResponse:
        """Figures in Prometheus's text format."""
        return PlainTextResponse(generate_latest(registry), media_type="text/plain; version=0.0.4")
