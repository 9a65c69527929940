"""What int8 changes in what the shipped nano checkpoints answer: each task's metric in float32 and int8, on one set.

    DOCPIPE_SMILES=… DOCPIPE_FONTS=… python benchmarks/fidelity.py [--count 1000] [--mode int8] [--only molecule table]

The samples are those that a recipe keeps for validation, decoded greedily in batches of 32 by docpipe's own network;
systems of music as the engine reads them, strip by strip within the grammar. Metrics: exact match, S-TEDS (tables),
SER (music: symbol edits over symbols; of strips, tokens). difference: points of the metric, the other mode's
minus float32's, with the 95 % interval of a paired bootstrap over samples: where 0.2 points lie inside it, the set is
too small to tell. other: answers that are not the same token for token. ms: CPU milliseconds a sample, one thread.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from docpipe.engines.score_answers import WIDTH
from docpipe.engines.score_reading import ScoreReader, by_network
from docpipe.evaluate.bootstrap import estimate, resamples
from docpipe.metrics.ser import symbol_edits
from docpipe.models.decode import generate
from docpipe.models.load import load_network
from docpipe.models.network import Network
from docpipe.models.quantize import choose, quantize
from docpipe.models.registry import shipped
from docpipe.models.tokenizer import Tokenizer
from docpipe.train.decoding import seen
from docpipe.train.domains import domain
from docpipe.train.sample import Sample
from docpipe.train.score_systems import LIMIT, PROMPT, rendered

BATCH = 32

MOLECULES = {"side": 128, "low": 3, "high": 10, "noise": 0.5, "bond": (13.0, 22.0)}
"""What nano-molecule was trained on."""

METRICS = {
    "table": {"s_teds": "S-TEDS", "exact": "exact match"},
    "score": {"ser": "strips, token error rate", "exact": "strips, exact match"},
}
"""A domain's scores and what they are; exact match for the others."""

Answer = tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """One metric of one set. values: [2, n] of each sample in float32 and in the other mode; weights: [n]; others:
    answers that differ; ms: [2] of a sample.
    """

    name: str
    values: np.ndarray
    weights: np.ndarray
    others: int
    ms: tuple[float, float]

    def row(self) -> str:
        count = len(self.weights)
        first, second = (100 * (self.values @ self.weights) / self.weights.sum()).tolist()
        change = (self.values[1] - self.values[0]) * self.weights

        def total(drawn: np.ndarray) -> float:
            return float(100 * (drawn @ change) / (drawn @ self.weights))

        found = estimate(total, np.ones(count), resamples(count))
        cells = [self.name, str(count), f"{first:.2f}", f"{second:.2f}", f"{found.value:+.2f}"]
        cells += [f"{found.low:+.2f} to {found.high:+.2f}", str(self.others), *(f"{ms:.1f}" for ms in self.ms)]
        return "| " + " | ".join(cells) + " |"


def timed(run: Callable[[], list[Any]]) -> tuple[list[Any], float]:
    """What a run over samples gives, and its CPU milliseconds a sample."""
    began = time.process_time()
    made = run()
    return made, 1000 * (time.process_time() - began) / len(made)


def answers(network: Network, tokenizer: Tokenizer, samples: Sequence[Sample], limit: int) -> list[Answer]:
    """Greedy answers as tokens, in the order of the samples."""
    said: list[Answer] = []
    for first in range(0, len(samples), BATCH):
        some = samples[first : first + BATCH]
        prompts = [tokenizer.prompt(sample.prompt) for sample in some]
        found = generate(network, seen(np.stack([sample.pixels for sample in some])), prompts, limit)
        said += [tuple(tokenizer.piece(token) for token in one.tokens) for one in found]
    return said


def on_samples(folder: Path, networks: Sequence[Network], task: str, samples: Sequence[Sample], of: Any,
               limit: int) -> Iterator[Measured]:  # fmt: skip
    """The metrics of a domain (`of`) over its samples."""
    tokenizer = Tokenizer(folder, networks[0].config)
    runs = [timed(lambda n=network: answers(n, tokenizer, samples, limit)) for network in networks]
    others = sum(a != b for a, b in zip(runs[0][0], runs[1][0], strict=True))
    scored = [[of.score([s], [a]) for s, a in zip(samples, said, strict=True)] for said, _ in runs]
    for metric, name in METRICS.get(task, {"exact": "exact match"}).items():
        length = [len(sample.target) if metric == "ser" else 1 for sample in samples]
        values = np.array([[scores[metric] for scores in run] for run in scored])
        yield Measured(f"{task}, {name}", values, np.array(length, float), others, (runs[0][1], runs[1][1]))


def on_systems(folder: Path, networks: Sequence[Network], count: int) -> Measured:
    """SER of whole systems of music that nothing was trained on."""
    cases = list(islice(rendered(), count))
    tokenizer = Tokenizer(folder, networks[0].config)
    vocabulary = tuple(tokenizer.piece(token) for token in range(networks[0].config.text.vocabulary))
    prompt, eos = tokenizer.prompt(PROMPT), networks[0].config.eos
    readers = [ScoreReader(by_network(network, prompt, LIMIT, WIDTH), vocabulary, eos) for network in networks]
    runs = [timed(lambda r=reader: [r.read([image])[0].kern or "" for image, _ in cases]) for reader in readers]
    edits = np.array([[symbol_edits(a, t)[0] for a, (_, t) in zip(r, cases, strict=True)] for r, _ in runs], float)
    length = np.array([symbol_edits(a, t)[1] for a, (_, t) in zip(runs[0][0], cases, strict=True)], float)
    others = sum(a != b for a, b in zip(runs[0][0], runs[1][0], strict=True))
    return Measured("score, systems, SER", edits / length, length, others, (runs[0][1], runs[1][1]))


def measured(task: str, mode: str, count: int) -> Iterator[Measured]:
    """The metrics of one checkpoint."""
    checkpoint = shipped()[f"nano-{task}"]
    assert checkpoint.folder is not None
    exact = load_network(checkpoint.folder)
    networks = exact, quantize(copy.deepcopy(exact), choose(mode))  # type: ignore[arg-type]
    of = domain(f"{task.removesuffix('s')}s", **(MOLECULES if task == "molecule" else {}))
    samples = of.validation(count)["held_out"]
    offered = {name: said.max_tokens or 64 for name, said in checkpoint.settings.items()}
    if task == "scenes":
        samples = [sample for sample in samples if sample.slices["task"] in offered]
    yield from on_samples(checkpoint.folder, networks, task, samples, of, max(offered.values()))
    if task == "score":
        yield on_systems(checkpoint.folder, networks, max(2, count // 10))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="samples of each checkpoint; a tenth as many systems")
    parser.add_argument("--mode", default="int8", choices=["int8", "int8-weight", "bf16"])
    tasks = ["molecule", "table", "score", "scenes"]
    parser.add_argument("--only", nargs="+", choices=tasks, default=tasks)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{given.mode}: {choose(given.mode).why}; torch {torch.__version__}\n")
    print(f"| checkpoint, metric | n | float32 | {given.mode} | difference | 95 % | other | ms | ms, {given.mode} |\n"
          "|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    for task in given.only:
        for found in measured(task, given.mode, given.count):
            print(found.row(), flush=True)


if __name__ == "__main__":
    main()
