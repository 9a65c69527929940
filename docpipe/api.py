"""The Python API: convert a document, read its tables or molecules, go through its pages as they finish::

    import docpipe
    document = docpipe.convert("a.pdf")
    document.tables[0].to_pandas()
    for found in docpipe.read("a.pdf", kinds=["table"]):
        print(found.reading.content.html)

Heavy libraries are imported when they are first needed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from docpipe.document import (
    TEXT_KINDS,
    Document,
    ErrorItem,
    Kind,
    Page,
    PictureContent,
    Reading,
    Region,
    canonical,
)
from docpipe.errors import DocpipeError
from docpipe.imagefile import media_type
from docpipe.models.quantize import check_mode
from docpipe.pipeline import Pipeline, with_settings
from docpipe.pipeline_file import PipelineFile, StageEntry
from docpipe.run.pool import Pool
from docpipe.run.runner import DocumentRun
from docpipe.source import SourceRef
from docpipe.stages.route import parse_kinds
from docpipe.stages.structure import consistent_levels
from docpipe.urls import place

if TYPE_CHECKING:
    from docpipe.run.machines import Machine
    from docpipe.run.plan import Plan

Input = str | Path | bytes

KINDS_OF_TASK: dict[str, tuple[Kind, ...]] = {
    "text": tuple(sorted(TEXT_KINDS)),
    "table": ("table",),
    "molecule": ("molecule",),
    "score": ("score",),
    "caption": ("picture", "chart"),
    "short-caption": ("picture", "chart"),
    "describe": ("picture", "chart"),
    "chart": ("chart",),
    "formula": ("formula",),
}
"""The kinds of a PDF's regions that `read` gives for a task."""

ASK_CHECKPOINTS = frozenset(("paligemma", "paligemma-transformers"))
"""The engines that a checkpoint is named for."""

KIND_OF_CROP: dict[str, Kind] = {
    "text": "other",
    "table": "table",
    "molecule": "molecule",
    "score": "score",
    "caption": "picture",
    "short-caption": "picture",
    "describe": "picture",
    "chart": "chart",
    "formula": "formula",
}
"""The kind of region that an image is taken for when it is read for a task."""


def convert(
    source: Input,
    pipeline: str | Path | Pipeline = "default",
    *,
    pages: str | None = None,
    model: str | None = None,
    quantize: str | None = None,
    password: str | None = None,
    language: str | None = None,
) -> Document:
    """Convert one PDF or image (a path, a URL or the bytes), in this process.

    pipeline: the name of one that ships, the path of a TOML file, or a Pipeline. pages: a range such as "3-7"; the
    others are listed as skipped. model: a PaliGemma 2 checkpoint (folder, registered or hub name). quantize: how it
    computes on the CPU (none, auto, int8, int8-weight, bf16), over what the pipeline says. language: of prompts, two
    letters. Raises DocpipeError when the source cannot be opened (DP101 to DP112) or a name is unknown (DP201 to DP205,
    DP313); a page that fails is in the document with its error.
    """
    chosen = converting_pipeline(pipeline, model, language, quantize)
    run = DocumentRun(_ref(source, password), chosen, wanted=pages)
    done = list(run.pages())
    return Document(
        source=run.info,
        status=run.status,
        errors=run.errors,
        metadata=run.metadata,
        pages=tuple(consistent_levels(done)),
    )


def pages(
    source: Input,
    pipeline: str | Path | Pipeline = "default",
    *,
    pages: str | None = None,
    model: str | None = None,
    quantize: str | None = None,
    password: str | None = None,
    language: str | None = None,
) -> Iterator[Page]:
    """The pages of a document as they finish, in order; settings and errors as in `convert`.

    Only one page is held at a time. Heading levels are those of each page by itself.
    """
    chosen = converting_pipeline(pipeline, model, language, quantize)
    yield from DocumentRun(_ref(source, password), chosen, wanted=pages).pages()


def plan(
    sources: Input | Sequence[Input],
    pipeline: str | Path | Pipeline = "default",
    *,
    sample: int = 24,
    pages: str | None = None,
    formats: Sequence[str] = (),
    model: str | None = None,
    quantize: str | None = None,
    password: str | None = None,
    language: str | None = None,
    jobs: int | None = None,
    page_deadline: float = 60.0,
    price_per_hour: float | None = None,
    on: str | Path | Machine | None = None,
    seed: int = 0,
) -> Plan:
    """What `docpipe convert` would take for these sources: time, memory, cost, and what it would find.

    sample: pages that are really converted, in worker processes, to tell. jobs: workers of the run that is planned.
    on: another machine (`run.machines.Machine`, the name of a known one, or a file that describes it); a model that a
    pipeline names and that is not here is reckoned from its figures. Raises as `convert` does for names and ranges,
    DP533 for a machine, DP534 when a model's speed is not known, DP535 when no source can be opened.
    """
    from docpipe.run.crew import Limits
    from docpipe.run.machine import memory_of_machine
    from docpipe.run.machines import Machine, find_machine
    from docpipe.run.preview import PlanSettings, plan_sources

    several = [sources] if isinstance(sources, str | Path | bytes) else list(sources)
    chosen = converting_pipeline(pipeline, model, language, quantize)
    machine = on if on is None or isinstance(on, Machine) else find_machine(on)
    memory = memory_of_machine() if chosen.devices <= {"cpu"} else None
    settings = PlanSettings(
        sample=sample, jobs=jobs, pages=pages, formats=tuple(formats), limits=Limits(page_deadline, memory),
        machine=machine, price_per_hour=price_per_hour, seed=seed,
    )  # fmt: skip
    return plan_sources([_ref(source, password) for source in several], chosen, settings)


@dataclass(frozen=True)
class Found:
    """A region that was read: the source as it was given, its page, itself, and its reading."""

    source: str
    page: int
    region: Region
    reading: Reading

    def to_json(self) -> str:
        """The region as one line of JSON: source, page, region and its reading as in the schema."""
        record = {
            "source": self.source,
            "page": self.page,
            "region": self.region.id,
            "reading": self.reading.model_dump(mode="json"),
        }
        return json.dumps(record, ensure_ascii=False)

    @property
    def text(self) -> str:
        """What was read, as its canonical string; '' when nothing could be."""
        return (
            ""
            if isinstance(self.reading.content, PictureContent) and self.region.kind in UNREAD_AS_PICTURE
            else (canonical(self.reading.content))
        )


UNREAD_AS_PICTURE: frozenset[Kind] = frozenset(("molecule", "score"))


class Readings(list[Found]):
    """What `read` found, in order. errors: pages that could not be read at all."""

    def __init__(self, found: Iterable[Found] = (), errors: Iterable[ErrorItem] = ()) -> None:
        super().__init__(found)
        self.errors = tuple(errors)


def read(
    source: Input | Sequence[Input],
    kinds: Iterable[str] | None = None,
    *,
    task: str | None = None,
    pipeline: str | Path | Pipeline = "default",
    pages: str | None = None,
    model: str | None = None,
    quantize: str | None = None,
    password: str | None = None,
    language: str | None = None,
) -> Readings:
    """Read regions of documents. kinds: those of interest, else every region that was read.

    task: one of `KINDS_OF_TASK` (text, table, molecule, score, caption, describe, chart, formula …). Given it, an image
    is one region of that kind and no layout runs on it; of a PDF the regions for that task are given. Other settings
    and errors as in `convert`, and DP203 for an unknown task or kind.
    """
    several = [source] if isinstance(source, str | Path | bytes) else list(source)
    wanted = set(kinds_wanted(task, kinds))
    whole = as_pipeline(pipeline, model, language, quantize)
    found: list[Found] = []
    errors: list[ErrorItem] = []
    for one in several:
        name = "bytes" if isinstance(one, bytes) else str(one)
        run = reading_run(_ref(one, password), whole, task, wanted=pages)
        found += found_in(run, name, wanted)
        errors += run.errors
    return Readings(found, errors)


def reading_run(
    ref: SourceRef, pipeline: Pipeline, task: str | None, *, wanted: str | None = None, pool: Pool | None = None
) -> DocumentRun:
    """A run that reads a source for a task: an image as one region, a PDF as the pipeline says."""
    if task is not None and is_image(ref):
        if pipeline.file is None:
            raise DocpipeError("DP202", pipeline.name, "only a pipeline from a file can read an image for one task")
        pipeline = _reading_pipeline(pipeline.file.model_dump_json(), task, crop=True)
    elif task is not None and pipeline.file is not None:
        pipeline = _reading_pipeline(pipeline.file.model_dump_json(), task, crop=False)
    return DocumentRun(ref, pipeline, wanted=wanted, pool=pool)


@lru_cache(maxsize=8)
def _reading_pipeline(file: str, task: str, *, crop: bool) -> Pipeline:
    """The pipeline that reads one task: one for all sources of a kind, so that models are loaded once."""
    given = PipelineFile.model_validate_json(file)
    return crop_pipeline(given, task) if crop else Pipeline.from_file(with_task(given, task))


def found_in(run: DocumentRun, name: str, kinds: Collection[str]) -> Iterator[Found]:
    """The regions of a run that were read, of these kinds or (none given) of all."""
    for page in run.pages():
        for region in page.regions:
            if region.reading is not None and (not kinds or region.kind in kinds):
                yield Found(name, page.number, region, region.reading)


def kinds_wanted(task: str | None, kinds: Iterable[str] | None) -> tuple[Kind, ...]:
    """The kinds of regions asked for by a task or by name. Raises DP203 for one that does not exist."""
    if task is not None and task not in KINDS_OF_TASK:
        raise DocpipeError("DP203", task, "tasks: " + ", ".join(KINDS_OF_TASK))
    if kinds is not None:
        return parse_kinds(tuple(kinds))
    return KINDS_OF_TASK[task] if task is not None else ()


def is_image(ref: SourceRef) -> bool:
    """Whether a source is an image file, by its first bytes. Raises DP107, DP112 when it cannot be read."""
    return media_type(ref.read()[:16]) is not None


def crop_pipeline(file: PipelineFile, task: str) -> Pipeline:
    """The pipeline that reads an image as one region for a task, with the engines that `file` has for it."""
    kind = KIND_OF_CROP[task]
    straighten = [e for e in file.stage if e.use == "rasterize" and task == "text"]
    read_by = [e for e in with_task(file, task).stage if e.use == "recognize"]
    stages = (
        *straighten,
        StageEntry(use="crop", settings={"kind": kind}),
        StageEntry(use="route", settings={"tasks": {task: [kind]}, "figures": False}),
        *read_by,
    )
    return Pipeline.from_file(file.model_copy(update={"name": f"{file.name} ({task})", "stage": stages}))


def with_task(file: PipelineFile, task: str) -> PipelineFile:
    """The pipeline file, made to read one task alone; one that it does not name goes to paligemma."""
    stages = []
    for entry in file.stage:
        more = dict(entry.settings)
        if entry.use == "recognize" and task not in more.get("engines", {}):
            more["engines"] = {**more.get("engines", {}), task: ["paligemma"]}
        elif entry.use == "route":
            more["tasks"] = {task: more.get("tasks", {}).get(task, list(KINDS_OF_TASK[task]))}
        stages.append(StageEntry(use=entry.use, settings=more))
    return file.model_copy(update={"stage": tuple(stages)})


def as_pipeline(
    pipeline: str | Path | Pipeline, model: str | None = None, language: str | None = None, quantize: str | None = None
) -> Pipeline:
    """A pipeline by name, by path or itself, with a checkpoint, a language and a way to quantize for its engines.

    Raises DP201 and DP202 as `Pipeline.from_toml`, DP313 for a way to quantize that there is not, and DP209 for
    settings that a pipeline composed in Python cannot be given.
    """
    if quantize is not None:
        check_mode(quantize)
    said = {name: value for name, value in (("model", model), ("quantize", quantize)) if value}
    settings = dict.fromkeys(ASK_CHECKPOINTS, said) if said else {}
    if not isinstance(pipeline, Pipeline):
        return Pipeline.from_toml(pipeline, settings=settings, language=language)
    if not said and language is None:
        return pipeline
    if pipeline.file is None:
        raise DocpipeError("DP209", pipeline.name, "it was composed in Python: say these in recognize(…)")
    return Pipeline.from_file(with_settings(pipeline.file, settings, language))


def converting_pipeline(
    pipeline: str | Path | Pipeline, model: str | None = None, language: str | None = None, quantize: str | None = None
) -> Pipeline:
    """A pipeline for whole documents. Raises as `as_pipeline`, and DP209 when it would never ask the checkpoint."""
    made = as_pipeline(pipeline, model, language, quantize)
    if model is not None and not made.engines & ASK_CHECKPOINTS:
        raise DocpipeError("DP209", made.name, f"it would not use {model}")
    return made


def _ref(source: Input, password: str | None) -> SourceRef:
    if isinstance(source, bytes):
        return SourceRef("bytes", data=source, password=password)
    path = place(source) if isinstance(source, str) else source
    return SourceRef(path.name, path=str(path), password=password)
