"""How well a checkpoint of the scores recipe reads music, and what the grammar, candidates and agreement each add.

    DOCPIPE_BENCH_DATA=data python benchmarks/scores.py runs/scores/best.pt [--strips 200] [--renders 60] [--scans 60]

The weights are a run's file or an exported folder. Strips: held-out ones, one staff and one measure each, cut exactly.
Renders and scans: whole systems, cut by docpipe; scans are DOCPIPE_BENCH_DATA/scores/scan-*, of which nothing is
trained on. Every row of the tables switches one thing on. With DOCPIPE_JUDGE, the folder that holds the package of an
independent scorer (scores.score(truth, answer, Options())), its ser_core stands beside. Times are CPU milliseconds of
one thread, cutting included. --cuts measures the cutting alone, without a model; --out writes the answers to the scans.

--measures asks of an exported folder whether the confidence of each measure means what it says: the share of measures
that are exactly right; the expected calibration error before (the plain probabilities of a measure's tokens) and after
(the map fitted on the other four fifths of the systems, whose pieces are mostly others); and what would come out if
only measures from a confidence on were given, and of these systems alone at least half of whose measures hold. --write
puts the map of all into the folder's docpipe.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from docpipe.engines.staves import Cut, cut_system
from docpipe.metrics.notes import note_bar_f1, note_f1
from docpipe.metrics.ser import ser, symbol_edits
from docpipe.models.confidence import Calibration, measured
from docpipe.notation.kern_grammar import broken_at
from docpipe.notation.kern_reading import read_staves
from docpipe.train.calibration import Judged, fit_parts, separation
from docpipe.train.score_systems import NEARLY, judge_system, reader_in, rendered, scanned

VARIANTS: dict[str, dict[str, Any]] = {
    "greedy": {"width": 1, "agreement": False, "forced": False},
    "4 candidates": {"width": 4, "agreement": False, "forced": False},
    "+ agreement": {"width": 4, "agreement": True, "forced": False},
    "+ read again": {"width": 4, "agreement": True, "forced": True},
}
"""Within the grammar, all of them; the last is what the engine does."""

FOLDS = 5
LEASTS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Confidences from which on a measure would be given."""

Scorer = Callable[[str, str], dict[str, float]]


def exported(weights: Path) -> Path:
    """The folder of a run's weights, written without calibration; a folder as it is."""
    if weights.is_dir():
        return weights
    from docpipe.train.export import read_run, write_transformers

    folder = Path(tempfile.mkdtemp())
    model, recipe, kept = read_run(weights)
    write_transformers(model, recipe, kept["vocabulary"], folder)
    print(f"step {kept['step']}, {kept['samples']} samples")
    return folder


def strips(folder: Path, count: int) -> None:
    """Held-out strips: plain greedy decoding, then within the grammar, then with candidates."""
    from docpipe.engines.score_reading import TokenRules
    from docpipe.models.decode import generate
    from docpipe.models.guided import guided
    from docpipe.models.load import load_network
    from docpipe.models.tokenizer import Tokenizer
    from docpipe.train.decoding import seen
    from docpipe.train.domains.scores import Scores, score

    network = load_network(folder)
    tokenizer = Tokenizer(folder, network.config)
    names = [tokenizer.piece(token).strip() for token in range(network.config.text.vocabulary)]
    rules, prompt = TokenRules(names, network.config.eos), tokenizer.prompt("kern")
    held = Scores().validation(count)["held_out"]
    truths = [tuple(sample.truth.split()) for sample in held]
    kinds = [str(sample.slices["kind"]) for sample in held]
    print(
        "| strips | SER | exact | exact, best of all | note F1 | pitch F1 | ungrammatical | ms |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for name, width in (("greedy, free", 0), ("greedy, grammar", 1), ("4 candidates", 4), ("8 candidates", 8)):
        said: list[list[tuple[str, ...]]] = []
        begun = time.process_time()
        for first in range(0, count, 16):
            some = held[first : first + 16]
            pixels = seen(np.stack([sample.pixels for sample in some]))
            prompts, limits = [prompt] * len(some), [84] * len(some)
            if width:
                found = guided(network, pixels, prompts, limits, [rules] * len(some), width)
            else:
                found = [[one] for one in generate(network, pixels, prompts, limits)]
            said += [[tuple(names[t] for t in one.tokens) for one in every] for every in found]
        spent = 1000 * (time.process_time() - begun) / count
        row = score(truths, [every[0] for every in said], kinds)
        best = sum(any(_bare(one) == _bare(truth) for one in every) for every, truth in zip(said, truths, strict=True))
        broken = sum(broken_at(every[0]) is not None for every in said)
        print(
            f"| {name} | {row['ser']:.3f} | {row['exact']:.3f} | {best / count:.3f} | {row['note_f1']:.3f} "
            f"| {row['pitch_f1']:.3f} | {broken / count:.3f} | {spent:.1f} |",
            flush=True,
        )


def _bare(tokens: Sequence[str]) -> list[str]:
    return [token for token in tokens if token[0] != "x"]


def judge() -> Scorer | None:
    """The independent scorer, where DOCPIPE_JUDGE names one."""
    place = os.environ.get("DOCPIPE_JUDGE")
    if not place:
        return None
    sys.path.insert(0, place)
    from judge import scores as independent

    return lambda truth, answer: independent.score(truth, answer, independent.Options())


def systems(folder: Path, title: str, cases: Sequence[tuple[Image.Image, str]], out: Path | None = None) -> None:
    """Whole systems by every variant."""
    scorer = judge()
    print(
        f"| {title}, n = {len(cases)} | SER | core SER | note F1 | note F1 by bar | nearly right | bars agree "
        "| strips that do not fit | ms |\n|---|---|---|---|---|---|---|---|---|"
    )
    for name, settings in VARIANTS.items():
        reader = reader_in(folder, **settings)
        edits = length = core = core_length = 0
        notes = by_bar = nearly = agreed = unfit = spent = 0.0
        for number, (image, truth) in enumerate(cases):
            begun = time.process_time()
            read = reader.read([image])[0]
            spent += time.process_time() - begun
            answer = read.kern or ""
            if out is not None:
                (out / f"{number:03}.krn").write_text(answer)
            found = symbol_edits(answer, truth)
            edits, length = edits + found[0], length + found[1]
            notes += note_f1(answer, truth)
            by_bar += note_bar_f1(answer, truth)
            nearly += ser(answer, truth) <= NEARLY
            unfit += len(read.unfit)
            if scorer is not None:
                row = scorer(truth, answer)
                core, core_length = core + row["core_edits"], core_length + row["core_symbols"]  # type: ignore[assignment]
                agreed += row["bars_agree"]
        count = len(cases)
        print(
            f"| {name} | {edits / length:.3f} | {core / max(1, core_length):.3f} | {notes / count:.3f} "
            f"| {by_bar / count:.3f} | {nearly / count:.3f} | {agreed / count:.3f} | {unfit / count:.2f} "
            f"| {1000 * spent / count:.0f} |",
            flush=True,
        )


def cuts(folder: Path, count: int) -> None:
    """Whether staves and bars are found, on scans."""
    staves = bars = total = 0
    begun = time.process_time()
    for image, text in scanned(folder, count):
        printed = read_staves(text)
        found = cut_system(image)
        seen = (_count(found, "staff"), _count(found, "measure"))
        total += 1
        staves += seen[0] == len(printed)
        bars += seen == (len(printed), len(printed[0]))
    spent = 1000 * (time.process_time() - begun) / total
    print(f"{total} scans: staves right {staves / total:.3f}, staves and bars right {bars / total:.3f}, {spent:.0f} ms")


def _count(found: Sequence[Cut], what: str) -> int:
    return max((getattr(cut, what) for cut in found), default=-1) + 1


def measures(judged: dict[str, list[Judged]]) -> None:
    """The confidence of each measure, cross-validated over contiguous fifths of each set's systems."""
    from docpipe.metrics.calibration import ece

    sure: dict[str, list[list[float]]] = {name: [] for name in judged}
    for fold in range(FOLDS):
        others = {
            name: [a for k, a in enumerate(some) if FOLDS * k // len(some) != fold] for name, some in judged.items()
        }
        calibration = Calibration.from_json(fit_parts(others) or {}, "a fold")
        for name, some in judged.items():
            held = [a for k, a in enumerate(some) if FOLDS * k // len(some) == fold]
            sure[name] += [[calibration(part.logprobs) for part in answer.parts] for answer in held]
    print(
        "| measures of | systems | measures | exact | ECE least token | mean | joint | calibrated | AUC |\n|"
        + "---|" * 9
    )
    for name, some in judged.items():
        parts = [part for answer in some for part in answer.parts]
        right = [part.right for part in parts]
        after = [value for row in sure[name] for value in row]
        auc = separation(np.array(after), np.array(right))
        before = [ece([measured(p.logprobs, by) for p in parts], right) for by in ("minimum", "mean", "joint")]
        print(
            f"| {name} | {len(some)} | {len(parts)} | {np.mean(right):.3f} | "
            + " | ".join(f"{value:.3f}" for value in (*before, ece(after, right), auc))
            + " |"
        )
    print(
        "\n| measures of | from | share given | of these right | systems half held | their measures right |\n|"
        + "---|" * 6
    )
    for name, some in judged.items():
        for least in LEASTS:
            over = [
                (np.array(s) >= least, np.array([part.right for part in answer.parts]))
                for s, answer in zip(sure[name], some, strict=True)
                if s
            ]
            given = np.concatenate([hits[kept] for kept, hits in over])
            half = [hits[kept] for kept, hits in over if kept.mean() >= 0.5]
            told = np.concatenate(half) if half else np.zeros(0)
            total = sum(len(kept) for kept, _ in over)
            print(
                f"| {name} | {least:.2f} | {len(given) / total:.3f} ({len(given)}) | {_share(given)} "
                f"| {len(half)} of {len(some)} | {_share(told)} ({len(told)}) |"
            )


def _share(right: np.ndarray) -> str:
    return f"{right.mean():.3f}" if len(right) else "-"


def write_map(folder: Path, judged: dict[str, list[Judged]]) -> None:
    """The map of all measures into the folder's docpipe.json."""
    file = folder / "docpipe.json"
    said = json.loads(file.read_text())
    said["part_confidence"] = {"score": fit_parts(judged)}
    file.write_text(json.dumps(said, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="?", help="best.pt of a run, or an exported folder")
    parser.add_argument("--strips", type=int, default=200)
    parser.add_argument("--renders", type=int, default=60)
    parser.add_argument("--scans", type=int, default=60)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--cuts", action="store_true")
    parser.add_argument("--measures", action="store_true")
    parser.add_argument("--write", action="store_true", help="with --measures")
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = os.environ.get("DOCPIPE_BENCH_DATA")
    real = Path(data) / "scores" if data else None
    if given.cuts:
        if real is None:
            parser.error("set DOCPIPE_BENCH_DATA to the folder that holds scores/scan-*")
        cuts(real, given.scans)
        return
    if given.weights is None:
        parser.error("name the weights, or --cuts")
    folder = exported(given.weights)
    if given.measures:
        reader = reader_in(folder)
        judged = {"held_out": [judge_system(reader, *one) for one in islice(rendered(), given.renders)]}
        if real is not None and given.scans:
            judged["scans"] = [judge_system(reader, *one) for one in scanned(real, given.scans)]
        measures(judged)
        if given.write:
            write_map(folder, judged)
        return
    if given.strips:
        strips(folder, given.strips)
    if given.renders:
        systems(folder, "renders", list(islice(rendered(), given.renders)))
    if real is not None and given.scans:
        if given.out:
            given.out.mkdir(parents=True, exist_ok=True)
        systems(folder, "scans", list(scanned(real, given.scans)), given.out)


if __name__ == "__main__":
    main()
