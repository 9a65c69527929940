"""Layout: what the geometry alone costs and gives beside PyMuPDF's layout model, and how well figures are told apart.

    DOCPIPE_BENCH_DATA=<folder> python benchmarks/layout.py [--pages 60] [--seed 0]

Reads tables/icdar2013/*.pdf and robustness/**/*.pdf for layout; images of the other folders for figures.
There is no truth for layout in that data: agreement with the model says where the two differ, not which is right.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from PIL import Image

from docpipe.document import Page
from docpipe.engines.figures import tell_apart
from docpipe.engines.layout_geometry import as_regions, survey
from docpipe.engines.layout_models import model_groups
from docpipe.engines.statistics import statistics
from docpipe.errors import DocpipeError
from docpipe.pdfpage import PdfPage
from docpipe.sheet import Sheet
from docpipe.source import open_source

FEWEST_WORDS = 20
"""Pages with fewer words than this say little about layout and are left out."""


def sheets(files: Sequence[Path], most: int) -> Iterator[Sheet]:
    """Up to `most` pages of each file that can be opened, with the document's statistics."""
    for file in files:
        try:
            source = open_source(file)
            stats = statistics(source)
        except (DocpipeError, RuntimeError, ValueError):
            continue
        for number in range(1, min(source.page_count, most) + 1):
            try:
                page = source.page(number)
            except DocpipeError:
                continue
            yield Sheet(Page(number=number, width=page.width, height=page.height), source.ref, stats)


def layout_cost(files: Sequence[Path], most: int) -> list[Sheet]:
    """Print the CPU time of the geometry and which pages it leaves to a model; return the pages it answers."""
    reading, spent, doubts, answered = 0.0, 0.0, Counter[str](), []
    pages = 0
    for sheet in sheets(files, most):
        began = time.process_time()
        words = sum(len(line.words) for line in sheet.source.lines())
        sheet.source.drawings(), sheet.source.images()
        read = time.process_time()
        if words < FEWEST_WORDS:
            continue
        found = survey(sheet)
        as_regions(sheet, found.frame, found.pieces)
        reading, spent = reading + read - began, spent + time.process_time() - read
        pages += 1
        doubts.update(found.doubts)
        if not found.doubts:
            answered.append(sheet)
    print(f"  {pages} pages: {1000 * reading / pages:.1f} CPU ms a page to read text, paths and images off the file,")
    print(f"  {1000 * spent / pages:.1f} ms for the geometry: {pages / (reading + spent):.0f} pages a CPU second;")
    print(f"  it answers {len(answered)} of them ({len(answered) / pages:.1%}); doubts: {dict(doubts)}")
    return answered


def agreement(answered: Sequence[Sheet]) -> None:
    """Print how far the geometry and PyMuPDF's model (as it comes, in its own order) agree on the pages given."""
    spent, ours_all, theirs_all, covered_all = 0.0, 0, 0, 0
    kinds: Counter[tuple[str, str]] = Counter()
    ordered = pairs = 0
    for sheet in answered:
        found, source = survey(sheet), sheet.source
        assert isinstance(source, PdfPage)
        began = time.process_time()
        theirs = list(model_groups(source, found.frame))
        spent += time.process_time() - began
        matched = [
            (i, j, piece.kind, kind)
            for i, piece in enumerate(found.pieces)
            for j, (kind, box) in enumerate(theirs)
            if piece.box.iou(box) >= 0.5
        ]
        covered_all += len({j for _, j, _, _ in matched})
        ours_all, theirs_all = ours_all + len(found.pieces), theirs_all + len(theirs)
        kinds.update((ours, their) for _, _, ours, their in matched)
        for (a, b, _, _), (c, d, _, _) in combinations(matched, 2):
            pairs += 1
            ordered += (a < c) == (b < d)
    same = sum(count for (a, b), count in kinds.items() if a == b)
    print(f"  pymupdf-layout: {len(answered)} pages, {1000 * spent / len(answered):.0f} CPU ms a page")
    print(f"  {ours_all} regions by geometry, {theirs_all} by the model, {covered_all} of these met with IoU >= 0.5")
    print(f"  same kind {same / kinds.total():.3f} of them, same order {ordered / max(1, pairs):.4f} of their pairs")
    differing = Counter({pair: count for pair, count in kinds.items() if pair[0] != pair[1]})
    print("  most frequent differences (geometry, model):", differing.most_common(6))


def figures_apart(data: Path, each: int, draw: random.Random) -> None:
    """Print how images of known sort are told apart."""
    sorts = {
        "molecule": ["molecules/uob/*.png", "molecules/usan/*.png", "molecules/uspto/*.png"],
        "score": ["scores/*/*.png"],
        "photo": ["detection/chess/*.jpg"],
        "chart": ["detection/paligemma/*.jpg"],
        "other (tables)": ["tables/*/*.png"],
        "other (pages)": ["ocr/*/*.png", "ocr/*/*.jpg"],
    }
    for sort, patterns in sorts.items():
        files = sorted(file for pattern in patterns for file in data.glob(pattern))
        chosen = draw.sample(files, min(each, len(files)))
        began = time.process_time()
        told = Counter(tell_apart(Image.open(file))[0] for file in chosen)
        spent = time.process_time() - began
        print(f"  {sort}: n={len(chosen)} {dict(told.most_common())}, {1000 * spent / len(chosen):.0f} CPU ms each")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pages", type=int, default=60, help="pages of each set for the model, which is slow")
    parser.add_argument("--images", type=int, default=200, help="images of each sort to tell apart")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = Path(os.environ["DOCPIPE_BENCH_DATA"])
    draw = random.Random(options.seed)
    for name, pattern, most in (
        ("icdar2013", "tables/icdar2013/*.pdf", 50),
        ("robustness", "robustness/**/*.pdf", 4),
    ):
        print(name)
        answered = layout_cost(sorted(data.glob(pattern)), most)
        agreement(draw.sample(answered, min(options.pages, len(answered))))
    print("figures told apart")
    figures_apart(data, options.images, draw)


if __name__ == "__main__":
    main()
