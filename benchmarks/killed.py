"""A run that is killed again and again and resumed each time, against one that nobody disturbed.

    DOCPIPE_BENCH_DATA=<folder> python benchmarks/killed.py [--kills 10] [--jobs 2] [--seed 1] [PDF …]

Converts all PDFs of robustness/ below the folder (or those named) once undisturbed; then the same command is killed
with SIGKILL at random moments, its whole process group with it, and given once more to the end. Every file written must
have the same bytes, but for manifest.json, which holds timings; every page must be listed with a status.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from docpipe.export.json import StoredDocument
from docpipe.run.journal import JOURNAL, Journal

APART = {"manifest.json", JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm", "run.lock"}


def command(files: list[Path], out: Path, jobs: int, page_seconds: float) -> list[str]:
    limits = ["--page-deadline", str(page_seconds), "--deadline", str(2 * page_seconds)]
    start = [sys.executable, "-c", "from docpipe.cli import main; main()", "convert", *map(str, files), "-o", str(out)]
    return [*start, *limits, "--jobs", str(jobs), "--to", "md,files", "-q"]


def written(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file() and p.name not in APART}


def statuses(out: Path) -> Counter[str]:
    """Pages by status over all documents; every one of each source is there or SystemExit."""
    found = Counter[str]()
    for file in sorted(out.glob("*/document.json")):
        document = StoredDocument(file)
        pages = list(document.pages)
        found.update(page.status for page in pages)
        if document.source.pages is not None and len(pages) != document.source.pages:
            raise SystemExit(f"{file.parent.name}: {len(pages)} of {document.source.pages} pages")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--page-deadline", type=float, default=60.0, help="long enough that a busy machine meets it")
    options = parser.parse_args()
    how = options.jobs, options.page_deadline
    files = options.files or sorted(Path(os.environ["DOCPIPE_BENCH_DATA"], "robustness").rglob("*.pdf"))
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, cut = Path(folder, "whole"), Path(folder, "cut")
        began = time.monotonic()
        code = subprocess.run(command(files, whole, *how), stderr=subprocess.DEVNULL, check=False).returncode
        seconds = time.monotonic() - began
        print(f"undisturbed: {len(files)} files, {seconds:.0f} s, exit code {code}, pages {dict(statuses(whole))}")
        for number in range(1, options.kills + 1):
            process = subprocess.Popen(command(files, cut, *how), stderr=subprocess.DEVNULL, start_new_session=True)
            try:
                process.wait(chance.uniform(1.0, max(4.0, 2.0 * seconds / options.kills)))
                print(f"kill {number}: the run had ended by itself, exit code {process.returncode}")
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                print(f"kill {number}: {progress(cut)}")
        last = subprocess.run(command(files, cut, *how), stderr=subprocess.DEVNULL, check=False).returncode
        print(f"resumed: exit code {last}, pages {dict(statuses(cut))}")
        one, other = written(whole), written(cut)
        different = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
        print(f"{len(one)} files, {len(different)} different: {different[:10]}")
    sys.exit(bool(different) or last != code)


def progress(out: Path) -> str:
    """How far a cut run had come."""
    if not (out / JOURNAL).is_file():
        return "nothing was begun"
    with Journal(out / JOURNAL, read_only=True) as journal:
        entries = journal.entries()
        pages = sum(sum(journal.counts(entry.folder).values()) for entry in entries)
    return f"{sum(e.state == 'finished' for e in entries)} documents finished, {pages} pages of others kept"


if __name__ == "__main__":
    main()
