"""DOCCI (arXiv 2404.19753): docci_descriptions.jsonlines and images/.

A line: {"split": "train", "image_file": "train_00000.jpg", "description": "…"}; splits are train, test, qual_dev,
qual_test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docpipe.train.examples import Example
from docpipe.train.rows import first_of, json_lines, member


def read(place: Path, split: str, task: str) -> Iterator[Example]:
    """Raises DP622."""
    file = place if place.is_file() else first_of(place, "docci_descriptions.jsonlines", "docci_descriptions.jsonl")
    for number, row in json_lines(file):
        if split and row.get("split") != split:
            continue
        image = file.parent / "images" / str(member(row, "image_file", file, number))
        yield Example(image, task, str(member(row, "description", file, number)).strip())
