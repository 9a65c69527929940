"""Asking back: the question to which an image gives a known answer."""

from __future__ import annotations

from docpipe.checks.answer import check_answer
from docpipe.document import AnswerContent
from docpipe.metrics.rouge import rouge_l
from docpipe.models.preprocess import squeeze
from docpipe.tasks.base import task


@task("ask-back", reads="", writes="answer")
class AskBackTask:
    """Find the question to an answer (PaliGemma, arXiv 2407.07726, sec. 3.2.5: `question {language} {answer}`, the
    answer in English).
    """

    prompts = {"*": "question {language} {answer}"}  # noqa: RUF012
    size, max_tokens = 448, 64
    prepare = staticmethod(squeeze)
    check = staticmethod(check_answer)
    metric = staticmethod(rouge_l)

    def parse(self, text: str) -> AnswerContent:
        """The question, which is what was asked for and so the canonical string."""
        return AnswerContent(answer=text.strip())
