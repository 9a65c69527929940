"""What people said of readings: corrections.jsonl beside document.json, as the review page writes it.

A line: {"document": folder, "region": "p3.r7", "action": "accept", "edit", "reject" or "undo", "content": as in
document.json, "time": ISO}. The newest line of a region counts. An accepted reading teaches what it says, an edited
one what the person wrote; a rejected one teaches nothing, for nobody said what is right.

The region's pixels are rasterized anew from the source, as the engine saw them, or taken from crops/.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from docpipe.document import Box, Content, Page, Region, canonical
from docpipe.errors import DocpipeError
from docpipe.export.corrections import SAME_PLACE
from docpipe.export.crops import figure_link
from docpipe.export.json import read_document
from docpipe.tasks.base import get_task, task_names
from docpipe.train.examples import Example
from docpipe.train.rows import json_lines, member, wrong

FILE = "corrections.jsonl"
_CONTENT: TypeAdapter[Content] = TypeAdapter(Content)
PREFERRED = ("text", "table", "molecule", "score", "formula", "chart", "describe", "caption", "question")
"""Which task an answer of a kind is learnt as, where several would do and the recipe trains more than one of them."""


def read(place: Path, split: str, task: str, tasks: Sequence[str] = (), sources: str = "") -> Iterator[Example]:
    """place: the file or its folder. task, tasks: those to learn; none means all. sources: a folder where documents'
    files are looked for, too: else in the output folder and the two above it. There are no splits but "train".

    Raises DP622 where the file is broken, DP628 where not one correction can be learnt from.
    """
    if split not in ("", "train"):
        return
    file = place if place.is_file() else place / FILE
    wanted = [name for name in (task, *tasks) if name] or task_names()
    newest: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
    for number, row in json_lines(file):
        key = (str(row.get("document") or "."), str(member(row, "region", file, number)))
        if row.get("action") not in ("accept", "edit", "reject", "undo"):
            raise wrong(file, number, f"action is {row.get('action')!r}")
        newest.pop(key, None)
        newest[key] = (number, row)
    given, why = 0, ""
    for (document, region), (number, row) in newest.items():
        if row["action"] in ("reject", "undo"):
            continue
        folder = next(
            (f for f in (file.parent / document, Path(document), file.parent) if (f / "document.json").is_file()),
            file.parent,
        )
        try:
            example = _example(folder, region, row, wanted, file, number, sources)
        except DocpipeError as error:
            if error.code != "DP628":
                raise
            why = str(error)
            continue
        if example is not None:
            given += 1
            yield example
    if not given and why:
        raise DocpipeError("DP628", str(file), why)


def _example(folder: Path, region_id: str, row: dict[str, Any], wanted: Sequence[str], file: Path, number: int,
             sources: str) -> Example | None:  # fmt: skip
    where = f"{file} line {number}"
    document = read_document(folder)
    pairs = ((page, region) for page in document.pages for region in page.regions if region.id == region_id)
    page, region = next(pairs, (None, None))
    if page is None or region is None:
        raise DocpipeError("DP628", where, f"the document has no region {region_id}")
    if "box" in row and Box(*row["box"]).iou(region.box) < SAME_PLACE:
        raise DocpipeError("DP628", where, f"{region_id} is elsewhere since the document was converted anew")
    content = region.reading.content if region.reading else None
    if row["action"] == "edit":
        try:
            content = _CONTENT.validate_python(member(row, "content", file, number))
        except ValidationError as error:
            raise wrong(file, number, f"content: {error.errors()[0]['msg']}") from error
    name = _task(region, content, wanted)
    if content is None or name is None:
        return None
    target, parts = answer(name, content)
    if not target:
        return None
    return _placed(folder, document.source.name, document.source.sha256, page, region, name, target, parts, sources)


def _task(region: Region, content: Content | None, wanted: Sequence[str]) -> str | None:
    """The task that reads such a region and writes such a content, of those wanted."""
    if content is None:
        return None
    fit = [
        n
        for n in wanted
        if get_task(n).writes == content.type and (not get_task(n).reads or region.kind in get_task(n).reads)
    ]
    return min(fit, key=lambda n: PREFERRED.index(n) if n in PREFERRED else len(PREFERRED), default=None)


def answer(task: str, content: Content) -> tuple[str, dict[str, str]]:
    """A content as the suffix that a task learns, and what fills the prompt's blanks."""
    parts = {}
    if content.type == "answer" and content.question:
        parts = {"question": content.question, "statement": content.question, "indication": content.question}
    if content.type == "picture":
        alt, description = content.alt or "", content.description or ""
        return (description or alt) if task == "describe" else (alt or description), parts
    return canonical(content), parts


def _placed(folder: Path, name: str, sha256: str, page: Page, region: Region, task: str, target: str,
            parts: dict[str, str], sources: str) -> Example:  # fmt: skip
    places = [folder, folder.parent, folder.parent.parent, *([Path(sources)] if sources else [])]
    for source in (place / Path(name).name for place in places):
        if source.is_file() and hashlib.sha256(source.read_bytes()).hexdigest() == sha256:
            x0, y0, x1, y1 = region.box
            return Example(source, task, target, parts, page=page.number, box=(x0, y0, x1, y1),
                           rotation=page.rotation, skew=page.skew)  # fmt: skip
    crop = folder / figure_link(region.id)
    if crop.is_file():
        return Example(crop, task, target, parts)
    raise DocpipeError("DP628", region.id, f"neither {name} nor {crop.name} is there to take its pixels from")
