"""What people said of readings, kept beside the document and laid over it."""

from __future__ import annotations

from pathlib import Path

import pytest
from handmade import KERN, everything, of, reading, region

from docpipe.document import Box, Content, Document, MoleculeContent, PictureContent, Region, ScoreContent, TextContent
from docpipe.errors import DocpipeError
from docpipe.export import export
from docpipe.export.corrections import FILE, Action, Corrected, Correction, add_correction, read_corrections

WRONG = reading(MoleculeContent(smiles="CCN"), "invalid", "a valence is exceeded")


def decided(region: Region, action: Action, content: Content | None = None, **more: object) -> Correction:
    said = {
        "document": "made.pdf",
        "source": "0" * 64,
        "page": 1,
        "region": region.id,
        "kind": region.kind,
        "box": region.box,
        "action": action,
        "content": content,
        "time": "2026-01-01T00:00:00Z",
    }
    return Correction.model_validate(said | more)


def after(made: Document, folder: Path) -> Region:
    return next(Corrected(made, read_corrections(folder)).whole().regions())


def test_an_edit_takes_the_readings_place_and_keeps_it_as_an_alternative(tmp_path: Path) -> None:
    made = of(region("molecule", None, 0, reading=WRONG))
    add_correction(tmp_path, decided(made.pages[0].regions[0], "edit", MoleculeContent(smiles="CCO")))
    found = after(made, tmp_path)
    assert found.text == "CCO"
    assert found.reading is not None
    assert (found.reading.verdict.status, found.reading.origin.engine) == ("valid", "person")
    assert found.alternatives == (WRONG,)
    assert made.pages[0].regions[0].reading == WRONG, "the document itself is as it was"


def test_the_newest_decision_counts_and_can_be_taken_back(tmp_path: Path) -> None:
    made = of(region("score", ScoreContent(kern=KERN), 0))
    (target,) = made.pages[0].regions
    add_correction(tmp_path, decided(target, "accept"))
    accepted = after(made, tmp_path).reading
    assert accepted is not None
    assert [f.code for f in accepted.verdict.findings] == ["accepted"]
    add_correction(tmp_path, decided(target, "reject"))
    rejected = after(made, tmp_path)
    assert rejected.reading is not None
    assert rejected.reading.content == PictureContent(figure="score")
    assert rejected.alternatives[0].content == ScoreContent(kern=KERN)
    add_correction(tmp_path, decided(target, "undo"))
    assert after(made, tmp_path) == target


def test_a_correction_is_for_the_region_that_it_was_made_on(tmp_path: Path) -> None:
    made = of(region("paragraph", "one", 0))
    (target,) = made.pages[0].regions
    for stale in ({"box": Box(0, 0, 20, 20)}, {"kind": "table"}, {"page": 2}):
        add_correction(tmp_path, decided(target, "edit", TextContent(text="other"), **stale))
        assert after(made, tmp_path).text == "one", stale
    add_correction(tmp_path, decided(target, "edit", TextContent(text="other")))
    assert after(made, tmp_path).text == "other"


def test_a_torn_last_line_is_passed_over_and_written_after(tmp_path: Path) -> None:
    made = of(region("paragraph", "one", 0))
    (target,) = made.pages[0].regions
    add_correction(tmp_path, decided(target, "edit", TextContent(text="two")))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"document": "made.p')
    assert after(made, tmp_path).text == "two"


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"action": "burn"}\n')
    with pytest.raises(DocpipeError, match=r"DP410 .*line 1"):
        read_corrections(tmp_path)


def test_exports_read_corrections(tmp_path: Path) -> None:
    made = everything()
    target = next(r for r in made.regions("paragraph"))
    add_correction(tmp_path, decided(target, "edit", TextContent(text="Ice is never water.")))
    (path,) = export(Corrected(made, read_corrections(tmp_path)), "md", tmp_path)
    assert "Ice is never water." in path.read_text()
