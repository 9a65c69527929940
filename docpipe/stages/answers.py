"""What engines say to requests: remembered where the same was asked before, asked again where they failed.

The memory is handed in from above (`remembering`): a run has one, a call in a notebook none. An engine takes part by
saying `cached = True` and by telling, in `identity`, all that its answer to a request depends on beside the pixels.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Protocol, runtime_checkable

from docpipe.document import Origin
from docpipe.engines.base import Answer, Engine, Request
from docpipe.errors import DocpipeError

PLACELESS = frozenset(("molecule", "score"))
"""Contents that say nothing of where on the page they stand: equal pixels elsewhere have the same reading."""


SHAPELESS = frozenset(("cli", "evaluate", "loaders", "metrics", "serve", "train"))
"""Rooms whose code has no say in what a page becomes."""


class Memory(Protocol):
    """Remembers answers by a key that says all they depend on. Neither method ever raises."""

    def get(self, key: str) -> Answer | None:
        """The answer put under this key, or None."""
        ...

    def put(self, key: str, answer: Answer) -> None:
        """Remember an answer."""
        ...


@runtime_checkable
class Cached(Protocol):
    """An engine whose answers are worth remembering. name: as of `Engine`."""

    name: str
    cached: bool

    def identity(self, request: Request) -> Mapping[str, object] | None:
        """What its answer depends on beside task, pixels, language and parts: version, checkpoint digest, prompt and
        decoding settings, as plain JSON values. None: this answer is not to be remembered.
        """
        ...


_MEMORY: ContextVar[Memory | None] = ContextVar("docpipe_memory", default=None)


@contextlib.contextmanager
def remembering(memory: Memory) -> Iterator[None]:
    """Within, engines that allow it are asked the same thing once."""
    token = _MEMORY.set(memory)
    try:
        yield
    finally:
        _MEMORY.reset(token)


def answers(engine: Engine, requests: Sequence[Request]) -> list[Answer]:
    """An engine's answers, in order, one for each request; what it raises is an answer with an error."""
    memory = _MEMORY.get()
    if memory is None or not isinstance(engine, Cached) or not engine.cached:
        return _asked(engine, requests)
    keys = [key_of(engine, request) for request in requests]
    found = [memory.get(key) if key else None for key in keys]
    missing = [i for i, answer in enumerate(found) if answer is None]
    made = dict(zip(missing, _asked(engine, [requests[i] for i in missing]), strict=True)) if missing else {}
    for i, answer in made.items():
        if (key := keys[i]) and answer.error is None:
            memory.put(key, answer)
    return [made[i] if i in made else _here(found[i], request) for i, request in enumerate(requests)]


def key_of(engine: Cached, request: Request) -> str | None:
    """The digest of all that an answer depends on; None for one that is not to be remembered."""
    try:
        identity = engine.identity(request)
        if identity is None:
            return None
        task, page, clipping = request.task, request.sheet.page, request.clipping
        said = {
            "docpipe": code_digest(),
            "engine": engine.name,
            "identity": dict(identity),
            "task": [task.name, task.max_tokens, dict(task.prompts)],
            "language": request.language,
            "parts": request.parts,
            "draft": request.draft,
            "pixels": [clipping.sha256, *clipping.image.size, clipping.dpi],
            "upright": [page.rotation, page.skew],
            "place": None if task.writes in PLACELESS else list(request.region.box),
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    except Exception:  # pixels that cannot be had, an identity that is no JSON: the engine itself will tell
        return None


@cache
def code_digest() -> str:
    """SHA-256 of the code that shapes what is read: what other code made is nothing to go on with, whatever its version
    is called.
    """
    root = Path(__file__).resolve().parents[1]
    whole = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        if path.relative_to(root).parts[0] in SHAPELESS:
            continue
        whole.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def _here(answer: Answer | None, request: Request) -> Answer:
    """A remembered answer as one about this request's own place."""
    assert answer is not None
    if answer.origin.crop is None:
        return answer
    return replace(answer, origin=answer.origin.model_copy(update={"crop": request.clipping.record}))


def _asked(engine: Engine, requests: Sequence[Request]) -> list[Answer]:
    """An engine's answers to a batch. Those that failed are asked for once more, each alone."""
    try:
        given: list[Answer | None] = list(engine.read(requests))
        if len(given) != len(requests):
            given = [None] * len(requests)
        return [
            answer if answer is not None and not _may_pass(answer) else _alone(engine, request)
            for answer, request in zip(given, requests, strict=True)
        ]
    except Exception:
        return [_alone(engine, request) for request in requests]


def _may_pass(answer: Answer) -> bool:
    """Whether it failed in a way that may not come again: not for want of a checkpoint or a library."""
    return answer.error is not None and answer.error.code == "DP304"


def _alone(engine: Engine, request: Request) -> Answer:
    try:
        return (list(engine.read([request])) or [failure(engine, request, ValueError("no answer"))])[0]
    except Exception as error:
        return failure(engine, request, error)


def failure(engine: Engine, request: Request, error: Exception) -> Answer:
    """An engine's failure as its answer."""
    if not isinstance(error, DocpipeError):
        error = DocpipeError("DP304", engine.name, f"{type(error).__name__}: {error}")
    return Answer(Origin(engine=engine.name), error=error.item(request.sheet.page.number, request.region.id))
