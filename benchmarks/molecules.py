"""Drawn molecules of patents, catalogues and drug names: geometry, OSRA and nano on the same images, alone and in turn.

    DOCPIPE_BENCH_DATA=<folder> python benchmarks/molecules.py [--sample 100] [--kept FILE] [--fit] [--beam 5]

Reads molecules/truth.tsv (path, smiles) and the drawings of uspto, uob and usan. Each system's answer counts as right
when its canonical SMILES with stereo is the truth's. "exact": share of all drawings; "given": share answered; "right":
share of those answered that are right, all with 95 % bootstrap intervals. By default only drawings are counted whose
confidence was not fitted on them (an odd CRC-32 of their path); OSRA's weights come from the others.

OSRA takes about three seconds a drawing; --kept names a JSON Lines file where its output is kept and looked up.
--fit prints the weights of docpipe.engines.osra from the other half. What is no molecule (cuts of scanned text, scores
and tables) is then among the wrong answers.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from docpipe.document import Box, Page, Region
from docpipe.engines import osra
from docpipe.engines.base import Answer, Engine, Request
from docpipe.engines.imagemolecule import ImageMoleculeEngine
from docpipe.engines.paligemma import PaliGemmaEngine
from docpipe.metrics.smiles import exact_match
from docpipe.models.drawings import bond_length
from docpipe.models.registry import Checkpoint
from docpipe.notation.groups import expand
from docpipe.sheet import Sheet
from docpipe.source import open_source
from docpipe.tasks import get_task

SETS = ("uspto", "uob", "usan")
SIZES = (10, 20, 30, 40, 999)


class Case(NamedTuple):
    """A drawing with its truth and heavy atoms; no truth: it is no molecule."""

    path: str
    truth: str
    atoms: int

    @property
    def fitted(self) -> bool:
        """Whether the weights were fitted on it."""
        return zlib.crc32(self.path.encode()) % 2 == 0


@dataclass
class Said:
    """What a system answered to one case, and how sure it is; None: it abstains."""

    smiles: str | None
    confidence: float = 0.0
    seconds: float = 0.0


def cases(folder: Path, sample: int, seed: str) -> list[Case]:
    """`sample` drawings of each set, in turns."""
    from rdkit import Chem

    rows = [line.split("\t")[:2] for line in (folder / "molecules" / "truth.tsv").read_text().splitlines()[1:]]
    chosen: list[list[Case]] = []
    for name in SETS:
        of_set = [row for row in rows if row[0].startswith(name + "/")]
        random.Random(f"{seed}:{name}").shuffle(of_set)
        found = [(path, smiles, Chem.MolFromSmiles(smiles)) for path, smiles in of_set[:sample]]
        chosen.append([Case("molecules/" + path, s, mol.GetNumHeavyAtoms()) for path, s, mol in found])
    return [case for turn in zip(*chosen, strict=False) for case in turn]


def strangers(folder: Path, count: int) -> list[tuple[Case, Image.Image]]:
    """Cuts of what is no molecule, of the size of molecules' crops."""
    rng, found = random.Random("strangers"), []
    for place in ("ocr/sroie", "ocr/scribe", "scores/scan-joplin", "scores/scan-mozart", "tables/pubtabnet"):
        for path in sorted((folder / place).glob("*.[pj][np]g"))[:count]:
            image = Image.open(path).convert("L")
            width, height = min(image.width, rng.randint(250, 800)), min(image.height, rng.randint(200, 600))
            left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
            cut = image.crop((left, top, left + width, top + height))
            if np.asarray(cut).min() < 100:
                found.append((Case(f"{place}/{path.name}", "", 0), cut))
    return found


def asked(path: Path) -> Request:
    """The image as one region that fills its page."""
    with open_source(path) as source:
        page = source.page(1)
        sheet = Sheet(Page(number=1, width=page.width, height=page.height), source.ref)
    region = Region(id="p1.r1", kind="molecule", box=Box(0, 0, page.width, page.height))
    return Request(get_task("molecule"), sheet, region)


class Kept:
    """OSRA's outputs by path, in a file when one is named."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.known: dict[str, list[tuple[float, str, float]]] = {}
        if path and path.exists():
            for line in path.read_text().splitlines():
                row = json.loads(line)
                self.known[row["path"]] = [tuple(reading) for reading in row["readings"]]

    def readings(self, name: str, image: Image.Image) -> list[tuple[float, str, float]]:
        """Scale, SD file and seconds of both readings of an image."""
        if name not in self.known:
            grey = image.convert("L")
            bond = bond_length(np.pad(np.asarray(grey), 8, constant_values=255))
            made = []
            for scale in osra.scales(bond, max(grey.size)):
                begun = time.perf_counter()
                try:
                    text = osra.run(osra.sized(grey, scale))
                except osra.DocpipeError:
                    text = ""
                made.append((scale, text, time.perf_counter() - begun))
            self.known[name] = made
            if self.path:
                with self.path.open("a") as file:
                    file.write(json.dumps({"path": name, "readings": made}) + "\n")
        return self.known[name]

    def judged(self, name: str, image: Image.Image) -> tuple[osra.Found, osra.Evidence] | None:
        made = [(osra.parse(text), scale) for scale, text, _ in self.readings(name, image)]
        return osra.judged(image.convert("L"), made)


class Unguarded(PaliGemmaEngine):
    """The shipped checkpoint without its threshold: it answers always, and says how sure it is."""

    def checkpoint_for(self, task: str) -> Checkpoint | None:
        found = super().checkpoint_for(task)
        return found and replace(found, abstain_below={})


def system(engine: Engine, folder: Path, *, always: bool = False) -> Callable[[Case], Said]:
    """A system that answers a case by an engine, the first of its candidates that RDKit accepts.

    always: what it would have said where it abstains, too.
    """
    task = get_task("molecule")

    def read(case: Case) -> Said:
        begun = time.perf_counter()
        answer: Answer = next(iter(engine.read([asked(folder / case.path)])))
        seconds = time.perf_counter() - begun
        offered = (answer.content, *answer.alternatives) if always or answer.content else ()
        for content in offered:
            if content is not None and task.check(content).verdict.status in ("valid", "repaired"):
                return Said(expand(content.smiles), answer.confidence or 0.0, seconds)  # type: ignore[union-attr]
        return Said(None, answer.confidence or 0.0, seconds)

    return read


def answered(foreign: Sequence[tuple[Case, Image.Image]]) -> str:
    """How often geometry takes what is no molecule for one."""
    with tempfile.TemporaryDirectory() as scratch:
        path, said = Path(scratch) / "cut.png", []
        for _, cut in foreign:
            cut.save(path)
            (answer,) = ImageMoleculeEngine().read([asked(path)])
            said.append(answer.content is not None)
    return share(said)


def share(values: Sequence[bool]) -> str:
    """A share with its interval, as 0.85 [0.80, 0.89]."""
    if not len(values):
        return "-"
    drawn = np.random.default_rng(0).choice(np.asarray(values, float), (2000, len(values))).mean(axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return f"{float(np.mean(values)):.3f} [{low:.3f}, {high:.3f}]"


def table(name: str, tried: Sequence[Case], said: Sequence[Said]) -> Iterator[str]:
    """Rows of one system: all, by set and by size."""
    right = [s.smiles is not None and exact_match(s.smiles, c.truth) == 1.0 for c, s in zip(tried, said, strict=True)]
    parts: list[tuple[str, list[int]]] = [("all", list(range(len(tried))))]
    parts += [(s, [i for i, c in enumerate(tried) if f"/{s}/" in c.path]) for s in SETS]
    low = 0
    for high in SIZES:
        label = f"{low + 1}-{high} atoms" if high < 999 else f"more than {low}"
        parts.append((label, [i for i, c in enumerate(tried) if low < c.atoms <= high]))
        low = high
    for label, rows in parts:
        given = [i for i in rows if said[i].smiles is not None]
        seconds = np.mean([said[i].seconds for i in rows]) if rows else 0.0
        shares = (share([right[i] for i in rows]), share([said[i].smiles is not None for i in rows]))
        cells = (name, label, str(len(rows)), *shares, share([right[i] for i in given]), f"{seconds:.2f}")
        yield "| " + " | ".join(cells) + " |"


def fitted(evidence: np.ndarray, right: np.ndarray, penalty: float = 1.0) -> tuple[float, np.ndarray]:
    """Bias and weights of a logistic regression with a quadratic penalty on the weights of unit variance (Newton)."""
    mean, spread = evidence.mean(axis=0), evidence.std(axis=0) + 1e-9
    inputs = np.hstack([np.ones((len(evidence), 1)), (evidence - mean) / spread])
    ridge = penalty * np.diag([1e-6] + [1.0] * evidence.shape[1])
    weights = np.zeros(inputs.shape[1])
    for _ in range(60):
        chance = 1.0 / (1.0 + np.exp(-inputs @ weights))
        slope = inputs.T @ (chance - right) + ridge @ weights
        curve = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + ridge
        weights = weights - np.linalg.solve(curve, slope)
    scaled = weights[1:] / spread
    return float(weights[0] - scaled @ mean), scaled


def fit(folder: Path, kept: Kept, tried: Sequence[Case], foreign: Sequence[tuple[Case, Image.Image]]) -> None:
    """Prints bias and weights from the fitted half, and how sure of what is no molecule they leave OSRA."""
    rows, right = [], []
    pictures = [(case, Image.open(folder / case.path)) for case in tried if case.fitted]
    for case, image in [*pictures, *(pair for pair in foreign if pair[0].fitted)]:
        found = kept.judged(case.path, image)
        if found is not None:
            rows.append(found[1])
            right.append(bool(case.truth) and exact_match(found[0].smiles, case.truth) == 1.0)
    bias, weights = fitted(np.array(rows, float), np.array(right))
    print(f"fitted on {len(rows)} readings, {sum(right)} right")
    print(f"BIAS = {bias:.3f}")
    named = zip(osra.Evidence._fields, weights, strict=True)
    print("WEIGHTS = Evidence(" + ", ".join(f"{name}={weight:.3f}" for name, weight in named) + ")")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=100, help="drawings of each set")
    parser.add_argument("--seed", default="osra")
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--beam", type=int, default=1, help="nano's candidates")
    parser.add_argument("--every", action="store_true", help="count the drawings that weights were fitted on, too")
    given = parser.parse_args()
    data = os.environ.get("DOCPIPE_BENCH_DATA")
    if not data:
        parser.error("set DOCPIPE_BENCH_DATA to the folder that holds molecules/truth.tsv")
    folder, kept = Path(data), Kept(given.kept)
    tried = cases(folder, given.sample, given.seed)
    foreign = strangers(folder, 6)
    if given.fit:
        fit(folder, kept, tried, foreign)
        return
    counted = tried if given.every else [case for case in tried if not case.fitted]
    print(f"{len(counted)} drawings, seed {given.seed}, 95 % bootstrap intervals (2000 draws)\n")
    print("| system | drawings | n | exact | given | right of given | s/drawing |")
    print("|---|---|---|---|---|---|---|")
    plain, guarded = system(Unguarded(candidates=given.beam), folder), system(PaliGemmaEngine(), folder)
    drawn, bold = system(ImageMoleculeEngine(), folder), system(ImageMoleculeEngine(), folder, always=True)
    always, gated = [plain(case) for case in counted], [guarded(case) for case in counted]
    geometry = [drawn(case) for case in counted]
    for row in (
        *table("nano, always", counted, always),
        *table("nano", counted, gated),
        *table("geometry, always", counted, [bold(case) for case in counted]),
        *table("geometry", counted, geometry),
    ):
        print(row, flush=True)
    print(f"\ngeometry on {len(foreign)} cuts of what is no molecule: answered {answered(foreign)}\n", flush=True)
    if not osra.installed() and not given.kept:
        return
    everything, emitted, both, turns = [], [], [], []
    for case, small, first in zip(counted, gated, geometry, strict=True):
        found = kept.judged(case.path, Image.open(folder / case.path))
        seconds = sum(reading[2] for reading in kept.known[case.path])
        sure = osra.confidence(found[1]) if found else 0.0
        everything.append(Said(found[0].smiles if found else None, sure, seconds))
        emitted.append(replace(everything[-1], smiles=everything[-1].smiles if sure >= osra.LEAST else None))
        both.append(emitted[-1] if emitted[-1].smiles is not None else small)
        turns.append(first if first.smiles is not None else both[-1])
    for row in (
        *table("osra, always", counted, everything),
        *table("osra", counted, emitted),
        *table("osra, then nano", counted, both),
        *table("geometry, osra, nano", counted, turns),
    ):
        print(row, flush=True)
    agree = [
        (big, exact_match(big.smiles, case.truth) == 1.0)
        for case, big, small in zip(counted, everything, always, strict=True)
        if big.smiles and small.smiles and exact_match(big.smiles, small.smiles) == 1.0
    ]
    unsure = [right for big, right in agree if big.confidence < osra.LEAST]
    print(f"\nnano (always) and osra agree: {len(agree)}, right {share([right for _, right in agree])}")
    print(f"of these osra alone would abstain: {len(unsure)}, right {share(unsure)}")
    sure = [osra.confidence(f[1]) if (f := kept.judged(c.path, i)) else 0.0 for c, i in foreign if not c.fitted]
    print(f"no molecule at all: {len(sure)} cuts, answered {share([one >= osra.LEAST for one in sure])}")


if __name__ == "__main__":
    main()
