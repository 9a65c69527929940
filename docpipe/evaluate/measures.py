"""Which metrics a task is measured by, over a whole data set.

A case without an answer has the worst value of each: a similarity of 0, an error of everything there is. So a system
cannot gain by not answering; what it emits is measured beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from docpipe.evaluate.cases import Outcome
from docpipe.metrics import ap, bleu, cider
from docpipe.metrics.anls import anls
from docpipe.metrics.bag import word_f1
from docpipe.metrics.cer import cer, character_edits, word_edits
from docpipe.metrics.chart import entry_f1
from docpipe.metrics.grits import grits_con, grits_top
from docpipe.metrics.iou import box_f1, box_iou
from docpipe.metrics.latex import latex_error
from docpipe.metrics.levenshtein import Edits
from docpipe.metrics.notes import note_bar_f1, note_f1, pitch_f1
from docpipe.metrics.rouge import rouge_l
from docpipe.metrics.ser import kern_character_edits, line_edits, ser, symbol_edits
from docpipe.metrics.smiles import exact_match, exact_match_no_stereo, inchi_match, tanimoto
from docpipe.metrics.spotting import word_spotting
from docpipe.metrics.teds import s_teds, teds
from docpipe.metrics.vqa import relaxed_accuracy, same_answer, vqa_accuracy

Array = npt.NDArray[np.float64]
Total = Callable[[Array], float]
Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Tally:
    """A measure of all cases. each: the value of every case by itself. total: the measure of the set, each case
    counted by its weight (NaN where the weights leave nothing to count).
    """

    each: Array
    total: Total


@dataclass(frozen=True)
class Measure:
    """A metric's name, which way is better, and how it is made of outcomes."""

    name: str
    better: Better
    tally: Callable[[Sequence[Outcome]], Tally]


def measures_for(task: str, outcomes: Sequence[Outcome]) -> list[Measure]:
    """The measures of a task, the task's own first; those that need what the data do not give are left out."""
    found = list(_BY_TASK.get(task, _CAPTIONS))
    if task == "text" and all(o.case.words is not None for o in outcomes):
        found += _SPOTTING
    if task in {"detect", "segment"} and all(o.case.things is not None for o in outcomes):
        found += _DETECTION
    if task == "question" and all(len(o.case.truths) > 2 for o in outcomes):
        found += _VOTES
    return found


def right(task: str) -> tuple[str, Callable[[Outcome], bool]] | None:
    """When an answer counts as right, in words and as a function; None where no answer is simply right (captions)."""
    return _RIGHT.get(task)


def mean_of(name: str, metric: Callable[[str, str], float]) -> Measure:
    """The mean of a similarity, that of the best truth where there are several."""

    def tally(outcomes: Sequence[Outcome]) -> Tally:
        each = [max((metric(o.text, t) for t in o.case.truths), default=0.0) if o.answered else 0.0 for o in outcomes]
        return mean_tally(np.array(each, dtype=float))

    return Measure(name, "higher", tally)


def rate_of(name: str, edits: Callable[[str, str], Edits]) -> Measure:
    """A corpus's error rate: all edits over all items of the truths."""

    def tally(outcomes: Sequence[Outcome]) -> Tally:
        pairs = []
        for o in outcomes:
            made = edits(o.text if o.answered else "", o.case.truth)
            pairs.append((made.of if not o.answered else made.edits, made.of))
        wrong, of = (np.array([p[i] for p in pairs], dtype=float) for i in (0, 1))
        each = np.divide(wrong, of, out=(wrong > 0).astype(float), where=of > 0)
        return Tally(each, lambda w: _ratio(float(w @ wrong), float(w @ of)))

    return Measure(name, "lower", tally)


def mean_tally(each: Array) -> Tally:
    """The mean of the values of cases."""
    return Tally(each, lambda w: _ratio(float(w @ each), float(w.sum())))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _latex(outcomes: Sequence[Outcome]) -> Tally:
    return mean_tally(
        np.array([latex_error(o.text, o.case.truth) if o.answered else 1.0 for o in outcomes], dtype=float)
    )


def _cider(outcomes: Sequence[Outcome]) -> Tally:
    said = [o.text if o.answered else "" for o in outcomes]
    return mean_tally(np.array(cider.cider_scores(said, [o.case.truths for o in outcomes]), dtype=float))


def _bleu(outcomes: Sequence[Outcome]) -> Tally:
    rows = np.array([bleu.counts(o.text if o.answered else "", o.case.truths) for o in outcomes])
    return Tally(np.array([bleu.bleu_of(row) for row in rows]), lambda w: bleu.bleu_of(w @ rows))


def _ap(thresholds: Sequence[float]) -> Callable[[Sequence[Outcome]], Tally]:
    def tally(outcomes: Sequence[Outcome]) -> Tally:
        found = [o.things if o.answered else () for o in outcomes]
        true = [o.case.things or () for o in outcomes]
        table = ap.matches(found, true, thresholds)
        each = [ap.average_precision([f], [t], thresholds) for f, t in zip(found, true, strict=True)]
        return Tally(np.array(each), lambda w: ap.ap_of(table, w))

    return tally


def _spotting(which: Literal["precision", "recall", "f1"]) -> Callable[[Sequence[Outcome]], Tally]:
    def tally(outcomes: Sequence[Outcome]) -> Tally:
        rows = [word_spotting(o.words if o.answered else (), o.case.words or ()) for o in outcomes]
        hits, given, wanted = (
            np.array([getattr(r, k) for r in rows], dtype=float) for k in ("hits", "given", "wanted")
        )
        of = {"precision": given, "recall": wanted, "f1": (given + wanted) / 2}[which]
        return Tally(
            np.array([getattr(r, which) for r in rows], dtype=float), lambda w: _ratio(float(w @ hits), float(w @ of))
        )

    return tally


def _vqa(outcomes: Sequence[Outcome]) -> Tally:
    each = [vqa_accuracy(o.text, list(o.case.truths)) if o.answered else 0.0 for o in outcomes]
    return mean_tally(np.array(each, dtype=float))


_SPOTTING = [
    Measure("word spotting F1", "higher", _spotting("f1")),
    Measure("word spotting precision", "higher", _spotting("precision")),
    Measure("word spotting recall", "higher", _spotting("recall")),
]
_DETECTION = [Measure("AP", "higher", _ap(ap.THRESHOLDS)), Measure("AP50", "higher", _ap((0.5,)))]
_VOTES = [Measure("VQA accuracy", "higher", _vqa)]
_CAPTIONS = [
    Measure("CIDEr-D", "higher", _cider),
    Measure("BLEU-4", "higher", _bleu),
    mean_of("ROUGE-L", rouge_l),
]

_BY_TASK: dict[str, list[Measure]] = {
    "text": [rate_of("CER", character_edits), rate_of("WER", word_edits), mean_of("word F1", word_f1)],
    "table": [
        mean_of("TEDS", teds), mean_of("S-TEDS", s_teds),
        mean_of("GriTS Con", grits_con), mean_of("GriTS Top", grits_top),
    ],
    "molecule": [
        mean_of("exact", exact_match), mean_of("exact, no stereo", exact_match_no_stereo),
        mean_of("InChI", inchi_match), mean_of("Tanimoto", tanimoto),
    ],
    "score": [
        rate_of("SER", symbol_edits), rate_of("CER", kern_character_edits), rate_of("LER", line_edits),
        mean_of("note F1", note_f1), mean_of("note F1 by bar", note_bar_f1), mean_of("pitch F1", pitch_f1),
    ],
    "formula": [Measure("token error", "lower", _latex)],
    "chart": [mean_of("entry F1", entry_f1)],
    "question": [
        mean_of("ANLS", anls), mean_of("same answer", same_answer), mean_of("relaxed accuracy", relaxed_accuracy),
    ],
    "spatial": [mean_of("accuracy", same_answer)],
    "detect": [mean_of("box F1", box_f1), mean_of("box IoU", box_iou)],
    "segment": [mean_of("box IoU", box_iou), mean_of("box F1", box_f1)],
}  # fmt: skip


def _any(metric: Callable[[str, str], float], least: float) -> Callable[[Outcome], bool]:
    return lambda o: o.answered and any(metric(o.text, truth) >= least for truth in o.case.truths)


_RIGHT: dict[str, tuple[str, Callable[[Outcome], bool]]] = {
    "text": ("CER at most 0.02", _any(lambda a, t: -cer(a, t), -0.02)),
    "table": ("TEDS at least 0.95", _any(teds, 0.95)),
    "molecule": ("same canonical SMILES, stereo included", _any(exact_match, 1)),
    "score": ("SER at most 0.1", _any(lambda a, t: -ser(a, t), -0.1)),
    "formula": ("no token wrong", _any(lambda a, t: -latex_error(a, t), 0)),
    "chart": ("every entry right", _any(entry_f1, 1)),
    "question": ("same answer", _any(same_answer, 1)),
    "spatial": ("same answer", _any(same_answer, 1)),
    "detect": ("every box found, none too many", _any(box_f1, 1)),
    "segment": ("every box found, none too many", _any(box_f1, 1)),
}
