"""RadGraph's graphs of reports, made by the package `radgraph` where it is installed.

Its model's weights are downloaded by that package on its first use (PhysioNet's terms hold for them); docpipe ships
and downloads none of it. The scores themselves are in `docpipe.metrics.radgraph`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from docpipe.errors import DocpipeError
from docpipe.evaluate.cases import Outcome
from docpipe.evaluate.measures import Measure, Tally, mean_tally
from docpipe.metrics.radgraph import Entity, radgraph_f1, read_graph

MODEL = "radgraph"
"""The model of Jain et al., 2021, which the papers' figures use; the package has others."""


def graphs_of(reports: Sequence[str], model: str = MODEL) -> list[list[Entity]]:
    """The graph of each report; of an empty one it is empty.

    Raises DP634 when the package is not installed, its weights cannot be had, or what it gives is of no known form.
    """
    asked = [index for index, report in enumerate(reports) if report.strip()]
    found: list[list[Entity]] = [[] for _ in reports]
    if not asked:
        return found
    try:
        extractor: Any = import_module("radgraph").RadGraph(model_type=model)
    except ImportError as error:
        raise DocpipeError("DP634", "radgraph", "the package is not installed: pip install radgraph") from error
    except Exception as error:  # what a download, a licence or a model file may raise
        raise DocpipeError("DP634", "radgraph", f"{type(error).__name__}: {error}") from error
    try:
        said = extractor([reports[index] for index in asked])
        for place, index in enumerate(asked):
            found[index] = read_graph(said[str(place)]["entities"])
    except Exception as error:
        raise DocpipeError("DP634", "radgraph", f"{type(error).__name__}: {error}") from error
    return found


def _tally(outcomes: Sequence[Outcome]) -> Tally:
    truths = graphs_of([o.case.truth for o in outcomes])
    answers = graphs_of([o.text if o.answered else "" for o in outcomes])
    each = [radgraph_f1(a, t) if o.answered else 0.0 for o, a, t in zip(outcomes, answers, truths, strict=True)]
    return mean_tally(np.array(each, dtype=float))


RADGRAPH_F1 = Measure("RadGraph F1", "higher", _tally)
"""Mean over reports; a report that was not answered scores 0."""
