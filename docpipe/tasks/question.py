"""Questions: an answer to a question about an image."""

from __future__ import annotations

from docpipe.checks.answer import check_answer
from docpipe.document import AnswerContent
from docpipe.metrics.anls import anls
from docpipe.models.preprocess import squeeze
from docpipe.tasks.base import task


@task("question", reads="", writes="answer")
class QuestionTask:
    """Answer a question (PaliGemma, arXiv 2407.07726, sec. 3.2.5: `answer en {question}`).

    Some transfers (DocVQA, ChartQA) take the bare question: their docpipe.json says "prompt": "{question}".
    """

    prompts = {"*": "answer {language} {question}"}  # noqa: RUF012
    size, max_tokens = 448, 128
    prepare = staticmethod(squeeze)
    check = staticmethod(check_answer)
    metric = staticmethod(anls)

    def parse(self, text: str, parts: dict[str, str] | None = None) -> AnswerContent:
        """The answer, with the question that it is to."""
        return AnswerContent(answer=text.strip(), question=(parts or {}).get("question"))
