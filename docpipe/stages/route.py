"""The stage that decides what is to be read of each region: which tasks, after telling the figures apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import get_args

from docpipe.document import Finding, Kind, Origin, PictureContent, Reading, Region, Verdict
from docpipe.engines.figures import FigureKind, tell_apart
from docpipe.errors import DocpipeError
from docpipe.sheet import Sheet
from docpipe.stages.base import Stage, per_page
from docpipe.tasks import TaskName, get_task

FIGURE_DPI = 150.0

LEAST_SURE = 0.5
"""Figures told apart with less than this are pictures, and the finding says what they may be."""

_KINDS: dict[FigureKind, Kind] = {
    "molecule": "molecule",
    "score": "score",
    "chart": "chart",
    "formula": "formula",
    "photo": "picture",
    "diagram": "picture",
    "other": "picture",
}


def route(*, tasks: Mapping[TaskName, Sequence[Kind]], figures: bool = True) -> Stage:
    """Give each region its tasks by its kind. tasks: for each task the kinds of regions that it reads.

    figures: tell pictures apart first, into molecules, scores, charts and others. Raises DP203 for an unknown task.
    """
    for name in tasks:
        get_task(name)

    def work(sheet: Sheet) -> Sheet:
        regions = [_told_apart(sheet, r) if figures and r.kind == "picture" else r for r in sheet.page.regions]
        routed = {r.id: tuple(name for name, kinds in tasks.items() if r.kind in kinds) for r in regions}
        return replace(sheet.with_regions(regions), tasks={name: found for name, found in routed.items() if found})

    return per_page("route", work)


def _told_apart(sheet: Sheet, region: Region) -> Region:
    """A picture with its kind, and a first reading that says what it was told apart as and how surely."""
    clipping = sheet.clip(region.box, FIGURE_DPI)
    labels = [w.text for line in sheet.source.lines() for w in line.words if region.box.covers(w.box)]
    signs = sum(region.box.covers(sign) for sign in sheet.source.musical_signs())
    figure, confidence = tell_apart(clipping.upright, labels, signs)
    findings = []
    if confidence < LEAST_SURE and figure != "other":
        findings.append(Finding(code="figure-unsure", message=f"it may be a {figure} ({confidence:.0%})"))
        figure = "other"
    reading = Reading(
        content=PictureContent(figure=figure),
        verdict=Verdict(findings=tuple(findings)),
        confidence=confidence,
        origin=Origin(engine="figures", crop=clipping.record),
    )
    return region.model_copy(update={"kind": _KINDS[figure], "reading": reading})


def parse_kinds(value: object) -> tuple[Kind, ...]:
    """Region kinds as a pipeline file names them. Raises DP203 for one that does not exist."""
    known = get_args(Kind)
    kinds = value if isinstance(value, (list, tuple)) else [value]
    for kind in kinds:
        if kind not in known:
            raise DocpipeError("DP203", str(kind), "kinds: " + ", ".join(known))
    return tuple(kinds)
