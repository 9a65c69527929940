"""What all checks share: they judge one type of content, never raise, and say when they could not judge."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from docpipe.checks import Check, Checked, Pixels
from docpipe.document import Content, Finding, Verdict, VerdictStatus

C = TypeVar("C")
_log = logging.getLogger(__name__)


def judges(kind: type[C]) -> Callable[[Callable[[C, Pixels | None], Checked]], Check]:
    """Make a check of a function that judges one type of content.

    Any other content (a picture, where nothing could be read) passes unjudged. Should the function itself fail, the
    content stays as it was and the verdict is unchecked, with the reason.
    """

    def wrap(judge: Callable[[C, Pixels | None], Checked]) -> Check:
        @wraps(judge)
        def check(content: Content, clipping: Pixels | None = None) -> Checked:
            if not isinstance(content, kind):
                return Checked(content, Verdict())
            try:
                return judge(content, clipping)
            except Exception as error:  # a check never raises
                _log.debug("a check failed", exc_info=error)
                reason = f"the check itself failed ({type(error).__name__}: {error}); report it with the input"
                return Checked(content, Verdict(findings=(Finding(code="check.failed", message=reason),)))

        return check

    return wrap


class Findings:
    """Findings as they are gathered: errors make a content invalid, repairs make it repaired, notes leave it valid."""

    def __init__(self) -> None:
        self.found: list[Finding] = []
        self.status: VerdictStatus = "valid"

    def _add(self, code: str, message: str, where: str | None) -> None:
        finding = Finding(code=code, message=message, where=where)
        if finding not in self.found:
            self.found.append(finding)

    def error(self, code: str, message: str, where: str | None = None) -> None:
        """The content does not hold up."""
        self._add(code, message, where)
        self.status = "invalid"

    def repair(self, code: str, message: str, where: str | None = None) -> None:
        """The content was mended."""
        self._add(code, message, where)
        if self.status == "valid":
            self.status = "repaired"

    def note(self, code: str, message: str, where: str | None = None) -> None:
        """Worth knowing, but it may well be so on the page."""
        self._add(code, message, where)

    def verdict(self, original: str | None = None) -> Verdict:
        """The verdict. `original`: the canonical string before repairs, kept when there were any."""
        return Verdict(status=self.status, findings=tuple(self.found), original=original)
