"""Molecules drawn in pixels, read by geometry: lines from skeletons, letters by OCR, judged by drawing them again.

No model of molecules is asked. The way is the classical one (Filippov and Nicklaus, J. Chem. Inf. Model. 49, 740,
2009; Smolov and others, Imago, TREC 2011), over the same graph that is read from the paths of a PDF.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from docpipe.box import Box
from docpipe.document import MoleculeContent, Origin
from docpipe.engines.atom_labels import Label, atom_of, put_together
from docpipe.engines.base import Answer, Request, one_by_one
from docpipe.engines.bond_strokes import Strokes
from docpipe.engines.drawn_molecule import NoMoleculeError, molecule_of, refuse
from docpipe.engines.inked_strokes import UNIT, longer_unit, strokes_in
from docpipe.engines.letters import read_label
from docpipe.engines.redraw import Likeness, likeness
from docpipe.models.drawings import bond_length, levels
from docpipe.models.preprocess import is_blank
from docpipe.tasks import Task

if TYPE_CHECKING:
    from rdkit.Chem import Mol

MARGIN = 12
"""White pixels around a crop: its letters may touch the border."""

EXPLAINED, UNEXPLAINED, UNCONFIRMED = 0.85, 1.5, 1.2
"""What a reading that was drawn again must explain of the ink, and how much of one spot may differ, in bonds. Wide:
most wrong readings never come here, since they make no molecule or leave ink that no stroke runs through.
"""

SURE = 0.91
"""Share of its answers on real drawings that are exactly right (benchmarks/molecules.py)."""

_LARGEST = 3000


@dataclass(frozen=True)
class Reading:
    """A molecule read from pixels, and how far it looks like them."""

    mol: Mol
    smiles: str
    seen: Likeness


class ImageMoleculeEngine:
    """Reads the `molecule` task from pixels. threads: of letter recognition."""

    name = "imagemolecule"

    def __init__(self, *, threads: int = 1) -> None:
        self.threads = threads

    def can_read(self, task: Task) -> bool:
        return task.name == "molecule"

    def read(self, requests: Sequence[Request]) -> Iterator[Answer]:
        return one_by_one(self.name, requests, self.answer)

    def answer(self, request: Request) -> Answer:
        """The molecule that the crop shows, or why it was not read."""
        clipping = request.sheet.clip(request.region.box, max(300.0, request.dpi))
        origin = Origin(engine=self.name, crop=clipping.record)
        if is_blank(clipping.upright):
            return Answer(origin, reason="the crop is blank")
        try:
            reading = read_drawing(clipping.upright, self.threads)
        except NoMoleculeError as why:
            return Answer(origin, reason=f"the drawing {why}")
        content = MoleculeContent(smiles=reading.smiles)
        if not _alike(reading.seen):
            reason = "what was read, drawn again, does not look like the crop"
            return Answer(origin, alternatives=(content,), reason=reason)
        return Answer(origin, content, SURE)


def _alike(seen: Likeness) -> bool:
    return seen.explained >= EXPLAINED and seen.unexplained <= UNEXPLAINED and seen.unconfirmed <= UNCONFIRMED


def read_drawing(image: Image.Image, threads: int = 1) -> Reading:
    """The molecule of an upright crop. Raises NoMoleculeError."""
    grey = np.pad(levels(np.asarray(image.convert("L"))), MARGIN, constant_values=255)
    bond = bond_length(grey)
    if bond is None:
        raise NoMoleculeError("has no lines")
    scale = min(UNIT / bond, _LARGEST / max(grey.shape))
    size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
    scaled = Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.BOX)
    ink = np.asarray(scaled) < (140 if scale > 0.7 else 185)  # thin lines grow pale
    strokes = strokes_in(ink, bond * scale)
    try:
        return _read(image, scaled, scale, strokes, threads)
    except NoMoleculeError:
        longer = longer_unit(strokes)
        if longer is None:
            raise
        return _read(image, scaled, scale, strokes_in(ink, longer, exact=True), threads)


def _read(image: Image.Image, scaled: Image.Image, scale: float, strokes: Strokes, threads: int) -> Reading:
    """The molecule that the strokes of a crop make. scaled: the crop with a margin, `scale` times as large."""
    from rdkit import Chem

    refuse(strokes)
    labels = labels_in(scaled, strokes, threads)
    mol = molecule_of(strokes, labels)
    if len(Chem.GetMolFrags(mol)) > 1:
        raise NoMoleculeError("has several structures")
    unread = [label.box for label in labels if atom_of(label.text) is None]
    read = [box for box in strokes.letters if not any(_holds(other, box.center) for other in unread)]
    written = [_in_crop(box, scale) for box in read]
    seen = likeness(mol, image, strokes.unit / scale, 1.0, written) or Likeness(0.0, 0.0, 3.0, 3.0)
    return Reading(mol, Chem.MolToSmiles(Chem.RemoveHs(mol)), seen)


def _holds(box: Box, point: tuple[float, float]) -> bool:
    return box.x0 <= point[0] <= box.x1 and box.y0 <= point[1] <= box.y1


def _in_crop(box: Box, scale: float) -> Box:
    """A box of the picture with its margin, which is `scale` times the crop, in the crop."""
    return Box(*(side / scale - MARGIN for side in (box.x0, box.y0, box.x1, box.y1)))


def labels_in(image: Image.Image, strokes: Strokes, threads: int = 1) -> list[Label]:
    """The labels whose letters were set apart, read by OCR."""
    letters = [Label("", box, max(box.height, 0.3 * strokes.unit)) for box in strokes.letters]
    return put_together(
        read_label(label, lambda box: image.crop((int(box.x0), int(box.y0), int(box.x1) + 1, int(box.y1) + 1)), threads)
        for label in put_together(letters)
    )
