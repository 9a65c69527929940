"""What fine-tuning learns from: an image, a task, what fills the blanks of its prompt, and the answer.

Readers (`docpipe.train.readers`) yield examples from data as they lie on disk. A `Shelf` keeps them in one file of the
run's folder, so that neither the trainer nor its worker holds them all, and a worker that starts anew reads no layout.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from PIL import Image

from docpipe import imagefile
from docpipe.document import Box
from docpipe.errors import DocpipeError

DPI = 200.0
"""Of regions that are rasterized from a document."""


@dataclass(frozen=True)
class Example:
    """One answer to learn.

    image: an image file, or a document of which `page` (1-based) and `box` (points as displayed; None: the whole page)
    say the region, turned back by `rotation` and `skew` degrees. task: a docpipe task. target: the suffix, without
    <eos>. parts: what fills the blanks of the task's prompt. prompt: instead of the task's, the prefix as it is.
    """

    image: Path
    task: str
    target: str
    parts: dict[str, str] = field(default_factory=dict)
    prompt: str | None = None
    page: int | None = None
    box: tuple[float, float, float, float] | None = None
    rotation: int = 0
    skew: float = 0.0

    def to_json(self) -> str:
        kept = {k: v for k, v in asdict(self).items() if v not in (None, {}, 0, 0.0)}
        return json.dumps(kept | {"image": str(self.image)}, ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str | bytes) -> Example:
        kept = json.loads(line)
        box = kept.pop("box", None)
        return cls(**kept | {"image": Path(kept["image"]), "box": None if box is None else tuple(box)})


def picture(example: Example) -> Image.Image:
    """The example's pixels as RGB, upright. Raises DP1xx when they cannot be had."""
    if example.page is None:
        name = example.image.name
        try:
            data = example.image.read_bytes()
        except OSError as error:
            raise DocpipeError("DP107", str(example.image), error.strerror or str(error)) from error
        return imagefile.to_rgb(imagefile.open_image(data, name), name)
    from docpipe.sheet import open_page
    from docpipe.source import SourceRef

    page = open_page(SourceRef(example.image.name, path=str(example.image)), example.page)
    image = page.pixels(DPI, Box(*example.box) if example.box else None)[0]
    if example.rotation:
        image = image.rotate(-example.rotation, expand=True)
    if abs(example.skew) >= 0.2:
        image = image.rotate(-example.skew, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    return image


class Shelf:
    """Examples in a file of JSON Lines, by number. Holds 8 bytes of memory for each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._starts = array("q")
        with path.open("rb") as file:
            place = 0
            for line in file:
                self._starts.append(place)
                place += len(line)
        self._file = path.open("rb")

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, number: int) -> Example:
        self._file.seek(self._starts[number])
        return Example.from_json(self._file.readline())

    def close(self) -> None:
        self._file.close()

    @classmethod
    def fill(cls, path: Path, examples: Iterable[Example], fits: Callable[[Example], bool]) -> tuple[Shelf, int]:
        """A shelf of those that fit, and how many did not."""
        beside, left_out = path.with_name(path.name + ".new"), 0
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            for example in examples:
                if fits(example):
                    file.write(example.to_json() + "\n")
                else:
                    left_out += 1
        beside.replace(path)
        return cls(path), left_out
