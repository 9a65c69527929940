"""Files are there whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from docpipe.errors import DocpipeError
from docpipe.export.atomic import write_whole


def test_a_write_that_breaks_off_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = write_whole(tmp_path / "deep" / "a.txt", ["old"])

    def chunks() -> Iterator[str]:
        yield "new"
        raise DocpipeError("DP111", "page 2")

    with pytest.raises(DocpipeError, match="DP111"):
        write_whole(path, chunks())
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_a_file_has_the_rights_that_the_user_gives_new_files(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        path = write_whole(tmp_path / "a.txt", ["x", b"y"])
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert path.read_bytes() == b"xy"


def test_a_path_that_is_a_folder_is_dp401(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(DocpipeError, match="DP401"):
        write_whole(tmp_path / "a.txt", ["x"])
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
