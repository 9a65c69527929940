"""What is said of a run beside its document: versions, settings, machine, and every timing."""

from __future__ import annotations

from typing import Any, Literal

from docpipe.document import SCHEMA_VERSION, Model, SourceInfo


class PageTrace(Model):
    """How one page was worked on: `ways` names the path each decision took, `seconds` the time by stage."""

    number: int
    ways: dict[str, str] = {}
    seconds: dict[str, float] = {}


class Manifest(Model):
    """The sibling of document.json that may change from run to run: versions, settings, machine, timings.

    engines: for an engine's name how it computed, as "nano-table: float32: the network is small".
    """

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    docpipe: str
    python: str
    libraries: dict[str, str] = {}
    cpu: dict[str, str | int | list[str]] = {}
    pipeline: str
    pipeline_digest: str
    models: dict[str, str] = {}
    engines: dict[str, tuple[str, ...]] = {}
    settings: dict[str, Any] = {}
    source: SourceInfo
    started: str
    seconds: float
    pages: tuple[PageTrace, ...] = ()
