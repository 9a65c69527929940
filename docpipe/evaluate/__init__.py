"""Evaluation: data sets with truths, an engine or a pipeline run over them, and a report that counts what was not
answered.

    from docpipe.evaluate import evaluate, read_cases, System
    report = evaluate(read_cases("data/molecules/uob", "molecule"), "molecule", System(model="nano-molecule"))
"""

from docpipe.evaluate.cases import Case, Outcome
from docpipe.evaluate.datasets import read_cases, sampled
from docpipe.evaluate.report import Report, evaluate
from docpipe.evaluate.run import System, outcomes

__all__ = ["Case", "Outcome", "Report", "System", "evaluate", "outcomes", "read_cases", "sampled"]
