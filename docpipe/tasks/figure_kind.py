"""Figure kinds: what a figure is, for the router: a molecule, a score, a chart, a photo, a table, text or other."""

from __future__ import annotations

from docpipe.checks.answer import check_answer
from docpipe.document import AnswerContent
from docpipe.metrics.vqa import same_answer
from docpipe.models.preprocess import pad_to_white_square
from docpipe.tasks.base import task


@task("figure-kind", reads="", writes="answer")
class FigureKindTask:
    """Tell a figure's kind in one word. The prompt is docpipe's own: only checkpoints trained for it know it."""

    prompts = {"*": "kind"}  # noqa: RUF012
    size, max_tokens = 224, 4
    prepare = staticmethod(pad_to_white_square)
    check = staticmethod(check_answer)
    metric = staticmethod(same_answer)

    def parse(self, text: str) -> AnswerContent:
        """The word."""
        return AnswerContent(answer=text.strip())
