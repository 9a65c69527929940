"""Visual Spatial Reasoning (arXiv 2205.00363): <split>.jsonl or splits/<kind>/<split>.jsonl, and images/.

A line: {"image": "000000001.jpg", "caption": "The cat is under the table.", "label": 1}. The statement fills the
prompt's {statement}, the answer is True or False.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docpipe.train.examples import Example
from docpipe.train.rows import first_of, json_lines, member


def read(place: Path, split: str, task: str, kind: str = "zeroshot") -> Iterator[Example]:
    """kind: which split of the data, zeroshot or random. Raises DP622."""
    name = f"{split or 'train'}.jsonl"
    file = first_of(place, f"data/splits/{kind}/{name}", f"splits/{kind}/{name}", f"{kind}/{name}", name)
    for number, row in json_lines(file):
        image = place / "images" / str(member(row, "image", file, number))
        said = "True" if int(member(row, "label", file, number)) else "False"
        yield Example(image, task, said, {"statement": str(member(row, "caption", file, number)).strip()})
