"""Pages per CPU second on born-digital PDFs, stage by stage, beside pymupdf4llm and pdfplumber in the same run.

    DOCPIPE_BENCH_DATA=<folder> python benchmarks/throughput.py [--peers] [--files 12] [--profile]

Reads samples/report.pdf and tables/icdar2013/*.pdf. All in one process and one thread each, after one warm-up document;
CPU seconds of the process (time.process_time), since the wall clock of a shared machine tells little. Peers run when
they can be imported: pymupdf4llm comes with PyMuPDF, pdfplumber must be installed.
"""

from __future__ import annotations

import argparse
import cProfile
import importlib.util
import os
import pstats
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from docpipe.pipeline import Pipeline
from docpipe.run.runner import DocumentRun
from docpipe.source import SourceRef, open_source

SAMPLES = Path(__file__).parents[1] / "samples"


def docpipe_pages(file: Path, pipeline: Pipeline, spent: Counter[str], ways: Counter[str]) -> None:
    run = DocumentRun(SourceRef(file.name, path=str(file)), pipeline)
    for _ in run.pages():
        pass
    for trace in run.manifest({}).pages:
        spent.update(trace.seconds)
        ways[trace.ways.get("layout", "?")] += 1


def pymupdf4llm_json(file: Path) -> None:
    import pymupdf4llm

    pymupdf4llm.to_json(str(file))


def pdfplumber_tables(file: Path) -> None:
    import pdfplumber

    with pdfplumber.open(file) as pdf:
        for page in pdf.pages:
            page.extract_text()
            page.extract_tables()


def timed(work: Callable[[Path], None], files: Sequence[Path], pages: int) -> float:
    """Pages per CPU second."""
    began = time.process_time()
    for file in files:
        work(file)
    return pages / (time.process_time() - began)


def measure(name: str, files: Sequence[Path], *, peers: bool) -> None:
    pages = 0
    for file in files:
        with open_source(file) as source:
            pages += source.page_count
    pipeline = Pipeline.from_toml("default")
    spent, ways = Counter[str](), Counter[str]()
    docpipe_pages(files[0], pipeline, Counter(), Counter())
    rate = timed(lambda f: docpipe_pages(f, pipeline, spent, ways), files, pages)
    print(f"{name}: {len(files)} files, {pages} pages")
    stages = ", ".join(f"{stage} {1000 * seconds / pages:.1f}" for stage, seconds in spent.most_common())
    print(f"  docpipe            {rate:6.1f} pages/CPU s; wall ms a page by stage: {stages}")
    print(f"                     layout by: {dict(ways)}")
    if not peers:
        return
    for label, module, work in (
        ("pymupdf4llm.to_json", "pymupdf4llm", pymupdf4llm_json),
        ("pdfplumber", "pdfplumber", pdfplumber_tables),
    ):
        if importlib.util.find_spec(module) is None:
            print(f"  {label}: not installed")
            continue
        work(files[0])
        other = timed(work, files, pages)
        print(f"  {label:18} {other:6.1f} pages/CPU s; docpipe is {rate / other:.1f} times as fast")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--peers", action="store_true", help="measure pymupdf4llm and pdfplumber, too")
    parser.add_argument("--files", type=int, default=12, help="how many ICDAR PDFs")
    parser.add_argument("--profile", action="store_true", help="where the time goes, by function")
    options = parser.parse_args()
    found = sorted(Path(os.environ["DOCPIPE_BENCH_DATA"]).glob("tables/icdar2013/*.pdf"))
    icdar = [file for file in found if file.stat().st_size][: options.files]  # one of them is empty
    if options.profile:
        profile = cProfile.Profile()
        profile.runcall(measure, "icdar2013", icdar, peers=False)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    measure("report.pdf", [SAMPLES / "report.pdf"], peers=options.peers)
    measure("icdar2013", icdar, peers=options.peers)


if __name__ == "__main__":
    main()
