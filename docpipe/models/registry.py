"""Checkpoints by name: the public ones, those that ship with docpipe, and any folder or hub name.

What a checkpoint can do is said by its `docpipe.json`, or by its family: pt and mix checkpoints follow the papers'
prompts, a fine-tune (ft) that says nothing is taken at its user's word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from docpipe.errors import DocpipeError
from docpipe.models.adapters import is_adapter, read_adapter
from docpipe.models.confidence import Calibration
from docpipe.models.load import read_json

PRETRAINED = frozenset(
    ("text", "caption", "short-caption", "describe", "question", "ask-back", "detect", "segment", "grounded-caption")
)
"""Tasks whose prompts the papers' pretraining knows; tables, molecules and music were only ever fine-tuned."""

SHIPPED = Path(__file__).resolve().parent / "nano"
LICENCE = "gemma"
_HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")
_PUBLIC_NAME = re.compile(
    r"paligemma2-(?P<size>\d+b)-(?P<family>pt|mix|ft)(-(?P<variant>[a-z]+))?-(?P<side>224|448|896)$"
)


@dataclass(frozen=True)
class TaskSettings:
    """How one checkpoint reads one task, where it differs from the task's own file.

    prompt: with the blanks of the task's. max_tokens: of an answer. prepare: one of `preprocess.ARRANGEMENTS`, with
    `options` of its own.
    """

    prompt: str | None = None
    max_tokens: int | None = None
    prepare: str | None = None
    options: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as far as its name or its docpipe.json tells. tasks None: whatever it is asked.

    folder: None until it was fetched (`locate`). adapter: a LoRA adapter's folder, put onto the weights in `folder`;
    base: the name of the checkpoint that it is put onto. pinned: the digest that the weights must have. side: of its
    square image in pixels, when the name says. resize: the family's, see `preprocess.Resize`. abstain_below: for
    tasks with a calibration, the confidence (0..1) under which an answer is not worth giving. part_calibration: of
    tasks whose answers' parts have one (a score's measures). world: of one with a
    closed vocabulary, what its prompts and answers can be about; an empty answer then says that none of it is there.
    """

    name: str
    family: str
    tasks: frozenset[str] | None = None
    folder: Path | None = None
    hub: str | None = None
    side: int | None = None
    size: str | None = None
    licence: str | None = None
    gated: bool = False
    resize: str = "bilinear"
    settings: dict[str, TaskSettings] = field(default_factory=dict)
    calibration: dict[str, Calibration] = field(default_factory=dict)
    abstain_below: dict[str, float] = field(default_factory=dict)
    part_calibration: dict[str, Calibration] = field(default_factory=dict)
    summary: str = ""
    adapter: Path | None = None
    base: str | None = None
    pinned: str | None = None
    world: str = ""

    def can_read(self, task: str) -> bool:
        """Whether it was trained for the task, as far as is known."""
        return self.tasks is None or task in self.tasks


def _public() -> dict[str, Checkpoint]:
    made = {}
    sizes = ("3b", "10b", "28b")
    names = [f"{s}-pt-{side}" for s in sizes for side in (224, 448, 896)]
    names += [f"{s}-mix-{side}" for s in sizes for side in (224, 448)]
    names += [f"{s}-ft-docci-448" for s in sizes[:2]]
    for name in names:
        checkpoint = _by_name(f"google/paligemma2-{name}")
        made[checkpoint.name] = checkpoint
    return made


def _by_name(hub: str, folder: Path | None = None) -> Checkpoint:
    """What a name tells of a checkpoint; one that follows no known pattern is a fine-tune of unknown tasks."""
    name = hub.rpartition("/")[2]
    found = _PUBLIC_NAME.search(name)
    if not found:
        return Checkpoint(name=name, family="ft", hub=None if folder else hub, folder=folder)
    family = found["family"]
    tasks = frozenset(("caption", "describe")) if found["variant"] == "docci" else PRETRAINED
    return Checkpoint(
        name=name,
        family=family,
        tasks=None if family == "ft" and found["variant"] != "docci" else tasks,
        folder=folder,
        hub=None if folder else hub,
        side=int(found["side"]),
        size=found["size"],
        licence=LICENCE,
        gated=True,
    )


PUBLIC: dict[str, Checkpoint] = _public()
"""Google's PaliGemma 2 checkpoints (17), by name without the owner. All are gated by the Gemma licence."""


def read_folder(folder: Path, name: str | None = None) -> Checkpoint:
    """The checkpoint in a folder, as its docpipe.json or its name describes it.

    Raises DP301 when the folder holds no config.json, DP302 when docpipe.json is broken.
    """
    if not (folder / "config.json").is_file():
        raise DocpipeError("DP301", folder.name, "the folder holds no config.json")
    base = _by_name(name or folder.name, folder)
    if not (folder / "docpipe.json").is_file():
        return base
    return _described(base, read_json(folder / "docpipe.json"))


def _described(base: Checkpoint, said: Mapping[str, Any]) -> Checkpoint:
    """A checkpoint with what its docpipe.json says of it. Raises DP302 when that is not of the known form."""
    try:
        tasks = {str(k): dict(v) for k, v in dict(said.get("tasks", {})).items()}
        maps, parts = (dict(said.get(name) or {}) for name in ("confidence", "part_confidence"))
        return replace(
            base,
            name=str(said.get("name", base.name)),
            family=str(said.get("family", base.family)),
            tasks=frozenset(tasks) if tasks else base.tasks,
            licence=said.get("licence", base.licence),
            gated=False,
            resize=str(said.get("resize", base.resize)),
            settings={k: _settings(v) for k, v in tasks.items()},
            abstain_below={str(k): float(v) for k, v in dict(said.get("abstain_below") or {}).items()},
            calibration={k: Calibration.from_json(v, base.name) for k, v in maps.items()},
            part_calibration={k: Calibration.from_json(v, base.name) for k, v in parts.items()},
            summary=str(said.get("summary", "")),
            world=str(said.get("world", "")),
            pinned=said.get("digest"),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise DocpipeError("DP302", base.name, f"docpipe.json is not of the known form: {error}") from error


def _settings(said: Mapping[str, Any]) -> TaskSettings:
    return TaskSettings(
        prompt=said.get("prompt"),
        max_tokens=said.get("max_tokens"),
        prepare=said.get("prepare"),
        options={str(k): float(v) for k, v in dict(said.get("options", {})).items()},
    )


def shipped() -> dict[str, Checkpoint]:
    """The checkpoints whose weights ship with docpipe, by name."""
    if not SHIPPED.is_dir():
        return {}
    found = [read_folder(f) for f in sorted(SHIPPED.iterdir()) if (f / "config.json").is_file()]
    return {checkpoint.name: checkpoint for checkpoint in found}


def checkpoint_names() -> list[str]:
    """The names of all registered checkpoints, those that ship with docpipe first."""
    return [*shipped(), *PUBLIC]


def checkpoints_for(task: str) -> list[Checkpoint]:
    """The registered checkpoints that were trained for a task, those that ship with docpipe first."""
    return [c for c in (*shipped().values(), *PUBLIC.values()) if c.can_read(task)]


def find_checkpoint(name: str) -> Checkpoint:
    """The checkpoint of that name: a folder, a registered name, or a hub name (owner/name). Nothing is fetched.

    "base+folder" is a LoRA adapter put onto a base (each of these names); an adapter's folder alone is put onto the
    base that it names itself. Raises DP301, naming the registered ones, when it is none of these, DP310 and DP311 for
    an adapter that is none or names another base.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        folder = folder.resolve()
        return with_adapter(None, folder) if is_adapter(folder) and not _is_base(folder) else read_folder(folder)
    base, plus, adapter = name.partition("+")
    if plus:
        return with_adapter(find_checkpoint(base), Path(adapter).expanduser())
    ours = shipped()
    if name in ours:
        return ours[name]
    public = PUBLIC.get(name.removeprefix("google/"))
    if public is not None:
        return public
    if _HUB_NAME.match(name):
        return _by_name(name)
    raise DocpipeError("DP301", name, "registered are " + ", ".join(checkpoint_names()))


def with_adapter(base: Checkpoint | None, folder: Path) -> Checkpoint:
    """A base with a LoRA adapter; its docpipe.json, where there is one, says what they can do together.

    base None: the one that the adapter's own settings name. Raises DP310 for an adapter that cannot be loaded, DP311
    when it names no base that can be found, or was trained on another one of the published checkpoints.
    """
    adapter = read_adapter(folder.resolve())
    if base is None:
        if adapter.base is None:
            raise DocpipeError("DP311", adapter.name, "it names no base: write base+folder")
        try:
            base = find_checkpoint(adapter.base)
        except DocpipeError as error:
            raise DocpipeError("DP311", adapter.name, f"its base {adapter.base} is not here: base+folder") from error
    theirs, ours = (_PUBLIC_NAME.search(name or "") for name in (adapter.base, base.hub or base.name))
    if theirs and ours and theirs[0] != ours[0]:
        raise DocpipeError("DP311", adapter.name, f"it was trained on {theirs[0]}, not on {ours[0]}")
    if base.adapter is not None:
        raise DocpipeError("DP311", adapter.name, f"{base.name} is a base with an adapter already")
    plain = replace(
        base, name=f"{base.name}+{adapter.name}", family="ft", tasks=None, settings={}, calibration={},
        abstain_below={}, part_calibration={}, summary="", adapter=adapter.folder, base=base.name,
    )  # fmt: skip
    if not (folder / "docpipe.json").is_file():
        return plain
    said = {"resize": base.resize, "name": plain.name, **read_json(folder / "docpipe.json")}
    return replace(_described(plain, said), gated=base.gated, pinned=base.pinned)


def _is_base(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def locate(checkpoint: Checkpoint, *, revision: str | None = None, offline: bool = False) -> Checkpoint:
    """The checkpoint with its folder, fetched from the hub when it has none; safetensors and JSON files only.

    offline: look only in the local cache, as HF_HUB_OFFLINE=1 does. Raises DP301 when there is no such repository or
    it is not in the cache, DP302 when it is gated or the hub cannot be reached.
    """
    if checkpoint.folder is not None or checkpoint.hub is None:
        return checkpoint
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    hub = checkpoint.hub
    try:
        path = snapshot_download(
            hub,
            revision=revision,
            local_files_only=offline,
            allow_patterns=["*.safetensors", "*.json"],
        )
    except GatedRepoError as error:
        raise DocpipeError("DP302", hub, "it is gated: accept its licence on the hub, then `hf auth login`") from error
    except RevisionNotFoundError as error:
        raise DocpipeError("DP301", hub, f"it has no revision {revision}") from error
    except RepositoryNotFoundError as error:
        raise DocpipeError("DP301", hub, "the hub has no such repository, or it is private") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise DocpipeError("DP301", hub, "it is not in the local cache and the hub is not reached") from error
    except (HfHubHTTPError, OSError, ValueError, TypeError, KeyError) as error:  # the last two: it is no hub at all
        raise DocpipeError("DP302", hub, f"the hub cannot be reached: {error}") from error
    if checkpoint.adapter is not None:
        return replace(checkpoint, folder=Path(path))
    found = read_folder(Path(path), name=hub)
    return replace(found, hub=hub)
