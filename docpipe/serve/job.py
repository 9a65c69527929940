"""A job of the server as a record: what was sent, what was asked, how far it is; and what the server allows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["queued", "running", "finished", "failed", "cancelled"]
ENDED = frozenset(("finished", "failed", "cancelled"))

LONGEST_NAME = 120
"""Characters of an upload's name that are kept."""

_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]+')


@dataclass(frozen=True)
class ServerSettings:
    """What the server allows. jobs: worker processes. queue: jobs that may wait; more are refused (503).
    most_bytes: of an upload. most_pages: of a document. deadline: seconds that a job may take, from its start.
    keep: seconds that results stay after their end. model: the checkpoint for pipelines that ask one; clients cannot
    name any.
    """

    jobs: int = 2
    queue: int = 256
    most_bytes: int = 100_000_000
    most_pages: int = 2000
    deadline: float = 3600.0
    page_deadline: float = 60.0
    keep: float = 7 * 86400.0
    model: str | None = None


@dataclass
class Job:
    """One upload. options: pipeline, pages, language, formats. Its counts grow while it runs."""

    id: str
    name: str
    options: dict[str, Any]
    created: float
    state: State = "queued"
    error: str | None = None
    status: str | None = None
    ended: float | None = None
    pages: int | None = None
    done: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    verdicts: dict[str, int] = field(default_factory=dict)

    @property
    def is_ended(self) -> bool:
        return self.state in ENDED


def shown_name(name: str) -> str:
    """A file's name as a client gave it, without the path and what cannot be shown."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(c for c in last if c.isprintable()).strip()[:LONGEST_NAME] or "document"


def safe_name(name: str) -> str:
    """A name that any file system takes and that leads nowhere else."""
    return _UNSAFE.sub("_", name).strip(" .") or "document"
