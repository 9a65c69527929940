"""Hashes of files are remembered, of large ones on disk, until the file changes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from docpipe.models import file_hashes
from docpipe.models.file_hashes import file_hash


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCPIPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(file_hashes, "LARGE", 1000)


def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in another process."""
    monkeypatch.setattr(file_hashes, "_READ", {})


def test_a_large_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights"
    path.write_bytes(bytes(2000))
    right = hashlib.sha256(bytes(2000)).hexdigest()
    assert file_hash(path) == right
    forgotten(monkeypatch)
    monkeypatch.setattr(file_hashes, "_hashed", lambda _: "read again")
    assert file_hash(path) == right
    assert file_hash(path, anew=True) == "read again"


def test_a_changed_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights"
    path.write_bytes(bytes(2000))
    stat = path.stat()
    file_hash(path)
    path.write_bytes(bytes(1999) + b"x")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # its time of change cannot be put back
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    assert file_hash(path) == right
    forgotten(monkeypatch)
    assert file_hash(path) == right


@pytest.mark.parametrize("kept", ["nothing", "{}", '{"marks": [], "sha256": "1"}'])
def test_what_is_remembered_may_be_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str) -> None:
    path = tmp_path / "weights"
    path.write_bytes(bytes(2000))
    right = file_hash(path)
    (remembered,) = (tmp_path / "cache" / "hashes").iterdir()
    remembered.write_text(kept)
    forgotten(monkeypatch)
    assert file_hash(path) == right


def test_small_files_are_not_kept_and_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"1")
    file_hash(small)
    assert not (tmp_path / "cache").exists()
    (tmp_path / "cache").write_text("a file")
    large.write_bytes(bytes(3000))
    assert file_hash(large) == hashlib.sha256(bytes(3000)).hexdigest()
