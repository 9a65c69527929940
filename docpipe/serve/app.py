"""The applications: the review page on an output folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.staticfiles import StaticFiles

import docpipe
from docpipe.errors import DocpipeError
from docpipe.serve.guard import Guard
from docpipe.serve.library import Library
from docpipe.serve.review import coded, review_routes
from docpipe.serve.workshop import Workshop


def review_app(root: Path) -> FastAPI:
    """The review page on the documents of an output folder, for a browser on this machine.

    Raises DP403 when there are none.
    """
    library, workshop = Library(root), Workshop()
    app = base_app(workshop)
    app.include_router(review_routes(library, workshop), prefix="/api")
    app.mount("/", pages(), name="pages")
    app.add_middleware(Guard)
    return app


def base_app(workshop: Workshop) -> FastAPI:
    """An application that answers coded errors as JSON and ends its workshop when it ends."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        workshop.close()

    app = FastAPI(title="docpipe", version=docpipe.__version__, lifespan=life, docs_url=None, redoc_url=None)

    @app.exception_handler(DocpipeError)
    def refuse(_: Request, error: DocpipeError) -> JSONResponse:
        return JSONResponse({"detail": str(error), "code": error.code}, status_code=coded(error))

    return app


def pages() -> StaticFiles:
    """The pages, styles and scripts that ship with docpipe."""
    return StaticFiles(directory=str(files("docpipe.serve") / "static"), html=True)
