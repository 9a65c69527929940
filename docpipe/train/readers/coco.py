"""COCO: annotations/instances_<split>2017.json or captions_<split>2017.json, and images in <split>2017/.

what "boxes": all boxes of an image, after the prompt's {things} "all classes" (the paper's; `classes` "named": the
classes that are there). "captions": each caption is an example.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docpipe.errors import DocpipeError
from docpipe.notation.tokens import Found, write_objects
from docpipe.train.examples import Example
from docpipe.train.rows import first_of, json_object, wrong

ALL = "all classes"
"""PaliGemma 2, arXiv 2412.03555, table 11: the prefix is `detect all classes`."""


def read(
    place: Path, split: str, task: str, what: str = "boxes", classes: str = "all", year: str = "2017"
) -> Iterator[Example]:
    """Crowds are left out, and images without boxes. Raises DP620, DP622."""
    if what not in ("boxes", "captions") or classes not in ("all", "named"):
        raise DocpipeError("DP620", "coco", "what is boxes or captions, classes all or named")
    name = f"{split or 'train'}{year}"
    kind = "instances" if what == "boxes" else "captions"
    file = first_of(place, f"annotations/{kind}_{name}.json", f"{kind}_{name}.json")
    images = first_of(place, name, f"images/{name}", "images")
    held = json_object(file)
    try:
        known = {one["id"]: one for one in held["images"]}
        by_image: dict[int, list[dict[str, Any]]] = {}
        for note in held["annotations"]:
            by_image.setdefault(note["image_id"], []).append(note)
        names = {one["id"]: one["name"] for one in held.get("categories", ())}
        for number in sorted(by_image):
            image, notes = known[number], by_image[number]
            path = images / image["file_name"]
            if what == "captions":
                for note in notes:
                    yield Example(path, task, note["caption"].strip())
                continue
            found = [_found(note, image, names) for note in notes if not note.get("iscrowd")]
            if found:
                # Top to bottom, left to right: a fixed order is easier to learn than none.
                found.sort(key=lambda f: (f.place[1], f.place[0], f.label))
                things = ALL if classes == "all" else " ; ".join(sorted({f.label for f in found}))
                yield Example(path, task, write_objects(found), {"things": things})
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise wrong(file, 0, f"{type(error).__name__} {error}") from error


def _found(note: dict[str, Any], image: dict[str, Any], names: dict[int, str]) -> Found:
    x, y, width, height = note["bbox"]
    across, down = image["width"], image["height"]
    return Found(names[note["category_id"]], (x / across, y / down, (x + width) / across, (y + height) / down))
