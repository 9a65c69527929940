"""Synthetic examples as files: DIR/images/*.png, DIR/truth.jsonl and DIR/manifest.json. The same seed, the same bytes.

A line of truth.jsonl names its image ("image": "images/000007.png"), its number and its truth; the manifest names the
generator, its seed, its options and how many there are. It is written last: a folder without one is not whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

import docpipe
from docpipe.errors import DocpipeError
from docpipe.export.atomic import unwritable, write_whole
from docpipe.train.synth.examples import Example, Options, synthesizer

VERSION = 1
"""Of the folder's layout."""

MOST = 10_000_000


def write_folder(
    name: str, folder: Path | str, count: int, *, seed: int = 1, start: int = 0, options: Options | None = None
) -> Path:
    """Write `count` examples of a synthesizer (examples.SYNTHESIZERS), number `start` and on; the manifest's path.

    What an earlier call wrote there is written anew. Raises DP601 for an unknown synthesizer, DP602 and DP603 for lists
    and fonts that are not there, DP604 for a count that is none, DP605 when the folder holds other things, DP606 when
    the synthesizer fails, DP305 when a library is missing, DP401 when the folder cannot be written.
    """
    if not 1 <= count <= MOST or start < 0:
        raise DocpipeError("DP604", str(count), f"how many: 1 to {MOST}, from number 0 on")
    made, chosen, root = synthesizer(name), options or Options(), Path(folder)
    manifest = root / "manifest.json"
    _clear(root, manifest)
    examples = islice(_checked(made(seed, start, chosen), name), count)
    digest = hashlib.sha256()
    with unwritable(root):
        (root / "images").mkdir(parents=True, exist_ok=True)
        with (root / "truth.jsonl").open("w", encoding="utf-8", newline="\n") as file:
            for number, example in enumerate(examples, start):
                path = f"images/{number:06d}.png"
                Image.fromarray(example.pixels).save(root / path, "PNG", compress_level=6)
                digest.update(example.pixels.tobytes())
                line = json.dumps({"image": path, "number": number, **example.truth}, ensure_ascii=False)
                digest.update(line.encode())
                file.write(line + "\n")
        said: dict[str, Any] = {
            "layout": VERSION,
            "generator": name,
            "docpipe": docpipe.__version__,
            "seed": seed,
            "start": start,
            "count": count,
            "options": {"noise": chosen.noise, "fonts": _names(chosen.fonts, "DOCPIPE_FONTS")},
            "sha256": digest.hexdigest(),
        }
    return write_whole(manifest, [json.dumps(said, indent=1, ensure_ascii=False) + "\n"])


def _checked(examples: Iterator[Example], name: str) -> Iterator[Example]:
    """What a synthesizer gives. Raises DP305 where a library that draws is missing, DP606 when it ends or fails."""
    number = 0
    while True:
        try:
            example = next(examples)
        except ImportError as error:
            raise DocpipeError("DP305", name, f"{error}; pip install docpipe[train]") from error
        except StopIteration:
            raise DocpipeError("DP606", name, f"it ended after {number} examples") from None
        except (ValueError, RuntimeError) as error:
            raise DocpipeError("DP606", name, f"example {number}: {error}") from error
        yield example
        number += 1


def _clear(root: Path, manifest: Path) -> None:
    """Take away what an earlier run of ours wrote; nothing else is ever deleted."""
    if not root.exists():
        return
    if not root.is_dir():
        raise DocpipeError("DP605", str(root), "it is a file")
    names = {path.name for path in root.iterdir()}
    ours = {"images", "truth.jsonl", "manifest.json"}
    images = root / "images"
    strange = names - ours or (images.is_dir() and any(p.suffix != ".png" for p in images.iterdir()))
    if strange:
        raise DocpipeError("DP605", str(root), "it holds files that docpipe synth did not write")
    with unwritable(root):
        manifest.unlink(missing_ok=True)
        for path in images.glob("*.png") if images.is_dir() else ():
            path.unlink()
        (root / "truth.jsonl").unlink(missing_ok=True)


def _names(folder: str | None, variable: str) -> list[str]:
    """The files of a folder, by their names: no path of this machine goes into a manifest."""
    place = folder or os.environ.get(variable)
    return sorted(p.name for p in Path(place).rglob("*") if p.is_file()) if place else []
