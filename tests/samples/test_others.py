"""The other samples: a scan, turned pages, a long report, a form, scripts other than Latin."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import docpipe
from docpipe.document import Document
from docpipe.metrics.cer import cer
from docpipe.metrics.teds import teds

SAMPLES = Path(__file__).parents[2] / "samples"


def truth_of(name: str) -> dict[str, Any]:
    return json.loads((SAMPLES / "truth" / f"{name}.json").read_text("utf-8"))


def texts(document: Document, *kinds: str) -> list[str]:
    return [region.text for region in document.regions(*kinds)]


def plain(text: str) -> str:
    return re.sub(r"\W+", "", text)


# --- the scan ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scan() -> Document:
    return docpipe.convert(SAMPLES / "mixed_scan.pdf", pages="2")


def test_a_scan_is_levelled_and_read(scan):
    page = scan.pages[1]
    assert page.status == "complete"
    assert 0.2 < abs(page.skew) < 3
    truth = truth_of("mixed_scan")
    running = plain(" ".join(texts(scan, "paragraph", "heading")))
    starts = [plain(start) for start in truth["paragraph_starts"]]
    found = [start for start in starts if start in running]
    assert len(found) >= 6
    assert {r.reading.origin.engine for r in page.regions if r.kind == "paragraph" and r.reading} == {"ocr"}


def test_headings_of_a_scan(scan):
    wanted = {plain(h["shown"]) for h in truth_of("mixed_scan")["headings"] if h["page"] == 2}
    found = {plain(text) for text in texts(scan, "heading")}
    assert len(wanted & found) >= len(wanted) - 1


def test_figures_and_tables_of_a_scan_are_found(scan):
    assert len(list(scan.regions("molecule"))) >= 4
    tables = [t["html"] for t in truth_of("mixed")["tables"] if t["page"] == 2]
    assert len(scan.tables) == 1
    assert teds(scan.tables[0].html, tables[0]) > 0.8


# --- turned pages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_turned_page_reads_like_an_upright_one(number):
    truth = next(p for p in truth_of("rotated")["pages"] if p["page"] == number)
    document = docpipe.convert(SAMPLES / "rotated.pdf", pages=str(number))
    page = document.pages[number - 1]
    assert (page.width, page.height) == pytest.approx(truth["displayed_size"], abs=1)
    said = plain(" ".join(texts(document)))
    assert plain(truth["heading"]) in said
    for paragraph in truth["paragraphs"]:
        start = plain(paragraph)[:30]
        assert start in said
    if not truth["text_layer"]:
        assert page.rotation == truth["upright_when_turned_clockwise"]


# --- the report --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report() -> Document:
    return docpipe.convert(SAMPLES / "report.pdf")


def test_a_long_report_is_whole(report):
    truth = truth_of("report")
    assert report.status == "complete"
    assert len(report.pages) == truth["pages"]
    assert report.metadata.language == "en"


def test_headings_of_a_report_with_their_levels(report):
    wanted = [(h["level"], plain(h["number"] + h["text"])) for h in truth_of("report")["headings"]]
    found = [(r.level, plain(r.text)) for r in report.regions("heading")]
    assert len(set(wanted) & set(found)) >= 0.97 * len(wanted)


def test_running_heads_and_feet_of_a_report_are_no_text(report):
    truth = truth_of("report")
    for side, kind in (("running_heads", "header"), ("running_feet", "footer")):
        right = 0
        for running in truth[side]:
            page = report.pages[running["page"] - 1]
            right += any(plain(running["text"]) in plain(r.text) for r in page.regions if r.kind == kind)
        assert right >= 0.97 * len(truth[side]), kind


def test_tables_of_a_report(report):
    truth = truth_of("report")["tables"]
    scores = []
    for table in truth:
        found = [r.text for r in report.pages[table["page"] - 1].regions if r.kind == "table"]
        scores.append(max((teds(html, table["html"]) for html in found), default=0.0))
    assert sum(scores) / len(scores) > 0.95


def test_paragraphs_of_a_report_go_on_over_the_page_break(report):
    links = [region for region in report.regions("paragraph") if region.continues]
    assert len(links) >= 0.9 * truth_of("report")["paragraphs_over_a_page_break"]


# --- a form, and other scripts -----------------------------------------------------------------------------


def test_a_form_with_its_labels_values_and_check_marks():
    truth = truth_of("form")
    document = docpipe.convert(SAMPLES / "form.pdf")
    said = plain(" ".join(texts(document)))
    missing = [f["label"] for f in truth["fields"] if f["value"] and plain(f["value"]) not in said]
    assert missing == []
    assert all(plain(field["label"]) in said for field in truth["fields"])
    checked = sum(box["checked"] for box in truth["check_boxes"])
    assert sum("✓" in text or "✔" in text for text in texts(document)) == checked
    assert texts(document, "title") == [truth["title"]]


@pytest.mark.parametrize("name", ["cjk", "cyrillic"])
def test_other_scripts(name):
    truth = truth_of(name)
    document = docpipe.convert(SAMPLES / f"{name}.pdf")
    assert texts(document, "title") == [truth["title"]]
    said = "".join("".join(texts(document)).split())
    for block in truth["blocks"]:
        if "text" in block:
            assert "".join(block["text"].split())[:40] in said
    for table in truth.get("tables", []):
        assert teds(document.tables[0].html, table["html"]) > 0.99


# --- crops for `read` --------------------------------------------------------------------------------------


def test_a_table_read_off_its_crop():
    found = docpipe.read(SAMPLES / "table.png", task="table")
    assert teds(found[0].text, truth_of("crops")["table.png"]["html"]) > 0.9


@pytest.mark.parametrize("name", ["text.png"])
def test_text_read_off_its_crop(name):
    found = docpipe.read(SAMPLES / name, task="text")
    assert cer(found[0].text, truth_of("crops")[name]["text"]) < 0.03


def test_a_palette_image_is_seen_as_a_person_sees_it():
    truth = truth_of("crops")["palette.png"]
    document = docpipe.convert(SAMPLES / "palette.png")
    said = plain(" ".join(texts(document)))
    assert plain(truth["title"]) in said
    assert sum(plain(heading) in said for heading in truth["headings"]) >= len(truth["headings"]) - 1


@pytest.mark.parametrize("name", ["molecule.png", "score.png"])
def test_what_no_checkpoint_can_read_is_said(name):
    task = truth_of("crops")[name]["task"]
    (found,) = docpipe.read(SAMPLES / name, task=task)
    content = found.reading.content
    if content is None or content.type == "picture":
        assert found.reading.verdict.status == "unchecked"
        assert found.reading.verdict.findings
    else:
        assert found.reading.origin.digest
