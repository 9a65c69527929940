"""Text: what is printed on a crop, in reading order."""

from __future__ import annotations

from docpipe.checks.text import check_text
from docpipe.document import TEXT_KINDS, TextContent
from docpipe.metrics.cer import cer
from docpipe.models.preprocess import squeeze
from docpipe.tasks.base import task


@task("text", reads=" ".join(sorted(TEXT_KINDS)), writes="text")
class TextTask:
    """Read all text, in raster order (PaliGemma, arXiv 2407.07726, sec. 3.2.5: `ocr`; best at 896 px, 512 tokens).

    `metric` is an error rate: 0 is best.
    """

    prompts = {"*": "ocr"}  # noqa: RUF012
    size, max_tokens = 896, 512
    prepare = staticmethod(squeeze)
    check = staticmethod(check_text)
    metric = staticmethod(cer)

    def parse(self, text: str) -> TextContent:
        """The answer, without blanks at its ends and at the ends of lines."""
        return TextContent(text="\n".join(line.strip() for line in text.strip().splitlines()))
