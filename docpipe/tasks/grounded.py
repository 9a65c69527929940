"""Grounded captions: what is in a box of an image."""

from __future__ import annotations

from docpipe.checks.answer import check_answer
from docpipe.document import AnswerContent, Box, Detection
from docpipe.metrics.rouge import rouge_l
from docpipe.models.preprocess import squeeze
from docpipe.notation.tokens import Found, read_box
from docpipe.tasks.base import task


@task("grounded-caption", reads="", writes="answer")
class GroundedCaptionTask:
    """Say what a box holds (PaliGemma, arXiv 2407.07726, sec. 3.2.5: `caption <ymin><xmin><ymax><xmax>`).

    The part `place` is the box as four location tokens (`notation.tokens.write_box`).
    """

    prompts = {"*": "caption {place}"}  # noqa: RUF012
    size, max_tokens = 448, 64
    prepare = staticmethod(squeeze)
    check = staticmethod(check_answer)
    metric = staticmethod(rouge_l)

    def parse(self, text: str, boxes: Box | None = None, parts: dict[str, str] | None = None) -> AnswerContent:
        """The caption, and the box that it is of. boxes: that of the image in points."""
        caption, place = text.strip(), read_box((parts or {}).get("place", ""))
        found = (Detection(label=caption, box=Found(caption, place).box(boxes)),) if place and boxes else ()
        return AnswerContent(answer=caption, detections=found)
