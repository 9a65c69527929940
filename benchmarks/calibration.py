"""Does confidence 0.9 mean nine in ten? Expected calibration error of nano-molecule before and after calibration.

    DOCPIPE_SMILES=… DOCPIPE_FONTS=… DOCPIPE_BENCH_DATA=… python benchmarks/calibration.py [--count 400] [--plot FILE]

Answers to fresh held-out renders (another seed than the one that the shipped map was fitted on), renders of molecules
too large for it, and, with DOCPIPE_BENCH_DATA, real drawings; every other answer is fitted on, the others measure.
mean and joint: the raw measures. isotonic: docpipe.train.calibration on half of the answers. temperature: the joint
log-probability over a constant, fitted by likelihood. shipped: the map in docpipe.json. ECE: mean over ten bins of
equal numbers of answers of |confidence - share right|, weighted by their size (Naeini and others, 2015).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rdkit import Chem, rdBase

from docpipe.models.confidence import Calibration, measured
from docpipe.models.decode import generate
from docpipe.models.load import load_network, network_config
from docpipe.models.preprocess import to_pixels
from docpipe.models.registry import shipped
from docpipe.models.tokenizer import Tokenizer
from docpipe.train.calibration import Judged, fit, separation
from docpipe.train.domains.molecules import Molecules, real_samples, sample_of
from docpipe.train.sample import Sample

BINS = 10


def ece(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error over bins that hold equally many answers."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [len(p) * abs(float(confidence[p].mean() - right[p].mean())) for p in parts]
    return sum(gaps) / len(right)


def temperature(joint: np.ndarray, right: np.ndarray) -> float:
    """The constant that the joint log-probability is divided by: the likeliest of a fine grid."""
    grid = np.geomspace(0.2, 20, 200)

    def loss(t: float) -> float:
        p = np.clip(np.exp(joint / t), 1e-6, 1 - 1e-6)
        return float(-np.mean(np.where(right, np.log(p), np.log(1 - p))))

    return float(min(grid, key=loss))


def answered(samples: Sequence[Sample], batch: int = 16) -> list[Judged]:
    """nano-molecule's greedy answers, each with whether it is the very molecule."""
    checkpoint = shipped()["nano-molecule"]
    assert checkpoint.folder is not None
    config, network = network_config(checkpoint.folder), load_network(checkpoint.folder)
    tokenizer = Tokenizer(checkpoint.folder, config)
    prompt, made = tokenizer.prompt("smiles"), []
    for first in range(0, len(samples), batch):
        part = samples[first : first + batch]
        pixels = to_pixels([Image.fromarray(sample.pixels).convert("RGB") for sample in part])
        for sample, found in zip(part, generate(network, pixels, [prompt] * len(part), 64), strict=True):
            with rdBase.BlockLogs():
                read = Chem.MolFromSmiles(tokenizer.text(found.tokens) or "?")
                right = read is not None and Chem.MolToSmiles(read) == Chem.CanonSmiles(sample.truth)
            made.append(Judged(found.logprobs, right))
    return made


def reliability(rows: dict[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """A plot of share right over confidence, for each way of telling the confidence."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(rows), figsize=(2.6 * len(rows), 2.9), sharey=True)
    for axis, (name, (confidence, right)) in zip(axes, rows.items(), strict=True):
        parts = [p for p in np.array_split(np.argsort(confidence, kind="stable"), BINS) if len(p)]
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        axis.plot([confidence[p].mean() for p in parts], [right[p].mean() for p in parts], "o-", markersize=4)
        axis.set_title(f"{name}\nECE {ece(confidence, right):.3f}", fontsize=9)
        axis.set_xlabel("confidence", fontsize=8)
        axis.set_aspect("equal")
    axes[0].set_ylabel("share right", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    sets: dict[str, list[Sample]] = {}
    for name, low, high, count in (("renders", 3, 10, args.count), ("renders, larger", 11, 20, args.count // 4)):
        domain = Molecules(side=128, low=low, high=high, noise=0.5, bond=(13.0, 22.0))
        sets[name] = [sample_of(drawing) for drawing in islice(domain.drawings(17, held_out=True), count)]
        if domain.real is not None and domain.real.is_dir():
            real = real_samples(domain.real, 128, low, high, count // 3)
            sets[name.replace("renders", "drawings")] = [sample for found in real.values() for sample in found]
    judged = {name: answered(samples) for name, samples in sets.items() if samples}
    for name, answers in judged.items():
        print(f"{name}: {len(answers)} answers, {100 * np.mean([a.right for a in answers]):.1f} % right")
    every = [answer for answers in judged.values() for answer in answers]
    fitted, kept = every[::2], every[1::2]
    right = np.array([a.right for a in kept])
    joint = [np.array([sum(a.logprobs) for a in part]) for part in (fitted, kept)]
    t = temperature(joint[0], np.array([a.right for a in fitted]))
    own = shipped()["nano-molecule"].calibration["molecule"]
    isotonic = Calibration.from_json(fit(fitted), "isotonic")
    rows = {
        "mean (raw)": np.array([measured(a.logprobs) for a in kept]),
        "joint (raw)": np.exp(joint[1]),
        f"temperature {t:.2f}": np.exp(joint[1] / t),
        f"isotonic ({isotonic.measure})": np.array([isotonic(a.logprobs) for a in kept]),
        f"shipped ({own.measure})": np.array([own(a.logprobs) for a in kept]),
    }
    print(f"measured on {len(kept)} answers, {100 * right.mean():.1f} % right; fitted on {len(fitted)}")
    print(f"{'confidence':20} {'ECE':>6} {'AUC':>6} {'from 0.9 on: answers':>21} {'right':>7}")
    for name, confidence in rows.items():
        sure = confidence >= 0.9
        share = f"{100 * right[sure].mean():.1f}%" if sure.any() else "-"
        print(f"{name:20} {ece(confidence, right):>6.3f} {separation(confidence, right):>6.3f} {int(sure.sum()):>21} "
              f"{share:>7}")  # fmt: skip
    if args.plot:
        reliability({name: (confidence, right) for name, confidence in rows.items()}, args.plot)


if __name__ == "__main__":
    main()
