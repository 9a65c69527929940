"""A model that a pipeline names and that is not run for a plan: what it would be asked, and what it would answer.

The sample runs without it. Where it would read text or tables, other engines stand in once to tell how long its answers
are; for the rest the length is taken for granted (`ANSWERS`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from docpipe.document import Page, Region, canonical
from docpipe.errors import DocpipeError
from docpipe.models.registry import Checkpoint, find_checkpoint, locate
from docpipe.pipeline_file import PipelineFile, StageEntry
from docpipe.run.machines import Figures, Machine
from docpipe.tasks import get_task

ENGINES = ("paligemma", "paligemma-transformers")
"""The engines that run a checkpoint which is named for them."""

STAND_INS = {"text": ("textlayer", "ocr"), "table": ("pdftable", "imagetable")}

CHARACTERS_A_TOKEN = 3.5
"""Taken for granted: no vocabulary is at hand. Running English text has more, HTML and numbers have fewer."""

ANSWERS = {"text": 60, "table": 400, "molecule": 40, "score": 400, "chart": 200, "formula": 60}
"""Tokens of an answer where nothing could be read that tells, by task; taken for granted."""

DESCRIPTION = 11
"""Tokens of any other answer: a caption's (the PaliGemma 2 paper decodes 11 times for one of COCO, table 9)."""


@dataclass(frozen=True)
class Absent:
    """A checkpoint that is not run. tasks: those it would read, each with the engines that are asked before it. shape:
    as "paligemma2-3b-448", None where its name does not tell.
    """

    checkpoint: str
    shape: str | None
    tasks: Mapping[str, tuple[str, ...]]

    def figures(self, machine: Machine) -> Figures:
        """How fast it is on a machine. Raises DP534 when the machine's description does not say."""
        known = machine.models
        for name in (self.shape, self.checkpoint):
            if name in known:
                return known[name]
        if self.shape is None and len(known) == 1:
            return next(iter(known.values()))
        wanted = self.shape or self.checkpoint
        had = f"{machine.name} has figures of {', '.join(known) or 'no model'}"
        raise DocpipeError("DP534", wanted, had)

    def asked(self, page: Page, kinds: Mapping[str, frozenset[str]]) -> tuple[int, float]:
        """How many crops of a page it would be shown, and the tokens of its answers together.

        kinds: for each task the kinds of regions that it reads.
        """
        crops, tokens = 0, 0.0
        for region in page.regions:
            for task, before in self.tasks.items():
                if region.kind in kinds.get(task, frozenset()) and not _read(region, before):
                    crops += 1
                    tokens += _tokens(region, task)
        return crops, tokens

    def is_asked(self, region: Region, kinds: Mapping[str, frozenset[str]]) -> bool:
        """Whether it would be shown a region."""
        return any(region.kind in kinds.get(t, frozenset()) and not _read(region, b) for t, b in self.tasks.items())


def _read(region: Region, engines: tuple[str, ...]) -> bool:
    """Whether an engine before the model has read a region, so that the model is not asked."""
    reading = region.reading
    return reading is not None and reading.origin.engine in engines and reading.verdict.status != "invalid"


def _tokens(region: Region, task: str) -> float:
    """Tokens of the answer to a region, its end counted."""
    read = canonical(region.reading.content) if region.reading is not None and task in STAND_INS else ""
    guess = len(read) / CHARACTERS_A_TOKEN if read else ANSWERS.get(task, DESCRIPTION)
    return min(guess, float(get_task(task).max_tokens)) + 1


def absent_model(file: PipelineFile, *, here: bool) -> Absent | None:
    """The checkpoint that a pipeline names and that will not be run for a plan: on another machine (here False) any,
    here one that is not in a folder and not in the local cache. None where there is none: all can be tried.

    Raises DP301, DP310 and DP311 for a name that is none.
    """
    for entry in file.stage:
        cascades = entry.settings.get("engines")
        if not isinstance(cascades, dict):
            continue
        for engine in ENGINES:
            given = dict((entry.settings.get("settings") or {}).get(engine) or {})
            tasks = {t: tuple(n[: list(n).index(engine)]) for t, n in cascades.items() if engine in n}
            found = _named(given, tasks)
            if found and not (here and all(_at_hand(checkpoint, given) for checkpoint in found.values())):
                first = next(iter(found.values()))
                shape = f"paligemma2-{first.size}-{first.side}" if first.size and first.side else None
                return Absent(first.name, shape, {task: tasks[task] for task in found})
    return None


def _named(given: Mapping[str, Any], tasks: Mapping[str, object]) -> dict[str, Checkpoint]:
    """For each task the checkpoint that the engine's settings name, where they name one that can read it."""
    found = {}
    for task in tasks:
        name = (given.get("models") or {}).get(task) or given.get("model")
        if name is not None and (checkpoint := find_checkpoint(str(name))).can_read(task):
            found[task] = checkpoint
    return found


def _at_hand(checkpoint: Checkpoint, given: Mapping[str, Any]) -> bool:
    try:
        return locate(checkpoint, revision=given.get("revision"), offline=True).folder is not None
    except DocpipeError:
        return False


def without(file: PipelineFile, absent: Absent, *, stand_ins: bool) -> PipelineFile:
    """The pipeline without the checkpoint, which other engines stand in for where they can (stand_ins)."""
    stages = []
    for entry in file.stage:
        more = dict(entry.settings)
        if isinstance(more.get("engines"), dict):
            cascades = dict(more["engines"])
            for task, before in absent.tasks.items():
                others = STAND_INS.get(task, ()) if stand_ins else ()
                cascades[task] = [*before, *(name for name in others if name not in before)]
            more["engines"] = cascades
            given = {name: dict(said) for name, said in dict(more.get("settings") or {}).items()}
            for engine in ENGINES:
                if engine in given:
                    given[engine].pop("model", None)
                    given[engine].pop("models", None)
            more["settings"] = given
        stages.append(StageEntry(use=entry.use, settings=more))
    return file.model_copy(update={"stage": tuple(stages)})


def kinds_of_tasks(file: PipelineFile) -> dict[str, frozenset[str]]:
    """For each task of a pipeline the kinds of regions that it reads."""
    kinds: dict[str, frozenset[str]] = {}
    for entry in file.stage:
        given = entry.settings.get("tasks")
        if isinstance(given, dict):
            kinds.update({str(task): frozenset(map(str, named)) for task, named in given.items()})
    return kinds
