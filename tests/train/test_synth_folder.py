"""`docpipe synth`: image, truth and manifest as files; the same seed, the same bytes; coded errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from docpipe.cli import synth as _registered  # noqa: F401
from docpipe.cli.app import app
from docpipe.errors import DocpipeError
from docpipe.notation.html import table_content
from docpipe.train.synth.examples import SYNTHESIZERS, Example, Options, synthesizer
from docpipe.train.synth.folder import write_folder


@pytest.fixture(autouse=True)
def fresh_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DOCPIPE_FONTS", "DOCPIPE_SMILES"):
        monkeypatch.delenv(name, raising=False)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("name", sorted(SYNTHESIZERS))
def test_the_same_seed_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_folder(name, tmp_path / folder, 3, seed=7)
    write_folder(name, tmp_path / "other", 3, seed=8)
    made = files(tmp_path / "a")
    assert made == files(tmp_path / "b")
    assert made["truth.jsonl"] != files(tmp_path / "other")["truth.jsonl"]
    assert sorted(n for n in made if n.endswith(".png")) == [f"images/{i:06d}.png" for i in range(3)]
    said = json.loads(made["manifest.json"])
    assert (said["generator"], said["seed"], said["count"], said["layout"]) == (name, 7, 3, 1)
    assert said["docpipe"]
    lines = [json.loads(line) for line in made["truth.jsonl"].decode().splitlines()]
    assert [line["image"] for line in lines] == [f"images/{i:06d}.png" for i in range(3)]
    for line in lines:
        assert len(line) > 2
        Image.open(tmp_path / "a" / line["image"]).verify()


def test_later_numbers_go_on_where_the_first_end(tmp_path: Path) -> None:
    write_folder("text", tmp_path / "all", 5)
    write_folder("text", tmp_path / "rest", 2, start=3)
    every, rest = ((tmp_path / f / "truth.jsonl").read_text().splitlines() for f in ("all", "rest"))
    assert rest == every[3:]


def test_a_folder_is_written_anew_and_foreign_files_are_never_touched(tmp_path: Path) -> None:
    write_folder("text", tmp_path, 4)
    write_folder("text", tmp_path, 2)
    assert len(list((tmp_path / "images").iterdir())) == 2
    (tmp_path / "images" / "mine.txt").write_text("keep")
    with pytest.raises(DocpipeError, match="DP605"):
        write_folder("text", tmp_path, 2)
    assert (tmp_path / "images" / "mine.txt").read_text() == "keep"
    assert len(list((tmp_path / "images").glob("*.png"))) == 2


def ends(seed: int, start: int, options: Options) -> Iterator[Example]:  # noqa: ARG001
    yield Example(np.zeros((4, 4), np.uint8), {"text": ""})


@pytest.mark.parametrize(
    ("name", "count", "options", "code"),
    [
        ("paintings", 1, Options(), "DP601"),
        ("no.such.module:made", 1, Options(), "DP601"),
        ("molecules", 1, Options(smiles="no-such-folder"), "DP602"),
        ("tables", 1, Options(fonts="no-such-folder"), "DP603"),
        ("text", 0, Options(), "DP604"),
        (f"{__name__}:ends", 2, Options(), "DP606"),
    ],
)
def test_bad_input_has_a_code(name: str, count: int, options: Options, code: str, tmp_path: Path) -> None:
    with pytest.raises(DocpipeError, match=code):
        write_folder(name, tmp_path / "out", count, options=options)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_file_in_the_way_has_a_code(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(DocpipeError, match="DP605"):
        write_folder("text", tmp_path / "out", 1)


def test_the_truth_of_a_table_is_html_with_coordinates(tmp_path: Path) -> None:
    write_folder("tables", tmp_path, 3)
    for line in (tmp_path / "truth.jsonl").read_text().splitlines():
        truth = json.loads(line)
        assert "coords=" in truth["html"]
        assert truth["structure"].startswith("<cols>")
        words = " ".join(w["text"] for w in truth["words"]).split()
        assert sorted(words) == sorted(" ".join(c.text for c in table_content(truth["html"]).cells).split())


def test_every_synthesizer_can_be_had() -> None:
    assert {"molecules", "scores", "tables", "text"} <= set(SYNTHESIZERS)
    assert all(callable(synthesizer(name)) for name in SYNTHESIZERS)


def test_the_command(tmp_path: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(app, ["synth", "text", "--n", "2", "-o", str(tmp_path / "out"), "--seed", "4", "--noise", "0"])
    assert done.exit_code == 0, done.output
    assert done.output.strip() == str(tmp_path / "out" / "manifest.json")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["options"]["noise"] == 0.0
    assert runner.invoke(app, ["synth", "--list"]).output.split() == sorted(SYNTHESIZERS)
    assert runner.invoke(app, ["synth"]).exit_code == 2
