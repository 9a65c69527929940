"""OSRA, when it is installed: drawn molecules of any size by the program of Filippov and Nicklaus (J. Chem. Inf. Model.
49, 740, 2009; GPL, run as a program of its own).

OSRA asserts its wrong answers like its right ones. So each crop is read twice, in two sizes, and the answer is drawn
again at the places where its atoms were found: whether the two readings agree, and whether the two inks do, tells most
of the wrong ones. What is left of doubt is the confidence; where it says too much, the engine abstains.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from docpipe.document import MoleculeContent, Origin
from docpipe.engines.base import Answer, Request, one_by_one
from docpipe.engines.redraw import Likeness, likeness
from docpipe.errors import DocpipeError
from docpipe.models.drawings import bond_length
from docpipe.models.preprocess import is_blank
from docpipe.tasks import Task

if TYPE_CHECKING:
    from rdkit.Chem import Mol

DPI = 300.0
"""At least so many dots per inch a region is rasterized with: OSRA was made for scanned pages."""

DEADLINE = 20.0
"""Seconds after which a reading is given up; a crop of a molecule takes about one."""

LEAST = 0.8
"""Confidence under which it abstains: what is left is right nine times in ten or more (benchmarks/molecules.py)."""

PROGRAM = "osra"

BONDS = (50.0, 100.0)
"""Pixels of a bond that OSRA reads well as they are; other drawings are brought to 66 or 90."""

MARGIN = 20
"""White pixels around: OSRA takes what touches the border for a frame."""

_UNIT = 1.5  # a bond of OSRA's coordinates
_LARGEST = 4000  # pixels of a side; beyond, OSRA takes minutes
_FIELD = re.compile(r"^> +<(\w+)>\n(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Found:
    """One structure that OSRA made of a picture.

    smiles: canonical. mol: with the places that it was read from. estimate: OSRA's own confidence, of no fixed scale.
    bond: pixels of a bond in the picture it was given. size: which of OSRA's resolutions it was found at.
    """

    smiles: str
    mol: Mol
    estimate: float
    bond: float
    size: str

    @property
    def open_atoms(self) -> int:
        """Labels that OSRA could not read."""
        return self.smiles.count("*")


class Evidence(NamedTuple):
    """What speaks for and against a reading; each is a number that the confidence weighs (`WEIGHTS`).

    estimate: OSRA's own, -5 to 10. agrees: 1 where the reading in another size is the same. explained, unexplained: of
    its `Likeness` to the crop. open_atoms: unread labels. odd_atoms: with a valence that RDKit allows and chemists
    seldom draw. half_stereo: 1 where some centres have a configuration and others have none.
    """

    estimate: float
    agrees: float
    explained: float
    unexplained: float
    open_atoms: float
    odd_atoms: float
    half_stereo: float


WEIGHTS = Evidence(
    estimate=0.195,
    agrees=2.762,
    explained=2.889,
    unexplained=-0.907,
    open_atoms=-4.726,
    odd_atoms=-5.272,
    half_stereo=-3.921,
)
BIAS = -2.526
"""Logistic regression on half of the USPTO, UOB and USAN drawings tried (benchmarks/molecules.py --fit)."""


@cache
def installed() -> bool:
    """Whether the program is on the PATH."""
    return shutil.which(PROGRAM) is not None


@cache
def digest(program: str) -> str | None:
    """SHA-256 of the program's file, which stands for its version in a reading's origin; None when it is absent."""
    found = shutil.which(program)
    return hashlib.sha256(Path(found).read_bytes()).hexdigest() if found else None


class OsraEngine:
    """Reads the `molecule` task with the osra program, each region by itself.

    least: confidence (0..1) under which it abstains. deadline: seconds for one run of the program; there are two a
    region.
    """

    name = "osra"

    def __init__(self, *, least: float = LEAST, deadline: float = DEADLINE) -> None:
        self.least, self.deadline = least, deadline

    def can_read(self, task: Task) -> bool:
        return task.name == "molecule" and installed()

    def read(self, requests: Sequence[Request]) -> Iterator[Answer]:
        return one_by_one(self.name, requests, self.answer)

    def answer(self, request: Request) -> Answer:
        """What OSRA says to one request. Raises DP640 when the program fails, DP641 when it takes too long."""
        clipping = request.sheet.clip(request.region.box, max(DPI, request.dpi))
        origin = Origin(engine=self.name, checkpoint=Path(PROGRAM).name, digest=digest(PROGRAM), crop=clipping.record)
        image = clipping.upright
        if is_blank(image):
            return Answer(origin, reason="the crop is blank")
        reading = read_drawing(image, self.deadline)
        if reading is None:
            return Answer(origin, reason="OSRA found no structure that RDKit accepts")
        found, evidence = reading
        sure = round(confidence(evidence), 3)
        if sure < self.least:
            why = f"not sure enough: confidence {sure:.2f}, osra answers from {self.least:.2f} on"
            return Answer(origin, confidence=sure, reason=why)
        return Answer(origin, MoleculeContent(smiles=found.smiles), sure)


def read_drawing(image: Image.Image, deadline: float = DEADLINE) -> tuple[Found, Evidence] | None:
    """The likeliest structure of an upright crop, with what speaks for it; None when there is none.

    Raises DP640 when the program fails, DP641 when it takes longer than `deadline` seconds.
    """
    grey = image.convert("L")
    bond = bond_length(np.pad(np.asarray(grey), 8, constant_values=255))
    readings: list[tuple[list[Found], float]] = []
    for scale in scales(bond, max(grey.size)):
        found = parse(run(sized(grey, scale), deadline))
        if not found and not readings:  # no molecule, most likely; on text a second look may take a minute
            return None
        readings.append((found, scale))
    return judged(grey, readings)


def judged(grey: Image.Image, readings: Sequence[tuple[Sequence[Found], float]]) -> tuple[Found, Evidence] | None:
    """The likeliest structure of the readings of one crop, each with the scale of its picture, and its evidence."""
    best = [_likeliest(found) for found, _ in readings]
    made = []
    for i, (one, (_, scale)) in enumerate(zip(best, readings, strict=True)):
        if one is not None:
            others = [other.smiles for j, other in enumerate(best) if j != i and other is not None]
            made.append((one, _evidence(grey, one, others, scale)))
    return max(made, key=lambda pair: confidence(pair[1]), default=None)


def _evidence(grey: Image.Image, one: Found, others: Sequence[str], scale: float) -> Evidence:
    seen = likeness(one.mol, grey, one.bond / scale, _UNIT) or Likeness(0.0, 0.0, 3.0, 3.0)
    return Evidence(
        estimate=min(10.0, max(-5.0, one.estimate)),
        agrees=float(one.smiles in others),
        explained=seen.explained,
        unexplained=min(3.0, seen.unexplained),
        open_atoms=float(min(3, one.open_atoms)),
        odd_atoms=float(min(3, _odd_atoms(one.mol))),
        half_stereo=float(_half_stereo(one.mol)),
    )


def confidence(evidence: Evidence) -> float:
    """How often a reading with such evidence is exactly right (0..1)."""
    total = BIAS + sum(weight * value for weight, value in zip(WEIGHTS, evidence, strict=True))
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, total))))


def _odd_atoms(mol: Mol) -> int:
    """Atoms with unpaired electrons, and halogens and oxygens with more bonds than they are drawn with."""
    most = {"F": 1, "Cl": 1, "Br": 1, "I": 1, "O": 2}
    return sum(
        a.GetNumRadicalElectrons() > 0 or (a.GetFormalCharge() == 0 and a.GetDegree() > most.get(a.GetSymbol(), 9))
        for a in mol.GetAtoms()
    )


def _half_stereo(mol: Mol) -> bool:
    """Whether some tetrahedral centres are specified and others are not."""
    from rdkit import Chem

    centres = [s for s in Chem.FindPotentialStereo(mol) if s.type == Chem.StereoType.Atom_Tetrahedral]
    return len({s.specified == Chem.StereoSpecified.Specified for s in centres}) == 2


def _likeliest(found: Sequence[Found]) -> Found | None:
    """The structure that OSRA is surest of, one without unread labels before all that have some."""
    return max(found, key=lambda one: (not one.open_atoms, one.estimate), default=None)


def scales(bond: float | None, side: int) -> tuple[float, float]:
    """The two scales at which a crop is read: near the size that OSRA likes, and a third off it.

    bond: pixels of a bond in the crop, as far as known. side: the crop's longer one in pixels.
    """
    bond = bond or sum(BONDS) / 2
    first = 66.0 / bond if bond < BONDS[0] else 90.0 / bond if bond > BONDS[1] else 1.0
    second = first * (0.75 if bond * first >= 80 else 1.3)
    return min(first, 3.0, _LARGEST / side), min(second, 3.0, _LARGEST / side)


def sized(grey: Image.Image, scale: float) -> Image.Image:
    """The crop at a scale with a white margin; thin lines of a drawing made smaller stay black."""
    if scale != 1.0:
        size = max(1, round(grey.width * scale)), max(1, round(grey.height * scale))
        grey = grey.resize(size, Image.Resampling.LANCZOS if scale > 1 else Image.Resampling.BOX)
    if scale < 1.0:
        grey = grey.point([0 if level < 200 else 255 for level in range(256)])
    framed = Image.new("L", (grey.width + 2 * MARGIN, grey.height + 2 * MARGIN), 255)
    framed.paste(grey, (MARGIN, MARGIN))
    return framed


def run(picture: Image.Image, deadline: float = DEADLINE) -> str:
    """All structures that OSRA makes of a picture at all its resolutions, as an SD file. Raises DP640, DP641."""
    with tempfile.TemporaryDirectory(prefix="docpipe-osra-") as folder:
        path = Path(folder) / "crop.png"
        picture.save(path)
        command = [PROGRAM, "--learn", "-f", "sdf", "-p", "-b", str(path)]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        try:
            done = subprocess.run(command, capture_output=True, check=False, env=env, timeout=deadline, cwd=folder)
        except subprocess.TimeoutExpired:
            raise DocpipeError("DP641", PROGRAM, f"{deadline:g} s") from None
        except OSError as error:
            raise DocpipeError("DP640", PROGRAM, str(error)) from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().split("\n")[-1]
        raise DocpipeError("DP640", PROGRAM, said or f"exit status {done.returncode}")
    return done.stdout.decode("utf-8", errors="replace")


def parse(text: str) -> list[Found]:
    """The structures of OSRA's SD output that RDKit accepts, in its order."""
    from rdkit import Chem, rdBase

    drawn: Any = Chem.RemoveHsParameters()
    drawn.removeDefiningBondStereo = True
    found = []
    with rdBase.BlockLogs():
        for record in text.split("$$$$\n"):
            block, end, rest = record.partition("M  END\n")
            if not end:
                continue
            fields = dict(_FIELD.findall(rest))
            mol = Chem.MolFromMolBlock(block + end)
            if mol is None or not mol.GetNumAtoms():
                continue
            # Read back, so that the form is the one that everybody's canonical SMILES have. A hydrogen drawn on an
            # imine is no claim about its configuration.
            again = Chem.MolFromSmiles(Chem.MolToSmiles(Chem.RemoveHs(mol, drawn)))
            try:
                estimate, bond = float(fields["Confidence_estimate"]), float(fields["Average_bond_length"])
            except (KeyError, ValueError):
                continue
            if again is not None and bond > 0:
                size = fields.get("Resolution_iteration", "")
                found.append(Found(Chem.MolToSmiles(again), mol, estimate, bond, size))
    return found
