"""Charts: the data behind a drawn chart, as a table."""

from __future__ import annotations

from docpipe.checks.html import check_table
from docpipe.document import TableContent
from docpipe.metrics.chart import entry_f1
from docpipe.models.preprocess import pad_to_white_square
from docpipe.notation.chart import chart_table
from docpipe.tasks.base import task


@task("chart", reads="chart", writes="table")
class ChartTask:
    """Read a chart's data. No paper of PaliGemma 2 has this task: the prefix is docpipe's own, for fine-tunes.

    Sizes are those of tables; the figure is DePlot's (arXiv 2212.10505, sec. 3.2) in its exact form.
    """

    prompts = {"nano": "chart", "*": "chart"}  # noqa: RUF012
    size, max_tokens = 896, 1024
    prepare = staticmethod(pad_to_white_square)
    check = staticmethod(check_table)
    metric = staticmethod(entry_f1)

    def parse(self, text: str) -> TableContent:
        """HTML, or rows whose cells are set apart by bars, as a table."""
        return chart_table(text)
