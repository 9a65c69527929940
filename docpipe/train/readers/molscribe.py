"""MolScribe's CSV files: columns `file_path` (or `image_path`, `image_id`) and `SMILES`; paths from the CSV's folder.

The place is a CSV, or a folder with <split>.csv, or whose files' names begin with the split (train_1m.csv).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docpipe.train.examples import Example
from docpipe.train.rows import csv_rows, wrong

PATHS = ("file_path", "image_path", "path", "image_id")


def read(place: Path, split: str, task: str, images: str = "") -> Iterator[Example]:
    """images: folder of the images, from the CSV's. Raises DP622."""
    if place.is_file():
        files = [place] if split in ("", "train") else []
    else:
        files = sorted(place.glob(f"{split}*.csv"))
        if not files and split in ("", "train"):
            raise wrong(place, 0, f"no {split}*.csv")
    for file in files:
        for number, row in csv_rows(file):
            name = next((row[key] for key in PATHS if row.get(key)), None)
            smiles = row.get("SMILES") or row.get("smiles")
            if name is None or smiles is None:
                raise wrong(file, number, f"columns {PATHS[0]} and SMILES are needed; there are {', '.join(row)}")
            path = file.parent / images / name
            yield Example(path if path.suffix else path.with_suffix(".png"), task, smiles)
