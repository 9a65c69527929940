"""The form of a pipeline file, its schema, and errors that name file, line and the values allowed."""

from __future__ import annotations

import inspect
import re
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from docpipe.errors import DocpipeError
from docpipe.stages.base import Stage

STAGES = "docpipe.stages"
"""The entry point group of functions that make a stage from keyword settings."""


class StageEntry(BaseModel):
    """A stage in a pipeline file: `use` names it, every other key is a setting of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    use: str = Field(description="A stage's name, or module:function for one of your own")
    settings: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: Any) -> Any:
        if isinstance(data, dict) and "use" in data and set(data) != {"use", "settings"}:
            return {"use": data["use"], "settings": {k: v for k, v in data.items() if k != "use"}}
        return data


class PipelineFile(BaseModel):
    """A pipeline file: what it is for, and its stages in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    summary: str = ""
    front_matter: bool = Field(
        default=False, description="Read title, authors, abstract and references off the pages into the metadata"
    )
    stage: tuple[StageEntry, ...] = Field(min_length=1)


@cache
def _stages() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=STAGES)}


def stage_names() -> list[str]:
    """The stages that pipeline files can name, sorted."""
    return sorted(_stages())


@cache
def stage_function(use: str) -> Any:
    """The function that makes a stage. Raises DP202 for a name that does not exist or cannot be imported."""
    try:
        if use in _stages():
            return _stages()[use].load()
        if ":" in use:
            module, _, name = use.partition(":")
            return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise DocpipeError("DP202", use, f"the stage cannot be loaded: {error}") from error
    raise DocpipeError("DP202", use, "stages: " + ", ".join(stage_names()) + ', or "module:function"')


@cache
def settings_model(use: str) -> type[BaseModel]:
    """The settings of a stage as a model, made from the signature of its function."""
    function = stage_function(use)
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[name] = (hints.get(name, Any), default)
    title = re.sub(r"\W+", "_", use)
    return create_model(title, __config__=ConfigDict(extra="forbid", arbitrary_types_allowed=True), **fields)


def check_stage(entry: StageEntry, place: int) -> None:
    """Check a stage's name and settings. Raises ValidationError located at ("stage", place, …)."""
    try:
        model = settings_model(entry.use)
    except DocpipeError as error:
        problem = InitErrorDetails(
            type=PydanticCustomError("stage", "{detail}", {"detail": error.detail}),
            loc=("stage", place, "use"),
            input=entry.use,
        )
        raise ValidationError.from_exception_data("pipeline", [problem]) from error
    try:
        model.model_validate(entry.settings)
    except ValidationError as error:
        problems = [_moved(detail, place, model) for detail in error.errors(include_url=False)]
        raise ValidationError.from_exception_data("pipeline", problems) from error


def _moved(detail: ErrorDetails, place: int, model: type[BaseModel]) -> InitErrorDetails:
    message = detail["msg"]
    if detail["type"] == "extra_forbidden":
        message = "no such setting; settings: " + ", ".join(model.model_fields)
    kind = PydanticCustomError("setting", "{detail}", {"detail": message})
    return InitErrorDetails(type=kind, loc=("stage", place, *detail["loc"]), input=detail["input"])


def make_stage(entry: StageEntry) -> Stage:
    """The stage that an entry names, with its settings."""
    checked = settings_model(entry.use).model_validate(entry.settings)
    given = {name: getattr(checked, name) for name in checked.model_fields_set}
    stage: Stage = stage_function(entry.use)(**given)
    return stage


def explain(error: ValidationError, text: str) -> str:
    """The first mistake of a pipeline file in words: line, key, what is wrong and what is allowed."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"]
    if first["type"] == "extra_forbidden":
        message = "no such key; keys: " + ", ".join(PipelineFile.model_fields)
    return f"line {line_of(text, first['loc'])}, {place}: {message}"


def line_of(text: str, loc: tuple[int | str, ...]) -> int:
    """The line (from 1) of a TOML text that a location such as ("stage", 2, "engines", "text", 0) points at.

    The deepest of its keys that is found decides; list items are on their key's line.
    """
    lines = text.splitlines()
    keys = [part for part in loc if isinstance(part, str)]
    start, stop = 0, len(lines)
    if len(loc) > 1 and isinstance(loc[1], int):
        heads = [n for n, line in enumerate(lines) if re.match(rf"\s*\[\[\s*{re.escape(str(loc[0]))}\s*\]\]", line)]
        if loc[1] < len(heads):
            start = heads[loc[1]]
            stop = heads[loc[1] + 1] if loc[1] + 1 < len(heads) else len(lines)
            keys = keys[1:]
    best = start
    for key in keys:
        named = re.compile(rf'\s*(\[[^\]]*)?\b"?{re.escape(key)}"?\s*(=|\])')
        found = next((n for n in range(best, stop) if named.match(lines[n])), None)
        best = best if found is None else found
    return best + 1


def pipeline_schema() -> dict[str, Any]:
    """The JSON Schema of a pipeline file: each of docpipe's own stages with its settings, or a stage of a plug-in."""
    schema = PipelineFile.model_json_schema()
    own = [name for name in stage_names() if stage_function(name).__module__.startswith("docpipe.")]
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["$id"] = "urn:docpipe:pipeline:v1"
    schema["title"] = "docpipe pipeline, version 1"
    variants: list[dict[str, Any]] = []
    for name in own:
        settings = settings_model(name).model_json_schema()
        variants.append(
            {
                "type": "object",
                "description": inspect.getdoc(stage_function(name)),
                "properties": {"use": {"const": name}, **settings.get("properties", {})},
                "required": ["use", *settings.get("required", [])],
                "additionalProperties": False,
                **({"$defs": settings["$defs"]} if "$defs" in settings else {}),
            }
        )
    plugin = {
        "type": "object",
        "description": 'A stage of a plug-in: an entry point in the group docpipe.stages, or "module:function".',
        "properties": {"use": {"type": "string", "not": {"enum": own}}},
        "required": ["use"],
    }
    schema["$defs"]["StageEntry"] = {"oneOf": [*variants, plugin]}
    return schema
