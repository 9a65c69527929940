"""Is a caption fit to stand as alternative text? No library can tell whether it is true."""

from __future__ import annotations

from docpipe.checks import Checked, Pixels
from docpipe.checks.guard import Findings, judges
from docpipe.checks.text import cut_loop, without_controls
from docpipe.document import PictureContent, Verdict


@judges(PictureContent)
def check_picture(content: PictureContent, clipping: Pixels | None = None) -> Checked:  # noqa: ARG001
    """Judge the words given for a picture.

    Repetition loops and control characters are mended. What is left can be looked at by nobody but a person, so a
    caption is never called valid: it is `unchecked`, or `repaired`, and a caption of no words leaves the picture
    without alternative text.
    """
    findings, original = Findings(), content.alt
    if original is None:
        return Checked(content, Verdict())
    alt = " ".join(without_controls(original).split())
    cut = cut_loop(alt)
    if cut is not None:
        findings.repair("picture.loop", "the caption repeated itself and was cut after the first time")
        alt = cut
    if not any(letter.isalnum() for letter in alt):
        findings.error("picture.empty", "the caption holds no words")
        return Checked(content.model_copy(update={"alt": None}), findings.verdict(original))
    checked = content.model_copy(update={"alt": alt})
    if findings.status == "valid":
        findings.note("picture.unverified", "nothing but a person can tell whether this describes the picture")
        return Checked(checked, Verdict(status="unchecked", findings=tuple(findings.found)))
    return Checked(checked, findings.verdict(original))
