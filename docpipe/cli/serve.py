"""`docpipe serve`: a server that converts what is sent to it."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated

import typer

from docpipe.cli.app import Jobs, Model, PageDeadline, app, default_jobs
from docpipe.cli.view import listen
from docpipe.errors import DocpipeError

TOKEN = "DOCPIPE_TOKEN"


@app.command()
def serve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where uploads and results are kept.")] = Path(
        "docpipe-server"
    ),
    host: Annotated[
        str, typer.Option("--host", help="Other than this machine alone, a token is asked for.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8766,
    token: Annotated[
        str | None,
        typer.Option("--token", help=f"That every request must give; better in {TOKEN}, where no list shows it."),
    ] = None,
    names: Annotated[
        str | None, typer.Option("--names", metavar="LIST", help="Host names that it answers to, beside its address.")
    ] = None,
    jobs: Jobs = None,
    model: Model = None,
    queue: Annotated[int, typer.Option("--queue", min=1, help="Documents that may wait; more are refused.")] = 256,
    most_megabytes: Annotated[
        float, typer.Option("--max-upload", min=0.001, metavar="MB", help="Of one document.")
    ] = 100.0,
    most_pages: Annotated[int, typer.Option("--max-pages", min=1, help="Of one document.")] = 2000,
    deadline: Annotated[float, typer.Option("--deadline", min=1, metavar="SECONDS", help="For one document.")] = 3600.0,
    page_deadline: PageDeadline = 60.0,
    keep_days: Annotated[float, typer.Option("--keep", min=0.001, metavar="DAYS", help="Results stay so long.")] = 7.0,
) -> None:
    """Serve a page to drop documents on, and a REST API (/docs). It listens on this machine alone unless told."""
    import uvicorn

    from docpipe.serve.job import ServerSettings
    from docpipe.serve.service import server_app

    token = token or os.environ.get(TOKEN)
    if not is_loopback(host) and not token:
        raise DocpipeError("DP421", host)
    settings = ServerSettings(
        jobs=jobs or default_jobs(), queue=queue, most_bytes=int(most_megabytes * 1e6), most_pages=most_pages,
        deadline=deadline, page_deadline=page_deadline, keep=keep_days * 86400, model=model,
    )  # fmt: skip
    known = frozenset(name.strip() for name in (names or "").split(",") if name.strip())
    hosts = None if is_loopback(host) and not known else known | {host, "localhost", "127.0.0.1"}
    made = server_app(folder, settings, token=token, hosts=hosts)
    listening = listen(host, port)
    print(f"http://{host}:{listening.getsockname()[1]}/", flush=True)
    config = uvicorn.Config(made, log_level="warning", server_header=False, timeout_graceful_shutdown=3)
    uvicorn.Server(config).run([listening])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
