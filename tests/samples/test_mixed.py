"""The main job on samples/mixed.pdf, held against what its maker knows of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import docpipe
from docpipe.document import Box, Document, PictureContent, Region, TextContent
from docpipe.metrics.teds import teds

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    return json.loads((SAMPLES / "truth" / "mixed.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def document() -> Document:
    return docpipe.convert(SAMPLES / "mixed.pdf", "papers")


@pytest.fixture(scope="module")
def default() -> Document:
    return docpipe.convert(SAMPLES / "mixed.pdf")


def texts(document: Document, *kinds: str) -> list[str]:
    return [region.text for region in document.regions(*kinds)]


def plain(text: str) -> str:
    """Letters and digits alone: how a superscript or a minus sign is written does not matter here."""
    return re.sub(r"\W+", "", text)


def at(document: Document, page: int, box: list[float], *kinds: str) -> Region:
    """The region of these kinds that overlaps a place most."""
    return max(document.pages[page - 1].regions, key=lambda r: (r.kind in kinds, r.box.iou(Box(*box))))


def test_every_page_is_there_and_complete(document, truth):
    assert document.status == "complete"
    assert [page.number for page in document.pages] == list(range(1, truth["pages"] + 1))
    assert not document.errors


def test_front_matter(document, truth):
    metadata = document.metadata
    assert metadata.title == truth["title"]
    assert list(metadata.authors) == [author["name"] for author in truth["authors"]]
    assert plain(metadata.abstract or "") == plain(truth["abstract"]["text"])
    assert [plain(r) for r in metadata.references] == [plain(r) for r in truth["references"]["items"]]


def test_default_leaves_the_front_matter_to_papers(default):
    assert default.metadata.abstract is None
    assert default.metadata.references == ()


def test_headings_with_their_levels_in_order(document, truth):
    found = [(region.level, region.text) for region in document.regions("heading")]
    assert found == [(heading["level"], heading["shown"]) for heading in truth["headings"]]


def test_the_section_tree(document, truth):
    titles = [section.title for section in document.metadata.sections]
    assert titles == [heading["shown"] for heading in truth["headings"] if heading["level"] == 1]


def test_paragraphs_in_reading_order(document, truth):
    running = " ".join(texts(document, "paragraph"))
    places = [running.find(start) for start in truth["paragraph_starts"]]
    assert -1 not in places
    assert places == sorted(places)


def test_words_parted_at_a_line_end_are_whole_again(document, truth):
    running = " ".join(texts(document, "paragraph", "caption", "list_item"))
    assert [word for word in truth["hyphenated"] if word not in running] == []


def test_list_items_with_their_levels(document, truth):
    found = [(r.level, plain(r.text)) for r in document.regions("list_item")]
    for item in truth["list_items"]:
        assert any(plain(item["text"])[:25] in text and level == item["level"] for level, text in found), item


def test_footnotes_running_heads_and_feet(document, truth):
    notes = [plain(text) for text in texts(document, "footnote")]
    assert [note["text"] for note in truth["footnotes"] if not any(plain(note["text"]) in n for n in notes)] == []
    for side, kind in (("running_heads", "header"), ("running_feet", "footer")):
        for running in truth[side]:
            page = document.pages[running["page"] - 1]
            said = plain(" ".join(region.text for region in page.regions if region.kind == kind))
            assert all(plain(text) in said for text in running["texts"] if text != "Research article"), running


def test_captions_belong_to_their_figures_and_tables(document, truth):
    by_id = {region.id: region for region in document.regions()}
    places = {item["id"]: item for item in (*truth["figures"], *truth["tables"])}
    for caption in truth["captions"]:
        region = at(document, caption["page"], caption["box"], "caption")
        assert plain(region.text) == plain(caption["text"])
        named = by_id[region.parent or ""]
        place = places[caption["of"]]
        assert named.id.startswith(f"p{place['page']}.")
        assert "box" in place or named.kind == "table"
        assert "box" not in place or Box(*place["box"]).covers(named.box, 0.6), caption["label"]


def test_tables(document, truth):
    parts = [part for table in truth["tables"] for part in table.get("parts", [table])]
    tables = list(document.regions("table"))
    assert len(tables) == len(parts)
    for found, part in zip(tables, parts, strict=True):
        assert found.reading is not None
        assert found.reading.verdict.status == "valid"
        assert teds(found.text, part["html"]) > 0.97


def test_a_table_over_the_page_break_is_linked(document):
    tables = list(document.regions("table"))
    assert tables[-1].continues == tables[-2].id


def test_figures_are_told_apart(default, truth):
    kinds = {"molecule": "molecule", "chart": "chart", "picture": "picture", "score": "score"}
    for molecule in truth["molecules"]:
        assert at(default, molecule["page"], molecule["box"], "molecule").kind == "molecule"
    for figure in truth["figures"]:
        if figure["kind"] != "molecule":
            found = at(default, figure["page"], figure["box"], "molecule", "chart", "picture", "score")
            assert found.kind == kinds[figure["kind"]]
            assert found.box.iou(Box(*figure["box"])) > 0.7


def test_what_nobody_could_read_says_so_and_is_not_guessed(default):
    for region in default.regions("molecule", "score"):
        reading = region.reading
        assert reading is not None
        if reading.origin.engine == "figures":
            assert isinstance(reading.content, PictureContent)
            assert reading.verdict.status == "unchecked"
            said = " ".join(finding.message for finding in reading.verdict.findings)
            assert "--model" in said or "not sure enough" in said


def test_every_word_has_its_place(document):
    for page in document.pages:
        for region in page.regions:
            if region.reading and isinstance(region.reading.content, TextContent):
                assert region.reading.content.words
                assert all(region.box.grown(3).covers(w.box, 0.5) for w in region.reading.content.words)
