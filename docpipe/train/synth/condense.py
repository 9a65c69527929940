"""Groups drawn as letters: OMe, Boc, Ph in the place of their atoms, in a molecule that is about to be drawn.

The letters are one atom of the drawing and one token of its truth (`docpipe.notation.groups`): what a reader sees is
one sign at one place, and writing it out is a matter of the table, not of eyes.
"""

from __future__ import annotations

import random
import re
from functools import cache
from typing import TYPE_CHECKING

from docpipe.notation.groups import GROUPS, token

if TYPE_CHECKING:
    from rdkit.Chem import Mol

LARGEST = 12
"""Heavy atoms of the largest group in the table, at least."""

_ISOTOPE = re.compile(r"\[(\d+)\*\]")


def tokens_of(smiles: str) -> str:
    """A SMILES of a condensed molecule with the groups' tokens in the place of its marked atoms."""
    return _ISOTOPE.sub(lambda match: token(int(match[1]) - 1), smiles)


def group_of(atom: object) -> int | None:
    """The group that an atom of a condensed molecule stands for."""
    marked = atom.GetIsotope() if atom.GetAtomicNum() == 0 else 0  # type: ignore[attr-defined]
    return marked - 1 if marked else None


@cache
def _known() -> dict[tuple[str, int], int]:
    """Groups by the form that `_written` gives their atoms."""
    from rdkit import Chem

    known = {}
    for number, group in enumerate(GROUPS):
        mol = Chem.MolFromSmiles("[U]" + group.smiles + "[Pu]" * (group.bonds - 1))
        Chem.Kekulize(mol, clearAromaticFlags=True)
        inside = [a.GetIdx() for a in mol.GetAtoms() if a.GetSymbol() not in ("U", "Pu")]
        known[_written(mol, inside, 1), group.bonds] = number
    return known


def _written(mol: Mol, atoms: list[int], root: int) -> str:
    from rdkit import Chem

    return str(Chem.MolFragmentToSmiles(mol, atoms, rootedAtAtom=root, allHsExplicit=True))


def _side(mol: Mol, start: int, barred: int) -> list[int] | None:
    """The atoms reached from `start` without passing `barred`; None when they are too many or come back to it."""
    reached, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        for neighbour in mol.GetAtomWithIdx(here).GetNeighbors():
            index = neighbour.GetIdx()
            if index == barred:
                if here != start:
                    return None
            elif index not in reached:
                reached.add(index)
                waiting.append(index)
                if len(reached) > LARGEST:
                    return None
    return sorted(reached)


def groups_in(mol: Mol) -> list[tuple[int, int, list[int]]]:
    """The groups that could be drawn as letters: number, attached atom, all its atoms. mol: Kekulé bonds.

    They may lie within each other.
    """
    known, found = _known(), []
    for bond in mol.GetBonds():
        if bond.IsInRing() or bond.GetBondTypeAsDouble() != 1:
            continue
        ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        for root, outside in (ends, ends[::-1]):
            inside = _side(mol, root, outside)
            if inside is None or len(inside) < 1 or len(inside) == mol.GetNumAtoms() - 1 == 1:
                continue
            number = known.get((_written(mol, inside, root), 1))
            if number is not None:
                found.append((number, root, inside))
    for atom in mol.GetAtoms():
        degree, root = atom.GetDegree(), atom.GetIdx()
        if (atom.GetSymbol(), degree) not in {("N", 3), ("S", 4)}:
            continue
        sides = [_side(mol, n.GetIdx(), root) for n in atom.GetNeighbors()]
        closed = [side for side in sides if side is not None]
        if atom.GetSymbol() == "S":
            closed = [[s[0] for s in closed if len(s) == 1 and mol.GetAtomWithIdx(s[0]).GetSymbol() == "O"]]
        for side in closed:
            number = known.get((_written(mol, [root, *side], root), 2))
            if number is not None:
                found.append((number, root, [root, *side]))
    return found


def condensed(mol: Mol, rng: random.Random, share: float) -> Mol:
    """A molecule with some of its groups as single atoms: `*` with the isotope number of group + 1 and its labels.

    share: of the groups that are condensed. At least three atoms stay as they are.
    """
    from rdkit import Chem

    whole = Chem.Mol(mol)
    Chem.Kekulize(whole, clearAromaticFlags=True)
    possible = groups_in(whole)
    rng.shuffle(possible)
    gone: set[int] = set()
    taken: dict[int, int] = {}
    for number, root, inside in possible:
        left = mol.GetNumAtoms() - len(gone) - len(inside)
        if rng.random() < share and left >= 3 and gone.isdisjoint(inside) and not taken.keys() & set(inside):
            taken[root] = number
            gone.update(i for i in inside if i != root)
    if not taken:
        return mol
    made = Chem.RWMol(mol)
    for root, number in taken.items():
        atom = made.GetAtomWithIdx(root)
        right, left_hand = rng.choice(GROUPS[number].labels)
        atom.SetAtomicNum(0)
        atom.SetIsotope(number + 1)
        atom.SetFormalCharge(0)
        atom.SetNumExplicitHs(0)
        atom.SetNoImplicit(True)
        atom.SetIsAromatic(False)
        atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
        atom.SetProp("group", right)
        atom.SetProp("groupW", left_hand)
    made.BeginBatchEdit()
    for index in gone:
        made.RemoveAtom(index)
    made.CommitBatchEdit()
    done = made.GetMol()
    Chem.SanitizeMol(done)
    return done


def labelled(mol: Mol) -> Mol:
    """A copy for RDKit's renderer: the groups' atoms bear their letters and no isotope."""
    from rdkit import Chem

    made = Chem.Mol(mol)
    for atom in made.GetAtoms():
        if group_of(atom) is None:
            continue
        right, left = atom.GetProp("group"), atom.GetProp("groupW")
        atom.SetIsotope(0)
        atom.SetProp("_displayLabel", _raised(right))
        atom.SetProp("_displayLabelW", _raised(left))
    return made


def _raised(label: str) -> str:
    """A label with its counts low, as RDKit marks them: CO<sub>2</sub>Me."""
    return re.sub(r"(?<=[A-Za-z)])(\d+)", r"<sub>\1</sub>", label)
