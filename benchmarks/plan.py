"""What `docpipe plan` says beside what `docpipe convert` then takes: predict from a sample, convert the whole, compare.

    DOCPIPE_BENCH_DATA=<folder> python benchmarks/plan.py [--files 20] [--sample 24] [--jobs 2] [--seeds 0 1 2]

Files of robustness/ in an order of the seed 0, or those that --sources names. The order of commands is plan, convert,
plan, … so that both see the same load; each is a command of its own. CPU seconds say more than wall on a shared
machine. The peak is that of the process tree's resident size, sampled every 50 ms. No cache.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

COMMAND = [sys.executable, "-c", "from docpipe.cli import main; main()"]


def ran(arguments: list[str]) -> tuple[str, dict[str, float]]:
    """A docpipe command: its output, and what it took: wall_s, cpu_s, memory_gb."""
    before, began, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), 0
    with tempfile.TemporaryFile("w+") as out:
        process = psutil.Popen([*COMMAND, *arguments], stdout=out)
        while process.poll() is None:
            sizes = 0
            for member in (process, *process.children(recursive=True)):
                try:
                    sizes += member.memory_info().rss
                except psutil.Error:
                    continue
            peak = max(peak, sizes)
            time.sleep(0.05)
        out.seek(0)
        said = out.read()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return said, {"wall_s": time.monotonic() - began, "cpu_s": cpu, "memory_gb": peak / 1e9}


def truth(sources: list[str], jobs: int) -> dict[str, float]:
    """What converting takes and finds."""
    with tempfile.TemporaryDirectory() as out:
        said, took = ran(["convert", *sources, "-o", out, "--jobs", str(jobs), "--to", "md", "--no-cache", "--json"])
        size = sum(f.stat().st_size for f in Path(out).glob("*/*") if f.is_file())
    kinds, pages = Counter[str](), 0
    for outcome in json.loads(said):
        kinds.update(outcome["regions"])
        pages += sum(outcome["pages"].values())
    return {**took, "pages": pages, "output_gb": size / 1e9, **{f"regions: {k}": n for k, n in kinds.most_common(6)}}


def predicted(made: dict[str, Any], name: str) -> dict[str, float | None] | float | None:
    return made["regions"].get(name[9:]) if name.startswith("regions: ") else made[name]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--sample", type=int, default=24)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--sources", nargs="+", help="files or folders instead")
    options = parser.parse_args()
    sources = options.sources
    if sources is None:
        files = sorted(Path(os.environ["DOCPIPE_BENCH_DATA"], "robustness").glob("**/*.pdf"))
        random.Random(0).shuffle(files)
        sources = [str(file) for file in files[: options.files]]
    for seed in options.seeds:
        asked = ["plan", *sources, "--sample", str(options.sample), "--jobs", str(options.jobs), "--json"]
        said, took = ran([*asked, "--seed", str(seed)])
        made = json.loads(said)
        real = truth(sources, options.jobs)
        print(f"seed {seed}: {made['tried']} of {made['pages']['value']:.0f} pages tried in {took['wall_s']:.0f} s")
        print(f"{'':22}{'predicted':>10}{'interval':>22}{'real':>10}{'ratio':>8}  within")
        for name, found in real.items():
            one = predicted(made, name)
            guess = one if isinstance(one, dict) else {"value": one, "low": None, "high": None}
            value, low, high = guess["value"] or 0.0, guess["low"], guess["high"]
            between = f"{low:.3g} to {high:.3g}" if low is not None and high is not None else "-"
            within = "-" if low is None or high is None else str(low <= found <= high)
            print(f"{name:22}{value:10.4g}{between:>22}{found:10.4g}{value / found if found else 0:8.2f}  {within}")


if __name__ == "__main__":
    main()
