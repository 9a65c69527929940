"""A second hand for molecules: the Indigo renderer (EPAM, Apache-2.0), which draws bonds and labels its own way.

Indigo crops to the ink and does not say where an atom lies. So the bare skeleton is drawn, too, whose box is known
from the coordinates, and found again in the drawing by correlation.
"""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from rdkit.Chem import Mol

    from docpipe.train.synth.molecules import Style

MARGIN = 2


@cache
def _renderer() -> tuple[Any, Any]:
    from indigo import Indigo
    from indigo.renderer import IndigoRenderer

    session = Indigo()
    renderer = IndigoRenderer(session)  # it brings the render options with it
    for name, value in (
        ("render-output-format", "png"),
        ("render-background-color", "1,1,1"),
        ("render-stereo-style", "none"),
        ("ignore-stereochemistry-errors", True),
    ):
        session.setOption(name, value)
    session.setOption("render-margins", MARGIN, MARGIN)
    return session, renderer


def indigo_errors(style: Style) -> tuple[type[Exception], ...]:
    """What `indigo_drawing` may raise for a style; nothing is imported for another renderer's."""
    if style.renderer != "indigo":
        return ()
    from indigo import IndigoException

    return (IndigoException,)


def _drawn(block: str, **options: Any) -> np.ndarray:
    session, renderer = _renderer()
    for name, value in options.items():
        session.setOption("render-" + name.replace("_", "-"), value)
    packed = bytes(renderer.renderToBuffer(session.loadMolecule(block)))
    return np.asarray(Image.open(io.BytesIO(packed)).convert("L"))


def indigo_drawing(mol: Mol, style: Style, bond: float, side: int) -> tuple[Image.Image, np.ndarray] | None:
    """The molecule (2D coordinates and wedges set) in the middle of a white square, and its atoms' pixels.

    bond: pixels of a bond; the square is `side * style.enlarged` wide, the pixels are those of `side`. None when it
    does not fit, or when the skeleton is not found again. Raises indigo.IndigoException on what Indigo cannot draw.
    """
    import cv2
    from rdkit import Chem

    scale, whole = style.enlarged, side * style.enlarged
    block = Chem.MolToMolBlock(mol, kekulize=False)
    at = mol.GetConformer().GetPositions()[:, :2] * (1.0, -1.0)
    low, extent = at.min(axis=0), np.ptp(at, axis=0)
    thickness = min(4.0, max(0.5, style.line_width / bond / 0.035))
    shared = {"bond_length": float(bond * scale), "relative_thickness": thickness}
    labelled = _drawn(
        block,
        label_mode="terminal-hetero" if style.methyls else "hetero",
        coloring=style.colour,
        implicit_hydrogens_visible=True,
        **shared,
    )
    bare = _drawn(block, label_mode="none", coloring=False, implicit_hydrogens_visible=False, **shared)
    height, width = labelled.shape
    if max(height, width) > whole - 2 * scale:
        return None
    # The skeleton's box is its atoms' box and half a line on every side.
    axis = int(extent.argmax())
    step = (bare.shape[1 - axis] - 2 * MARGIN - thickness) / max(float(extent[axis]), 1e-6)
    spare = (np.array([bare.shape[1], bare.shape[0]]) - extent * step) / 2
    reach = max(4, round(1.2 * bond * scale))
    field = np.pad(255.0 - labelled, reach).astype(np.float32)
    if field.shape[0] < bare.shape[0] or field.shape[1] < bare.shape[1]:
        return None
    likeness = cv2.matchTemplate(field, (255.0 - bare).astype(np.float32), cv2.TM_CCORR_NORMED)
    _, best, _, (left, top) = cv2.minMaxLoc(likeness)
    if best < 0.55:
        return None
    square = np.full((whole, whole), 255, np.uint8)
    across, down = (whole - width) // 2, (whole - height) // 2
    square[down : down + height, across : across + width] = labelled
    shift = np.array([left - reach + across, top - reach + down])
    places = ((at - low) * step + spare + shift) / scale
    return Image.fromarray(square), places.astype(np.float32)
