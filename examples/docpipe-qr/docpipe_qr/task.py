"""The task: what a QR code says. One class says how it is read, by whom it may be, and how it is judged."""

from __future__ import annotations

from docpipe.checks import Checked, Pixels
from docpipe.document import AnswerContent, Content, Finding, Verdict
from docpipe.models.preprocess import pad_to_white_square
from docpipe.tasks.base import task


def check_qr(content: Content | None, clipping: Pixels | None = None) -> Checked:  # noqa: ARG001
    """Valid when the code says anything: its own error correction has judged the rest."""
    said = content.answer if isinstance(content, AnswerContent) else ""
    if said.strip():
        return Checked(content, Verdict(status="valid"))
    return Checked(content, Verdict(status="invalid", findings=(Finding(code="qr.empty", message="it says nothing"),)))


@task("qr", reads="picture", writes="answer")
class QrTask:
    """Read a QR code (ISO/IEC 18004). A PaliGemma checkpoint could be trained for it: then this is its prompt."""

    prompts = {"*": "qr"}  # noqa: RUF012
    size, max_tokens = 224, 128
    prepare = staticmethod(pad_to_white_square)
    check = staticmethod(check_qr)

    @staticmethod
    def metric(answer: str, truth: str) -> float:
        """1 when the answer is exactly right."""
        return float(answer == truth)

    def parse(self, text: str) -> AnswerContent:
        return AnswerContent(answer=text)
