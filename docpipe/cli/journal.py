"""`docpipe resume`, `status` and `cache`: runs that were cut, and readings that are remembered."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from docpipe.cli.app import AsJson, Password, Quiet, app
from docpipe.cli.convert import Asked, report, run

Out = Annotated[Path, typer.Argument(metavar="OUT", help="A folder that `docpipe convert` wrote into.")]


@app.command()
def resume(out: Out, password: Password = None, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Go on with the latest run in a folder, with its sources and settings. Exit code 0 only when nothing is missing.

    A password is the one thing that is not kept.
    """
    from docpipe.run.journal import JOURNAL, Journal
    from docpipe.urls import place

    with Journal(out / JOURNAL, read_only=True) as journal:
        asked = Asked.from_plain(journal.asked)
        files = [place(entry.source) for entry in journal.entries()]
    report(run(files, out, asked, password=password, quiet=quiet or as_json), [], quiet, as_json)


@app.command()
def status(out: Out, as_json: AsJson = False) -> None:
    """Say how far the latest run in a folder is: pages done, failed and left of each document."""
    from docpipe.run.journal import JOURNAL, Journal
    from docpipe.run.lock import is_held

    with Journal(out / JOURNAL, read_only=True) as journal:
        told = [_told(entry, journal.counts(entry.folder)) for entry in journal.entries()]
    running = is_held(out)
    if as_json:
        print(json.dumps({"running": running, "documents": told}, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=None, box=None, pad_edge=False)
    for name in ("document", "state", "done", "failed", "left"):
        table.add_column(name, justify="left" if name in {"document", "state"} else "right", overflow="fold")
    for one in told:
        figures = ("" if one[name] is None else str(one[name]) for name in ("done", "failed", "left"))
        table.add_row(str(out / one["document"]), one["status"] or one["state"], *figures)
    Console(highlight=False).print(table)
    print("a run is at work" if running else "no run is at work", file=sys.stderr)


def _told(entry: Any, kept: dict[str, int]) -> dict[str, Any]:
    """A document's state as plain JSON values. Pages left out by --pages are neither done nor left."""
    counts = entry.outcome.get("pages", kept)
    done, failed = counts.get("complete", 0) + counts.get("partial", 0), counts.get("failed", 0)
    left = None if entry.wanted is None else entry.wanted - done - failed
    return {
        "document": entry.folder, "source": entry.source, "state": entry.state,
        "status": entry.outcome.get("status"), "error": entry.outcome.get("error"), "pages": entry.pages,
        "done": done, "failed": failed, "left": left,
    }  # fmt: skip


cache = typer.Typer(
    no_args_is_help=True, help="Readings of models that are remembered, and quantized weights.", rich_markup_mode=None
)
app.add_typer(cache, name="cache")


@cache.command()
def info(as_json: AsJson = False) -> None:
    """Say where the cache is, how many readings it holds, how large it is and may become, and the same of quantized
    weights, which have no limit.
    """
    from docpipe.models.kept import kept_weights
    from docpipe.run.cache import AnswerCache, Content, cache_file, cache_size

    path, content = cache_file(), Content(0, 0)
    if path.is_file():
        with AnswerCache(path) as kept:
            content = kept.content
    weights = kept_weights()
    if as_json:
        told = {"path": str(path), "readings": content.answers, "bytes": content.size, "most": cache_size()}
        quantized = {"path": str(weights.path), "checkpoints": weights.checkpoints, "bytes": weights.size}
        print(json.dumps({**told, "quantized": quantized}, ensure_ascii=False))
    else:
        print(f"{path}: {content.answers} readings, {content.size:,} of at most {cache_size():,} bytes")
        print(f"{weights.path}: weights of {weights.checkpoints} quantized checkpoints, {weights.size:,} bytes")


@cache.command(name="clear")
def clear_cache() -> None:
    """Forget all readings, and throw quantized weights away."""
    from docpipe.models.kept import forget_weights
    from docpipe.run.cache import cache_file, clear

    clear(cache_file())
    forget_weights()
