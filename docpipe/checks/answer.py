"""Checks of answers in words: is there one, does it repeat itself, is it of the form asked for?

No library can tell whether an answer is true, so one that passes is `unchecked`; only a form can be right or wrong.
"""

from __future__ import annotations

from docpipe.checks import Checked, Pixels
from docpipe.checks.guard import Findings, judges
from docpipe.checks.text import cut_loop, without_controls
from docpipe.document import AnswerContent, Verdict

UNSURE = frozenset(("unanswerable", "sorry, as a base vlm i am not trained to answer this question."))
"""What the published checkpoints say when they do not know."""


@judges(AnswerContent)
def check_answer(content: AnswerContent, clipping: Pixels | None = None) -> Checked:  # noqa: ARG001
    """Judge an answer in words.

    Repaired: `answer.loop`. Invalid: `answer.empty` (no words), `answer.refused` (the model says that it cannot).
    Else unchecked, with `answer.unverified`. Never raises.
    """
    findings, original = Findings(), content.answer
    answer = mended(content.answer, findings)
    checked = content.model_copy(update={"answer": answer})
    if not any(letter.isalnum() for letter in answer):
        findings.error("answer.empty", "the answer holds no words; ask another way or name another checkpoint")
    elif answer.casefold() in UNSURE:
        findings.error("answer.refused", "the model says that it cannot answer this")
    if findings.status != "valid":
        return Checked(checked, findings.verdict(original if answer != original else None))
    findings.note("answer.unverified", "nothing but a person can tell whether the answer is true")
    return Checked(checked, Verdict(status="unchecked", findings=tuple(findings.found)))


@judges(AnswerContent)
def check_truth(content: AnswerContent, clipping: Pixels | None = None) -> Checked:  # noqa: ARG001
    """Judge an answer that must be True or False; yes and no are mended. Invalid: `spatial.neither`."""
    findings, word = Findings(), content.answer.strip().strip(".!").casefold()
    said = {"true": "True", "yes": "True", "false": "False", "no": "False"}.get(word)
    if said is None:
        findings.error("spatial.neither", f"the answer is neither True nor False: {content.answer[:60]!r}")
        return Checked(content, findings.verdict())
    if said == content.answer:
        return Checked(content, findings.verdict())
    findings.repair("spatial.wording", f"{content.answer!r} was taken as {said}")
    return Checked(content.model_copy(update={"answer": said}), findings.verdict(content.answer))


def mended(text: str, findings: Findings) -> str:
    """An answer without control characters and blanks at its ends, cut where it began to repeat itself."""
    text = without_controls(text).strip()
    cut = cut_loop(text)
    if cut is None:
        return text
    findings.repair("answer.loop", "the answer repeated itself to its end and was cut after the first time")
    return cut
