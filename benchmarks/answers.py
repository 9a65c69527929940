"""What candidates and grammars add: exact match and time of greedy, n-best, grammar and both, on nano-molecule.

    DOCPIPE_SMILES=… DOCPIPE_FONTS=… DOCPIPE_BENCH_DATA=… python benchmarks/answers.py [--count 300] [--candidates 5]

Pictures: held-out renders (docpipe.train.domains.molecules) and, with DOCPIPE_BENCH_DATA, real drawings of the sizes
that the checkpoint was trained on. Each way reads the same crops through the engine, one at a time; as in docpipe the
first candidate that RDKit parses is taken. exact: the same canonical SMILES. valid: parses. ms: CPU time a crop, one
thread. No confidence threshold: every answer counts.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from PIL import Image
from rdkit import Chem, rdBase

from docpipe.document import Box, Page, Region
from docpipe.engines.base import Request
from docpipe.engines.paligemma import PaliGemmaEngine
from docpipe.models.registry import shipped
from docpipe.sheet import Sheet
from docpipe.source import SourceRef
from docpipe.tasks import get_task
from docpipe.train.domains.molecules import Molecules

WAYS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "n-best": {"candidates": 0},
    "grammar": {"grammar": "auto"},
    "both": {"candidates": 0, "grammar": "auto"},
}


def crops(count: int, low: int, high: int) -> Iterator[tuple[str, Image.Image, str]]:
    """The set, the picture and its canonical SMILES."""
    domain = Molecules(side=128, low=low, high=high, noise=0.5, bond=(13.0, 22.0))
    for name, samples in domain.validation(count).items():
        for sample in samples:
            truth = Chem.MolToSmiles(Chem.MolFromSmiles(sample.truth))
            yield ("renders" if name == "held_out" else "drawings"), Image.fromarray(sample.pixels), truth


def request(image: Image.Image) -> Request:
    held = io.BytesIO()
    image.convert("RGB").save(held, "PNG")
    sheet = Sheet(Page(number=1, width=image.width, height=image.height), SourceRef("a.png", data=held.getvalue()))
    region = Region(id="p1.r1", kind="molecule", box=Box(0, 0, image.width, image.height))
    return Request(get_task("molecule"), sheet, region, dpi=72)


def canonical(smiles: str) -> str | None:
    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles) if smiles else None
        return Chem.MolToSmiles(mol) if mol is not None else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--candidates", type=int, default=5)
    parser.add_argument("--low", type=int, default=3)
    parser.add_argument("--high", type=int, default=10)
    parser.add_argument("--ways", nargs="+", choices=sorted(WAYS), default=list(WAYS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = shipped()["nano-molecule"]
    assert checkpoint.folder is not None
    given = [(name, request(image), truth) for name, image, truth in crops(args.count, args.low, args.high)]
    sets = sorted({name for name, _, _ in given}, reverse=True)
    print(f"{len(given)} crops, {args.candidates} candidates, torch {torch.__version__}, one thread")
    print(f"{'way':8} " + " ".join(f"{name + ' n':>11} {'exact':>7} {'valid':>7}" for name in sets) + f" {'ms':>7}")
    for way in args.ways:
        said = {k: (args.candidates if k == "candidates" else v) for k, v in WAYS[way].items()}
        engine = PaliGemmaEngine(batch=1, **said)
        # The threshold of abstention is for the confidence of greedy answers: here every answer counts. The pictures
        # are arranged already, as the trainer arranges them.
        checkpoint.abstain_below.clear()
        checkpoint.settings["molecule"] = replace(checkpoint.settings["molecule"], prepare="squeeze")
        engine._chosen["molecule"] = checkpoint
        next(iter(engine.read([given[0][1]])))
        right: dict[str, list[bool]] = {name: [] for name in sets}
        valid: dict[str, list[bool]] = {name: [] for name in sets}
        spent = 0.0
        for name, asked, truth in given:
            began = time.process_time()
            answer = next(iter(engine.read([asked])))
            spent += time.process_time() - began
            contents = [c for c in (answer.content, *answer.alternatives) if c is not None]
            read = next((s for c in contents if (s := canonical(c.smiles.strip()))), None)  # type: ignore[union-attr]
            right[name].append(read == truth)
            valid[name].append(read is not None)
        shares = {n: [100 * sum(of[n]) / len(of[n]) for of in (right, valid)] for n in sets}
        row = " ".join(f"{len(right[n]):>11} {shares[n][0]:>6.1f}% {shares[n][1]:>6.1f}%" for n in sets)
        print(f"{way:8} {row} {1e3 * spent / len(given):>7.1f}", flush=True)


if __name__ == "__main__":
    main()
