"""Does a molecule look like its crop? It is drawn again at the places where it was read, and the two inks compared.

A reader that missed a bond, an atom or a letter leaves ink that its answer does not explain; one that invented them
asks for ink that is not there. Both are measured in bond lengths, so size and line width of the drawing do not matter.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from docpipe.box import Box
from docpipe.models.drawings import levels

if TYPE_CHECKING:
    from rdkit.Chem import Mol

BOND = 20.0
"""Pixels of a bond in the comparison."""

NEAR = 2.5
"""Pixels up to which ink counts as the same: an eighth of a bond."""

WINDOW = 13
"""Pixels of the window in which the worst spot is looked for: about a letter."""

_INK = 190
_BESIDE = 0.45 * BOND
"""Pixels beside a label where RDKit may put letters that the crop has elsewhere, or hydrogens that it leaves out."""
_STRETCH = (-0.05, -0.03, -0.015, 0.0, 0.015, 0.03, 0.05)
_LARGEST = 1600


@dataclass(frozen=True)
class Likeness:
    """How far a redrawn molecule and its crop agree.

    explained: share of the crop's ink near redrawn ink. confirmed: share of redrawn ink near ink of the crop.
    unexplained, unconfirmed: the ink without a counterpart in the worst spot, as lengths of line in bonds.
    """

    explained: float
    confirmed: float
    unexplained: float
    unconfirmed: float

    @property
    def worst(self) -> float:
        """The larger of the two worst spots, in bonds."""
        return max(self.unexplained, self.unconfirmed)


def redraw(mol: Mol, unit: float = 1.5, *, methyls: bool = False) -> np.ndarray:
    """A molecule with 2D coordinates drawn where its atoms lie; bool [height, width], True where there is ink.

    unit: its coordinates' length of a bond, drawn as `BOND` pixels. methyls: with CH3 at the ends. Raises
    RuntimeError or ValueError where RDKit cannot draw it.
    """
    from rdkit.Chem.Draw import rdMolDraw2D

    at = mol.GetConformer().GetPositions()[:, :2]
    extent = np.ptp(at, axis=0) / unit * BOND
    if not np.isfinite(extent).all() or extent.max() > _LARGEST:
        raise ValueError("the molecule has no places, or is drawn too large")
    width, height = (int(length + 6 * BOND) for length in extent)
    far = int(np.linalg.norm(at - at[0], axis=1).argmax())
    span = float(np.linalg.norm(at[far] - at[0])) / unit * BOND
    wanted = BOND
    for _ in range(2):  # RDKit's own idea of a bond's length depends on the bonds there are: asked, then corrected
        drawer = rdMolDraw2D.MolDraw2DCairo(width, height)
        options: Any = drawer.drawOptions()
        options.prepareMolsBeforeDrawing = False
        options.fixedBondLength = wanted
        options.fixedFontSize = round(BOND * 0.6)
        options.bondLineWidth = 1.5
        options.scaleBondWidth = False
        options.multipleBondOffset = 0.17
        options.padding = 0.01
        options.explicitMethyl = methyls
        options.useBWAtomPalette()
        drawer.DrawMolecule(mol)
        here, there = drawer.GetDrawCoords(0), drawer.GetDrawCoords(far)
        found = math.hypot(here.x - there.x, here.y - there.y)
        if not found or abs(found / span - 1) < 0.01:
            break
        wanted *= span / found
    drawer.FinishDrawing()
    grey = np.asarray(Image.open(io.BytesIO(drawer.GetDrawingText())).convert("L"))
    ink = grey < _INK
    return ink[_extent(ink)] if ink.any() else ink


def likeness(
    mol: Mol, crop: Image.Image, bond: float, unit: float = 1.5, labels: Sequence[Box] = ()
) -> Likeness | None:
    """How far a molecule with 2D coordinates, as read from the crop, looks like it. None when it cannot be drawn.

    mol: no explicit hydrogens but those that are drawn; y upwards as in a molblock. bond: pixels of a bond in the
    crop; unit: the same in the molecule's coordinates. labels: boxes in the crop whose letters were read: their ink is
    explained, and what is drawn there is not looked for, since a group may be written in many ways.
    """
    from rdkit import rdBase
    from rdkit.Chem.Draw import rdMolDraw2D

    found = _ink(crop, bond, labels)
    if found is None:
        return None
    seen, written = found
    try:
        with rdBase.BlockLogs():
            shown = rdMolDraw2D.PrepareMolForDrawing(mol, addChiralHs=False, wedgeBonds=True, forceCoords=False)
            drawings = [redraw(shown, unit, methyls=methyls) for methyls in (False, True)]
    except (RuntimeError, ValueError):
        return None
    made = [_compared(seen, written, drawn) for drawn in drawings if drawn.any()]
    return max(made, key=lambda one: one.explained + one.confirmed, default=None)


def _compared(seen: np.ndarray, written: np.ndarray, drawn: np.ndarray) -> Likeness:
    """The crop's ink and the redrawn one, laid upon each other where and in the size that they fit best. written: True
    where labels are.
    """
    import cv2

    reach = round(BOND)
    best, chosen, corner = -1.0, drawn, (0, 0)
    widest = [round(length * (1 + _STRETCH[-1])) for length in drawn.shape]
    room = [(reach + max(0, d - s),) * 2 for s, d in zip(seen.shape, widest, strict=True)]
    seen, written = np.pad(seen, room), np.pad(written, room)
    field = cv2.GaussianBlur(seen.astype(np.float32), (0, 0), 1.5)
    for stretch in _STRETCH:
        size = [max(1, round(length * (1 + stretch))) for length in reversed(drawn.shape)]
        turned = cv2.resize(drawn.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
        found = cv2.matchTemplate(field, cv2.GaussianBlur(turned, (0, 0), 1.5), cv2.TM_CCORR_NORMED)
        _, likely, _, place = cv2.minMaxLoc(found)
        if likely > best:
            best, chosen, corner = likely, turned > 0.4, (place[0], place[1])
    placed = np.zeros_like(seen)
    placed[corner[1] : corner[1] + chosen.shape[0], corner[0] : corner[0] + chosen.shape[1]] = chosen
    strange = seen & (_distance(placed) > NEAR) & ~written
    absent = placed & (_distance(seen) > NEAR)
    if written.any():
        absent &= _distance(written) > _BESIDE
    # Both inks as lengths: the crop's strokes may be of any width.
    stroke = max(1.0, float(seen.sum()) / max(1.0, float(placed.sum())))
    return Likeness(
        explained=1.0 - float(strange.sum()) / float(seen.sum()),
        confirmed=1.0 - float(absent.sum()) / max(1.0, float(placed.sum())),
        unexplained=_worst(strange) / (stroke * BOND * 1.5),
        unconfirmed=_worst(absent) / (BOND * 1.5),
    )


def _ink(crop: Image.Image, bond: float, labels: Sequence[Box]) -> tuple[np.ndarray, np.ndarray] | None:
    """The crop's ink at `BOND` pixels a bond, and where labels are; None where there is no ink."""
    import cv2

    grey = levels(np.asarray(crop.convert("L")))
    scale = BOND / bond
    size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
    if max(size) > _LARGEST:
        return None
    share = cv2.resize((grey < _INK).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    ink = share > (0.16 if scale < 1 else 0.5)
    if not ink.any():
        return None
    written = np.zeros_like(ink)
    for box in labels:
        around = box.grown(0.06 * bond)
        x0, y0, x1, y1 = (max(0, round(side * scale)) for side in (around.x0, around.y0, around.x1, around.y1))
        written[y0:y1, x0:x1] = True
    inside = _extent(ink)
    return ink[inside], written[inside]


def _extent(ink: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns that hold all ink, of which there is some."""
    rows, columns = np.nonzero(ink)
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


def _distance(ink: np.ndarray) -> np.ndarray:
    import cv2

    found: np.ndarray = cv2.distanceTransform((~ink).astype(np.uint8), cv2.DIST_L2, 5)
    return found


def _worst(ink: np.ndarray) -> float:
    """The most ink in any window."""
    import cv2

    return float(cv2.boxFilter(ink.astype(np.float32), -1, (WINDOW, WINDOW), normalize=False).max())
