"""What is evaluated: a case with its truth, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from docpipe.metrics.ap import Scored
from docpipe.metrics.spotting import Spotted

Status = Literal["emitted", "invalid", "abstained", "failed"]


@dataclass(frozen=True)
class Case:
    """An image and what it says.

    truths: one or more texts that would be right (HTML, SMILES, **kern, a caption …). parts: what the task's prompt
    leaves blank. words: the words with their boxes where the data give them; things: the true detections; boxes of
    both as shares of the image's sides.
    """

    id: str
    image: Path
    truths: tuple[str, ...]
    parts: dict[str, str] = field(default_factory=dict)
    words: tuple[Spotted, ...] | None = None
    things: tuple[Scored, ...] | None = None

    @property
    def truth(self) -> str:
        """The first truth."""
        return self.truths[0] if self.truths else ""

    @property
    def group(self) -> str:
        """The folder of the id, "" at the top: subsets of a data set are folders."""
        return self.id.rpartition("/")[0]


@dataclass(frozen=True)
class Outcome:
    """What a system made of a case.

    status: emitted; invalid: read, but the task's check did not hold it up; abstained: the system says that it does
    not know; failed: an error. text: the reading's canonical string, "" when there is none. confidence: 0..1 where
    one is given. message: why there is no answer, or what the check found. words, things: as in `Case`, where the
    answer has them. seconds: CPU seconds.
    """

    case: Case
    status: Status
    text: str = ""
    confidence: float | None = None
    message: str = ""
    words: tuple[Spotted, ...] = ()
    things: tuple[Scored, ...] = ()
    seconds: float = 0.0

    @property
    def answered(self) -> bool:
        """Whether there is a reading at all, held up or not."""
        return self.status in {"emitted", "invalid"}
