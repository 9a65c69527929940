"""The stage: a function of its settings that gives a stage. Its signature is what a pipeline file may say of it."""

from __future__ import annotations

from collections.abc import Sequence

from docpipe.document import AnswerContent, Finding, Region
from docpipe.sheet import Sheet
from docpipe.stages.base import Stage, per_page


def links(*, schemes: Sequence[str] = ("https",)) -> Stage:
    """Note the codes that hold a link of another kind than `schemes`: who prints a code may mean harm."""

    def work(sheet: Sheet) -> Sheet:
        return sheet.with_regions([_noted(region) for region in sheet.page.regions])

    def _noted(region: Region) -> Region:
        reading = region.reading
        if reading is None or not isinstance(reading.content, AnswerContent):
            return region
        scheme, colon, _ = reading.content.answer.partition(":")
        if not colon or scheme.lower() in schemes:
            return region
        finding = Finding(code="qr.scheme", message=f"it holds a link of the kind {scheme}:")
        verdict = reading.verdict.model_copy(update={"findings": (*reading.verdict.findings, finding)})
        return region.model_copy(update={"reading": reading.model_copy(update={"verdict": verdict})})

    return per_page("links", work)
