"""Radiology: the findings and the impression of a chest X-ray, for research. docpipe is no medical device."""

from __future__ import annotations

from docpipe.checks.radiology import BANNER, check_report
from docpipe.document import AnswerContent
from docpipe.metrics.rouge import rouge_l
from docpipe.models.preprocess import squeeze
from docpipe.tasks.base import task


@task("radiology", reads="", writes="answer")
class RadiologyTask:
    """Report on a chest X-ray (PaliGemma 2, arXiv 2412.03555, sec. 4.7: MIMIC-CXR, 896 px; the prefix is the
    INDICATION section, the answer FINDINGS and IMPRESSION).

    No public checkpoint does this. Every verdict says that it is no medical device. The paper's clinical figure
    (RadGraph F1) needs a model of its own; ROUGE-L, the metric here, does not see a wrong diagnosis.
    """

    prompts = {"*": "{indication}"}  # noqa: RUF012
    size, max_tokens = 896, 512
    banner = (BANNER,)
    prepare = staticmethod(squeeze)
    check = staticmethod(check_report)
    metric = staticmethod(rouge_l)

    def parse(self, text: str, parts: dict[str, str] | None = None) -> AnswerContent:
        """The report, with the indication that it answers."""
        return AnswerContent(answer=text.strip(), question=(parts or {}).get("indication"))
