"""Checks of detected and segmented things: are the tokens whole, and does each thing have a place?"""

from __future__ import annotations

from docpipe.checks import Checked, Pixels
from docpipe.checks.guard import Findings, judges
from docpipe.document import AnswerContent
from docpipe.notation.tokens import read_objects


@judges(AnswerContent)
def check_objects(content: AnswerContent, clipping: Pixels | None = None) -> Checked:  # noqa: ARG001
    """Judge the answer to `detect`.

    Invalid: `detect.none` (no thing in the answer). Repaired: runs of tokens that had to be left out
    (`detect.coordinates`, `detect.no-area`, `detect.cut-off`), `detect.twice`. Noted: `detect.no-label`. Valid says
    that the boxes are well formed, not that the things are there.
    """
    return _judged(content, masks=False)


@judges(AnswerContent)
def check_masks(content: AnswerContent, clipping: Pixels | None = None) -> Checked:  # noqa: ARG001
    """Judge the answer to `segment`: as `check_objects`, and noted where a thing has no mask (`segment.no-mask`)."""
    return _judged(content, masks=True)


def _judged(content: AnswerContent, *, masks: bool) -> Checked:
    findings = Findings()
    found, told = read_objects(content.answer)
    for finding in told:
        tell = findings.note if finding.code == "detect.no-label" else findings.repair
        tell(finding.code, finding.message, finding.where)
    if not found:
        findings.error("detect.none", "the answer places nothing; the thing may not be there")
    kept = tuple(dict.fromkeys(content.detections))
    if len(kept) < len(content.detections):
        findings.repair("detect.twice", f"{len(content.detections) - len(kept)} thing(s) were given more than once")
    if found and not content.detections:
        findings.note("detect.unplaced", "the image is turned or unknown, so the things have no boxes in points")
    if masks:
        bare = sum(thing.mask is None for thing in kept)
        if bare:
            findings.note("segment.no-mask", f"{bare} thing(s) have no mask: invalid codes, or no mask decoder named")
    checked = content.model_copy(update={"detections": kept})
    return Checked(checked, findings.verdict(content.answer if findings.status == "repaired" else None))
