"""Formulas: a displayed formula as LaTeX."""

from __future__ import annotations

from docpipe.checks.latex import check_formula
from docpipe.document import AnswerContent
from docpipe.metrics.latex import latex_error
from docpipe.models.preprocess import pad_to_white_square
from docpipe.tasks.base import task


@task("formula", reads="formula", writes="answer")
class FormulaTask:
    """Read a formula as LaTeX. No paper of PaliGemma 2 has this task: the prefix is docpipe's own, for fine-tunes.

    `metric` is an error rate: 0 is best.
    """

    prompts = {"nano": "formula", "*": "formula"}  # noqa: RUF012
    size, max_tokens = 448, 512
    prepare = staticmethod(pad_to_white_square)
    check = staticmethod(check_formula)
    metric = staticmethod(latex_error)

    def parse(self, text: str) -> AnswerContent:
        """The LaTeX as it is; the check takes off what delimits it."""
        return AnswerContent(answer=text.strip())
