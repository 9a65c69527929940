"""Thousands of pages through one process tree: resident memory over time, and its slope for each 1,000 pages.

    python benchmarks/soak.py [--pages 5000] [--jobs 2] [--rows soak.csv] [--plot soak.png]

Documents of 500 pages are made of samples/report.pdf and converted by one `docpipe convert`. The sum of the resident
sizes of its process tree is sampled every second beside the pages finished, which the journal tells. Flat means: after
the first 500 pages the medians of the first and last fifth differ by no more than 5 %.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pymupdf

from docpipe.errors import DocpipeError
from docpipe.run.journal import JOURNAL, Journal

SAMPLE = Path(__file__).parents[1] / "samples" / "report.pdf"
EACH = 500


def make(pages: int, number: int, path: Path) -> None:
    """A document of so many pages; its title tells it from the others."""
    source, made = pymupdf.Document(SAMPLE), pymupdf.Document()
    while made.page_count < pages:
        made.insert_pdf(source, to_page=min(source.page_count - 1, pages - made.page_count - 1))
    made.set_metadata({"title": f"soak {number}"})
    made.save(path, garbage=3, deflate=True)


def pages_done(out: Path) -> int:
    try:
        with Journal(out / JOURNAL, read_only=True) as journal:
            return sum(
                sum((entry.outcome.get("pages") or journal.counts(entry.folder)).values())
                for entry in journal.entries()
            )
    except DocpipeError:
        return 0


def resident(process: psutil.Process) -> tuple[int, int]:
    """Resident bytes of a process alone, and of it with all its children."""
    try:
        own = whole = process.memory_info().rss
        for child in process.children(recursive=True):
            try:
                whole += child.memory_info().rss
            except psutil.Error:
                continue
    except psutil.Error:
        return 0, 0
    return own, whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pages", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rows", type=Path, default=Path("soak.csv"))
    parser.add_argument("--plot", type=Path, help="needs matplotlib")
    options = parser.parse_args()
    rows: list[tuple[float, int, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        out, sources = Path(folder, "out"), []
        for number in range(-(-options.pages // EACH)):
            sources.append(Path(folder, f"{number}.pdf"))
            make(min(EACH, options.pages - number * EACH), number, sources[-1])
        command = [sys.executable, "-c", "from docpipe.cli import main; main()", "convert", *map(str, sources)]
        began = time.monotonic()
        process = psutil.Popen(
            [*command, "-o", str(out), "--to", "md", "--jobs", str(options.jobs), "-q"], stdout=subprocess.DEVNULL
        )
        while process.poll() is None:
            own, whole = resident(process)
            if whole:
                rows.append((time.monotonic() - began, pages_done(out), own / 1e6, whole / 1e6))
            time.sleep(1.0)
    with options.rows.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("seconds", "pages", "parent_mb", "tree_mb"), *rows])
    print(f"exit code {process.returncode}; {rows[-1][1]} pages seen in {rows[-1][0]:.0f} s, {options.jobs} jobs")
    tell(rows)
    if options.plot:
        plot(rows, options.plot)


def tell(rows: list[tuple[float, int, float, float]]) -> None:
    late = [row for row in rows if row[1] >= min(500, rows[-1][1] // 3)]
    for name, column in (("parent", 2), ("tree", 3)):
        sizes = [row[column] for row in late]
        slope = float(np.polyfit([row[1] / 1000 for row in late], sizes, 1)[0])
        part = max(1, len(sizes) // 5)
        first, last = statistics.median(sizes[:part]), statistics.median(sizes[-part:])
        print(
            f"{name}: median {statistics.median(sizes):.0f} MB, peak {max(row[column] for row in rows):.0f} MB, "
            f"slope {slope:+.1f} MB per 1,000 pages, last fifth / first fifth {last / first:.3f}"
        )


def plot(rows: list[tuple[float, int, float, float]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 3.5))
    axes.plot([row[1] for row in rows], [row[3] for row in rows], label="process tree")
    axes.plot([row[1] for row in rows], [row[2] for row in rows], label="parent")
    axes.set_xlabel("pages")
    axes.set_ylabel("resident MB")
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
