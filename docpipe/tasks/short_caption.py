"""Short captions: a picture in one raw phrase, as alternative texts on the web are."""

from __future__ import annotations

from docpipe.checks.picture import check_picture
from docpipe.document import PictureContent
from docpipe.metrics.rouge import rouge_l
from docpipe.models.preprocess import squeeze
from docpipe.tasks.base import task


@task("short-caption", reads="picture chart", writes="picture")
class ShortCaptionTask:
    """Name what is in a picture (`cap {language}` of the model card: short and raw, of the pretrained checkpoints)."""

    prompts = {"*": "cap {language}"}  # noqa: RUF012
    size, max_tokens = 224, 64
    prepare = staticmethod(squeeze)
    check = staticmethod(check_picture)
    metric = staticmethod(rouge_l)

    def parse(self, text: str) -> PictureContent:
        """The answer as alternative text."""
        return PictureContent(alt=text.strip())
