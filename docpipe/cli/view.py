"""`docpipe view`: the review page on an output folder."""

from __future__ import annotations

import socket
import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from docpipe.cli.app import app
from docpipe.errors import DocpipeError


@app.command()
def view(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="An output folder, finished or still being written.")],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8765,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
) -> None:
    """Look at what was read beside the page it was read from; accept, edit or reject it. For this machine only."""
    import uvicorn

    from docpipe.serve.app import review_app

    made = review_app(out)
    listening = listen("127.0.0.1", port)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    print(address, flush=True)
    if browser:
        threading.Timer(0.5, webbrowser.open, [address]).start()
    uvicorn.Server(uvicorn.Config(made, log_level="warning", server_header=False)).run([listening])


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises DP420 when the port is taken or may not be used."""
    try:
        return socket.create_server((host, port), reuse_port=False)
    except OSError as error:
        raise DocpipeError("DP420", f"{host}:{port}", error.strerror or str(error)) from error
