"""Detection: boxes of the things named, as `<locNNNN>` tokens."""

from __future__ import annotations

from docpipe.checks.objects import check_objects
from docpipe.document import AnswerContent, Box
from docpipe.metrics.iou import box_f1
from docpipe.models.preprocess import squeeze
from docpipe.notation.tokens import detections
from docpipe.tasks.base import task


@task("detect", reads="", writes="answer")
class DetectTask:
    """Find things (PaliGemma, arXiv 2407.07726, sec. 3.2.5: `detect {thing} ; {thing}`).

    Four tokens a box, ymin xmin ymax xmax, each a 1023rd of the image's side; mix checkpoints do best with one thing.
    """

    prompts = {"*": "detect {things}"}  # noqa: RUF012
    size, max_tokens = 448, 512
    prepare = staticmethod(squeeze)
    check = staticmethod(check_objects)
    metric = staticmethod(box_f1)

    def parse(self, text: str, boxes: Box | None = None) -> AnswerContent:
        """The tokens, and the things that they place. boxes: that of the image in points."""
        found = detections(text, boxes)[0] if boxes else ()
        return AnswerContent(answer=text.strip(), detections=found)
