"""Checkpoints by name: public, shipped, folders, hub names; docpipe.json; fetching without a network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from random_models import GOLDEN

from docpipe.errors import DocpipeError
from docpipe.models import registry
from docpipe.models.registry import PUBLIC, checkpoint_names, find_checkpoint, locate, read_folder, shipped


def folder(path: Path, **said: object) -> Path:
    shutil.copytree(GOLDEN / "tiny_10b", path)
    if said:
        (path / "docpipe.json").write_text(json.dumps(said))
    return path


def test_the_public_checkpoints_are_those_that_google_published() -> None:
    assert len(PUBLIC) == 17
    assert {c.licence for c in PUBLIC.values()} == {"gemma"}
    assert all(c.gated and c.hub == f"google/{name}" for name, c in PUBLIC.items())
    assert sorted({(c.family, c.side) for c in PUBLIC.values()}) == [
        ("ft", 448), ("mix", 224), ("mix", 448), ("pt", 224), ("pt", 448), ("pt", 896),
    ]  # fmt: skip
    assert "paligemma2-28b-mix-896" not in PUBLIC
    assert "paligemma2-28b-ft-docci-448" not in PUBLIC


def test_no_public_checkpoint_claims_tables_molecules_or_music() -> None:
    for name, checkpoint in PUBLIC.items():
        assert not any(checkpoint.can_read(task) for task in ("table", "molecule", "score")), name
    assert PUBLIC["paligemma2-3b-mix-448"].can_read("text")
    assert PUBLIC["paligemma2-3b-ft-docci-448"].can_read("caption")
    assert not PUBLIC["paligemma2-3b-ft-docci-448"].can_read("text")


def test_names_are_found_with_and_without_the_owner() -> None:
    assert find_checkpoint("google/paligemma2-3b-pt-896") == find_checkpoint("paligemma2-3b-pt-896")
    assert find_checkpoint("paligemma2-3b-pt-896").size == "3b"


def test_a_hub_name_tells_what_it_follows() -> None:
    other = find_checkpoint("someone/molecules-3b")
    assert (other.hub, other.family, other.tasks) == ("someone/molecules-3b", "ft", None)
    copied = find_checkpoint("someone/paligemma2-3b-mix-448")
    assert (copied.hub, copied.family) == ("someone/paligemma2-3b-mix-448", "mix")


def test_an_unknown_name_lists_the_registered_ones() -> None:
    with pytest.raises(DocpipeError, match=r"DP301 nonsense:.*paligemma2-3b-mix-448"):
        find_checkpoint("nonsense")
    assert set(PUBLIC) <= set(checkpoint_names())


def test_a_folder_that_says_nothing_can_be_asked_anything(tmp_path: Path) -> None:
    found = find_checkpoint(str(folder(tmp_path / "mine")))
    assert (found.name, found.family, found.tasks) == ("mine", "ft", None)
    assert found.can_read("molecule")
    named = find_checkpoint(str(folder(tmp_path / "paligemma2-3b-mix-448")))
    assert named.family == "mix"
    assert not named.can_read("molecule")


def test_a_folder_without_a_config_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(DocpipeError, match=r"DP301.*config\.json"):
        find_checkpoint(str(tmp_path))


def test_docpipe_json_says_family_tasks_and_calibration(tmp_path: Path) -> None:
    found = read_folder(
        folder(
            tmp_path / "x",
            name="nano-molecules",
            family="nano",
            resize="bicubic",
            licence="Apache-2.0",
            tasks={"molecule": {"prompt": "smiles", "max_tokens": 40, "prepare": "white-square"}, "text": {}},
            confidence={"molecule": {"measure": "joint", "x": [0, 1], "y": [0.1, 0.9]}},
            part_confidence={"molecule": {"measure": "joint", "x": [0, 1], "y": [0.2, 0.8]}},
        )
    )
    assert (found.name, found.family, found.resize, found.licence) == (
        "nano-molecules",
        "nano",
        "bicubic",
        "Apache-2.0",
    )
    assert found.tasks == {"molecule", "text"}
    assert (found.settings["molecule"].prompt, found.settings["molecule"].max_tokens) == ("smiles", 40)
    assert found.settings["text"].prompt is None
    assert found.calibration["molecule"]([0.0]) == 0.9
    assert found.part_calibration["molecule"]([0.0]) == 0.8


@pytest.mark.parametrize(
    "said",
    [
        {"tasks": [1]},
        {"tasks": {"text": 3}},
        {"confidence": {"text": {"x": [2], "y": [0]}}},
        {"part_confidence": {"score": {"x": [0, 1], "y": [1, 0]}}},
    ],
)
def test_a_broken_docpipe_json_is_refused(tmp_path: Path, said: dict[str, object]) -> None:
    with pytest.raises(DocpipeError, match="DP302"):
        read_folder(folder(tmp_path / "x", **said))


def test_shipped_checkpoints_are_found_by_their_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path / "b", family="nano", name="nano-b", tasks={"molecule": {}})
    folder(tmp_path / "a", family="nano", name="nano-a", tasks={"text": {}})
    (tmp_path / "notes").mkdir()
    monkeypatch.setattr(registry, "SHIPPED", tmp_path)
    assert list(shipped()) == ["nano-a", "nano-b"]
    assert [c.name for c in registry.checkpoints_for("molecule")] == ["nano-b"]
    assert registry.checkpoints_for("text")[0].name == "nano-a"
    assert find_checkpoint("nano-b").folder == tmp_path / "b"
    assert checkpoint_names()[:2] == ["nano-a", "nano-b"]


def test_every_checkpoint_that_ships_is_whole() -> None:
    from docpipe.models.load import network_config, weight_files
    from docpipe.models.tokenizer import Tokenizer

    for checkpoint in shipped().values():
        assert checkpoint.folder is not None
        assert checkpoint.tasks, "a shipped checkpoint says what it can do"
        assert checkpoint.family == "nano"
        assert weight_files(checkpoint.folder)
        assert Tokenizer(checkpoint.folder, network_config(checkpoint.folder)).prompt("") != []


def test_offline_a_checkpoint_that_is_not_cached_is_a_coded_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DocpipeError, match=r"DP301 google/paligemma2-3b-pt-224:.*not in the local cache"):
        locate(find_checkpoint("paligemma2-3b-pt-224"), offline=True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DocpipeError, match=r"DP301 someone/thing:"):
        locate(find_checkpoint("someone/thing"))


def test_a_cached_hub_checkpoint_is_found_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    commit = "a" * 40
    repository = tmp_path / "models--someone--paligemma2-3b-mix-448"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    folder(repository / "snapshots" / commit)
    found = locate(find_checkpoint("someone/paligemma2-3b-mix-448"), offline=True)
    assert found.folder == repository / "snapshots" / commit
    assert (found.name, found.family) == ("paligemma2-3b-mix-448", "mix")
