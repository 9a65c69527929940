"""Spatial statements: is what is said of an image true?"""

from __future__ import annotations

import re

from docpipe.checks.answer import check_truth
from docpipe.document import AnswerContent
from docpipe.metrics.vqa import same_answer
from docpipe.models.preprocess import squeeze
from docpipe.tasks.base import task


@task("spatial", reads="", writes="answer")
class SpatialTask:
    """Judge a statement (PaliGemma 2, arXiv 2412.03555, sec. 4.6: VSR, 224 px, 18 tokens, answered True or False).

    The paper prints no prefix: this one is docpipe's own. `choices` are what is chosen from: the engine keeps their
    probabilities where the answer says one of them, so that it comes with the probability that the statement is true.
    What stands before it, as in "blue square False" (the thing of which it is true), is the way there.
    """

    prompts = {"*": "answer {language} {statement} true or false?"}  # noqa: RUF012
    choices = ("True", "False")
    size, max_tokens = 224, 18
    prepare = staticmethod(squeeze)
    check = staticmethod(check_truth)
    metric = staticmethod(same_answer)

    def parse(self, text: str, parts: dict[str, str] | None = None) -> AnswerContent:
        """The answer, the last word of what was said, with the statement that it is about."""
        said = text.strip()
        verdict = re.search(r"\s(True|False)$", said)
        return AnswerContent(answer=verdict[1] if verdict else said, question=(parts or {}).get("statement"))
