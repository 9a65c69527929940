"""ICDAR 2015, challenge 4 (incidental scene text): img_N.jpg and gt_img_N.txt.

Folders: ch4_training_images, ch4_training_localization_transcription_gt; ch4_test_images,
Challenge4_Test_Task1_GT. A line: x1,y1,x2,y2,x3,y3,x4,y4,transcription; ### is text nobody could read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docpipe.train.examples import Example
from docpipe.train.rows import first_of, text_of, wrong
from docpipe.train.spotting import Spotted, spotting_example

IMAGES = {"train": ("ch4_training_images", "train_images"), "test": ("ch4_test_images", "test_images")}
TRUTHS = {
    "train": ("ch4_training_localization_transcription_gt", "train_gts"),
    "test": ("Challenge4_Test_Task1_GT", "Challenge4_Test_Task4_GT", "test_gts"),
}


def read(place: Path, split: str, task: str) -> Iterator[Example]:
    """Raises DP622."""
    name = split or "train"
    if name not in IMAGES:
        return
    images, truths = first_of(place, *IMAGES[name]), first_of(place, *TRUTHS[name])
    for image in sorted(images.glob("*.jpg"), key=lambda path: (len(path.stem), path.stem)):
        file = truths / f"gt_{image.stem}.txt"
        if file.is_file():
            yield spotting_example(image, task, [w for w in _words(file) if w.text != "###"])


def _words(file: Path) -> Iterator[Spotted]:
    for number, line in enumerate(text_of(file).splitlines(), 1):
        if not line.strip():
            continue
        fields = line.split(",", 8)
        try:
            values = [float(value) for value in fields[:8]]
            text = fields[8]
        except (ValueError, IndexError) as error:
            raise wrong(file, number, "eight numbers and a word are needed") from error
        yield Spotted(text.strip(), tuple(zip(values[::2], values[1::2], strict=True)))
