"""The check of radiology reports. Every verdict carries the banner: docpipe is no medical device."""

from __future__ import annotations

import re

from docpipe.checks import Checked, Pixels
from docpipe.checks.answer import check_answer
from docpipe.document import AnswerContent, Content, Finding, Verdict

BANNER = Finding(
    code="radiology.no-medical-device",
    message="docpipe is no medical device; this text is a model's, unverified, and must not be used for diagnosis",
)
_SECTION = re.compile(r"^\W*(findings|impression)\b\W*", re.IGNORECASE | re.MULTILINE)


def sections(report: str) -> dict[str, str]:
    """The sections of a report by their lower-case names; text before the first heading is not in it."""
    parts = _SECTION.split(report)
    return {name.lower(): text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def check_report(content: Content, clipping: Pixels | None = None) -> Checked:
    """Judge a report as an answer in words, and note which of FINDINGS and IMPRESSION it lacks. Never `valid`."""
    checked, verdict = check_answer(content, clipping)
    found = [BANNER, *verdict.findings]
    if isinstance(checked, AnswerContent):
        lacking = [name for name in ("findings", "impression") if not sections(checked.answer).get(name)]
        if lacking:
            found.append(Finding(code="radiology.sections", message=f"it has no section {' and '.join(lacking)}"))
    return Checked(checked, Verdict(status=verdict.status, findings=tuple(found), original=verdict.original))
