"""Whether two SMILES say the same molecule, and how alike two molecules are.

Molecules are compared as RDKit reads them after sanitising, so the order in which a SMILES is written does not count.
All fragments count (salts, counter-ions). Tautomers and protonation states are different molecules, except where
InChI makes them one. What does not parse scores 0. None of these sees a drawing: two structures that look alike on
paper may be far apart here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rdkit.Chem import Mol


def _mol(smiles: str) -> Mol | None:
    from rdkit import Chem, rdBase

    if not smiles.strip():
        return None
    with rdBase.BlockLogs():
        return Chem.MolFromSmiles(smiles.split()[0])


def exact_match(answer: str, truth: str) -> float:
    """1 when both have the same canonical SMILES, stereochemistry and isotopes included, else 0.

    The measure of the PaliGemma 2 paper's table 4 and of MolScribe.
    """
    return _same(answer, truth, stereo=True)


def exact_match_no_stereo(answer: str, truth: str) -> float:
    """1 when both have the same canonical SMILES once stereo marks are left out, else 0. Isotopes still count."""
    return _same(answer, truth, stereo=False)


def inchi_match(answer: str, truth: str) -> float:
    """1 when both have the same standard InChI (mobile hydrogens and charges normalised), else 0.

    Where the truth has no InChI, as with `*` atoms, this is `exact_match`.
    """
    from rdkit import Chem, rdBase

    given, wanted = _mol(answer), _mol(truth)
    if given is None or wanted is None:
        return 0.0
    with rdBase.BlockLogs():
        first, second = Chem.MolToInchi(given), Chem.MolToInchi(wanted)
    return float(first == second) if second else exact_match(answer, truth)


def tanimoto(answer: str, truth: str) -> float:
    """Tanimoto similarity of Morgan fingerprints (radius 2, 2048 bits), 0..1.

    Says how near a wrong answer came. 1 does not mean equal: stereo is left out, and chains of different length can
    share all their fragments.
    """
    from rdkit import DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    given, wanted = _mol(answer), _mol(truth)
    if given is None or wanted is None:
        return 0.0
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    return float(DataStructs.TanimotoSimilarity(generator.GetFingerprint(given), generator.GetFingerprint(wanted)))


def _same(answer: str, truth: str, *, stereo: bool) -> float:
    from rdkit import Chem

    given, wanted = _mol(answer), _mol(truth)
    if given is None or wanted is None:
        return 0.0
    return float(
        Chem.MolToSmiles(given, isomericSmiles=True) == Chem.MolToSmiles(wanted, isomericSmiles=True)
        if stereo
        else _flat(given) == _flat(wanted)
    )


def _flat(mol: Mol) -> str:
    from rdkit import Chem

    copy = Chem.Mol(mol)
    Chem.RemoveStereochemistry(copy)
    return str(Chem.MolToSmiles(copy))
