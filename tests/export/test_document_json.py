"""document.json: whole or not at all, valid, deterministic, readable, and read back as it was."""

from __future__ import annotations

import json
import math
import tracemalloc
from pathlib import Path

import handmade
import pytest

from docpipe.document import Box, Document, Metadata, Page, Region, TextContent, Word
from docpipe.errors import DocpipeError
from docpipe.export.json import (
    DocumentWriter,
    StoredDocument,
    read_document,
    read_manifest,
    write_document,
    write_manifest,
)
from docpipe.export.schema import document_validator
from docpipe.manifest import Manifest


def broken_page() -> Page:
    bad = handmade.region("paragraph", "x").model_copy(update={"kind": "unheard-of"})
    return handmade.page(bad)


def test_what_is_written_is_read_back_equal_and_written_again_the_same(tmp_path: Path) -> None:
    document = handmade.everything()
    path = write_document(document, tmp_path / "document.json")
    assert read_document(path) == document
    assert read_document(tmp_path) == document
    again = write_document(read_document(path), tmp_path / "again.json")
    assert again.read_bytes() == path.read_bytes()


def test_the_file_is_valid_utf8_json_with_fields_in_the_models_order(tmp_path: Path) -> None:
    document = handmade.of(handmade.region("paragraph", "Käse 漢字 \u2028 \U0001f600"))
    data = write_document(document, tmp_path / "d.json").read_bytes()
    plain = json.loads(data.decode("utf-8"))
    document_validator()(plain)
    assert list(plain) == list(Document.model_fields)
    assert list(plain["pages"][0]["regions"][0]) == list(Region.model_fields)
    assert "Käse 漢字".encode() in data
    assert data.endswith(b"}\n")


def test_a_word_or_a_cell_is_one_line_so_that_a_change_is_one_line(tmp_path: Path) -> None:
    words = tuple(Word(text=f"w{i}", box=Box(i, 0, i + 1, 1)) for i in range(30))
    content = TextContent(text=" ".join(w.text for w in words), words=words)
    lines = write_document(handmade.of(handmade.region("paragraph", content)), tmp_path / "d.json").read_text()
    assert sum('"text": "w' in line for line in lines.splitlines()) == 31
    assert '{"text": "w7", "box": [7.0, 0.0, 8.0, 1.0]}' in lines


def test_a_page_that_breaks_the_schema_raises_dp402_and_leaves_no_document(tmp_path: Path) -> None:
    def write_it() -> None:
        with DocumentWriter(tmp_path / "document.json", handmade.SOURCE) as writer:
            writer.append(broken_page())
            writer.finish()

    with pytest.raises(DocpipeError) as caught:
        write_it()
    assert caught.value.code == "DP402"
    assert "page 1" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_page_leaves_no_trace_and_may_be_given_again_as_failed(tmp_path: Path) -> None:
    with DocumentWriter(tmp_path / "document.json", handmade.SOURCE) as writer:
        with pytest.raises(DocpipeError) as caught:
            writer.append(broken_page())
        writer.append(Page(number=1, width=1, height=1, status="failed", error=caught.value.item(page=1)))
        writer.finish("partial")
    (only,) = read_document(tmp_path).pages
    assert only.status == "failed"


@pytest.mark.parametrize(
    "page",
    [
        handmade.page(handmade.region("paragraph", "x", box=Box(0, 0, math.nan, 1))),
        handmade.page(handmade.region("paragraph", "x", box=Box(0, 0, math.inf, 1))),
        handmade.page(handmade.region("paragraph", TextContent.model_construct(text="\ud800", words=()))),
    ],
    ids=["nan", "infinity", "lone surrogate"],
)
def test_what_json_cannot_say_is_refused(tmp_path: Path, page: Page) -> None:
    with DocumentWriter(tmp_path / "d.json", handmade.SOURCE) as writer, pytest.raises(DocpipeError) as caught:
        writer.append(page)
    assert caught.value.code == "DP402"


def test_pages_come_in_order(tmp_path: Path) -> None:
    with DocumentWriter(tmp_path / "d.json", handmade.SOURCE) as writer:
        writer.append(handmade.page(number=2))
        with pytest.raises(DocpipeError, match="DP402"):
            writer.append(handmade.page(number=2))


def test_without_finish_nothing_is_written_and_what_was_there_stays(tmp_path: Path) -> None:
    path = write_document(handmade.of(), tmp_path / "document.json")
    before = path.read_bytes()
    with DocumentWriter(path, handmade.SOURCE) as writer:
        writer.append(handmade.page())
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["document.json"]


def test_an_output_that_cannot_be_written_is_dp401(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DocpipeError, match="DP401"):
        DocumentWriter(tmp_path / "file" / "document.json", handmade.SOURCE)


def test_head_fields_known_only_at_the_end_stand_before_the_pages(tmp_path: Path) -> None:
    with DocumentWriter(tmp_path / "d.json", handmade.SOURCE) as writer:
        writer.append(handmade.page())
        writer.finish("partial", metadata=Metadata(title="T"))
    text = (tmp_path / "d.json").read_text()
    assert text.index('"partial"') < text.index('"title": "T"') < text.index('"pages": [\n')


def test_a_stored_document_gives_its_pages_one_by_one_as_often_as_asked(tmp_path: Path) -> None:
    document = handmade.everything()
    stored = StoredDocument(write_document(document, tmp_path / "document.json"))
    assert (stored.source, stored.status, stored.errors, stored.metadata) == (
        document.source, document.status, document.errors, document.metadata
    )  # fmt: skip
    assert tuple(stored.pages) == document.pages
    assert tuple(stored.pages) == document.pages


def test_a_stored_document_laid_out_by_others_is_read_too(tmp_path: Path) -> None:
    document = handmade.everything()
    (tmp_path / "d.json").write_text(json.dumps(document.model_dump(mode="json"), indent=4))
    assert tuple(StoredDocument(tmp_path / "d.json").pages) == document.pages
    empty = write_document(handmade.document(), tmp_path / "empty.json")
    assert tuple(StoredDocument(empty).pages) == ()


@pytest.mark.parametrize("damage", ["", "{", '{"schema_version": "9.0"}', "[]", "\x00"])
def test_what_is_no_document_is_dp403(tmp_path: Path, damage: str) -> None:
    (tmp_path / "document.json").write_text(damage)
    for read in (read_document, StoredDocument):
        with pytest.raises(DocpipeError, match="DP403"):
            read(tmp_path)


def test_a_document_cut_off_within_a_page_is_dp403(tmp_path: Path) -> None:
    path = write_document(handmade.everything(), tmp_path / "document.json")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DocpipeError, match="DP403"):
        list(StoredDocument(path).pages)


def test_writing_and_reading_a_thousand_pages_holds_a_few_of_them_in_memory(tmp_path: Path) -> None:
    words = tuple(Word(text=f"word{i}", box=Box(i, 0, i + 1, 1)) for i in range(100))
    content = TextContent(text=" ".join(w.text for w in words), words=words)

    def page(number: int) -> Page:
        return handmade.page(handmade.region("paragraph", content, page=number), number=number)

    with DocumentWriter(tmp_path / "document.json", handmade.SOURCE) as writer:
        writer.append(page(1))
        tracemalloc.start()
        for number in range(2, 1001):
            writer.append(page(number))
        writer.finish()
        assert sum(1 for _ in StoredDocument(tmp_path).pages) == 1000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert (tmp_path / "document.json").stat().st_size > 6_000_000
    assert peak < 3_000_000


def test_a_manifest_is_written_and_read_back(tmp_path: Path) -> None:
    manifest = Manifest(
        docpipe="0.1.0", python="3.11", pipeline="default", pipeline_digest="0", source=handmade.SOURCE,
        started="2026-01-01T00:00:00Z", seconds=1.5,
    )  # fmt: skip
    path = write_manifest(manifest, tmp_path / "manifest.json")
    assert read_manifest(path) == read_manifest(tmp_path) == manifest
    with pytest.raises(DocpipeError, match="DP402"):
        write_manifest(manifest.model_copy(update={"seconds": math.nan}), tmp_path / "other.json")
    assert not (tmp_path / "other.json").exists()
