"""Corrections of people as training data: whose answers are learnt, and from which pixels."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import tiny
from PIL import Image
from test_finetune import Here

from docpipe.document import (
    Box,
    Document,
    MoleculeContent,
    Origin,
    Page,
    Reading,
    Region,
    SourceInfo,
    TableContent,
    TextContent,
)
from docpipe.errors import DocpipeError
from docpipe.export.json import write_document
from docpipe.train.dataset import place
from docpipe.train.examples import Example, picture
from docpipe.train.finetune import fine_tune
from docpipe.train.plan import parse_fine_tune
from docpipe.train.readers import read


def region(number: int, kind: Any, box: Box, content: Any) -> Region:
    reading = Reading(content=content, origin=Origin(engine="ocr")) if content else None
    return Region(id=f"p1.r{number}", kind=kind, box=box, order=number, reading=reading)


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    """A page of four quarters, each of a colour, converted; the source lies beside the output folder."""
    page = Image.new("RGB", (80, 60), "white")
    boxes = {1: Box(0, 0, 40, 30), 2: Box(40, 0, 80, 30), 3: Box(0, 30, 40, 60), 4: Box(40, 30, 80, 60)}
    for number, color in zip(boxes, ("red", "lime", "blue", "black"), strict=True):
        page.paste(color, tuple(int(v) for v in boxes[number]))
    page.save(tmp_path / "page.png")
    contents = [TextContent(text="red"), MoleculeContent(smiles="CCO"), TableContent(html="<table></table>"), None]
    kinds = ("paragraph", "molecule", "table", "paragraph")
    regions = [region(n, k, boxes[n], c) for n, k, c in zip(boxes, kinds, contents, strict=True)]
    digest = hashlib.sha256((tmp_path / "page.png").read_bytes()).hexdigest()
    document = Document(
        source=SourceInfo(name="page.png", sha256=digest, media_type="image/png", pages=1),
        pages=(Page(number=1, width=80, height=60, regions=tuple(regions)),),
    )
    folder = tmp_path / "page"
    folder.mkdir()
    write_document(document, folder / "document.json")
    return folder


def said(folder: Path, *rows: dict[str, Any]) -> Path:
    file = folder / "corrections.jsonl"
    whole = [{"document": str(folder), "time": "2026-01-01T00:00:00Z", **row} for row in rows]
    file.write_text("".join(json.dumps(row) + "\n" for row in whole))
    return file


def taken(file: Path, **options: Any) -> list[Example]:
    return list(read("corrections", file, split="train", task="", options=options))


def test_accepted_and_edited_readings_are_learnt_and_rejected_ones_not(converted: Path) -> None:
    edited = {"type": "molecule", "smiles": "CCN"}
    file = said(
        converted,
        {"region": "p1.r1", "action": "accept"},
        {"region": "p1.r2", "action": "accept"},
        {"region": "p1.r3", "action": "reject"},
        {"region": "p1.r2", "action": "edit", "content": edited},
        {"region": "p1.r4", "action": "edit", "content": {"type": "text", "text": "black"}},
    )
    found = {e.target: e for e in taken(file)}
    assert {(e.task, e.target) for e in found.values()} == {("text", "red"), ("molecule", "CCN"), ("text", "black")}
    assert picture(found["CCN"]).getpixel((20, 15)) == (0, 255, 0)
    assert picture(found["black"]).size == (40, 30)
    assert [e.target for e in taken(file.parent, tasks=["molecule"])] == ["CCN"]


def test_what_was_taken_back_is_not_learnt(converted: Path) -> None:
    file = said(converted, {"region": "p1.r1", "action": "accept"}, {"region": "p1.r1", "action": "undo"})
    assert taken(file) == []


def test_without_the_source_the_exported_crop_is_taken(converted: Path, tmp_path: Path) -> None:
    file = said(converted, {"region": "p1.r2", "action": "accept"})
    (tmp_path / "page.png").unlink()
    with pytest.raises(DocpipeError, match=r"DP628 .*page.png"):
        taken(file)
    (converted / "crops").mkdir()
    Image.new("RGB", (9, 9), "purple").save(converted / "crops" / "p1.r2.png")
    (one,) = taken(file)
    assert picture(one).getpixel((4, 4)) == (128, 0, 128)
    assert one.page is None


def test_a_changed_source_is_not_taken(converted: Path, tmp_path: Path) -> None:
    file = said(converted, {"region": "p1.r1", "action": "accept"})
    Image.new("RGB", (80, 60)).save(tmp_path / "page.png")
    with pytest.raises(DocpipeError, match="DP628"):
        taken(file)
    elsewhere = tmp_path / "sources"
    elsewhere.mkdir()
    with pytest.raises(DocpipeError, match="DP628"):
        taken(file, sources=str(elsewhere))


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"region": "p1.r1", "action": "perhaps"}, "DP622 .*line 1.*perhaps"),
        ({"action": "accept"}, "DP622 .*'region' is missing"),
        ({"region": "p1.r1", "action": "edit", "content": {"type": "molecule"}}, "DP622 .*line 1.*content"),
        ({"region": "p9.r9", "action": "accept"}, "DP628 .*no region p9.r9"),
        ({"region": "p1.r1", "action": "accept", "box": [50, 0, 80, 60]}, "DP628 .*elsewhere"),
    ],
)
def test_a_correction_that_cannot_be_used_is_named(row: dict[str, Any], error: str, converted: Path) -> None:
    with pytest.raises(DocpipeError, match=error):
        taken(said(converted, row))


def test_corrections_are_mixed_into_a_run_as_a_tenth(
    converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("docpipe.train.finetune.Loader", Here)
    base = tiny.checkpoint(tmp_path / "ck")
    data = tiny.shades(tmp_path / "data", 12)
    table = {"name": "x", "data": [{"name": "x", "task": "text", "layout": "jsonl", "weight": 2.0, "hold_out": 4}],
             "schedule": {"batch": 4, "steps": 1, "lr": 1e-4}}  # fmt: skip
    said(converted, {"region": "p1.r1", "action": "accept"}, {"region": "p1.r4", "action": "edit",
         "content": {"type": "text", "text": "black"}}, {"region": "p1.r2", "action": "accept"})  # fmt: skip
    plan = parse_fine_tune(table)
    assert [round(one.data.weight, 3) for one in place(plan, [str(data), str(converted)])] == [2.0, 0.2]
    fine_tune(plan, str(base), [str(data), str(converted / "corrections.jsonl")], tmp_path / "run")
    found = [line for line in tiny.log_of(tmp_path / "run") if line.get("event") == "data"]
    assert [(one["name"], one["learning"], one["validation"]) for one in found] == [("x", 9, 3), ("corrections", 1, 1)]
