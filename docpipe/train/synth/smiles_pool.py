"""An endless pool of molecules: real ones from SMILES lists, and fragments of them put together anew.

Small molecules are rare in lists of drug-like ones, so most small samples are fragments: single bonds outside rings
are cut, each open end gets a hydrogen or a common small group, and sometimes two fragments are joined.
"""

from __future__ import annotations

import gzip
import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rdkit.Chem import Mol

ELEMENTS = frozenset(("B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br", "I", "Se"))
HELD_OUT = 50
"""One molecule in this many (by a hash of its SMILES without stereo) is kept for validation."""
ATTEMPTS = 20_000
"""Candidates looked at for one molecule, of which a few are enough with lists of real ones."""

_ATOM = re.compile(r"\[[^\]]+\]|Br|Cl|[BCNOPSFIbcnops]")
_CAPS = (1, 1, 1, 1, 1, 6, 6, 8, 7, 9, 17, 35)


def read_smiles(paths: Sequence[Path]) -> list[str]:
    """The SMILES of list files (first column; .gz or plain), in order. Folders stand for their *.smi and *.smi.gz."""
    found: list[str] = []
    for path in paths:
        for file in sorted(path.glob("*.smi*")) if path.is_dir() else [path]:
            packed = file.read_bytes()
            text = (gzip.decompress(packed) if file.suffix == ".gz" else packed).decode()
            found.extend(line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return found


def is_held_out(flat_smiles: str) -> bool:
    """Whether a molecule belongs to validation; flat_smiles: canonical, without stereo."""
    return zlib.crc32(flat_smiles.encode()) % HELD_OUT == 0


def flat(mol: Mol) -> str:
    """Canonical SMILES without stereo."""
    from rdkit import Chem

    return Chem.MolToSmiles(mol, isomericSmiles=False)


@dataclass
class Pool:
    """Molecules of `low` to `high` heavy atoms.

    smiles: the lists' content. native: share of whole molecules among those drawn (while there are any of that size).
    held_out: give only the molecules kept for validation, else only the others. banned: flat SMILES never given.
    """

    smiles: Sequence[str]
    low: int = 3
    high: int = 12
    native: float = 0.3
    joined: float = 0.2
    held_out: bool = False
    banned: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._fitting = [s for s in self.smiles if "." not in s and self.low <= len(_ATOM.findall(s)) <= self.high]
        if not self.smiles:
            raise ValueError("no SMILES to draw molecules from")

    def draw(self, rng: random.Random) -> Mol:
        """A sanitized molecule, one fragment, of allowed elements and size. Raises ValueError when none comes out."""
        from rdkit import Chem, rdBase

        with rdBase.BlockLogs():
            for _ in range(ATTEMPTS):
                mol = self._candidate(rng)
                if mol is None or not self.low <= mol.GetNumHeavyAtoms() <= self.high:
                    continue
                if rng.random() > mol.GetNumHeavyAtoms() / self.high:  # cuts give more small ones than are needed
                    continue
                try:
                    mol = Chem.MolFromSmiles(Chem.MolToSmiles(mol))
                except RuntimeError:
                    continue
                if mol is None or not allowed(mol):
                    continue
                plain = flat(mol)
                if "." not in plain and is_held_out(plain) == self.held_out and plain not in self.banned:
                    return mol
        raise ValueError(f"the SMILES lists give no molecule of {self.low} to {self.high} heavy atoms")

    def _candidate(self, rng: random.Random) -> Mol | None:
        from rdkit import Chem

        if self._fitting and rng.random() < self.native:
            return Chem.MolFromSmiles(rng.choice(self._fitting))
        first = self._piece(rng)
        if first is None or rng.random() >= self.joined:
            return first
        second = self._piece(rng)
        return join(first, second, rng) if second is not None else first

    def _piece(self, rng: random.Random) -> Mol | None:
        from rdkit import Chem

        mol = Chem.MolFromSmiles(rng.choice(self.smiles))
        return fragment(mol, rng, self.low, self.high) if mol is not None else None


def allowed(mol: Mol) -> bool:
    """Whether the molecule is of common elements, without isotopes and radicals."""
    return all(
        a.GetSymbol() in ELEMENTS and not a.GetIsotope() and not a.GetNumRadicalElectrons() for a in mol.GetAtoms()
    )


def fragment(mol: Mol, rng: random.Random, low: int, high: int) -> Mol | None:
    """A piece of the molecule with `low` to `high` heavy atoms, its open ends capped; None when the cuts gave none."""
    from rdkit import Chem

    bonds = [b.GetIdx() for b in mol.GetBonds() if not b.IsInRing() and b.GetBondType() == Chem.BondType.SINGLE]
    if not bonds:
        return None
    cuts = rng.sample(bonds, min(len(bonds), rng.choice((1, 1, 2, 2, 3, 4))))
    parts = Chem.GetMolFrags(Chem.FragmentOnBonds(mol, cuts, addDummies=True), asMols=True, sanitizeFrags=False)
    pieces = [p for p in parts if low <= sum(a.GetAtomicNum() > 1 for a in p.GetAtoms()) <= high]
    if not pieces:
        return None
    piece = Chem.RWMol(rng.choice(pieces))
    for atom in piece.GetAtoms():
        if atom.GetAtomicNum() == 0:
            neighbour = atom.GetNeighbors()[0]
            atom.SetIsotope(0)
            atom.SetAtomicNum(rng.choice(_CAPS) if neighbour.GetSymbol() == "C" else rng.choice((1, 1, 6)))
            atom.SetNoImplicit(False)
    try:
        Chem.SanitizeMol(piece)
        return Chem.RemoveHs(piece)
    except Chem.MolSanitizeException:
        return None


def join(first: Mol, second: Mol, rng: random.Random) -> Mol | None:
    """Two molecules with a single bond between atoms that each had a hydrogen to give; None where that fails."""
    from rdkit import Chem

    def open_atoms(mol: Mol) -> list[int]:
        return [a.GetIdx() for a in mol.GetAtoms() if a.GetTotalNumHs() > 0 and not a.GetFormalCharge()]

    left, right = open_atoms(first), open_atoms(second)
    if not left or not right:
        return None
    both = Chem.RWMol(Chem.CombineMols(first, second))
    ends = rng.choice(left), first.GetNumAtoms() + rng.choice(right)
    for end in ends:
        atom = both.GetAtomWithIdx(end)
        if atom.GetNumExplicitHs():
            atom.SetNumExplicitHs(atom.GetNumExplicitHs() - 1)
        atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    both.AddBond(*ends, Chem.BondType.SINGLE)
    try:
        Chem.SanitizeMol(both)
    except Chem.MolSanitizeException:
        return None
    return both.GetMol()
