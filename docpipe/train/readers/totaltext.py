"""Total-Text (arXiv 1710.10400): Images/{Train,Test}, and polygons in poly_gt_imgN.txt of a folder of the same name.

A line: x: [[206 251 386]], y: [[633 811 931]], ornt: [u'c'], transcriptions: [u'PETROSAINS']; # is text nobody could
read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from docpipe.train.examples import Example
from docpipe.train.rows import first_of, text_of, wrong
from docpipe.train.spotting import Spotted, spotting_example

_LINE = re.compile(
    r"x:\s*\[\[(?P<x>[^\]]*)\]\s*\],\s*y:\s*\[\[(?P<y>[^\]]*)\]\s*\],.*?"
    r"transcriptions:\s*\[u?(?P<quote>['\"])(?P<text>.*)(?P=quote)\]\s*$",
    re.DOTALL,
)


def read(place: Path, split: str, task: str) -> Iterator[Example]:
    """Raises DP622."""
    name = (split or "train").capitalize()
    if name not in ("Train", "Test"):
        return
    images = first_of(place, f"Images/{name}", f"totaltext/Images/{name}", name)
    truths = first_of(
        place, f"Groundtruth/Polygon/{name}", f"Groundtruth/{name}", f"Polygon/{name}", f"groundtruth_text/{name}"
    )
    found = [path for path in images.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    for image in sorted(found, key=lambda path: (len(path.stem), path.stem)):
        file = truths / f"poly_gt_{image.stem}.txt"
        if file.is_file():
            yield spotting_example(image, task, [w for w in _words(file) if w.text != "#"])


def _words(file: Path) -> Iterator[Spotted]:
    # numpy breaks long polygons over lines
    whole = re.sub(r"\n(?!\s*x:)", " ", text_of(file))
    for number, line in enumerate(filter(str.strip, whole.split("\n")), 1):
        found = _LINE.search(line)
        if not found:
            raise wrong(file, number, "x, y and transcriptions are needed")
        xs, ys = ([float(v) for v in re.split(r"[\s,]+", found[key].strip())] for key in "xy")
        if len(xs) != len(ys):
            raise wrong(file, number, f"{len(xs)} x and {len(ys)} y")
        yield Spotted(found["text"], tuple(zip(xs, ys, strict=True)))
