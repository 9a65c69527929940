"""Guards on what a model generated, before the check of its task: loops, blank crops, answers cut at their limit.

A model that has lost its way repeats itself until its limit; one that is shown nothing makes something up; one that was
cut short may look whole. None of these is told from the answer's notation alone.
"""

from __future__ import annotations

from docpipe.checks import Checked, Pixels
from docpipe.checks.ink import is_blank
from docpipe.checks.text import cut_loop
from docpipe.document import AnswerContent, Content, Finding, PictureContent, TextContent, Verdict, canonical


def guarded(content: Content, clipping: Pixels, truncated: bool) -> tuple[Content | None, tuple[Finding, ...]]:
    """A generated content as far as it may be judged, and what was found.

    `blank`: the crop shows nothing, so whatever was read of it is dropped (the content is None). `repetition`: the text
    repeated itself to its end and was cut after the first time. `truncated`: it was cut at its limit.
    """
    if canonical(content).strip() and is_blank(clipping.image):
        return None, (Finding(code="blank", message="the crop is blank, yet something was read from it"),)
    found = []
    cut = _without_loop(content)
    if cut is not None:
        content = cut
        found.append(
            Finding(code="repetition", message="the model repeated itself; its answer was cut after the first time")
        )
    if truncated:
        found.append(
            Finding(code="truncated", message="the answer was cut at its limit of tokens: what follows is missing")
        )
    return content, tuple(found)


def with_guards(checked: Checked, found: tuple[Finding, ...], before: str) -> Checked:
    """The verdict on a content with what the guards found of it. before: its canonical string before they cut it.

    What was cut at the limit is invalid, however well it reads; what repeated itself is repaired at best.
    """
    if not found:
        return checked
    codes, verdict = {finding.code for finding in found}, checked.verdict
    status = verdict.status
    if "truncated" in codes:
        status = "invalid"
    elif "repetition" in codes and status == "valid":
        status = "repaired"
    original = before if "repetition" in codes else verdict.original
    return Checked(checked.content, Verdict(status=status, findings=(*found, *verdict.findings), original=original))


def _without_loop(content: Content) -> Content | None:
    """The content cut where it began to repeat itself; None when it does not. Tables and music may well repeat."""
    match content:
        case TextContent(words=()):
            cut = cut_loop(content.text)
            return None if cut is None else content.model_copy(update={"text": cut})
        case AnswerContent(detections=()):
            cut = cut_loop(content.answer)
            return None if cut is None else content.model_copy(update={"answer": cut})
        case PictureContent(alt=str(alt)):
            cut = cut_loop(alt)
            return None if cut is None else content.model_copy(update={"alt": cut})
        case _:
            return None
