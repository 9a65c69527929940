"""Bonds and labels of a drawing put together to a molecule, or the reason why they are none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from docpipe.engines.atom_labels import Atom, Label, atom_of
from docpipe.engines.bond_strokes import BOLD, DASHED, HASH, SINGLE, WEDGE, Bond, Strokes
from docpipe.notation.groups import GROUPS

if TYPE_CHECKING:
    from rdkit.Chem import Mol, RWMol

MEET = 0.2
"""Ends of bonds so near (in bonds) are one atom."""

REACH = 0.45
"""A bond points at a label up to so far (in bonds) beyond its end."""

_FORMULA = re.compile(r"(?:[A-Z][a-z]?\d*){2,}[+-]?")

_NEVER_BARE = ("S", "P", "B", "Si", "F", "Cl", "Br", "I", "Se")
"""Elements that nobody leaves hydrogens out at. At N and O some do, or the crop cut them off."""


class NoMoleculeError(Exception):
    """Why a drawing was not read, in words that go after "the drawing …"."""


@dataclass
class _Node:
    place: complex
    label: Label | None = None
    bonds: list[int] = field(default_factory=list)


def refuse(strokes: Strokes) -> None:
    """Raise NoMoleculeError for strokes that make no molecule whatever the labels are."""
    if strokes.strange:
        raise NoMoleculeError(f"has {strokes.strange} strokes that are no bonds")
    if not strokes.bonds:
        raise NoMoleculeError("has no bonds")


def molecule_of(strokes: Strokes, labels: Sequence[Label]) -> Mol:
    """The molecule, with the hydrogens that are drawn; coordinates in bonds, y upwards. Raises NoMoleculeError."""
    refuse(strokes)
    nodes, ends = _nodes(strokes, labels)
    free = [one for one in labels if not any(node.label is one for node in nodes)]
    free = [one for one in free if not one.text.isdigit() or one.text == "0"]  # atoms may be numbered
    saturated = [one for one in free if one.text == "H"]
    for one in free:
        if one not in saturated and (atom_of(one.text) is not None or _is_formula(one.text)):
            raise NoMoleculeError(f"has letters that no bond leads to: {one.text}")
    atoms = [_atom(node) for node in nodes]
    mol = _made(strokes, nodes, atoms, _from_centres(strokes, atoms, ends))
    for one in saturated:
        if not _in_saturated_ring(mol, complex(*one.box.center).conjugate() / strokes.unit):
            raise NoMoleculeError("has letters that no bond leads to: H")
    return mol


def _is_formula(text: str) -> bool:
    """Whether a text tells of a compound, as C2H2O4 and SbF6- do, and the numbers of structures (5B) do not."""
    return _FORMULA.fullmatch(text) is not None and re.search(r"\d|[+-]$", text) is not None


def _in_saturated_ring(mol: Mol, place: complex) -> bool:
    """Whether a place is the middle of a ring of single bonds: an H there says that it is one."""
    at = mol.GetConformer().GetPositions()
    rings = zip(mol.GetRingInfo().AtomRings(), mol.GetRingInfo().BondRings(), strict=True)
    for atoms, bonds in rings:
        x, y, _ = at[list(atoms)].mean(axis=0)
        if abs(complex(x, y) - place) < 0.3:
            return all(mol.GetBondWithIdx(k).GetBondTypeAsDouble() == 1.0 for k in bonds)
    return False


def _from_centres(strokes: Strokes, atoms: Sequence[Atom], ends: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ends of bonds with dashed ones turned so that they begin where a centre of chirality can be; where both ends
    can, `_sane` tells.
    """
    turned = []
    for bond, (start, end) in zip(strokes.bonds, ends, strict=True):
        if bond.kind in (DASHED, BOLD):
            centres = [_may_be_centre(at, strokes, atoms, ends) for at in (start, end)]
            if not any(centres):
                raise NoMoleculeError("has a dashed or bold bond that does not say where it begins")
            turned.append((start, end) if centres[0] else (end, start))
        else:
            turned.append((start, end))
    return turned


def _may_be_centre(at: int, strokes: Strokes, atoms: Sequence[Atom], ends: Sequence[tuple[int, int]]) -> bool:
    """Whether an atom has three or four neighbours by single bonds alone."""
    met = [(bond, pair) for bond, pair in zip(strokes.bonds, ends, strict=True) if at in pair and pair[0] != pair[1]]
    others = {sum(pair) - at for _, pair in met}
    single = len(others) == len(met) and all(bond.order == 1 for bond, _ in met)
    return len(met) >= 3 and single and atoms[at].symbol in ("C", "S", "P", "N", "Si")


def _nodes(strokes: Strokes, labels: Sequence[Label]) -> tuple[list[_Node], list[tuple[int, int]]]:
    """The atoms' places, and of each bond the two that it joins."""
    unit = strokes.unit
    nodes: list[_Node] = []
    ends: list[tuple[int, int]] = []
    for number, bond in enumerate(strokes.bonds):
        found = []
        others = [(e, far) for k, b in enumerate(strokes.bonds) if k != number for e, far in (b.ends, b.ends[::-1])]
        for end, far in (bond.ends, bond.ends[::-1]):
            label = _label(end, far, others, labels, unit)
            if label is None and bond.kind != SINGLE:  # rungs stop short of their atoms, and wedges end in lines
                near = (e for e, _ in others if abs(e - end) < 2 * MEET * unit)
                end = min(near, key=lambda e: abs(e - end), default=end)
            found.append(_node(nodes, end, label, unit))
            nodes[found[-1]].bonds.append(number)
        if found[0] == found[1] and bond.length > 2 * MEET * unit:
            raise NoMoleculeError("has a bond that goes nowhere")
        ends.append((found[0], found[1]))
    for node in nodes:
        met = [strokes.bonds[k] for k in node.bonds]
        if node.label is not None:
            node.place = _attached_at(node, met)
        elif len(met) > 1:
            node.place = sum(_nearer_end(bond, node.place) for bond in met) / len(met)
    return nodes, ends


def _label(
    end: complex, far: complex, others: Sequence[tuple[complex, complex]], labels: Sequence[Label], unit: float
) -> Label | None:
    """The label of the atom at a bond's end; where others end there, too, all of them must lead to it."""
    joined = [pair for pair in others if abs(pair[0] - end) < MEET / 2 * unit]
    if not joined:
        return _pointed_at(end, far, labels, unit, REACH * unit)
    found = _pointed_at(end, far, labels, unit, REACH / 2 * unit)
    if found is not None and all(_pointed_at(*pair, labels, unit, REACH / 2 * unit) is found for pair in joined):
        return found
    return _pointed_at(end, far, labels, unit, 0.0)


def _pointed_at(end: complex, other: complex, labels: Sequence[Label], unit: float, reach: float) -> Label | None:
    """The label that a bond's end lies in or, within reach, points at."""
    way = (end - other) / (abs(end - other) or 1.0)
    best, nearest = None, reach
    for label in labels:
        box = label.box.grown(0.1 * unit)
        for step in range(13):
            far = step / 12 * nearest
            point = end + far * way
            if box.x0 <= point.real <= box.x1 and box.y0 <= point.imag <= box.y1:
                if far < nearest or best is None:
                    best, nearest = label, far
                break
    return best


def _node(nodes: list[_Node], place: complex, label: Label | None, unit: float) -> int:
    for number, node in enumerate(nodes):
        same = (
            node.label is label if label is not None else node.label is None and abs(node.place - place) < MEET * unit
        )
        if same:
            return number
    nodes.append(_Node(place, label))
    return len(nodes) - 1


def _nearer_end(bond: Bond, place: complex) -> complex:
    return min(bond.ends, key=lambda end: abs(end - place))


def _attached_at(node: _Node, met: Sequence[Bond]) -> complex:
    """Where an atom with a label lies: where its bonds cross; with one bond, the letter that it leads to."""
    assert node.label is not None, "it has a label"
    box = node.label.box
    letter = 0.36 * node.label.size
    points = [_nearer_end(bond, complex(*box.center)) for bond in met]
    middle = sum(points) / len(points)
    x = min(max(middle.real, box.x0 + letter), max(box.x0 + letter, box.x1 - letter))
    return complex(x, box.center[1])


def _atom(node: _Node) -> Atom:
    if node.label is None:
        return Atom("C")
    atom = atom_of(node.label.text)
    if atom is None:
        raise NoMoleculeError(f"has a label that names no atom: {node.label.text}")
    if atom.group is not None and len(node.bonds) != GROUPS[atom.group].bonds:
        raise NoMoleculeError(f"has {len(node.bonds)} bonds at {node.label.text}")
    return atom


def _made(strokes: Strokes, nodes: Sequence[_Node], atoms: Sequence[Atom], ends: Sequence[tuple[int, int]]) -> Mol:
    from rdkit import Chem, rdBase
    from rdkit.Geometry import Point3D

    mol = Chem.RWMol()
    for atom in atoms:
        made = Chem.Atom("C" if atom.group is not None else "H" if atom.symbol == "D" else atom.symbol)
        made.SetFormalCharge(atom.charge)
        if atom.hydrogens is not None:
            made.SetNumExplicitHs(atom.hydrogens)
            made.SetNoImplicit(True)
        if atom.symbol == "D":
            made.SetIsotope(2)
        mol.AddAtom(made)
    kinds = {1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE}
    directions = {WEDGE: Chem.BondDir.BEGINWEDGE, HASH: Chem.BondDir.BEGINDASH, DASHED: Chem.BondDir.BEGINDASH}
    directions[BOLD] = Chem.BondDir.BEGINWEDGE
    doubtful: list[tuple[int, int, Any]] = []
    for bond, (start, end) in zip(strokes.bonds, ends, strict=True):
        if start == end:  # a crumb of a crossing
            continue
        beside = mol.GetBondBetweenAtoms(start, end)
        written = nodes[start].label is not None and nodes[end].label is not None  # little room between letters
        if beside is not None and bond.length < 0.5 * strokes.unit and not written:
            raise NoMoleculeError("has rungs that are no hash")
        if beside is not None:  # two lines from one place, that part on their way to a wide letter
            beside.SetBondType(kinds[min(3, int(beside.GetBondTypeAsDouble()) + bond.order)])
            continue
        mol.AddBond(start, end, kinds[bond.order])
        if bond.kind in (DASHED, BOLD) and all(_may_be_centre(at, strokes, atoms, ends) for at in (start, end)):
            doubtful.append((start, end, directions[bond.kind]))
        elif bond.kind != SINGLE:
            mol.GetBondBetweenAtoms(start, end).SetBondDir(directions[bond.kind])
    _circled(mol, nodes, strokes)
    places = [node.place / strokes.unit for node in nodes]
    for number, atom in enumerate(atoms):
        if atom.group is not None:
            places += _written_out(mol, number, atom.group, places[number])
    conformer = Chem.Conformer(mol.GetNumAtoms())
    for number, place in enumerate(places):
        conformer.SetAtomPosition(number, Point3D(place.real, -place.imag, 0.0))
    mol.AddConformer(conformer, assignId=True)
    with rdBase.BlockLogs():
        return _sane(mol, atoms, doubtful)


def _circled(mol: RWMol, nodes: Sequence[_Node], strokes: Strokes) -> None:
    """Rings with a circle are aromatic."""
    from rdkit import Chem

    rings = Chem.GetSymmSSSR(mol)
    for centre, _ in strokes.circles:
        for ring in ([int(i) for i in r] for r in rings):
            middle = sum(nodes[i].place for i in ring) / len(ring)
            if abs(middle - centre) < 0.25 * strokes.unit:
                for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
                    mol.GetBondBetweenAtoms(a, b).SetBondType(Chem.BondType.AROMATIC)
                    mol.GetBondBetweenAtoms(a, b).SetIsAromatic(True)
                for a in ring:
                    mol.GetAtomWithIdx(a).SetIsAromatic(True)
                break
        else:
            raise NoMoleculeError("has a circle outside a ring")


def _written_out(mol: RWMol, number: int, group: int, place: complex) -> list[complex]:
    """Put a group's atoms where its label stands; the places of those added."""
    from rdkit import Chem

    whole: Any = Chem.MolFromSmiles(GROUPS[group].smiles, sanitize=False)
    first = mol.GetNumAtoms() - 1  # the group's atom 1 comes next
    head = whole.GetAtomWithIdx(0)
    made = Chem.Atom(head.GetAtomicNum())
    made.SetFormalCharge(head.GetFormalCharge())
    mol.ReplaceAtom(number, made)
    where = {0: number}
    for atom in list(whole.GetAtoms())[1:]:
        added = Chem.Atom(atom.GetAtomicNum())
        added.SetFormalCharge(atom.GetFormalCharge())
        where[atom.GetIdx()] = mol.AddAtom(added)
    for bond in whole.GetBonds():
        mol.AddBond(where[bond.GetBeginAtomIdx()], where[bond.GetEndAtomIdx()], bond.GetBondType())
    return [place + 0.05 * k for k in range(1, mol.GetNumAtoms() - first)]


def _small_rings(mol: Mol) -> list[list[int]]:
    """The bonds of rings of up to seven atoms."""
    return [list(ring) for ring in mol.GetRingInfo().BondRings() if len(ring) < 8]


def _sane(mol: RWMol, atoms: Sequence[Atom], doubtful: Sequence[tuple[int, int, Any]] = ()) -> Mol:
    """Checked by RDKit, with the configurations that wedges and double bonds show. doubtful: dashed bonds that begin at
    either end, at the one that is a centre of chirality. Raises NoMoleculeError.
    """
    from rdkit import Chem

    try:
        Chem.SanitizeMol(mol)
    except (ValueError, RuntimeError) as error:
        raise NoMoleculeError(f"makes no molecule: {str(error).splitlines()[0]}") from error
    if any(mol.GetBondWithIdx(k).GetBondType() == Chem.BondType.TRIPLE for ring in _small_rings(mol) for k in ring):
        raise NoMoleculeError("has a triple bond in a ring")  # another ring's line beside it
    for number, atom in enumerate(atoms):
        found = mol.GetAtomWithIdx(number)
        hydrogens = found.GetTotalNumHs()
        charged = any(n.GetFormalCharge() for n in found.GetNeighbors())
        bare = atom.symbol in _NEVER_BARE or (charged and atom.symbol in ("N", "O"))
        if hydrogens and atom.hydrogens is None and atom.group is None and bare:
            raise NoMoleculeError(f"has open valences at {atom.symbol}")  # a sign that was not seen, mostly
        if found.GetNumRadicalElectrons():
            raise NoMoleculeError(f"has open valences at {found.GetSymbol()}")
    possible = Chem.FindPotentialStereo(Chem.Mol(mol), cleanIt=True) if doubtful else ()
    chiral = {int(one.centeredOn) for one in possible if one.type == Chem.StereoType.Atom_Tetrahedral}
    for start, end, direction in doubtful:
        centre = [at for at in (start, end) if at in chiral]
        if len(centre) != 1:
            raise NoMoleculeError("has a dashed or bold bond that does not say where it begins")
        mol.RemoveBond(start, end)
        mol.AddBond(centre[0], start + end - centre[0], Chem.BondType.SINGLE)
        mol.GetBondBetweenAtoms(start, end).SetBondDir(direction)
    Chem.AssignChiralTypesFromBondDirs(mol)
    for bond in mol.GetBonds():  # a wedge beside a double bond would hide which side its end lies on
        bond.SetBondDir(Chem.BondDir.NONE)
    Chem.SetDoubleBondNeighborDirections(mol, mol.GetConformer())
    Chem.AssignStereochemistry(mol, cleanIt=True, force=True)
    return mol
