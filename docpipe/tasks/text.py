"""Text: what is printed on a crop, in reading order."""

from __future__ import annotations

from collections.abc import Callable

from docpipe.checks.text import check_text
from docpipe.document import TEXT_KINDS, Box, TextContent, Word
from docpipe.metrics.cer import cer
from docpipe.models.preprocess import squeeze
from docpipe.notation.tokens import place_in, read_words, text_lines
from docpipe.tasks.base import task


@task("text", reads=" ".join(sorted(TEXT_KINDS)), writes="text")
class TextTask:
    """Read all text, in raster order (PaliGemma, arXiv 2407.07726, sec. 3.2.5: `ocr`; best at 896 px, 512 tokens).

    A text-spotting transfer answers with a place before each word (sec. 4.1 of PaliGemma 2, arXiv 2412.03555): the
    words then have boxes and are merged into lines. `metric` is an error rate: 0 is best.
    """

    prompts = {"*": "ocr"}  # noqa: RUF012
    size, max_tokens = 896, 512
    prepare = staticmethod(squeeze)
    check = staticmethod(check_text)
    metric = staticmethod(cer)

    def parse(
        self, text: str, boxes: Box | None = None, sure: Callable[[int, int], float | None] | None = None
    ) -> TextContent:
        """The answer, without blanks at its ends and at the ends of lines; with places, words and lines.

        boxes: that of the image in points, without which words get no boxes. sure: how sure a part of the answer is.
        """
        found = read_words(text)
        if not found:
            return TextContent(text="\n".join(line.strip() for line in text.strip().splitlines()))
        lines = text_lines(found)
        words = [
            Word(text=w.text, box=place_in(w.place, boxes), confidence=sure(*w.span) if sure else None)
            for line in lines
            for w in line
            if boxes is not None
        ]
        return TextContent(text="\n".join(" ".join(w.text for w in line) for line in lines), words=tuple(words))
