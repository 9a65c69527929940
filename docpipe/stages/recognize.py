"""The stage that reads regions: requests in batches, a cascade of engines for each task, the task's check as judge.

An engine's answer is taken when its check does not find it invalid and its confidence is not below the cascade's
threshold. What is not taken stays as an alternative; a region that nobody could read says why in its verdict.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from docpipe.checks.generated import guarded, with_guards
from docpipe.document import Content, Finding, Origin, PictureContent, Reading, Region, Verdict, canonical
from docpipe.engines.base import Answer, Engine, Request
from docpipe.engines.catalogue import EngineName
from docpipe.engines.catalogue import engine as make_engine
from docpipe.errors import CATALOGUE
from docpipe.sheet import Sheet
from docpipe.stages.answers import answers
from docpipe.stages.base import Stage, failed, is_open, timed
from docpipe.tasks import Task, TaskName, get_task, task_names

WINDOW = 8
"""Pages held together while an engine that gains from batches reads them; other pages pass one by one."""

_RANK = {"valid": 3, "repaired": 2, "unchecked": 1, "invalid": 0}


@dataclass
class Reader:
    """A task's cascade: its engines in order, and the least confidence at which an answer ends the search."""

    task: Task
    engines: Sequence[Engine]
    least_confidence: float = 0.0

    @property
    def in_batches(self) -> bool:
        """Whether one of its engines gains from seeing the requests of several pages at once."""
        return any(getattr(engine, "in_batches", False) for engine in self.engines)

    def read(self, requests: Sequence[Request]) -> list[tuple[Reading, tuple[Reading, ...]]]:
        """For each request the reading taken, and the others that were made of it."""
        made: list[list[Reading]] = [[] for _ in requests]
        notes: list[list[Finding]] = [[] for _ in requests]
        unsure: list[list[Reading]] = [[] for _ in requests]
        pending = list(range(len(requests)))
        for engine in self.engines:
            if not pending or not engine.can_read(self.task):
                continue
            drafted = getattr(engine, "takes_drafts", False)
            asked = [_with_draft(requests[i], made[i]) if drafted else requests[i] for i in pending]
            given = answers(engine, asked)
            left = []
            for i, answer in zip(pending, given, strict=True):
                reading = self._judged(requests[i], answer, notes[i])
                if reading is not None and answer.content is None:  # it abstained: what it would say is no reading
                    unsure[i].append(reading)
                    reading = None
                if reading is not None:
                    made[i].append(reading)
                if answer.error or answer.reason:
                    notes[i].append(_note(engine, answer))
                if reading is None or not self._holds(reading):
                    left.append(i)
            pending = left
        chosen = [self._chosen(r, m, n) for r, m, n in zip(requests, made, notes, strict=True)]
        return [(taken, (*others, *more)) for (taken, others), more in zip(chosen, unsure, strict=True)]

    def _judged(self, request: Request, answer: Answer, notes: list[Finding]) -> Reading | None:
        """An answer as a reading: of its candidates the first whose check passes, else the first. notes: why not."""
        best: Reading | None = None
        every = [content for content in (answer.content, *answer.alternatives) if content is not None]
        for content in every:
            guards = answer.generated or answer.origin.tokens is not None
            kept, found = guarded(content, request.clipping, answer.truncated) if guards else (content, ())
            if kept is None:  # it says something of a blank crop
                notes += [f.model_copy(update={"where": answer.origin.engine}) for f in found if f not in notes]
                continue
            checked = with_guards(self.task.check(kept, request.clipping), found, canonical(content))
            verdict = checked.verdict
            if answer.reason:
                finding = Finding(code="engine-note", message=answer.reason)
                verdict = verdict.model_copy(update={"findings": (*verdict.findings, finding)})
            parts = answer.part_confidences if content is every[0] else ()
            reading = Reading(
                content=checked.content, verdict=verdict, confidence=answer.confidence, part_confidences=parts,
                origin=answer.origin,
            )  # fmt: skip
            if verdict.status in {"valid", "repaired"}:
                return reading
            best = best or reading
        return best

    def _holds(self, reading: Reading) -> bool:
        sure = reading.confidence is None or reading.confidence >= self.least_confidence
        return sure and reading.verdict.status != "invalid" and reading.content is not None

    def _chosen(
        self, request: Request, made: Sequence[Reading], notes: Sequence[Finding]
    ) -> tuple[Reading, tuple[Reading, ...]]:
        taken = next((r for r in made if self._holds(r)), None)
        if taken is None and made:
            taken = max(made, key=lambda r: (_RANK[r.verdict.status], r.confidence or 0.0))
        if taken is None:
            return _unread(self.task, request.region, notes), ()
        return _after_failures(taken, notes), tuple(r for r in made if r is not taken)


def _with_draft(request: Request, made: Sequence[Reading]) -> Request:
    """A request with what an earlier engine of the cascade read, which was not taken, as its draft."""
    draft = next((canonical(reading.content) for reading in reversed(made)), "")
    if not draft or request.draft is not None:
        return request
    drafted = replace(request, draft=draft)
    drafted.__dict__["clipping"] = request.clipping  # its pixels are not rasterized again
    return drafted


def _note(engine: Engine, answer: Answer) -> Finding:
    """Why an engine gave no answer, as a finding that names it."""
    if answer.error:
        return Finding(code=answer.error.code, message=answer.error.message, where=engine.name)
    return Finding(code="abstained", message=answer.reason or "it does not know", where=engine.name)


def _after_failures(reading: Reading, notes: Sequence[Finding]) -> Reading:
    """A reading with what failed for it: that an engine was down is known wherever another one stood in."""
    failures = tuple(note for note in notes if note.code in CATALOGUE)
    if not failures:
        return reading
    verdict = reading.verdict
    return reading.model_copy(
        update={"verdict": verdict.model_copy(update={"findings": (*verdict.findings, *failures)})}
    )


def _unread(task: Task, region: Region, notes: Sequence[Finding]) -> Reading:
    """The reading of a region that nobody could read: a picture stays one; the findings say why."""
    before = region.reading
    if not notes:
        notes = [Finding(code="no-engine", message=f"no engine of this pipeline reads the task {task.name}")]
    content: Content | None = None
    if before is not None and isinstance(before.content, PictureContent):
        content = before.content
    elif region.kind in {"molecule", "score", "chart", "picture"}:
        figure = "other" if region.kind == "picture" else region.kind
        content = PictureContent(figure=figure)
    earlier = before.verdict.findings if before else ()
    origin = before.origin if before else Origin(engine="none")
    said = (*getattr(task, "banner", ()), *earlier, *notes)
    return Reading(content=content, verdict=Verdict(findings=said), origin=origin)


@dataclass
class _Held:
    """A page waiting for its window to fill: what is asked of it by task, and what was answered."""

    sheet: Sheet
    asked: dict[str, list[Request]] = field(default_factory=dict)
    readings: dict[str, list[tuple[Reading, tuple[Reading, ...]]]] = field(default_factory=dict)


def recognize(
    *,
    engines: Mapping[TaskName, Sequence[EngineName]],
    settings: Mapping[EngineName, Mapping[str, Any]] | None = None,
    least_confidence: Mapping[TaskName, float] | None = None,
    parts: Mapping[TaskName, Mapping[str, str]] | None = None,
    language: str = "en",
    dpi: float = 200.0,
) -> Stage:
    """Read every region that `route` gave a task. engines: for each task its cascade of engine names.

    settings: for each engine's name its keyword settings. least_confidence: for each task the confidence (0..1) below
    which the next engine is asked. parts: for each task what its prompt leaves blank, as
    {question = {question = "What is the total?"}} or {detect = {things = "stamp ; seal"}}. language: of prompts, when
    the document does not say. dpi: of crops.
    Raises DP203 for an unknown task, DP205 for an unknown engine or setting.
    """
    made: dict[str, Engine] = {}
    for name in dict.fromkeys(name for names in engines.values() for name in names):
        made[name] = make_engine(name, **(settings or {}).get(name, {}))
    readers = {name: Reader(get_task(name), []) for name in task_names()} | {
        name: Reader(get_task(name), [made[n] for n in names], (least_confidence or {}).get(name, 0.0))
        for name, names in engines.items()
    }

    def run(sheets: Iterator[Sheet]) -> Iterator[Sheet]:
        held: list[_Held] = []
        for sheet in sheets:
            page = _Held(sheet, _asked(sheet, language, dpi, parts or {}) if is_open(sheet) else {})
            held.append(page)
            waiting = any(readers[name].in_batches for h in held for name in h.asked)
            if not waiting or len(held) >= WINDOW:
                yield from _read_all(held, readers)
                held = []
        yield from _read_all(held, readers)

    run.__name__ = "recognize"
    return run


def _asked(sheet: Sheet, language: str, dpi: float, parts: Mapping[str, Mapping[str, str]]) -> dict[str, list[Request]]:
    regions = {region.id: region for region in sheet.page.regions}
    asked: dict[str, list[Request]] = {}
    for region_id, names in sheet.tasks.items():
        for name in names:
            if region_id in regions:
                blanks = dict(parts.get(name, {}))
                request = Request(get_task(name), sheet, regions[region_id], language, blanks, dpi=dpi)
                asked.setdefault(name, []).append(request)
    return asked


def _read_all(held: Sequence[_Held], readers: Mapping[str, Reader]) -> Iterator[Sheet]:
    """Read the requests of all pages held, task by task, and give the pages back in order."""
    began = time.perf_counter()
    broken: dict[int, Exception] = {}
    for name, reader in readers.items():
        asking = [page for page in held if name in page.asked]
        if not asking:
            continue
        try:
            made = iter(reader.read([request for page in asking for request in page.asked[name]]))
            for page in asking:
                page.readings[name] = [next(made) for _ in page.asked[name]]
        except Exception as error:  # a check or task of a plug-in that raises: its pages fail, no others
            broken.update((id(page), error) for page in asking)
    share = (time.perf_counter() - began) / max(1, len(held))
    for page in held:
        sheet = failed(page.sheet, broken[id(page)]) if id(page) in broken else _with_readings(page)
        engines = {engine.name: engine for name in page.asked for engine in readers[name].engines}
        if how := {name: said for name, engine in engines.items() if (said := getattr(engine, "how", ""))}:
            sheet = sheet.with_page(sheet.page, **how)
        yield timed(sheet, "recognize", share) if page.asked else sheet


def _with_readings(page: _Held) -> Sheet:
    if not page.asked:
        return page.sheet
    made: dict[str, list[tuple[Reading, tuple[Reading, ...]]]] = {}
    for name, requests in page.asked.items():
        for request, reading in zip(requests, page.readings[name], strict=True):
            made.setdefault(request.region.id, []).append(reading)
    regions = [_with_reading(r, made[r.id]) if r.id in made else r for r in page.sheet.page.regions]
    return page.sheet.with_regions(regions)


def _with_reading(region: Region, made: Iterable[tuple[Reading, tuple[Reading, ...]]]) -> Region:
    """A region with its readings: the first task's that has an answer is the reading, all others alternatives."""
    every = list(made)
    chosen = next((reading for reading, _ in every if reading.origin.engine != "none" and _says(reading)), every[0][0])
    others = [r for reading, rest in every for r in (reading, *rest) if r is not chosen and r.content is not None]
    others = [r for r in others if not isinstance(r.content, PictureContent) or r.content.alt]
    return region.model_copy(update={"reading": chosen, "alternatives": (*region.alternatives, *others)})


def _says(reading: Reading) -> bool:
    """Whether a reading holds more than that there is a picture."""
    return reading.content is not None and not (
        isinstance(reading.content, PictureContent) and not reading.content.alt and not reading.content.description
    )
