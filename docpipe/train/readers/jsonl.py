"""JSON Lines, one example a line, as the papers' code and most tools have them.

    {"image": "a.png", "prefix": "answer en what is this?", "suffix": "a cat"}
    {"image": "b.png", "task": "question", "parts": {"question": "what is this?"}, "suffix": "a cat"}

`text` and `target` are read as `suffix`. The place is a file, or a folder with `<split>.jsonl`, `annotations.jsonl` or
`metadata.jsonl`; images are looked for beside the file, or in the folder of the option `images`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docpipe.train.examples import Example
from docpipe.train.rows import first_of, json_lines, member


def read(place: Path, split: str, task: str, images: str = "", image_key: str = "image") -> Iterator[Example]:
    """Lines that name another split are passed over. Raises DP622."""
    if place.is_file():
        file = place
        named = False
    else:
        given = f"{split}.jsonl" if split else "annotations.jsonl"
        if split not in ("", "train") and not (place / given).is_file():
            named = any((place / name).is_file() for name in ("annotations.jsonl", "metadata.jsonl"))
            if not named:
                return
        file = first_of(place, given, "annotations.jsonl", "metadata.jsonl")
        named = file.name == given and bool(split)
    root = file.parent / images
    for number, row in json_lines(file):
        if split and not named and str(row.get("split", "train")) != split:
            continue
        key = next((k for k in ("suffix", "target", "text") if k in row), "suffix")
        name = image_key if image_key in row else "file_name" if "file_name" in row else image_key
        yield Example(
            root / str(member(row, name, file, number)),
            str(row.get("task", task)),
            str(member(row, key, file, number)),
            {str(k): str(v) for k, v in dict(row.get("parts") or {}).items()},
            row.get("prefix"),
        )
