"""Lines of real print with what they say: cut from scanned pages whose text is known, for measuring alone.

The truth of a page says no places, so each of its lines is looked for among what OCR reads there: the line that is
most like it, if it is like no other. What OCR cannot read at all is therefore missing, which flatters every reader.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path

from PIL import Image

from docpipe.engines.ocr_lines import read_rows
from docpipe.metrics.cer import cer

SETS = ("tesseract", "scribe", "impact")
"""Filings, papers and books in Latin print whose truth keeps case and blanks: folders of DOCPIPE_BENCH_DATA/ocr."""

ALIKE, UNLIKE = 0.25, 0.5
"""Character error rates up to which OCR's line is the one meant, and from which on another is another."""

MARGIN = 0.05
"""Room around a line's words, in its height."""


def scanned_lines(count: int, low: int, high: int) -> list[tuple[Image.Image, str]]:
    """At most `count` lines of `low` to `high` letters, set after set; none where the data are not there."""
    data = os.environ.get("DOCPIPE_BENCH_DATA")
    pages = [p for name in SETS for p in sorted(Path(data, "ocr", name).glob("*.[pj][np]g"))] if data else []
    return list(islice((line for page in pages for line in lines_of(page, low, high)), count))


def lines_of(page: Path, low: int, high: int) -> Iterator[tuple[Image.Image, str]]:
    """The lines of one page, in the order of its truth (the .txt file beside it)."""
    image = Image.open(page).convert("RGB")
    read = [row[0] for row in read_rows(image) if len(row) == 1]
    said = [" ".join(line.split()) for line in page.with_suffix(".txt").read_text(encoding="utf-8").splitlines()]
    for truth in said:
        if not low <= len(truth) <= high:
            continue
        ranked = sorted(read, key=lambda r: -SequenceMatcher(None, truth, r.text, autojunk=False).ratio())[:2]
        if not ranked or cer(ranked[0].text, truth) > ALIKE:
            continue
        if len(ranked) > 1 and cer(ranked[1].text, truth) < UNLIKE:
            continue
        if ranked[0].text != truth and ranked[0].text in said:  # another line of the page, which is nearly this one
            continue
        box = ranked[0].box.grown(MARGIN * ranked[0].box.height)
        left, top = int(max(0.0, box.x0)), int(max(0.0, box.y0))
        right, bottom = min(image.width, int(box.x1) + 1), min(image.height, int(box.y1) + 1)
        yield image.crop((left, top, right, bottom)), truth
