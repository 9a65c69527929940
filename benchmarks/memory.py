"""Peak memory of a 1,000-page PDF beside that of a 10-page one: pages are repeated from samples/report.pdf.

    python benchmarks/memory.py [--pages 10 1000]

Each runs `docpipe convert` as a command of its own with one worker; the peak is the largest resident size that its
process tree reached, sampled every 50 ms.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pymupdf

SAMPLE = Path(__file__).parents[1] / "samples" / "report.pdf"


def make(pages: int, path: Path) -> None:
    source, made = pymupdf.Document(SAMPLE), pymupdf.Document()
    while made.page_count < pages:
        made.insert_pdf(source, from_page=4, to_page=min(source.page_count - 1, 4 + pages - made.page_count - 1))
    made.save(path, garbage=3, deflate=True)


def peak_of(command: list[str]) -> tuple[float, float]:
    """Peak resident size of a command's process tree in MB (10^6 bytes), and its wall seconds."""
    began, peak = time.monotonic(), 0
    process = psutil.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        sizes = 0
        for member in (process, *process.children(recursive=True)):
            try:
                sizes += member.memory_info().rss
            except psutil.Error:
                continue
        peak = max(peak, sizes)
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"the command failed: {command}")
    return peak / 1e6, time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pages", type=int, nargs=2, default=(10, 1000))
    options = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        for pages in options.pages:
            path = Path(folder, f"{pages}.pdf")
            make(pages, path)
            command = [sys.executable, "-c", "from docpipe.cli import main; main()", "convert", str(path)]
            peak, seconds = peak_of([*command, "-o", str(Path(folder, "out")), "--to", "md", "--jobs", "1", "-q"])
            peaks.append(peak)
            print(f"{pages} pages: peak {peak:.0f} MB, {seconds:.0f} s")
    print(f"ratio {peaks[1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()
