"""The published schemas: they are what the models say, they are found, and old documents stay valid."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from docpipe.document import Document, Page, SourceInfo
from docpipe.export.schema import (
    PUBLISHED,
    InvalidError,
    document_schema,
    document_validator,
    page_validator,
    schema_text,
)
from docpipe.resources import resource, resource_folder, resource_names

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_published_schema_is_what_the_models_say(name: str) -> None:
    published = (ROOT / "schemas" / name).read_text(encoding="utf-8")
    assert published == schema_text(PUBLISHED[name]()), (
        "the models changed: run `docpipe schema --write schemas` and mind that v1 only ever adds fields"
    )


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_published_schema_is_a_valid_schema_of_its_dialect_with_an_id(name: str) -> None:
    schema = json.loads(resource("schemas", name).read_text(encoding="utf-8"))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:docpipe:{name.split('.')[0]}:v1"
    assert "version 1" in schema["title"]
    jsonschema.Draft202012Validator.check_schema(schema)


def test_schemas_are_found_from_the_repository() -> None:
    assert resource_folder("schemas") == ROOT / "schemas"
    assert {"document.v1.json", "manifest.v1.json"} <= set(resource_names("schemas"))
    with pytest.raises(FileNotFoundError):
        resource("schemas", "../pyproject.toml")


def test_a_field_with_a_default_may_be_absent_so_that_older_documents_stay_valid() -> None:
    old = {"schema_version": "1.0", "source": {"name": "a", "sha256": "0", "media_type": "x"}}
    document_validator()(old)
    assert Document.model_validate(old).status == "complete"


@pytest.mark.parametrize(
    ("page", "where"),
    [
        ({"number": 0, "width": 1.0, "height": 1.0}, "/number"),
        ({"number": 1, "width": 1.0, "height": 1.0, "colour": "red"}, "colour"),
        ({"number": 1, "width": 1.0, "height": 1.0, "status": "fine"}, "/status"),
        (
            {
                "number": 1, "width": 1.0, "height": 1.0,
                "regions": [{"id": "a", "kind": "table", "box": [1, 2, 3, "x"]}],
            },
            "/regions/0/box/3",
        ),
    ],
)  # fmt: skip
def test_a_page_that_breaks_the_schema_is_named_with_the_place(page: dict[str, object], where: str) -> None:
    with pytest.raises(InvalidError, match=where):
        page_validator()(page)
    alone = {"$ref": "#/$defs/Page", "$defs": document_schema()["$defs"]}
    with pytest.raises(jsonschema.ValidationError):  # a second validator agrees
        jsonschema.validate(page, alone)


def test_a_content_needs_its_type() -> None:
    source = SourceInfo(name="a", sha256="0", media_type="x")
    plain = Document(source=source, pages=(Page(number=1, width=1, height=1),)).model_dump(mode="json")
    plain["pages"][0]["regions"] = [
        {
            "id": "a",
            "kind": "table",
            "box": [0, 0, 1, 1],
            "reading": {"content": {"text": "x"}, "origin": {"engine": "e"}},
        }
    ]
    with pytest.raises(InvalidError):
        document_validator()(plain)
