"""Captions: a picture or chart in words, for a person who cannot see it."""

from __future__ import annotations

from docpipe.checks.picture import check_picture
from docpipe.document import PictureContent
from docpipe.metrics.rouge import rouge_l
from docpipe.models.preprocess import squeeze
from docpipe.tasks.base import task


@task("caption", reads="picture chart", writes="picture")
class CaptionTask:
    """Describe a picture (PaliGemma, arXiv 2407.07726, sec. 3.2.5: `caption {language}`; long captions as in
    PaliGemma 2, arXiv 2412.03555, sec. 4.5: 448 px, 192 tokens).
    """

    prompts = {"*": "caption {language}"}  # noqa: RUF012
    size, max_tokens = 448, 192
    prepare = staticmethod(squeeze)
    check = staticmethod(check_picture)
    metric = staticmethod(rouge_l)

    def parse(self, text: str) -> PictureContent:
        """The answer as alternative text."""
        return PictureContent(alt=text.strip())
