"""Scores: a system of printed music as **kern."""

from __future__ import annotations

from docpipe.checks.kern import check_score
from docpipe.document import ScoreContent
from docpipe.metrics.ser import ser
from docpipe.models.preprocess import pad_to_white_square
from docpipe.notation.kern import from_encoded
from docpipe.tasks.base import task


@task("score", reads="score", writes="score")
class ScoreTask:
    """Read a system of music as **kern (PaliGemma 2, arXiv 2412.03555, sec. 4.4: 896 px, 1024 tokens).

    The paper prints no prefix and no public checkpoint was fine-tuned for it: `kern` is docpipe's own. `metric` is an
    error rate: 0 is best.
    """

    prompts = {"nano": "kern", "*": "kern"}  # noqa: RUF012
    size, max_tokens = 896, 1024
    prepare = staticmethod(pad_to_white_square)
    check = staticmethod(check_score)
    metric = staticmethod(ser)

    def parse(self, text: str) -> ScoreContent:
        """The answer as plain **kern: the separators and stand-ins that training encodings use are undone."""
        return ScoreContent(kern=from_encoded(text))
