"""Descriptions: a picture in several sentences, with its first as alternative text."""

from __future__ import annotations

from docpipe.checks.description import check_description
from docpipe.document import PictureContent
from docpipe.metrics.rouge import rouge_l
from docpipe.models.preprocess import squeeze
from docpipe.tasks.base import task


@task("describe", reads="picture chart", writes="picture")
class DescribeTask:
    """Describe a picture at length (PaliGemma 2, arXiv 2412.03555, sec. 4.5: DOCCI, 448 px, 192 tokens).

    `describe {language}` is the model card's prompt; the DOCCI checkpoints' own is not printed in the paper.
    """

    prompts = {"*": "describe {language}"}  # noqa: RUF012
    size, max_tokens = 448, 192
    prepare = staticmethod(squeeze)
    check = staticmethod(check_description)
    metric = staticmethod(rouge_l)

    def parse(self, text: str) -> PictureContent:
        """The answer as description; the check takes alternative text from it."""
        return PictureContent(description=text.strip())
