"""Figure kinds: how often the rules of engines/figures.py and nano's `kind` answers name a figure rightly.

    [DOCPIPE_BENCH_DATA=<folder>] python benchmarks/figure_kinds.py [--count 60] [--model FOLDER] [--no-nano]

Made-up figures are held-out ones of train/synth/figure_kinds.py. Real ones are those of DOCPIPE_BENCH_DATA: drawings of
molecules, systems of scores, images of tables, scanned pages of text, photographs and charts (few, and each of one
maker); there are no real drawings of other kinds among them. The rules know no table and no text: there "other" is
right for them.
"""

from __future__ import annotations

import argparse
import math
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image

import docpipe
from docpipe.engines.figures import tell_apart
from docpipe.errors import DocpipeError
from docpipe.models.registry import checkpoints_for
from docpipe.train.synth.figure_kinds import Figures, finished
from docpipe.train.synth.molecules import fonts_in
from docpipe.train.synth.scene.words import KINDS

Case = tuple[str, Image.Image]
Teller = Callable[[Image.Image], str]

REAL = {
    "molecule": ("molecules/uspto/*.png", "molecules/uob/*.png", "molecules/usan/*.png"),
    "score": ("scores/*/*.png",),
    "table": ("tables/icdar2013/*.png", "tables/pubtabnet/*.png", "tables/scitsr/*.png"),
    "text": ("ocr/*/*.jpg", "ocr/*/*.png", "ocr/*/*.tif"),
    "photo": ("detection/chess/*.jpg",),
    "chart": ("detection/paligemma/*.jpg",),
}


def made_up(count: int) -> Iterator[Case]:
    """`count` held-out figures of every kind, at the size of a crop."""
    folder = os.environ.get("DOCPIPE_FONTS")
    source = Figures(fonts_in(Path(folder) if folder else None), held_out=True)
    for kind in KINDS:
        for number in range(count):
            rng = random.Random(f"benchmark:{kind}:{number}")
            yield kind, finished(source.figure(kind, rng), kind, rng, 1.0)


def real(data: Path, count: int) -> Iterator[Case]:
    """Up to `count` real figures of the kinds there are."""
    for kind, patterns in REAL.items():
        files = sorted(file for pattern in patterns for file in data.glob(pattern))
        random.Random(0).shuffle(files)
        for file in files[:count]:
            with Image.open(file) as image:
                yield kind, image.convert("RGB")


def by_rules(image: Image.Image) -> str:
    """What the rules say, in nano's words; "other" for what they do not know."""
    said = tell_apart(image)[0]
    return said if said in KINDS else "other"


def by_nano(model: str | None) -> Teller:
    """What a checkpoint answers; "-" where it abstains."""

    def tell(image: Image.Image) -> str:
        return docpipe.ask(image, "kind", task="figure-kind", model=model).text or "-"

    return tell


def interval(right: int, count: int) -> str:
    """A share with its 95 % interval (Wilson)."""
    if not count:
        return "-"
    z, p = 1.96, right / count
    middle = (p + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    return f"{p:6.1%} ({max(0, middle - half):.0%}-{min(1, middle + half):.0%})"


def table(title: str, cases: Sequence[Case], tellers: dict[str, Teller]) -> None:
    """Print how often each teller is right, kind by kind, and what it said where it was wrong."""
    print(f"\n{title}: {len(cases)} figures")
    for name, tell in tellers.items():
        right: Counter[str] = Counter()
        wrong: Counter[tuple[str, str]] = Counter()
        for kind, image in cases:
            said = tell(image)
            wanted = "other" if name == "rules" and kind in ("table", "text") else kind
            if said == wanted:
                right[kind] += 1
            else:
                wrong[kind, said] += 1
        counts = Counter(kind for kind, _ in cases)
        print(f"  {name:6} all {interval(sum(right.values()), len(cases))}")
        for kind, count in counts.items():
            errors = ", ".join(f"{said} {n}" for (k, said), n in wrong.most_common() if k == kind)
            print(f"    {kind:9} n={count:4} {interval(right[kind], count)}  {errors}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=60, help="figures of each kind")
    parser.add_argument("--model", help="a checkpoint that tells kinds, instead of the shipped one")
    parser.add_argument("--no-nano", action="store_true", help="measure the rules alone")
    given = parser.parse_args()
    tellers: dict[str, Teller] = {"rules": by_rules}
    if not given.no_nano and (given.model or any(c.folder for c in checkpoints_for("figure-kind"))):
        tellers["nano"] = by_nano(given.model)
    try:
        table("made-up figures", list(made_up(given.count)), tellers)
        data = os.environ.get("DOCPIPE_BENCH_DATA")
        if data:
            table("real figures", list(real(Path(data), given.count)), tellers)
        else:
            print("\nno real figures: DOCPIPE_BENCH_DATA is not set")
    except DocpipeError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
