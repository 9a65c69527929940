"""Tables as HTML."""

from __future__ import annotations

from docpipe.checks.html import check_table
from docpipe.document import Box, TableContent
from docpipe.metrics.teds import teds
from docpipe.models.preprocess import pad_to_white_square
from docpipe.notation.html import table_content
from docpipe.tasks.base import task


@task("table", reads="table", writes="table")
class TableTask:
    """Read a table as HTML with header cells and spans (PaliGemma 2 paper, sec. 4.2: 896 px, 4096 tokens).

    The paper names no prefix for it and no public checkpoint was fine-tuned for it, so the prefix is our own.
    """

    prompts = {"nano": "table", "*": "table"}  # noqa: RUF012
    size, max_tokens = 896, 4096
    prepare = staticmethod(pad_to_white_square)
    check = staticmethod(check_table)
    metric = staticmethod(teds)

    def parse(self, text: str, boxes: Box | None = None) -> TableContent:
        """A model's HTML as a table. boxes: that of the padded image in points, for the cells' coordinates."""
        return table_content(text, boxes)
