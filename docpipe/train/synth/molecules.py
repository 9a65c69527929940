"""Drawn molecules with their SMILES: seeded, streaming, faster than the trainer eats them.

Each drawing is vector art by RDKit (or Indigo) in a style drawn at random, rasterized near the size that the model
sees, with the pixel of every atom. The truth is what the drawing says: double bonds drawn with a shape are E or Z
even where the list left them open, and the written SMILES follows the picture from left to right (`image_ordered`).
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from docpipe.notation.groups import GROUPS, expand
from docpipe.train.synth.condense import condensed, group_of, labelled, tokens_of
from docpipe.train.synth.degrade import bilevel, border_ink, degrade
from docpipe.train.synth.habits import (
    PLAIN,
    Habits,
    aromatic,
    captioned,
    draw_circles,
    dressed,
    random_habits,
    ring_bonds,
    ringed,
    sheared,
    with_hydrogens,
    with_stereo,
    worn,
)
from docpipe.train.synth.indigo import indigo_drawing, indigo_errors
from docpipe.train.synth.smiles_pool import Pool

if TYPE_CHECKING:
    from rdkit.Chem import Mol

SLANT = 0.31
"""Atoms are written in the order of x + SLANT * y: left to right, upper one first where two are above each other."""


@dataclass(frozen=True)
class Style:
    """How one drawing looks. Lengths are in pixels of the final image, ratios in bond lengths."""

    bond: float
    line_width: float
    font: str
    font_ratio: float
    double_offset: float
    label_gap: float
    rotation: float
    mirrored: bool
    colour: bool
    methyls: bool
    chiral_hydrogens: bool
    atom_numbers: bool
    scan: bool
    enlarged: int
    renderer: str = "rdkit"
    habits: Habits = PLAIN


@dataclass(frozen=True)
class Drawing:
    """A drawn molecule.

    pixels: uint8 [side, side], grey. smiles: canonical, with the stereo that the drawing shows. written: the
    image-ordered Kekulé SMILES; order: atom index of each atom as written. places: float32 [atoms, 2], x and y in
    pixels. bonds: (atom, atom, order 1 to 3, 0 none / 1 wedge / 2 hash). labels: element with charge, by atom. A group
    drawn as letters is one atom, labelled with them and written as a token (docpipe.notation.groups); rings with a
    circle are written aromatic, their bonds are of order 1.
    """

    pixels: np.ndarray
    smiles: str
    written: str
    order: tuple[int, ...]
    places: np.ndarray
    bonds: tuple[tuple[int, int, int, int], ...]
    labels: tuple[str, ...]
    style: Style


def fonts_in(folder: Path | None) -> tuple[str, ...]:
    """The TrueType files of a folder, sorted; "" (RDKit's own face) is always among them."""
    return ("", *sorted(str(p) for p in folder.glob("*.ttf"))) if folder else ("",)


def random_style(rng: random.Random, fonts: Sequence[str], bond: tuple[float, float] = (12.0, 21.0)) -> Style:
    """A style as real drawings have them: mostly upright and black, lines from hair-thin to bold."""
    length = math.exp(rng.uniform(math.log(bond[0]), math.log(bond[1])))
    turn = rng.choice((0.0, 0.0, 0.0, 0.0, 90.0, 180.0, 270.0, 30.0, 60.0))
    if rng.random() < 0.4:
        turn += rng.uniform(-15, 15)
    elif rng.random() < 0.15:
        turn = rng.uniform(0, 360)
    scan = rng.random() < 0.25
    return Style(
        bond=length,
        line_width=length * math.exp(rng.uniform(math.log(0.022), math.log(0.1))),
        font=rng.choice(fonts),
        font_ratio=rng.uniform(0.42, 0.72),
        double_offset=rng.uniform(0.12, 0.22),
        label_gap=rng.uniform(0.0, 0.1),
        rotation=turn,
        mirrored=rng.random() < 0.3,
        colour=rng.random() < 0.15,
        methyls=rng.random() < 0.25,
        chiral_hydrogens=rng.random() < 0.3,
        atom_numbers=rng.random() < 0.01,
        scan=scan,
        enlarged=2 if scan else 1,
        renderer="indigo" if rng.random() < 0.2 else "rdkit",
    )


def renumbered(mol: Mol, order: Sequence[int]) -> Mol:
    """A copy with its atoms in another order.

    RDKit remembers at an atom which other one its ring stereo depends on, by a number that goes wrong when atoms are
    renumbered; writing SMILES in a given order then reads beyond the atoms and may end the process.
    """
    from rdkit import Chem

    made = Chem.RenumberAtoms(mol, list(order))
    for atom in made.GetAtoms():
        atom.ClearProp("_ringStereoOtherAtom")
    return made


def image_ordered(mol: Mol, places: np.ndarray, *, kekule: bool = True) -> tuple[str, tuple[int, ...]]:
    """The Kekulé SMILES that follows the picture, and the atoms' indices in the order written.

    mol: no explicit hydrogens. places: [atoms, 2] in pixels, y down. kekule: False writes what is aromatic as such.
    """
    from rdkit import Chem

    ranks = np.argsort(places[:, 0] + SLANT * places[:, 1], kind="stable").tolist()
    turned = renumbered(mol, ranks)
    written = Chem.MolToSmiles(turned, canonical=False, kekuleSmiles=kekule, rootedAtAtom=0)
    said = turned.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"]
    return tokens_of(written), tuple(ranks[i] for i in said)


def laid_out(mol: Mol, style: Style, rng: random.Random) -> Mol:
    """A copy with 2D coordinates turned as the style says, atoms shuffled, Kekulé bonds, stereo as drawn."""
    from rdkit import Chem
    from rdkit.Chem import rdDepictor

    shuffled = list(range(mol.GetNumAtoms()))
    rng.shuffle(shuffled)
    mol = renumbered(mol, shuffled)
    rdDepictor.SetPreferCoordGen(False)
    rdDepictor.Compute2DCoords(mol, canonOrient=rng.random() < 0.7)
    if rng.random() < 0.5:
        rdDepictor.StraightenDepiction(mol)
    conformer = mol.GetConformer()
    flat = conformer.GetPositions()
    angle = math.radians(style.rotation)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    flat[:, :2] = flat[:, :2] @ turn.T
    if style.mirrored:
        flat[:, 0] = -flat[:, 0]
    for index, (x, y, _) in enumerate(flat):
        conformer.SetAtomPosition(index, (float(x), float(y), 0.0))
    Chem.DetectBondStereochemistry(mol)
    Chem.AssignStereochemistry(mol, cleanIt=True, force=True)
    Chem.Kekulize(mol, clearAromaticFlags=True)
    return mol


Rings = tuple[tuple[int, ...], ...]


def draw(mol: Mol, style: Style, side: int, rng: random.Random) -> tuple[Image.Image, np.ndarray, Mol, Rings] | None:
    """The molecule on a white square of `side` pixels; the image, the atoms' pixels, the molecule as drawn and its
    rings with a circle.

    None when it does not fit at nine tenths of the smallest bond length that the style stands for.
    """
    from rdkit.Chem.Draw import rdMolDraw2D

    habits = style.habits
    if habits.stereo:
        mol = with_stereo(mol, habits.stereo, rng)
    if habits.groups:
        mol = condensed(mol, rng, habits.groups)
    mol = laid_out(mol, style, rng)
    at = mol.GetConformer().GetPositions()[:, :2]
    bonds = [np.linalg.norm(at[b.GetBeginAtomIdx()] - at[b.GetEndAtomIdx()]) for b in mol.GetBonds()]
    unit = float(np.mean(bonds)) if bonds else 1.5
    extent = float((at.max(axis=0) - at.min(axis=0)).max()) / unit
    bond = min(style.bond, (side - 6) / (extent + 2.2 * style.font_ratio))
    if bond < 10.5:
        return None
    atoms = mol.GetNumAtoms()
    shown = rdMolDraw2D.PrepareMolForDrawing(
        with_hydrogens(mol, habits.hydrogens, rng),
        kekulize=False,
        addChiralHs=style.chiral_hydrogens,
        wedgeBonds=True,
        forceCoords=False,
    )
    rings = ringed(shown) if habits.circles else ()
    # Indigo sets letters of a group at another scale than the bare skeleton by which atoms are found again.
    lettered = habits.me or any(group_of(atom) is not None for atom in mol.GetAtoms())
    indigo = style.renderer == "indigo" and atoms > 1 and not lettered
    seen = shown if habits is PLAIN else dressed(labelled(shown), habits, rings, indigo=indigo)
    if indigo:
        found = indigo_drawing(seen, style, bond, side)
        if found is None:
            return None
        image, places = found
    else:
        image, places = _rdkit_drawing(seen, style, bond, side, rings)
    places = places[:atoms]
    if places.min() < 1 or places.max() > side - 1 or _touches_border(np.asarray(image)):
        return None
    return image, places, shown, rings


def _rdkit_drawing(
    shown: Mol, style: Style, bond: float, side: int, rings: Rings = ()
) -> tuple[Image.Image, np.ndarray]:
    from rdkit.Chem.Draw import rdMolDraw2D

    scale = style.enlarged
    drawer = rdMolDraw2D.MolDraw2DCairo(side * scale, side * scale)
    options: Any = drawer.drawOptions()
    options.prepareMolsBeforeDrawing = False
    options.fixedBondLength = bond * scale
    options.fixedFontSize = max(5, round(bond * style.font_ratio * scale))
    options.padding = 0.01
    options.bondLineWidth = style.line_width * scale
    options.scaleBondWidth = False
    options.multipleBondOffset = style.double_offset
    options.additionalAtomLabelPadding = style.label_gap
    options.explicitMethyl = style.methyls
    options.addAtomIndices = style.atom_numbers
    if style.font:
        options.fontFile = style.font
    if not style.colour:
        options.useBWAtomPalette()
    drawer.DrawMolecule(shown)
    draw_circles(drawer, rings)
    drawer.FinishDrawing()
    image = Image.open(io.BytesIO(drawer.GetDrawingText())).convert("L")
    spots = [drawer.GetDrawCoords(i) for i in range(shown.GetNumAtoms())]
    return image, np.array([(p.x, p.y) for p in spots], np.float32) / scale


def _touches_border(pixels: np.ndarray) -> bool:
    return bool(min(pixels[0].min(), pixels[-1].min(), pixels[:, 0].min(), pixels[:, -1].min()) < 200)


def shifted(pixels: np.ndarray, places: np.ndarray, rng: random.Random) -> tuple[np.ndarray, np.ndarray]:
    """The drawing moved at random within its white margin."""
    rows, columns = np.nonzero(pixels < 250)
    if not len(rows):
        return pixels, places
    side, moves = pixels.shape[0], []
    for ink in (columns, rows):
        before, after = int(ink.min()), side - 1 - int(ink.max())
        middle = (after - before) / 2
        reach = min((before + after) / 2, side * 0.06)
        moves.append(round(middle + rng.uniform(-reach, reach)))
    right, down = moves
    moved = np.roll(pixels, (down, right), axis=(0, 1))
    return moved, places + np.array([right, down], np.float32)


def drawn(mol: Mol, style: Style, side: int, rng: random.Random, noise: float = 1.0) -> Drawing | None:
    """One finished drawing, or None when the molecule cannot be drawn or written back exactly at this size."""
    from rdkit import Chem, rdBase

    undrawable: tuple[type[Exception], ...] = (RuntimeError, ValueError, *indigo_errors(style))
    with rdBase.BlockLogs():
        try:
            made = draw(mol, style, side, rng)
        except undrawable:
            return None
        if made is None:
            return None
        image, places, shown, rings = made
        plain = Chem.RemoveHs(shown) if shown.GetNumAtoms() != len(places) else shown
        if plain.GetNumAtoms() != len(places):
            return None
        if style.scan:
            image = bilevel(image, side, rng)
        elif image.width != side:
            image = image.resize((side, side), Image.Resampling.BOX)
        pixels, habits = np.asarray(image), style.habits
        if habits.shear or habits.stretch != 1.0:
            pixels, places = sheared(pixels, places, habits)
            if _touches_border(pixels):
                return None
        pixels, places = shifted(pixels, places, rng)
        written, order = image_ordered(aromatic(plain, rings) if rings else plain, places, kekule=not rings)
        back = Chem.MolFromSmiles(expand(written))
        if back is None:
            return None
        truth = Chem.MolToSmiles(back)
        again = Chem.MolFromSmiles(expand(tokens_of(Chem.MolToSmiles(plain))))
        if again is None or Chem.MolToSmiles(again) != truth:
            return None
    if rng.random() < 0.1 * noise:
        pixels = border_ink(pixels, rng, side // 40)
    if habits.caption:
        pixels = captioned(pixels, habits.caption, style.font, rng)
    pixels = degrade(pixels, rng, noise)
    if habits.worn:
        pixels = worn(pixels, habits.worn * noise, rng)
    return Drawing(
        pixels=np.ascontiguousarray(pixels),
        smiles=truth,
        written=written,
        order=order,
        places=places,
        bonds=tuple(_bonds(shown, len(places), ring_bonds(shown, rings))),
        labels=tuple(_label(shown.GetAtomWithIdx(i)) for i in range(len(places))),
        style=style,
    )


def _bonds(mol: Mol, atoms: int, circled: frozenset[int]) -> Iterator[tuple[int, int, int, int]]:
    from rdkit import Chem

    kinds = {Chem.BondDir.BEGINWEDGE: 1, Chem.BondDir.BEGINDASH: 2}
    for bond in mol.GetBonds():
        ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        if max(ends) < atoms:
            order = 1 if bond.GetIdx() in circled else min(3, max(1, round(bond.GetBondTypeAsDouble())))
            yield *ends, order, kinds.get(bond.GetBondDir(), 0)


def _label(atom: Any) -> str:
    group = group_of(atom)
    if group is not None:
        return GROUPS[group].labels[0][0]
    charge = atom.GetFormalCharge()
    return str(atom.GetSymbol()) + ("+" if charge > 0 else "-" if charge < 0 else "")


def molecules(
    pool: Pool,
    seed: int,
    start: int = 0,
    *,
    side: int = 224,
    fonts: Sequence[str] = ("",),
    bond: tuple[float, float] = (12.0, 21.0),
    noise: float = 1.0,
    habits: bool = False,
) -> Iterator[Drawing]:
    """Drawings number `start` and on, endlessly; number i depends on (pool, seed, i) alone.

    side: pixels of the square image. bond: range of bond lengths in pixels. noise: 0 clean to 1 as bad as real scans.
    habits: with letters for groups, circles, dashes, captions and wear (`Habits`); without, no drawing has any.
    """
    index = start
    while True:
        rng = random.Random(f"molecules:{seed}:{index}")
        while True:
            mol, style = pool.draw(rng), random_style(rng, fonts, bond)
            if habits:
                style = replace(style, habits=random_habits(rng), atom_numbers=rng.random() < 0.03)
            made = drawn(mol, style, side, rng, noise)
            if made is not None:
                break
        yield made
        index += 1
