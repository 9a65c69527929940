"""How a table looks, drawn at random: rules, bands, spacing, faces, alignment."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from docpipe.train.synth.faces import family


@dataclass(frozen=True)
class Style:
    """Lengths are in pixels, paddings and gaps in sizes of the letters.

    across: which horizontal rules there are ("all", "head", "booktabs", "outer", "none"); down: which vertical ones
    ("all", "inner", "stub", "none"). head_fill, stripe: grey of the head's band and of every other row, None without.
    number_align, head_align: "left", "center", "right"; upright: where a low cell stands in a high row ("top",
    "middle", "bottom"). stretch: width of the table over that of its content.
    """

    face: str
    bold: str
    italic: str
    size: int
    leading: float
    pad_x: float
    pad_y: float
    across: str
    down: str
    line: int
    thick: int
    level: int
    ink: int
    head_fill: int | None
    stripe: int | None
    stub_fill: int | None
    bold_head: bool
    bold_stub: bool
    number_align: str
    head_align: str
    upright: str
    stretch: float
    indent: float

    @property
    def ruled_down(self) -> bool:
        """Whether rules part all columns."""
        return self.down in ("all", "inner")


_SLANTED = re.compile(r"Ital|Obli|Bold|Demi|BdIta")
"""In the names of faces that tables are seldom set in."""

_LOOKS = (  # horizontal, vertical, weight: as met in papers, reports and forms
    ("booktabs", "none", 30),
    ("all", "all", 28),
    ("head", "none", 8),
    ("all", "none", 10),
    ("none", "none", 8),
    ("outer", "none", 4),
    ("head", "inner", 3),
    ("booktabs", "inner", 3),
    ("booktabs", "stub", 2),
    ("all", "inner", 4),
    ("head", "all", 2),
    ("outer", "all", 2),
    ("none", "inner", 1),
)


def random_style(rng: random.Random, faces: Sequence[str]) -> Style:
    """A style as printed tables have them."""
    across, down = rng.choices([(a, d) for a, d, _ in _LOOKS], [w for *_, w in _LOOKS])[0]
    face = next((f for f in rng.choices(faces, k=4) if not _SLANTED.search(Path(f).stem)), rng.choice(faces))
    sisters = family(tuple(faces), face)
    dense = across == "all" or rng.random() < 0.6
    dark = rng.random() < 0.06
    banded = rng.random() < (0.3 if across != "booktabs" else 0.12)
    striped = rng.random() < (0.25 if across in ("none", "head") else 0.06)
    return Style(
        face=face,
        bold=sisters["bold"],
        italic=sisters["italic"],
        size=rng.choice((8, 9, 10, 10, 11, 12, 13, 14)),
        leading=rng.uniform(1.05, 1.35),
        pad_x=rng.uniform(0.25, 0.8) if down != "none" else rng.uniform(0.3, 1.3),
        pad_y=rng.uniform(0.02, 0.25) if dense else rng.uniform(0.15, 0.8),
        across=across,
        down=down,
        line=1,
        thick=rng.choice((1, 2, 2, 3)),
        level=rng.choice((0, 0, 0, 40, 80, 120, 170)),
        ink=rng.choice((0, 0, 0, 30, 60)),
        head_fill=rng.randint(30, 110) if banded and dark else rng.randint(175, 242) if banded else None,
        stripe=rng.randint(215, 245) if striped else None,
        stub_fill=rng.randint(200, 242) if rng.random() < 0.05 else None,
        bold_head=rng.random() < 0.6,
        bold_stub=rng.random() < 0.15,
        number_align=rng.choice(("right", "right", "center", "center", "left")),
        head_align=rng.choice(("left", "center", "center", "match")),
        upright=rng.choice(("top", "top", "middle", "bottom")),
        stretch=1.0 if rng.random() < 0.4 else rng.uniform(1.0, 1.9),
        indent=rng.choice((0.0, 0.0, 0.8, 1.5)),
    )
