"""Running an engine or a pipeline over cases."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, cast

from PIL import Image

from docpipe.api import KIND_OF_CROP, KINDS_OF_TASK, as_pipeline, found_in, reading_run
from docpipe.asking import as_ref
from docpipe.document import AnswerContent, Box, Content, Page, PictureContent, Reading, Region, TextContent, canonical
from docpipe.engines.base import Engine, Request
from docpipe.engines.catalogue import engine as make_engine
from docpipe.engines.paligemma import PaliGemmaEngine
from docpipe.engines.paligemma_job import Loaded
from docpipe.errors import DocpipeError
from docpipe.evaluate.cases import Case, Outcome, Status
from docpipe.imagefile import open_image, to_rgb
from docpipe.metrics.ap import Scored
from docpipe.metrics.spotting import Spotted
from docpipe.models.registry import Checkpoint, checkpoints_for, find_checkpoint
from docpipe.sheet import Sheet, close_source
from docpipe.source import SourceRef, open_source
from docpipe.stages.recognize import Reader
from docpipe.tasks import Task, get_task

BATCH = 8
"""Cases read at once: what a checkpoint takes in a batch."""

DPI = 200.0


class Resolution(NamedTuple):
    """How much of an image a system is shown: its longest side at most in pixels, or the dpi of its crop, or neither.

    Images are only ever made smaller. dpi counts for PDFs and for images that state their own.
    """

    side: int | None = None
    dpi: float | None = None

    @classmethod
    def parse(cls, text: str) -> Resolution:
        """`448` (pixels), `150dpi` or `native`. Raises DP632."""
        found = re.fullmatch(r"(\d{1,5})(px|dpi)?", text.strip().lower())
        if text.strip().lower() == "native":
            return cls()
        if not found or not 8 <= int(found[1]) <= 20000:
            raise DocpipeError("DP632", text, "resolutions are 448 (pixels of the longest side), 150dpi or native")
        return cls(dpi=float(found[1])) if found[2] == "dpi" else cls(side=int(found[1]))

    def __str__(self) -> str:
        if self.side:
            return f"{self.side}px"
        return f"{self.dpi:g}dpi" if self.dpi else "native"


NATIVE = Resolution()


class Ungated(PaliGemmaEngine):
    """PaliGemma with the checkpoint's own threshold of confidence left out: what it would answer if it had to."""

    def load(self, checkpoint: Checkpoint) -> Loaded:
        loaded = super().load(checkpoint)
        return replace(loaded, checkpoint=replace(loaded.checkpoint, abstain_below={}))


@dataclass(frozen=True)
class System:
    """What is evaluated: an engine by its name, a checkpoint (of the engine `paligemma` unless one is named), or a
    pipeline; by default the pipeline `default`. gated: whether a checkpoint keeps back what it is not sure of. label:
    what reports call it, if not by engine, pipeline and checkpoint.
    """

    engine: str | None = None
    model: str | None = None
    pipeline: str | None = None
    gated: bool = True
    label: str | None = None

    @property
    def name(self) -> str:
        """What the report calls it; a checkpoint's or a pipeline's path is left out."""
        if self.label:
            return self.label
        model, pipeline = (
            Path(name).name if name and Path(name).exists() else name for name in (self.model, self.pipeline)
        )
        first = pipeline or self.engine or ("" if model else "default")
        return " ".join(part for part in (first, model, "" if self.gated else "(not gated)") if part)

    @property
    def alone(self) -> bool:
        """Whether one engine reads, rather than a pipeline."""
        return self.pipeline is None and bool(self.engine or self.model)

    @cached_property
    def reader(self) -> Engine:
        """The engine. Raises DP205."""
        settings = {"model": self.model} if self.model else {}
        if not self.gated:
            if self.engine not in {None, "paligemma"}:
                raise DocpipeError("DP205", str(self.engine), "of paligemma alone every answer can be had")
            return cast(Engine, Ungated(model=self.model))
        return make_engine(self.engine or "paligemma", **settings)


def outcomes(
    cases: Sequence[Case], task: str, system: System, resolution: Resolution = NATIVE, language: str = "en"
) -> Iterator[Outcome]:
    """What the system makes of each case, in order; an image that cannot be opened or read is an outcome, too.

    Raises DP203, DP205, DP201, DP301, DP303 and DP307 as the engine or the pipeline does, DP633 when the engine does
    not read the task, DP632 for a dpi with a pipeline.
    """
    asked = get_task(task)
    if system.alone:
        engine = system.reader
        ensure_reads(engine, asked)
        for first in range(0, len(cases), BATCH):
            yield from _by_engine(cases[first : first + BATCH], Reader(asked, [engine]), resolution, language)
        return
    if task not in KINDS_OF_TASK:
        raise DocpipeError("DP633", task, "pipelines read " + ", ".join(KINDS_OF_TASK) + "; name an engine or a model")
    if resolution.dpi:
        raise DocpipeError("DP632", str(resolution), "a pipeline has its own dpi; name pixels, an engine or a model")
    pipeline = as_pipeline(system.pipeline or "default", system.model, language)
    for case in cases:
        began = _cpu_seconds()
        try:
            run = reading_run(_ref(case, resolution), pipeline, task)
            found = list(found_in(run, case.id, KINDS_OF_TASK[task]))
            page_error = next(iter(run.errors), None)
        except DocpipeError as error:
            yield Outcome(case, "failed", message=str(error), seconds=_cpu_seconds() - began)
            continue
        spent = _cpu_seconds() - began
        if not found:
            message = f"{page_error.code} {page_error.message}" if page_error else "no region for the task"
            yield Outcome(case, "failed" if page_error else "abstained", message=message, seconds=spent)
            continue
        best = found[0].region.box
        yield _outcome(case, asked, found[0].reading, best, spent)


def ensure_reads(engine: Engine, task: Task) -> None:
    """Raises DP633 when the engine does not read the task; DP301, DP303, DP307 when its checkpoint does not."""
    if not engine.can_read(task):
        raise DocpipeError("DP633", f"{engine.name}, {task.name}")
    if not isinstance(engine, PaliGemmaEngine):
        return
    named = find_checkpoint(engine.model) if engine.model else None
    if named is not None and not named.can_read(task.name):
        fit = ", ".join(c.name for c in checkpoints_for(task.name)) or "no registered one can"
        raise DocpipeError("DP307", f"{named.name}, {task.name}", fit)
    if named is None and engine.checkpoint_for(task.name) is None:
        raise DocpipeError("DP303", task.name)
    if named is not None:
        engine.load(named)


def _by_engine(cases: Sequence[Case], reader: Reader, resolution: Resolution, language: str) -> Iterator[Outcome]:
    began = _cpu_seconds()
    requests: dict[int, Request] = {}
    refs: list[SourceRef] = []
    failed: dict[int, DocpipeError] = {}
    for index, case in enumerate(cases):
        try:
            requests[index] = _request(case, reader.task, resolution, language)
            refs.append(requests[index].sheet.ref)
        except DocpipeError as error:
            failed[index] = error
    readings = dict(zip(requests, reader.read(list(requests.values())), strict=True)) if requests else {}
    spent = (_cpu_seconds() - began) / len(cases)
    for index, case in enumerate(cases):
        if index in failed:
            yield Outcome(case, "failed", message=str(failed[index]), seconds=spent)
        else:
            yield _outcome(case, reader.task, readings[index][0], requests[index].region.box, spent)
    for ref in refs:
        close_source(ref)


def _request(case: Case, task: Task, resolution: Resolution, language: str) -> Request:
    ref = _ref(case, resolution)
    with open_source(ref) as source:
        page = source.page(1)
        box = Box(0.0, 0.0, page.width, page.height)
    region = Region(id="p1.r1", kind=KIND_OF_CROP.get(task.name, "other"), box=box)
    sheet = Sheet(Page(number=1, width=box.width, height=box.height, regions=(region,)), ref)
    return Request(task, sheet, region, language, case.parts, dpi=resolution.dpi or DPI)


def _ref(case: Case, resolution: Resolution) -> SourceRef:
    """The image, made smaller where the resolution says so. Raises what opening it raises."""
    ref = as_ref(case.image)
    if resolution.side is None or case.image.suffix.lower() == ".pdf":
        return ref
    image = to_rgb(open_image(ref.read(), ref.name), ref.name)
    image.thumbnail((resolution.side, resolution.side), Image.Resampling.LANCZOS)
    return as_ref(image)


def _outcome(case: Case, task: Task, reading: Reading, box: Box, seconds: float) -> Outcome:
    content = reading.content
    message = "; ".join(f"{f.code}: {f.message}" for f in reading.verdict.findings)
    if _unread(content, task):
        status: Status = "failed" if any(f.code.startswith("DP") for f in reading.verdict.findings) else "abstained"
        return Outcome(case, status, confidence=reading.confidence, message=message, seconds=seconds)
    status = "invalid" if reading.verdict.status == "invalid" else "emitted"
    text = _text(content, task)
    return Outcome(
        case, status, text, reading.confidence, message, _words(content, box), _things(content, box), seconds
    )  # fmt: skip


def _cpu_seconds() -> float:
    """CPU seconds of this process and of the programs it ran (osra, tesseract)."""
    return sum(os.times()[:4])


def _unread(content: Content | None, task: Task) -> bool:
    """Whether nothing was read: a region that nobody could read stays a picture, without a word on what it shows."""
    if isinstance(content, PictureContent):
        return task.writes != "picture" or (content.alt is None and content.description is None)
    return content is None


def _text(content: Content | None, task: Task) -> str:
    if isinstance(content, PictureContent) and task.name == "describe":
        return content.description or content.alt or ""
    return canonical(content)


def _share(box: Box, whole: Box) -> Box:
    across, down = whole.width or 1.0, whole.height or 1.0
    x0, y0, x1, y1 = box
    return Box((x0 - whole.x0) / across, (y0 - whole.y0) / down, (x1 - whole.x0) / across, (y1 - whole.y0) / down)


def _words(content: Content | None, whole: Box) -> tuple[Spotted, ...]:
    words = content.words if isinstance(content, TextContent) else ()
    return tuple(Spotted(word.text, _share(word.box, whole)) for word in words)


def _things(content: Content | None, whole: Box) -> tuple[Scored, ...]:
    things = content.detections if isinstance(content, AnswerContent) else ()
    return tuple(Scored(d.label, _share(d.box, whole), 1.0 if d.score is None else d.score) for d in things)
