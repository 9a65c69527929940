"""Segmentation: boxes and masks of the things named, as `<locNNNN>` and `<segNNN>` tokens."""

from __future__ import annotations

from docpipe.checks.objects import check_masks
from docpipe.document import AnswerContent, Box
from docpipe.metrics.iou import box_iou
from docpipe.models.masks import segmented
from docpipe.models.preprocess import squeeze
from docpipe.models.vae import MaskDecoder
from docpipe.tasks.base import task


@task("segment", reads="", writes="answer")
class SegmentTask:
    """Outline things (PaliGemma, arXiv 2407.07726, sec. 3.2.5: `segment {thing} ; {thing}`; a mask is 16 codes).

    `metric` compares the boxes alone: the codes are not comparable, and a mask needs the decoder's weights.
    """

    prompts = {"*": "segment {things}"}  # noqa: RUF012
    size, max_tokens = 448, 512
    prepare = staticmethod(squeeze)
    check = staticmethod(check_masks)
    metric = staticmethod(box_iou)

    def parse(self, text: str, boxes: Box | None = None, masks: MaskDecoder | None = None) -> AnswerContent:
        """The tokens, and the things. boxes: that of the image in points. masks: turns codes into masks."""
        found = segmented(text, boxes, masks) if boxes else ()
        return AnswerContent(answer=text.strip(), detections=found)
