"""docpipe turns PDFs and page images into checked structured data.

    import docpipe
    document = docpipe.convert("a.pdf")

The names below are loaded when they are first used, so that importing docpipe costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docpipe.api import Found, Readings, convert, pages, plan, read
    from docpipe.asking import Answers, ask, caption, detect
    from docpipe.document import Document, Page, Reading, Region
    from docpipe.errors import DocpipeError
    from docpipe.pipeline import Pipeline
    from docpipe.run.plan import Plan

_HOMES = {
    "ask": "asking", "caption": "asking", "detect": "asking", "Answers": "asking",
    "convert": "api", "read": "api", "pages": "api", "plan": "api", "Found": "api", "Readings": "api",
    "Document": "document", "Page": "document", "Reading": "document", "Region": "document",
    "DocpipeError": "errors", "Pipeline": "pipeline", "Plan": "run.plan",
}  # fmt: skip

__all__ = [
    "Answers", "DocpipeError", "Document", "Found", "Page", "Pipeline", "Plan", "Reading", "Readings", "Region",
    "ask", "caption", "convert", "detect", "pages", "plan", "read",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("docpipe")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
