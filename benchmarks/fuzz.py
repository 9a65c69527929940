"""Damaged variants of the samples, thousands of them: does docpipe end, list every page, and tell the truth?

    python benchmarks/fuzz.py [--variants 2000] [--seconds 1800] [--seed 1] [--jobs 2] [--keep FOLDER]

Each variant is a sample with bytes flipped, a piece cut out, doubled or overwritten, or its end cut off. They are
converted 25 at a time. Invariants: the command ends within its time; each variant has either a document whose pages all
have a status or one coded line; the exit code is 0 exactly when every document is complete. --keep: a folder for the
variants that broke one.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from docpipe.export.json import StoredDocument

SAMPLES = Path(__file__).parents[1] / "samples"
NAMES = ("cjk.pdf", "cyrillic.pdf", "form.pdf", "rotated.pdf", "mixed.pdf", "molecule.png", "table.png", "text.png")
BATCH = 25
PAGE_SECONDS, STALL_SECONDS = 20.0, 40.0


def damaged(data: bytes, chance: random.Random) -> bytes:
    """A variant of a file's bytes."""
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        place, length = chance.randrange(len(made)), chance.choice((1, 4, 64, 1024))
        match chance.randrange(6):
            case 0:
                for _ in range(chance.choice((1, 10, 100))):
                    made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)
            case 1:
                del made[max(1, place) :]
            case 2:
                del made[place : place + length]
            case 3:
                made[place:place] = made[place : place + length]
            case 4:
                made[place : place + length] = chance.randbytes(length)
            case _:
                digits = [i for i in range(place, min(len(made), place + 4096)) if 48 <= made[i] <= 57]
                for i in digits[: chance.choice((1, 5))]:  # lengths, offsets, sizes
                    made[i] = 48 + chance.randrange(10)
        if len(made) < 2:
            break
    return bytes(made)


def broken(told: list[dict[str, object]], code: int, wanted: int) -> list[tuple[str, str]]:
    """What is wrong with what a command said and wrote: for each finding the variant's source and a line."""
    found = []
    if len(told) != wanted:
        found.append(("", f"{len(told)} of {wanted} variants are told of"))
    if (code == 0) != all(one["status"] == "complete" for one in told):
        found.append(("", f"exit code {code}"))
    for one in told:
        source = str(one["source"])
        if one["error"]:
            if not str(one["error"]).startswith("DP") or one["status"] != "failed":
                found.append((source, f"an error that is not coded: {one['error']}"))
            continue
        document = StoredDocument(Path(str(one["folder"])))
        pages = list(document.pages)
        if [page.number for page in pages] != list(range(1, (document.source.pages or 0) + 1)):
            found.append((source, f"{len(pages)} of {document.source.pages} pages"))
        failed = [page for page in pages if page.status == "failed"]
        if any(page.error is None for page in failed):
            found.append((source, "a failed page without a reason"))
        if (one["status"] == "complete") != (not failed and not document.errors):
            found.append((source, f"{one['status']}, though {len(failed)} pages failed"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--variants", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=1800.0, help="begin no further batch after so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    chance, began, made = random.Random(options.seed), time.monotonic(), 0
    outcomes, codes, wrong = Counter[str](), Counter[str](), 0
    slowest = 0.0
    while made < options.variants and time.monotonic() - began < options.seconds:
        with tempfile.TemporaryDirectory() as folder:
            sources = []
            for number in range(min(BATCH, options.variants - made)):
                sample = SAMPLES / chance.choice(NAMES)
                sources.append(Path(folder, f"{made + number}-{sample.name}"))
                sources[-1].write_bytes(damaged(sample.read_bytes(), chance))
            out = Path(folder, "out")
            start = [sys.executable, "-c", "from docpipe.cli import main; main()", "convert", *map(str, sources)]
            more = ["-o", str(out), "--to", "json", "--json", "--jobs", str(options.jobs)]
            more += ["--page-deadline", str(PAGE_SECONDS), "--deadline", str(STALL_SECONDS)]
            at = time.monotonic()
            try:
                # Each document may take a look twice and stall once; then it is given up.
                most = 120 + len(sources) * (PAGE_SECONDS + STALL_SECONDS) / options.jobs
                done = subprocess.run([*start, *more], capture_output=True, text=True, timeout=most, check=False)
                told = json.loads(done.stdout)
                found = broken(told, done.returncode, len(sources))
                outcomes.update(str(one["status"]) if not one["error"] else "refused" for one in told)
                codes.update(str(one["error"])[:5] for one in told if one["error"])
                codes.update(line[:5] for one in told for line in one["page_errors"])
            except subprocess.TimeoutExpired:
                found = [("", "the command did not end in time")]
            except ValueError:
                found = [("", f"no JSON; exit code {done.returncode}: {done.stderr[-500:]}")]
            slowest = max(slowest, time.monotonic() - at)
            made += len(sources)
            wrong += len(found)
            for source, what in found:
                print(f"BROKEN {Path(source).name or 'batch'}: {what}", flush=True)
            if found and options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                for source in {s for s, _ in found if s} or set(map(str, sources)):
                    shutil.copy(source, options.keep)
    print(f"{made} variants in {time.monotonic() - began:.0f} s, slowest batch of {BATCH} {slowest:.0f} s")
    print(f"documents: {dict(outcomes)}; codes: {dict(codes.most_common())}; invariants broken: {wrong}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
