"""Pipelines: stages composed in Python, or read from a TOML file. Running one composes generators, nothing else.

    Pipeline([layout(), route(tasks={"text": ["paragraph"]}), recognize(engines={"text": ["textlayer"]})])
    Pipeline.from_toml("default")

A pipeline file lists stages in order; a stage's settings are the keyword arguments of the function it names, so a
stage of a plug-in (an entry point in the group `docpipe.stages`, or "module:function") is checked like docpipe's own.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from docpipe.engines.catalogue import engine_names
from docpipe.errors import DocpipeError
from docpipe.pipeline_file import PipelineFile, StageEntry, check_stage, explain, make_stage, stage_function
from docpipe.resources import resource, resource_names
from docpipe.sheet import Sheet
from docpipe.stages.base import Stage

if TYPE_CHECKING:
    from ray.data import Dataset


class Pipeline:
    """A list of stages: those that work on pages one by one, and from the first that is marked `in_order` those that
    see a document's pages in order.

    front_matter: whether title, authors, abstract and references are read off the pages into the metadata.
    """

    def __init__(self, stages: Sequence[Stage], *, name: str = "custom", front_matter: bool = False) -> None:
        self.name, self.front_matter = name, front_matter
        self.file: PipelineFile | None = None
        self._stages: Sequence[Stage] | None = list(stages)
        self._cut = len(stages)

    def __call__(self, sheets: Iterator[Sheet]) -> Iterator[Sheet]:
        """Run all stages over sheets, lazily. A pipeline is itself a stage."""
        return composed([*self.page_stages, *self.ordered_stages], sheets)

    @cached_property
    def page_stages(self) -> Sequence[Stage]:
        """The stages that work on single pages, in whatever process. Made when first asked for: models are heavy."""
        if self._stages is not None:
            return self._stages
        assert self.file is not None
        return [make_stage(entry) for entry in self.file.stage[: self._cut]]

    @cached_property
    def ordered_stages(self) -> Sequence[Stage]:
        """The stages that see a document's pages in order."""
        return [make_stage(entry) for entry in self.file.stage[self._cut :]] if self.file is not None else []

    @property
    def engines(self) -> frozenset[str]:
        """The names of the reading engines that its file names; none for a pipeline composed in Python."""
        entries = self.file.stage if self.file is not None else ()
        cascades = (entry.settings.get("engines") for entry in entries)
        return frozenset(n for c in cascades if isinstance(c, dict) for names in c.values() for n in names)

    @property
    def devices(self) -> frozenset[str]:
        """The devices that the settings of its engines name, "cpu" where they name none."""
        entries = self.file.stage if self.file is not None else ()
        named = (s for entry in entries for s in dict(entry.settings.get("settings") or {}).values())
        return frozenset(str(given.get("device", "cpu")) for given in named if isinstance(given, dict))

    @property
    def digest(self) -> str:
        """SHA-256 of what the pipeline is: its file's content, or the names of its stages."""
        if self.file is not None:
            said: Any = self.file.model_dump(mode="json")
        else:
            said = [getattr(stage, "__qualname__", type(stage).__qualname__) for stage in self.page_stages]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def to_ray_dataset(
        self,
        sources: str | Path | Iterable[str | Path],
        *,
        rows: Literal["document", "page"] = "document",
        pages: str | None = None,
        password: str | None = None,
        jobs: int | None = None,
    ) -> Dataset:
        """The pipeline over files, folders and URLs as a lazy Ray Dataset, for any further operators and writers of Ray
        Data (`.write_parquet(…)`, `.write_json(…)`).

        rows: "document" gives a row for each source once all its pages are done, with the text of its document.json;
        "page" gives pages as soon as they are done, without what needs the document (links over page breaks, heading
        levels of the whole). Columns: `run.ray_actors.DOCUMENTS` and `PAGES`. pages: a range such as "3-7". jobs: page
        actors at most. Raises DP305 without Ray, DP520 without a cluster, DP523 when it was composed in Python, DP107,
        DP108, DP521 for sources that are not there; one that cannot be opened is a row that says so.
        """
        from docpipe.run.ray import to_ray_dataset  # the one step upward: see the contract in pyproject.toml

        return to_ray_dataset(self, sources, rows=rows, pages=pages, password=password, jobs=jobs)

    @classmethod
    def from_toml(
        cls,
        where: str | Path,
        *,
        settings: Mapping[str, Mapping[str, object]] | None = None,
        language: str | None = None,
    ) -> Pipeline:
        """A pipeline that ships with docpipe, by name, or one in a TOML file.

        settings: for an engine's name further settings, as {"paligemma": {"model": "…"}}. language: of prompts.
        Raises DP201 when there is none, DP202 when the file is not valid (naming file, line and what is allowed).
        """
        return cls.from_file(with_settings(read_pipeline(where), settings or {}, language))

    @classmethod
    def from_file(cls, file: PipelineFile) -> Pipeline:
        """A pipeline from a pipeline file already read. Only such a one can be sent to worker processes."""
        made = cls([], name=file.name, front_matter=file.front_matter)
        made.file, made._stages = file, None
        marked = [i for i, entry in enumerate(file.stage) if getattr(stage_function(entry.use), "in_order", False)]
        made._cut = marked[0] if marked else len(file.stage)
        return made


def composed(stages: Sequence[Stage], sheets: Iterator[Sheet]) -> Iterator[Sheet]:
    """Sheets run through stages, lazily."""
    return reduce(lambda running, stage: stage(running), stages, sheets)


def pipeline_names() -> dict[str, str]:
    """The pipelines that ship with docpipe, each with its one-line summary."""
    return {Path(name).stem: read_pipeline(Path(name).stem).summary for name in resource_names("pipelines")}


def read_pipeline(where: str | Path) -> PipelineFile:
    """Read and check a pipeline file, by the name of one that ships or by path. Raises DP201 and DP202."""
    path = Path(where)
    if path.suffix == ".toml":
        try:
            return _parse(path.read_text("utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise DocpipeError("DP201", str(path), str(error)) from error
    names = [Path(name).stem for name in resource_names("pipelines")]
    if str(where) not in names:
        raise DocpipeError("DP201", str(where), "pipelines: " + ", ".join(names))
    return _parse(resource("pipelines", f"{where}.toml").read_text("utf-8"), f"{where}.toml")


def _parse(text: str, name: str) -> PipelineFile:
    from pydantic import ValidationError

    try:
        data = tomllib.loads(text)
        file = PipelineFile.model_validate(data)
        for place, entry in enumerate(file.stage):
            check_stage(entry, place)
    except tomllib.TOMLDecodeError as error:
        raise DocpipeError("DP202", name, str(error)) from error
    except ValidationError as error:
        raise DocpipeError("DP202", name, explain(error, text)) from error
    return file


def with_settings(
    file: PipelineFile, settings: Mapping[str, Mapping[str, object]], language: str | None = None
) -> PipelineFile:
    """A pipeline file with more settings for engines: those it uses, and those it may be made to use for a task."""
    stages = []
    for entry in file.stage:
        more = dict(entry.settings)
        if "engines" in more and isinstance(more["engines"], dict):
            known = {name: dict(given) for name, given in more.get("settings", {}).items()}
            for name in sorted(set(settings) & set(engine_names())):
                known[name] = {**known.get(name, {}), **settings[name]}
            more["settings"] = known
            if language:
                more["language"] = language
        stages.append(StageEntry(use=entry.use, settings=more))
    return file.model_copy(update={"stage": tuple(stages)})
