"""How `docpipe convert` survives broken and odd PDFs: one command each, watched from outside by an independent judge.

    DOCPIPE_BENCH_DATA=<folder> DOCPIPE_JUDGE=<folder that holds judge/> python benchmarks/robust.py

120 seconds and 4 GiB for the whole process tree of each file; pages are counted by pdfium. With --one PDF OUT it is the
command itself: converts a file and copies its document.json.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def convert_one(pdf: str, out: str) -> int:
    """Convert one PDF as the command line does; its document.json goes to `out`."""
    with tempfile.TemporaryDirectory() as folder:
        code = "from docpipe.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", code, "convert", pdf, "-o", folder, "--to", "json"], check=False)
        for document in Path(folder).glob("*/document.json"):
            shutil.copy(document, out)
    return done.returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--one", nargs=2, metavar=("PDF", "OUT"))
    parser.add_argument("--rows", default="robust.jsonl", help="where the judge writes a row a file")
    options = parser.parse_args()
    if options.one:
        sys.exit(convert_one(*options.one))
    command = f"{sys.executable} {Path(__file__).resolve()} --one {{pdf}} {{out}}"
    cases = Path(os.environ["DOCPIPE_BENCH_DATA"], "robustness")
    judge = [sys.executable, "-m", "judge", "robust", "--strict", "--cases", str(cases), "--command", command]
    judge += ["--timeout", "120", "--memory-gib", "4", "--rows", options.rows]
    path = os.pathsep.join([os.environ["DOCPIPE_JUDGE"], os.environ.get("PYTHONPATH", "")])
    sys.exit(subprocess.run(judge, env={**os.environ, "PYTHONPATH": path}, check=False).returncode)


if __name__ == "__main__":
    main()
