"""Tables: TEDS and S-TEDS of docpipe and of other tools, from PDFs and from crop images.

    DOCPIPE_BENCH_DATA=<folder> python benchmarks/tables.py [--from pdf image] [--set icdar2013 pubtabnet]
        [--peers PYTHON] [--limit N] [--cases]

Reads tables/icdar2013 (whole PDFs, and crops at 150 dpi) and tables/pubtabnet (crops alone). --peers names a Python
that has pdfplumber, camelot-py and img2table (and tesseract on its path); without it only docpipe and PyMuPDF run.

From a PDF, every tool is given the file alone. Each true table is matched with one table found anywhere in the file,
the pairs with the best TEDS first, one to one; a truth without a match scores 0. Tables found beyond those are
counted (`more`) but cost nothing: not every table of these files has a truth. From an image, the crop is the table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from docpipe.checks.html import check_table
from docpipe.document import Box, Page, Region, TableContent
from docpipe.engines.base import Engine, Request
from docpipe.engines.imagetable import ImageTableEngine
from docpipe.engines.layout_geometry import GeometryLayout
from docpipe.engines.layout_models import PyMuPdfLayout
from docpipe.engines.pdftable import PdfTableEngine
from docpipe.engines.statistics import statistics
from docpipe.metrics.teds import s_teds, teds
from docpipe.sheet import Sheet
from docpipe.source import open_source
from docpipe.tasks.table import TableTask

PEERS = {"pdf": ("pymupdf", "pdfplumber", "camelot"), "image": ("img2table",)}


@dataclass
class Found:
    """What a tool found in a file: tables as HTML with confidence (or None), and the CPU seconds it took."""

    tables: list[tuple[str, float | None]] = field(default_factory=list)
    seconds: float = 0.0
    error: str | None = None


@dataclass
class Score:
    """The score of one true table."""

    case: str
    teds: float = 0.0
    s_teds: float = 0.0
    confidence: float | None = None
    answered: bool = False


def read_region(sheet: Sheet, region: Region, engines: Sequence[Engine]) -> tuple[str, float | None] | None:
    """A table region by the first engine that does not abstain, checked; None when all do."""
    request = Request(TableTask(), sheet, region)
    for engine in engines:
        answer = next(iter(engine.read([request])))
        if isinstance(answer.content, TableContent):
            checked = check_table(answer.content, None)
            assert isinstance(checked.content, TableContent)
            return checked.content.html, answer.confidence
    return None


def docpipe_pdf(file: Path) -> Found:
    """The tables of a PDF by docpipe's layout (geometry, the model where it is in doubt) and its table engines."""
    began = time.process_time()
    found = Found()
    layouts, engines = (GeometryLayout(), PyMuPdfLayout()), (PdfTableEngine(), ImageTableEngine())
    with open_source(file) as source:
        stats = statistics(source)
        for number in range(1, source.page_count + 1):
            page = source.page(number)
            sheet = Sheet(Page(number=number, width=page.width, height=page.height), source.ref, stats)
            regions = next((r for layout in layouts if (r := layout.regions(sheet)) is not None), [])
            sheet = sheet.with_regions(regions)
            tables = (read_region(sheet, region, engines) for region in regions if region.kind == "table")
            found.tables += [table for table in tables if table]
    found.seconds = time.process_time() - began
    return found


def docpipe_image(file: Path) -> Found:
    """The table that fills an image."""
    began = time.process_time()
    with open_source(file) as source:
        page = source.page(1)
        region = Region(id="p1.r1", kind="table", box=Box(0.0, 0.0, page.width, page.height))
        sheet = Sheet(Page(number=1, width=page.width, height=page.height, regions=(region,)), source.ref)
        table = read_region(sheet, region, (ImageTableEngine(),))
    return Found([table] if table else [], time.process_time() - began)


def by_peer(python: str, tool: str, files: Sequence[Path]) -> dict[Path, Found]:
    """What another tool finds, run by a Python that has it. Empty when it has not."""
    script = Path(__file__).with_name("table_peers.py")
    ran = subprocess.run([python, str(script), tool, *map(str, files)], capture_output=True, text=True, check=False)
    found = {}
    for line in ran.stdout.splitlines():
        if line.startswith("@@"):
            said = json.loads(line[2:])
            found[Path(said["file"])] = Found([(t, None) for t in said["tables"]], said["seconds"], said["error"])
    return found


def matched(found: Found, truths: Iterable[Path]) -> list[Score]:
    """Each truth with the table that is most like it, one to one, the best pairs first."""
    scores = {truth: Score(truth.stem) for truth in truths}
    texts = {truth: truth.read_text("utf-8") for truth in scores}
    pairs = [(teds(html, text), n, t) for t, text in texts.items() for n, (html, _) in enumerate(found.tables)]
    taken: set[int] = set()
    for value, n, truth in sorted(pairs, key=lambda p: (-p[0], p[1], p[2])):
        if n not in taken and not scores[truth].answered:
            taken.add(n)
            html, confidence = found.tables[n]
            scores[truth] = Score(truth.stem, value, s_teds(html, texts[truth]), confidence, True)
    return list(scores.values())


def report(name: str, found: dict[Path, Found], truths: dict[Path, list[Path]], *, cases: bool) -> None:
    """Print one tool's line."""
    scores = [s for file, wanted in truths.items() for s in matched(found.get(file, Found()), wanted)]
    more = sum(len(f.tables) for f in found.values()) - sum(s.answered for s in scores)
    failed = sum(f.error is not None for f in found.values())
    seconds = sum(f.seconds for f in found.values()) / max(1, len(found))
    print(
        f"| {name} | {len(scores)} | {fmean(s.teds for s in scores):.3f} | {fmean(s.s_teds for s in scores):.3f} "
        f"| {sum(s.answered for s in scores)} | {more} | {failed} | {seconds:.2f} |",
        flush=True,
    )
    if cases:
        for s in sorted(scores, key=lambda s: s.teds):
            print(f"    {s.case} {s.teds:.3f} {s.s_teds:.3f} {s.confidence}")
    judged = [s for s in scores if s.confidence is not None]
    if judged:
        right = [s.teds >= 0.95 for s in judged]
        brier = fmean((s.confidence - r) ** 2 for s, r in zip(judged, right, strict=True) if s.confidence is not None)
        mean = fmean(s.confidence for s in judged if s.confidence is not None)
        print(f"  confidence: mean {mean:.3f}, TEDS >= 0.95 in {fmean(right):.3f}, Brier {brier:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="origins", nargs="+", choices=["pdf", "image"], default=["pdf", "image"])
    parser.add_argument("--set", dest="sets", nargs="+", default=["icdar2013", "pubtabnet"])
    parser.add_argument("--peers", help="a Python with the other tools")
    parser.add_argument("--limit", type=int, default=None, help="files of each set")
    parser.add_argument("--cases", action="store_true", help="print each case")
    options = parser.parse_args()
    if not (where := os.environ.get("DOCPIPE_BENCH_DATA")):
        sys.exit("set DOCPIPE_BENCH_DATA to the folder that holds tables/")
    for origin in options.origins:
        suffix, read = (".pdf", docpipe_pdf) if origin == "pdf" else (".png", docpipe_image)
        for name in options.sets:
            folder = Path(where) / "tables" / name
            files = sorted(f for f in folder.glob(f"*{suffix}") if f.stat().st_size)[: options.limit]
            if files:
                compare(f"{name}, from {origin}", files, read, origin, options)


def compare(
    title: str, files: list[Path], read: Callable[[Path], Found], origin: str, options: argparse.Namespace
) -> None:
    """Print the table of one set."""
    print(f"\n{title}: {len(files)} files\n")
    print("| tool | tables | TEDS | S-TEDS | found | more | failed | CPU s a file |\n|---|---|---|---|---|---|---|---|")
    pattern = "{}-t*.html" if origin == "pdf" else "{}.html"
    truths = {file: sorted(file.parent.glob(pattern.format(file.stem))) for file in files}
    report("docpipe", {file: read(file) for file in files}, truths, cases=options.cases)
    for tool in PEERS[origin]:
        python = sys.executable if tool == "pymupdf" else options.peers
        found = by_peer(python, tool, files) if python else {}
        if found:
            report(tool, found, truths, cases=False)
        else:
            print(f"({tool}: not run; name a Python that has it with --peers)")


if __name__ == "__main__":
    main()
