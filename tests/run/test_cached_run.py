"""A run with the cache of readings, without it, and again: the same bytes, and a model asked once."""

from __future__ import annotations

import shutil
from pathlib import Path

from docpipe.pipeline import Pipeline
from docpipe.run.batch import BatchSettings, convert_files
from docpipe.run.cache import AnswerCache
from docpipe.run.crew import Limits
from docpipe.run.start import Terms

SAMPLES = Path(__file__).parents[2] / "samples"

MOLECULE = """
name = "one"
[[stage]]
use = "crop"
kind = "molecule"
[[stage]]
use = "route"
tasks = { molecule = ["molecule"] }
figures = false
[[stage]]
use = "recognize"
dpi = 200.0
[stage.engines]
molecule = ["paligemma"]
"""


def test_with_without_and_again(tmp_path):
    path, cache = tmp_path / "one.toml", tmp_path / "cache.sqlite"
    shutil.copy(SAMPLES / "molecule.png", tmp_path / "a.png")
    shutil.copy(SAMPLES / "molecule.png", tmp_path / "b.png")

    def run(out: str, cached: bool) -> list[bytes]:
        terms = Terms(cache=(cache, 1_000_000) if cached else None)
        settings = BatchSettings(limits=Limits(terms=terms), again=True)
        made = convert_files(
            [tmp_path / "a.png", tmp_path / "b.png"], tmp_path / out, Pipeline.from_toml(path), settings
        )
        assert all(outcome.whole for outcome in made)
        return [(outcome.folder / "document.json").read_bytes() for outcome in made]

    path.write_text(MOLECULE, encoding="utf-8")
    without = run("without", False)
    assert not cache.exists()
    assert run("first", True) == without
    with AnswerCache(cache) as kept:
        assert kept.content.answers == 1  # the two files have equal pixels
        base = kept._base
        assert base is not None
        # What it says from now on can only come from the cache.
        base.execute("CREATE TRIGGER no_more BEFORE INSERT ON answer BEGIN SELECT RAISE(ABORT, 'asked again'); END")
    assert run("again", True) == without
