"""`docpipe models`: the checkpoints docpipe knows, what they can do, and whether a copy is whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from docpipe.cli.app import AsJson, app
from docpipe.errors import DocpipeError

if TYPE_CHECKING:
    from docpipe.models.registry import Checkpoint

models = typer.Typer(
    name="models",
    help="PaliGemma 2 checkpoints: list, info, verify, pull.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(models)

Name = Annotated[str, typer.Argument(metavar="NAME|FOLDER", help="A registered name, a hub name or a folder.")]
Offline = Annotated[bool, typer.Option("--offline", help="Look in the local cache only.")]
Revision = Annotated[str | None, typer.Option("--revision", help="Of the hub's repository.")]


@models.command("list")
def list_models(
    task: Annotated[str | None, typer.Option("--task", "-t", help="Only those that were trained for it.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the registered checkpoints, those that ship with docpipe first."""
    from docpipe.models.registry import PUBLIC, checkpoints_for, shipped
    from docpipe.tasks import get_task

    if task is not None:
        get_task(task)
    known = checkpoints_for(task) if task else [*shipped().values(), *PUBLIC.values()]
    if as_json:
        print(json.dumps([_facts(checkpoint) for checkpoint in known], ensure_ascii=False, indent=1))
        return
    for one in known:
        side = f"{one.side} px" if one.side else ""
        gated = "gated" if one.gated else ""
        print(f"{one.name:28} {one.family:5} {side:7} {one.licence or '':11} {gated:6} {_tasks(one)}".rstrip())


@models.command()
def info(name: Name, as_json: AsJson = False) -> None:
    """Print what is known of a checkpoint; of a folder also its shape and digest. Nothing is fetched."""
    from docpipe.models.registry import find_checkpoint

    checkpoint = find_checkpoint(name)
    facts = _facts(checkpoint) | (_shape(checkpoint) if checkpoint.folder else {}) | _adapter(checkpoint)
    facts |= _memory(checkpoint)
    if as_json:
        print(json.dumps(facts, ensure_ascii=False, indent=1))
        return
    for key, value in facts.items():
        print(f"{key}: {', '.join(map(str, value)) if isinstance(value, list) else value}")


@models.command()
def pull(
    name: Name,
    revision: Revision = None,
    digest: Annotated[str | None, typer.Option("--digest", help="SHA-256 that it must have.")] = None,
    offline: Offline = False,
) -> None:
    """Fetch a checkpoint into the hub's cache and print its digest. Gated ones need a login."""
    checkpoint = _located(name, revision, offline)
    _check_digest(checkpoint, digest)
    _print_digest(checkpoint)


@models.command()
def verify(
    name: Name,
    digest: Annotated[str | None, typer.Option("--digest", help="SHA-256 that it must have.")] = None,
    revision: Revision = None,
    offline: Offline = False,
) -> None:
    """Load a checkpoint whole (shapes, values, tokenizer) and print its digest; exit code 1 when anything is wrong."""
    from docpipe.models.adapters import read_adapter
    from docpipe.models.load import load_network, network_config
    from docpipe.models.tokenizer import Tokenizer

    checkpoint = _located(name, revision, offline)
    assert checkpoint.folder is not None
    _check_digest(checkpoint, digest)
    Tokenizer(checkpoint.folder, network_config(checkpoint.folder))
    load_network(checkpoint.folder, adapter=read_adapter(checkpoint.adapter) if checkpoint.adapter else None)
    _print_digest(checkpoint)


def _located(name: str, revision: str | None, offline: bool) -> Checkpoint:
    from docpipe.models.registry import find_checkpoint, locate

    found = locate(find_checkpoint(name), revision=revision, offline=offline)
    if found.folder is None:
        raise DocpipeError("DP301", name, "it has neither a folder nor a hub name")
    return found


def _check_digest(checkpoint: Checkpoint, wanted: str | None) -> None:
    """Raises DP306 when a checkpoint's digest is not the one wanted, or not the one that it is pinned to."""
    from docpipe.models.digests import whole_digest

    found = whole_digest(checkpoint, anew=True)
    if wanted is not None and wanted.lower() != found:
        raise DocpipeError("DP306", checkpoint.name, f"it is {found}")


def _print_digest(checkpoint: Checkpoint) -> None:
    from docpipe.models.digests import whole_digest

    print(f"{whole_digest(checkpoint)}  {checkpoint.name}")


def _tasks(checkpoint: Checkpoint) -> str:
    return "any task" if checkpoint.tasks is None else " ".join(sorted(checkpoint.tasks))


def _facts(checkpoint: Checkpoint) -> dict[str, Any]:
    facts = {
        "name": checkpoint.name,
        "family": checkpoint.family,
        "size": checkpoint.size,
        "side": checkpoint.side,
        "licence": checkpoint.licence,
        "gated": checkpoint.gated,
        "tasks": None if checkpoint.tasks is None else sorted(checkpoint.tasks),
        "resize": checkpoint.resize,
        "calibrated": sorted(checkpoint.calibration),
        "hub": checkpoint.hub,
        "summary": checkpoint.summary,
    }
    return {key: value for key, value in facts.items() if value not in (None, "", [])}


def _adapter(checkpoint: Checkpoint) -> dict[str, Any]:
    """A LoRA adapter's facts, and those that lie in the checkpoint's own folder."""
    from docpipe.models.adapters import is_adapter, read_adapter

    if checkpoint.adapter is not None:
        adapter = read_adapter(checkpoint.adapter)
        return {
            "base": checkpoint.base,
            "adapter": adapter.name,
            "rank": adapter.rank,
            "alpha": adapter.alpha,
            "targets": list(adapter.targets),
            "adapted weights": len(adapter.weights.names),
        }
    if checkpoint.folder is None:
        return {}
    beside = sorted(folder.name for folder in checkpoint.folder.iterdir() if folder.is_dir() and is_adapter(folder))
    return {"adapters": beside} if beside else {}


def _memory(checkpoint: Checkpoint) -> dict[str, Any]:
    """Gigabytes that it takes to answer one request in 512 tokens, in either type of weights."""
    from docpipe.models.load import network_config
    from docpipe.models.memory import BYTES, predicted, published_config

    if checkpoint.folder is not None:
        config = network_config(checkpoint.folder)
    elif checkpoint.size and checkpoint.side:
        config = published_config(checkpoint.size, checkpoint.side)
    else:
        return {}
    totals = {dtype: predicted(config, tokens=512, dtype=dtype).total for dtype in BYTES}
    return {"memory": [f"{total / 1e9:.2f} GB in {dtype}" for dtype, total in totals.items()]}


def _shape(checkpoint: Checkpoint) -> dict[str, Any]:
    from docpipe.models.digests import whole_digest
    from docpipe.models.load import network_config

    assert checkpoint.folder is not None
    config = network_config(checkpoint.folder)
    return {
        "side": config.vision.side,
        "image tokens": config.vision.tokens,
        "vocabulary": config.text.vocabulary,
        "digest": whole_digest(checkpoint),
        "pinned": bool(checkpoint.pinned),
    }
