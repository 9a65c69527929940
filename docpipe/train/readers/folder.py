"""A folder: each image beside a file of its name that holds the answer, as .txt or as .json.

    a.png a.txt                      the answer
    b.png b.json {"target": "…", "task": "…", "parts": {…}, "prefix": "…"}     all but target may be left out

A sub-folder of the split's name is read alone; without one, all images belong to the split "train".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docpipe.imagefile import SUFFIXES
from docpipe.train.examples import Example
from docpipe.train.rows import json_object, member, text_of, wrong


def read(place: Path, split: str, task: str) -> Iterator[Example]:
    """Images without an answer are passed over. Raises DP622."""
    if not place.is_dir():
        raise wrong(place, 0, "a folder is needed")
    root = place / split if split and (place / split).is_dir() else place
    if root == place and split not in ("", "train"):
        return
    for image in sorted(root.rglob("*")):
        if image.suffix.lower() not in SUFFIXES:
            continue
        text, table = image.with_suffix(".txt"), image.with_suffix(".json")
        if text.is_file():
            yield Example(image, task, text_of(text).strip("\n"))
        elif table.is_file():
            row = json_object(table)
            yield Example(
                image,
                str(row.get("task", task)),
                str(row["target"] if "target" in row else member(row, "suffix", table)),
                {str(k): str(v) for k, v in dict(row.get("parts", {})).items()},
                row.get("prefix"),
            )
