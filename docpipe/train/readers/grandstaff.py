"""GrandStaff (Ríos-Vila and others, 2023): folders of composers, each piece a .jpg beside its .krn.

Distorted copies (`_distorted.jpg`) are read with the option `distorted`, as the paper trained on both. Splits are
lists of paths in partitions/<split>.txt or partitions_grandstaff/types/<split>.txt, where there are such files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docpipe.train.examples import Example
from docpipe.train.rows import text_of, wrong

PARTITIONS = ("partitions/{}.txt", "partitions_grandstaff/types/{}.txt", "partitions_grandstaff/{}.txt", "{}.txt")


def read(place: Path, split: str, task: str, distorted: bool = False) -> Iterator[Example]:
    """Raises DP622."""
    if not place.is_dir():
        raise wrong(place, 0, "a folder is needed")
    lists = [place / name.format(split) for name in PARTITIONS] if split else []
    listed = next((path for path in lists if path.is_file()), None)
    if listed is not None:
        names = [line.strip() for line in text_of(listed).splitlines() if line.strip()]
        scores = [_score(place, name) for name in names]
    elif split in ("", "train"):
        scores = sorted(place.rglob("*.krn"))
        if not scores:
            raise wrong(place, 0, "it holds no .krn file")
    else:
        return
    for score in scores:
        if not score.is_file():
            continue
        target = text_of(score).strip("\n")
        for suffix in (".jpg", "_distorted.jpg") if distorted and split == "train" else (".jpg",):
            image = score.with_name(score.stem + suffix)
            if image.is_file():
                yield Example(image, task, target)


def _score(place: Path, name: str) -> Path:
    """The .krn that a line names, whatever it is written relative to."""
    path = Path(name.split()[0].lstrip("./")).with_suffix(".krn")
    parts = path.parts
    found = (place / Path(*parts[i:]) for i in range(len(parts)))
    return next((p for p in found if p.is_file()), place / path)
