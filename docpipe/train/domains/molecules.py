"""Molecules as the trainer sees them: drawing -> image-ordered Kekulé SMILES, character by character.

The vocabulary is closed and made for good: every element, stereo, charges, isotopes, and free rows for groups and
markers to come, so that a trunk trained on small molecules goes on to large ones without a new vocabulary.
"""

from __future__ import annotations

import math
import os
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from docpipe.notation.groups import expand
from docpipe.train.sample import Sample
from docpipe.train.synth.molecules import Drawing, fonts_in, molecules
from docpipe.train.synth.smiles_pool import Pool, read_smiles

_ELEMENTS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr "
    "Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir "
    "Pt Au Hg Tl Pb Bi Po At Rn Ac Th U"
).split()
_AROMATIC = "b c n o p s se as te".split()
_MARKS = "( ) [ ] = # $ . / \\ + - @ @@ % : * ~ R 0 1 2 3 4 5 6 7 8 9".split()
_KNOWN = [*_MARKS, *_ELEMENTS, *_AROMATIC]
_FREE = 250 - len(_KNOWN)
VOCABULARY = (*_KNOWN, *(f"<free{i}>" for i in range(_FREE)))
"""Content tokens; with five special tokens and the prompt the vocabulary has 256 rows."""

_ATOMS = ("C", "N", "O", "S", "F", "Cl", "Br", "I", "P", "B", "Si", "Se", "+", "-")
_DIRECTIONS = 8
LABELS = (
    *_ATOMS,
    *(f"bond{order}:{direction}" for order in (1, 2, 3) for direction in range(_DIRECTIONS)),
    *(f"middle{order}" for order in (1, 2, 3)),
    "wedge",
    "hash",
)
"""Patch labels: elements and charge, bonds that leave an atom by order and octant, bonds' middles, stereo bonds."""

_PIECES = re.compile(r"\[[^\]]*\]|<free\d+>|Br|Cl|@@|.")
_INSIDE = re.compile("|".join(["@@", *sorted((*_ELEMENTS, *_AROMATIC), key=len, reverse=True), "."]))
_OUTSIDE_ATOMS = frozenset(("B", "C", "N", "O", "P", "S", "F", "Cl", "Br", "I", "b", "c", "n", "o", "p", "s", "*"))


def tokenize(smiles: str) -> list[tuple[str, str]]:
    """Tokens of a SMILES with the part each plays: "atom", "before" (of the next atom), "after" (of the last one).

    Raises ValueError on a character outside the vocabulary.
    """
    found: list[tuple[str, str]] = []
    for piece in _PIECES.findall(smiles):
        if piece.startswith("["):
            inside, named = _INSIDE.findall(piece[1:-1]), False
            found.append(("[", "before"))
            for token in inside:
                if not named and (token in _ELEMENTS or token in _AROMATIC or token == "*"):
                    found.append((token, "atom"))
                    named = True
                else:
                    found.append((token, "after" if named else "before"))
            found.append(("]", "after"))
        elif piece in _OUTSIDE_ATOMS or piece.startswith("<free"):
            found.append((piece, "atom"))
        else:
            found.append((piece, "after" if piece.isdigit() or piece == "%" else "before"))
    unknown = [token for token, _ in found if token not in _INDEX]
    if unknown:
        raise ValueError(f"not in the vocabulary: {unknown[0]!r} in {smiles!r}")
    return found


_LETTERS = re.compile("Br|Cl|Si|[CNOSFIPB]")
_INDEX = {token: i for i, token in enumerate(VOCABULARY)}
_LABEL = {label: i for i, label in enumerate(LABELS)}


def sample_of(drawing: Drawing) -> Sample:
    """A drawing as a training sample."""
    parts = tokenize(drawing.written)
    points = np.full((len(parts), 2), np.nan, np.float32)
    written, last = 0, len(drawing.order) - 1
    for i, (_, part) in enumerate(parts):
        atom = written - 1 if part == "after" else written
        points[i] = drawing.places[drawing.order[min(max(atom, 0), last)]]
        written += part == "atom"
    if written != len(drawing.order):
        raise ValueError(f"{drawing.written!r} names {written} atoms, the drawing has {len(drawing.order)}")
    return Sample(
        pixels=drawing.pixels,
        prompt="smiles",
        target=tuple(token for token, _ in parts),
        points=points,
        marks=tuple(_marks(drawing)),
        truth=drawing.smiles,
        slices={"atoms": len(drawing.order)},
    )


def _marks(drawing: Drawing) -> Iterator[tuple[float, float, int]]:
    places = drawing.places
    for (x, y), label in zip(places.tolist(), drawing.labels, strict=True):
        if label[-1] in "+-":
            yield x, y, _LABEL[label[-1]]
            label = label[:-1]
        # The letters of a group are marked one by one: what is seen there are a C and an O, not OMe.
        for part in [label] if label in _LABEL else _LETTERS.findall(label):
            yield x, y, _LABEL[part]
    for first, second, order, stereo in drawing.bonds:
        middle = (places[first] + places[second]) / 2
        yield float(middle[0]), float(middle[1]), _LABEL[f"middle{order}"]
        for here, there in ((first, second), (second, first)):
            step = places[there] - places[here]
            octant = round(math.atan2(float(step[1]), float(step[0])) / (math.pi / 4)) % _DIRECTIONS
            yield float(places[here][0]), float(places[here][1]), _LABEL[f"bond{order}:{octant}"]
        if stereo:
            yield float(places[first][0]), float(places[first][1]), _LABEL["wedge" if stereo == 1 else "hash"]


class Molecules:
    """Drawn molecules of `low` to `high` heavy atoms on `side` pixels.

    habits: with letters for groups, circles, dashed bonds, captions and wear (synth.habits); groups are then answered
    as the tokens of docpipe.notation.groups. low and high count the atoms behind the letters, too.
    smiles: list files or folders; fonts: a folder of TrueType files; both fall back to the environment variables
    DOCPIPE_SMILES and DOCPIPE_FONTS. real: a folder of real drawings with truth.tsv (path, smiles), else
    DOCPIPE_BENCH_DATA/molecules; validation on them is left out when there is none.
    """

    name = "molecules"
    prompts = ("smiles",)
    vocabulary = VOCABULARY
    labels = LABELS

    def __init__(
        self,
        side: int = 224,
        low: int = 3,
        high: int = 12,
        *,
        native: float = 0.3,
        joined: float = 0.2,
        noise: float = 1.0,
        bond: tuple[float, float] = (12.0, 21.0),
        habits: bool = False,
        smiles: Sequence[str] = (),
        fonts: str | None = None,
        real: str | None = None,
    ) -> None:
        places = [Path(p) for p in smiles] or [Path(p) for p in os.environ.get("DOCPIPE_SMILES", "").split(":") if p]
        if not places:
            raise ValueError("no SMILES lists: give them as `smiles` or in the environment variable DOCPIPE_SMILES")
        self.side, self.noise, self.bond = side, noise, (float(bond[0]), float(bond[1]))
        self.low, self.high, self.native, self.joined = low, high, native, joined
        self.habits = habits
        self._lists = read_smiles(places)
        folder = fonts or os.environ.get("DOCPIPE_FONTS")
        self.fonts = fonts_in(Path(folder) if folder else None)
        data = os.environ.get("DOCPIPE_BENCH_DATA")
        self.real = Path(real) if real else Path(data) / "molecules" if data else None

    def _pool(self, held_out: bool) -> Pool:
        return Pool(self._lists, self.low, self.high, self.native, self.joined, held_out)

    def drawings(self, seed: int, start: int = 0, *, held_out: bool = False) -> Iterator[Drawing]:
        """The drawings behind `stream`, or those kept for validation."""
        return molecules(
            self._pool(held_out),
            seed,
            start,
            side=self.side,
            fonts=self.fonts,
            bond=self.bond,
            noise=self.noise,
            habits=self.habits,
        )

    def stream(self, seed: int, start: int = 0) -> Iterator[Sample]:
        for drawing in self.drawings(seed, start):
            yield sample_of(drawing)

    def validation(self, count: int) -> dict[str, list[Sample]]:
        kept = self.drawings(seed=0, held_out=True)
        sets = {"held_out": [sample_of(next(kept)) for _ in range(count)]}
        if self.real is not None and self.real.is_dir():
            found = real_samples(self.real, self.side, self.low, self.high, count // 3)
            sets |= {name: samples for name, samples in found.items() if samples}
        return sets

    def calibration(self, count: int) -> dict[str, list[Sample]]:
        """Validation, and real drawings of every size: those beyond the domain must get a low confidence, too."""
        sets = self.validation(count)
        if self.real is not None and self.real.is_dir():
            beyond = real_samples(self.real, self.side, self.high + 1, 99, count // 6)
            sets |= {f"{name}_beyond": samples for name, samples in beyond.items() if samples}
        return sets

    def score(self, samples: Sequence[Sample], answers: Sequence[tuple[str, ...]]) -> dict[str, float]:
        return score(samples, ["".join(answer) for answer in answers])


def real_samples(folder: Path, side: int, low: int, high: int, count: int) -> dict[str, list[Sample]]:
    """Up to `count` real drawings of each subfolder with `low` to `high` heavy atoms, as the engine would see them.

    folder: holds truth.tsv with the columns path and smiles. Their targets are in canonical order, not in the order
    of the picture: of the scores only those of decoded answers mean something.
    """
    from PIL import Image
    from rdkit import Chem

    from docpipe.models.drawings import drawing_square
    from docpipe.models.preprocess import Frame

    sets: dict[str, list[Sample]] = {}
    rows = [line.split("\t")[:2] for line in (folder / "truth.tsv").read_text().splitlines()[1:]]
    random.Random("real").shuffle(rows)
    for path, smiles in rows:
        mol = Chem.MolFromSmiles(smiles)
        kept = sets.setdefault(path.partition("/")[0], [])
        if len(kept) >= count or mol is None or not low <= mol.GetNumHeavyAtoms() <= high or "." in smiles:
            continue
        with Image.open(folder / path) as image:
            square = drawing_square(image.convert("RGB"), Frame(side, 1))
        Chem.Kekulize(mol, clearAromaticFlags=True)
        parts = tokenize(Chem.MolToSmiles(mol, kekuleSmiles=True))
        kept.append(
            Sample(
                pixels=np.asarray(square.convert("L")),
                prompt="smiles",
                target=tuple(token for token, _ in parts),
                points=np.full((len(parts), 2), np.nan, np.float32),
                truth=smiles,
                slices={"atoms": mol.GetNumHeavyAtoms(), "path": path},
            )
        )
    return sets


def score(samples: Sequence[Sample], answers: Sequence[str]) -> dict[str, float]:
    """Shares of answers that are exactly right (with and without stereo) and valid, mean Tanimoto, exact by size.

    Tanimoto: Morgan fingerprints of radius 2; an invalid answer counts 0.
    """
    from rdkit import Chem, DataStructs, rdBase
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2)
    exact: list[bool] = []
    flat: list[bool] = []
    valid: list[bool] = []
    likeness: list[float] = []
    sizes: dict[str, list[bool]] = {}
    with rdBase.BlockLogs():
        for sample, answer in zip(samples, answers, strict=True):
            truth = Chem.MolFromSmiles(sample.truth)
            read = Chem.MolFromSmiles(expand(answer)) if answer else None
            valid.append(read is not None)
            right = read is not None and Chem.MolToSmiles(read) == Chem.MolToSmiles(truth)
            exact.append(right)
            flat.append(read is not None and _flat(read) == _flat(truth))
            likeness.append(
                DataStructs.TanimotoSimilarity(generator.GetFingerprint(read), generator.GetFingerprint(truth))
                if read is not None
                else 0.0
            )
            atoms = truth.GetNumHeavyAtoms()
            size = next((bound for bound in (6, 8, 10, 12, 15, 20, 30, 40) if atoms <= bound), 99)
            sizes.setdefault(f"exact_to_{size}", []).append(right)
    mean: dict[str, Sequence[float]] = {"exact": exact, "exact_flat": flat, "valid": valid, "tanimoto": likeness}
    scores = {name: float(np.mean(values)) if values else 0.0 for name, values in mean.items()}
    return scores | {name: float(np.mean(values)) for name, values in sorted(sizes.items())}


def _flat(mol: object) -> str:
    from rdkit import Chem

    return str(Chem.MolToSmiles(mol, isomericSmiles=False))
