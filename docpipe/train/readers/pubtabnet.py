"""PubTabNet (arXiv 1911.10683): PubTabNet_2.0.0.jsonl, and images in train/, val/ and test/.

A line: {"filename", "split", "imgid", "html": {"structure": {"tokens": […]}, "cells": [{"tokens": […], "bbox": […]}]}};
boxes are x0 y0 x1 y1 in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docpipe.document import Box
from docpipe.train.examples import Example
from docpipe.train.rows import first_of, json_lines, member, wrong
from docpipe.train.table_targets import html_of, padded_frame


def read(place: Path, split: str, task: str, coords: bool = True) -> Iterator[Example]:
    """coords: write cells' places, as the paper's target does. Missing images are passed over. Raises DP622."""
    from PIL import Image

    file = place if place.is_file() else first_of(place, "PubTabNet_2.0.0.jsonl", "PubTabNet_Examples.jsonl")
    for number, row in json_lines(file):
        said = str(row.get("split", "train"))
        if split and said != split:
            continue
        name = str(member(row, "filename", file, number))
        image = next(
            (
                p
                for p in (file.parent / said / name, file.parent / "examples" / name, file.parent / name)
                if p.is_file()
            ),
            None,
        )
        if image is None:
            continue
        frame = None
        if coords:
            with Image.open(image) as opened:
                frame = padded_frame(*opened.size)
        table = member(row, "html", file, number)
        try:
            yield Example(image, task, html_of(table["structure"]["tokens"], table["cells"], frame, lambda b: Box(*b)))
        except (KeyError, TypeError, ValueError) as error:
            raise wrong(file, number, f"html: {error}") from error
