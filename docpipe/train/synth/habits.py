"""Habits of those who draw molecules that RDKit does not have by itself: circles, dashes, letters, and wear of pages.

All of it is chosen by `Habits`, whose default is none of it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from rdkit.Chem import Mol


@dataclass(frozen=True)
class Habits:
    """How one drawing differs from the renderer's own ways.

    stereo: share of a molecule's open centres that get a configuration, so that there are wedges to read: lists of
    screening compounds have hardly any. groups: share of groups drawn as letters. circles: in aromatic six-rings.
    dashes: hashed bonds as dashed lines. me: ends of chains as Me. hydrogens: so many drawn on carbon. caption: text
    beside the drawing, part of no molecule. shear, stretch: of the page in the scanner. worn: how badly printed or
    copied (0..1).
    """

    stereo: float = 0.0
    groups: float = 0.0
    circles: bool = False
    dashes: bool = False
    me: bool = False
    hydrogens: int = 0
    caption: str = ""
    shear: float = 0.0
    stretch: float = 1.0
    worn: float = 0.0


PLAIN = Habits()


def random_habits(rng: random.Random) -> Habits:
    """Habits as in patents and papers. Half of the drawings have letters for some groups, one in eight circles."""
    return Habits(
        stereo=rng.choice((0.5, 1.0, 1.0)) if rng.random() < 0.5 else 0.0,
        groups=rng.choice((0.0, 0.0, 0.5, 0.8, 1.0)),
        circles=rng.random() < 0.12,
        dashes=rng.random() < 0.25,
        me=rng.random() < 0.06,
        hydrogens=rng.choice((1, 1, 2)) if rng.random() < 0.05 else 0,
        caption=_caption(rng) if rng.random() < 0.05 else "",
        shear=rng.uniform(-0.05, 0.05) if rng.random() < 0.2 else 0.0,
        stretch=rng.uniform(0.92, 1.08) if rng.random() < 0.2 else 1.0,
        worn=rng.random() if rng.random() < 0.25 else 0.0,
    )


def _caption(rng: random.Random) -> str:
    number = rng.randint(1, 48)
    roman = rng.choice(("I", "II", "III", "IV", "IIa", "Ib", "IIr"))
    return rng.choice((f"({number})", f"{number}", f"{number}{rng.choice('abcd')}", f"({roman})", f"[{number}]"))


def ringed(mol: Mol) -> tuple[tuple[int, ...], ...]:
    """The six-rings that may be drawn with a circle, as atoms: aromatic, and no atom with a double bond outwards."""
    from rdkit import Chem

    again = Chem.Mol(mol)
    Chem.SanitizeMol(again)
    found = []
    for ring in again.GetRingInfo().AtomRings():
        if len(ring) == 6 and all(again.GetAtomWithIdx(i).GetIsAromatic() for i in ring):
            outwards = (b for i in ring for b in again.GetAtomWithIdx(i).GetBonds() if not b.GetIsAromatic())
            if all(b.GetBondType() == Chem.BondType.SINGLE for b in outwards):
                found.append(tuple(ring))
    return tuple(found)


def ring_bonds(mol: Mol, rings: tuple[tuple[int, ...], ...]) -> frozenset[int]:
    """Indices of the bonds in rings."""
    return frozenset(
        mol.GetBondBetweenAtoms(ring[i], ring[(i + 1) % len(ring)]).GetIdx() for ring in rings for i in range(len(ring))
    )


def aromatic(mol: Mol, rings: tuple[tuple[int, ...], ...]) -> Mol:
    """A copy whose rings are written as the circle says: aromatic, without single and double bonds of their own."""
    from rdkit import Chem

    made = Chem.Mol(mol)
    Chem.Kekulize(made, clearAromaticFlags=True)
    for index in ring_bonds(made, rings):
        bond = made.GetBondWithIdx(index)
        bond.SetBondType(Chem.BondType.AROMATIC)
        bond.SetIsAromatic(True)
    for atom in {atom for ring in rings for atom in ring}:
        made.GetAtomWithIdx(atom).SetIsAromatic(True)
    return made


def dressed(mol: Mol, habits: Habits, rings: tuple[tuple[int, ...], ...], *, indigo: bool) -> Mol:
    """A copy for the renderer with dashes, circles' rings and letters. Hydrogens of its labels stay as they were."""
    from rdkit import Chem

    made = aromatic(mol, rings) if rings and indigo else Chem.Mol(mol)
    if not indigo:
        for index in ring_bonds(made, rings):
            made.GetBondWithIdx(index).SetBondType(Chem.BondType.SINGLE)
        for bond in made.GetBonds():
            if habits.dashes and bond.GetBondDir() == Chem.BondDir.BEGINDASH:
                bond.SetBondDir(Chem.BondDir.NONE)
                bond.SetBondType(Chem.BondType.HYDROGEN)
    if habits.me:
        for atom in made.GetAtoms():
            bonds = [bond.GetBondType() for bond in atom.GetBonds()]
            if atom.GetAtomicNum() == 6 and bonds == [Chem.BondType.SINGLE] and not atom.GetFormalCharge():
                for name in ("_displayLabel", "_displayLabelW"):
                    atom.SetProp(name, "Me")
    return made


def draw_circles(drawer: object, rings: tuple[tuple[int, ...], ...]) -> None:
    """A circle in each ring of what an RDKit drawer has just drawn."""
    from rdkit.Geometry import Point2D

    drawer.SetFillPolys(False)  # type: ignore[attr-defined]
    drawer.SetColour((0.0, 0.0, 0.0))  # type: ignore[attr-defined]
    for ring in rings:
        at = np.array([(p.x, p.y) for p in (drawer.GetDrawCoords(i) for i in ring)])  # type: ignore[attr-defined]
        middle = at.mean(axis=0)
        radius = 0.58 * float(np.linalg.norm(at - middle, axis=1).mean())
        corners = [Point2D(*(middle + sign * radius).tolist()) for sign in (-1.0, 1.0)]
        drawer.DrawEllipse(*corners, True)  # type: ignore[attr-defined]


def with_stereo(mol: Mol, share: float, rng: random.Random) -> Mol:
    """A copy in which so many of the open tetrahedral centres have a configuration, either at random."""
    from rdkit import Chem

    made = Chem.Mol(mol)
    for one in Chem.FindPotentialStereo(made):
        tetrahedral = one.type == Chem.StereoType.Atom_Tetrahedral
        if tetrahedral and one.specified == Chem.StereoSpecified.Unspecified and rng.random() < share:
            tags = (Chem.ChiralType.CHI_TETRAHEDRAL_CW, Chem.ChiralType.CHI_TETRAHEDRAL_CCW)
            made.GetAtomWithIdx(one.centeredOn).SetChiralTag(rng.choice(tags))
    Chem.AssignStereochemistry(made, cleanIt=True, force=True)
    return made


def with_hydrogens(mol: Mol, count: int, rng: random.Random) -> Mol:
    """A copy with hydrogens drawn on up to `count` carbons that have one to show."""
    from rdkit import Chem

    able = [a.GetIdx() for a in mol.GetAtoms() if a.GetAtomicNum() == 6 and a.GetTotalNumHs() == 1]
    if not able or not count:
        return mol
    return Chem.AddHs(mol, addCoords=True, onlyOnAtoms=rng.sample(able, min(count, len(able))))


def sheared(pixels: np.ndarray, places: np.ndarray, habits: Habits) -> tuple[np.ndarray, np.ndarray]:
    """The drawing as an uneven scanner feed leaves it, about its middle: sheared, and stretched in width."""
    import cv2

    middle = (pixels.shape[1] - 1) / 2
    turn = np.array([[habits.stretch, habits.shear], [0.0, 1.0]])
    shift = middle - turn @ np.array([middle, middle])
    matrix = np.hstack([turn, shift[:, None]])
    size = (pixels.shape[1], pixels.shape[0])
    moved = cv2.warpAffine(pixels, matrix, size, flags=cv2.INTER_LINEAR, borderValue=255)
    return moved, (places @ turn.T + shift).astype(np.float32)


def captioned(pixels: np.ndarray, text: str, font: str, rng: random.Random) -> np.ndarray:
    """The drawing with a number or numeral in a corner that is free; without one it stays as it is."""
    side = pixels.shape[0]
    letters = ImageFont.truetype(font, max(8, side // 20)) if font else ImageFont.load_default(max(8, side // 20))
    width, height = (round(length) + 3 for length in letters.getbbox(text)[2:])
    corners = [(x, y) for x in (3, side - width - 3) for y in (3, side - height - 3)]
    rng.shuffle(corners)
    for x, y in corners:
        if x > 0 and y > 0 and pixels[max(0, y - 4) : y + height + 4, max(0, x - 4) : x + width + 4].min() > 245:
            image = Image.fromarray(pixels)
            ImageDraw.Draw(image).text((x, y), text, fill=rng.randint(0, 60), font=letters)
            return np.asarray(image)
    return pixels


def worn(pixels: np.ndarray, amount: float, rng: random.Random) -> np.ndarray:
    """Bad print and copies of copies, much as in MolScribe's training (Qian and others, 2023): lines with gaps, salt
    and pepper, pixels lost in a smaller copy. amount: 0..1.
    """
    generator = np.random.default_rng(rng.getrandbits(64))
    side = pixels.shape[0]
    if rng.random() < 0.5:
        small = round(side * rng.uniform(1.0 - 0.35 * amount, 1.0))
        image = Image.fromarray(pixels).resize((small, small), Image.Resampling.BILINEAR)
        pixels = np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))
    spots = generator.random(pixels.shape)
    if rng.random() < 0.6:
        pixels = np.where(spots < 0.05 * amount, np.maximum(pixels, 200), pixels)
    if rng.random() < 0.6:
        pixels = np.where(spots > 1.0 - 0.003 * amount, np.minimum(pixels, 70), pixels)
    return pixels.astype(np.uint8)
