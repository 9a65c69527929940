"""The published JSON Schemas (draft 2020-12), made from the models, and the validators that every output passes.

The files in `schemas/` are this module's output (`docpipe schema --write schemas`); a test holds them
together. Inside v1 fields are only added, and a field with a default may be absent, so a document written by an older
version stays valid.

Validation is by jsonschema-rs. On a page of 600 words it takes a tenth of the time that making the page's JSON takes,
jsonschema (pure Python) forty times as long; fastjsonschema stops at draft 7 and passes over a broken box.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
from pydantic import BaseModel

from docpipe.document import Document, Page, Reading
from docpipe.manifest import Manifest

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def schema_of(model: type[BaseModel], name: str, version: int = 1) -> Schema:
    """The schema of a model as published: `name` and major `version` make its $id, URN and file name.

    Constants (`type`, `schema_version`) are required although the models default them: they tell readers apart what
    they have before them.
    """
    made = model.model_json_schema(mode="validation")
    head = {
        "$schema": DIALECT,
        "$id": f"urn:docpipe:{name}:v{version}",
        "title": f"docpipe {name}, version {version}",
    }
    return head | {key: _published(value) for key, value in _mended(made).items() if key != "title"}


def _published(value: Any) -> Any:
    """The value with descriptions on one line and constants required."""
    if isinstance(value, list):
        return [_published(v) for v in value]
    if not isinstance(value, dict):
        return value
    done = {k: _published(v) for k, v in value.items() if not (k == "title" and isinstance(v, str))}
    return _mended(done)


def _mended(schema: Schema) -> Schema:
    if isinstance(schema.get("description"), str):
        schema["description"] = " ".join(schema["description"].split())
    properties = schema.get("properties")
    if isinstance(properties, dict) and schema.get("type") == "object":
        constants = [name for name, field in properties.items() if isinstance(field, dict) and "const" in field]
        required = set(schema.get("required", ())) | set(constants)
        if required:
            schema["required"] = [name for name in properties if name in required]
    return schema


def document_schema() -> Schema:
    """The schema of document.json."""
    return schema_of(Document, "document")


def manifest_schema() -> Schema:
    """The schema of manifest.json."""
    return schema_of(Manifest, "manifest")


PUBLISHED: dict[str, Callable[[], Schema]] = {
    "document.v1.json": document_schema,
    "manifest.v1.json": manifest_schema,
}
"""Each published file of this room and what makes it."""


def schema_text(schema: Schema) -> str:
    """A schema as the text of its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


class InvalidError(ValueError):
    """What was to be written does not meet its schema; says where and why, in one line."""


class Validator:
    """Holds values against a schema."""

    def __init__(self, schema: Schema) -> None:
        self._validator = jsonschema_rs.Draft202012Validator(schema)

    def __call__(self, value: Any) -> None:
        """Raises InvalidError, naming the place, when the value (plain JSON types) does not meet the schema."""
        try:
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            where = _pointer(error.instance_path)
            raise InvalidError(f"{where}: {error.message}"[:500]) from error
        except ValueError as error:  # numbers that JSON lacks
            raise InvalidError(str(error).splitlines()[0]) from error


def _pointer(path: Iterable[str | int]) -> str:
    return "/" + "/".join(str(step) for step in path)


@cache
def document_validator() -> Validator:
    """Validates a whole document."""
    return Validator(document_schema())


@cache
def page_validator() -> Validator:
    """Validates one page of a document."""
    return _part_validator(Page)


@cache
def reading_validator() -> Validator:
    """Validates one reading by itself, as `docpipe read --json` prints it."""
    return _part_validator(Reading)


@cache
def manifest_validator() -> Validator:
    """Validates a manifest."""
    return Validator(manifest_schema())


def _part_validator(model: type[BaseModel]) -> Validator:
    whole = document_schema()
    return Validator({"$schema": DIALECT, "$ref": f"#/$defs/{model.__name__}", "$defs": whole["$defs"]})


def write_schemas(folder: Path) -> list[Path]:
    """Write the published files of this room into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in PUBLISHED.items():
        (folder / name).write_text(schema_text(make()), encoding="utf-8")
    return [folder / name for name in PUBLISHED]
