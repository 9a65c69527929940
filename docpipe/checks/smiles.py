"""Does a SMILES stand for a molecule? Judged by RDKit, which also gives the forms that follow from it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docpipe.checks import Checked, Pixels
from docpipe.checks.guard import Findings, judges
from docpipe.checks.ink import is_blank
from docpipe.document import MoleculeContent

if TYPE_CHECKING:
    from rdkit.Chem import Mol

MAX_CHARACTERS = 4_000
MAX_ATOMS = 999
"""What a V2000 molblock can hold; no drawing on a page has more."""

_BRACKET = re.compile(r"\[([^\[\]]*)\]")
_ATOM = re.compile(
    r"\d*([A-Z][a-z]?|[bcnops]|as|se|te|si|\*)(?:@{1,2}(?:[A-Z]{2}\d+)?)?(?:H\d*)?(?:[+-]+\d*)?(?::\d+)?"
)


@judges(MoleculeContent)
def check_molecule(content: MoleculeContent, clipping: Pixels | None = None) -> Checked:
    """Judge a SMILES and fill in what follows from it.

    Valid: RDKit parses and sanitises it (valences, aromatic rings). Its canonical SMILES, InChI, InChIKey, formula
    and a molblock with 2D coordinates (computed, not those of the drawing) are then set. Text after white space is
    cut off and kept in the verdict. Fragments, open stereo centres, `*` atoms, radicals and a net charge are noted: a
    drawing may show them, but they are also what a misread drawing leaves behind.
    """
    findings, original = Findings(), content.smiles
    words = original.split()
    smiles = words[0] if words else ""
    if smiles != original and words:
        findings.repair("molecule.trimmed", "text around or after the SMILES was cut off")
    mol = _read(smiles, findings)
    if clipping is not None and words and is_blank(clipping.image):
        findings.error("molecule.blank", "the crop is blank, yet a molecule was read from it")
    if mol is None:
        return Checked(content.model_copy(update={"smiles": smiles}), findings.verdict(_kept(original, smiles)))
    _note(mol, findings)
    return Checked(_derived(mol, findings), findings.verdict(_kept(original, smiles)))


def _kept(original: str, smiles: str) -> str | None:
    return original if smiles != original else None


def _read(smiles: str, findings: Findings) -> Mol | None:
    """The molecule, or None with the reason in the findings."""
    from rdkit import Chem, rdBase

    if not smiles:
        findings.error("molecule.empty", "no SMILES was given")
        return None
    if len(smiles) > MAX_CHARACTERS:
        findings.error("molecule.too-large", f"{len(smiles)} characters; at most {MAX_CHARACTERS} are judged")
        return None
    with rdBase.BlockLogs():
        raw = Chem.MolFromSmiles(smiles, sanitize=False)
        if raw is None:
            _syntax(smiles, findings)
            return None
        if not 0 < raw.GetNumAtoms() <= MAX_ATOMS:
            count = raw.GetNumAtoms()
            findings.error("molecule.too-large" if count else "molecule.empty", f"it has {count} atoms")
            return None
        for problem in Chem.DetectChemistryProblems(raw):
            _chemistry(raw, problem, findings)
        mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        if findings.status != "invalid":
            findings.error("molecule.chemistry", "RDKit refuses to sanitise the molecule")
        return None
    return mol


def _syntax(smiles: str, findings: Findings) -> None:
    """Why a SMILES does not parse, as near as can be told."""
    from rdkit import Chem

    table = Chem.GetPeriodicTable()
    elements = {"*", *(table.GetElementSymbol(number) for number in range(1, 119))}
    before = len(findings.found)
    for match in _BRACKET.finditer(smiles):
        atom = _ATOM.fullmatch(match[1])
        if atom is None or atom[1].capitalize() not in elements:
            what = f"{match[0]} is no atom; an abbreviation or R group must be drawn out or written *"
            findings.error("molecule.abbreviation", what, f"character {match.start() + 1}")
    outside = _BRACKET.sub(lambda match: "#" * len(match[0]), smiles)
    if "[" in outside or "]" in outside:
        findings.error("molecule.syntax", "a square bracket is not closed or not opened")
    depth = 0
    for index, letter in enumerate(outside):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth < 0:
            findings.error("molecule.syntax", "a branch is closed that was not opened", f"character {index + 1}")
            depth = 0
    if depth:
        findings.error("molecule.syntax", f"{depth} branch(es) not closed")
    labels = re.findall(r"%(?:\d\d|\(\d+\))|\d", outside)
    odd = sorted({label for label in labels if labels.count(label) % 2})
    if odd:
        findings.error("molecule.syntax", "ring closure without a partner", ", ".join(odd))
    if len(findings.found) == before:
        findings.error("molecule.syntax", "RDKit cannot parse it as SMILES")


def _chemistry(mol: Mol, problem: object, findings: Findings) -> None:
    """One of RDKit's problems as a finding that names the atom, counted from 1 in the order of the SMILES."""
    kind, message = problem.GetType(), problem.Message()  # type: ignore[attr-defined]
    if kind == "AtomValenceException":
        atom = mol.GetAtomWithIdx(problem.GetAtomIdx())  # type: ignore[attr-defined]
        where = f"atom {atom.GetIdx() + 1} ({atom.GetSymbol()})"
        findings.error("molecule.valence", f"{atom.GetSymbol()} has more bonds than it can have", where)
    elif kind in {"KekulizeException", "AtomKekulizeException"}:
        atoms = ", ".join(str(int(number) + 1) for number in re.findall(r"\d+", message)[:20])
        findings.error(
            "molecule.aromatic", "an aromatic ring cannot be drawn with single and double bonds", f"atoms {atoms}"
        )
    else:
        findings.error("molecule.chemistry", " ".join(message.split()))


def _note(mol: Mol, findings: Findings) -> None:
    from rdkit import Chem

    fragments = len(Chem.GetMolFrags(mol))
    if fragments > 1:
        findings.note(
            "molecule.fragments", f"{fragments} parts that no bond joins: a salt, a mixture, or a bond missed"
        )
    dummies = sum(atom.GetAtomicNum() == 0 for atom in mol.GetAtoms())
    if dummies:
        findings.note("molecule.dummy", f"{dummies} atom(s) * stand for something open: an R group or a bond's end")
    radicals = sum(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms())
    if radicals:
        findings.note("molecule.radical", f"{radicals} unpaired electron(s): rarely meant, often a missed bond")
    charge = Chem.GetFormalCharge(mol)
    if charge:
        findings.note("molecule.charge", f"net charge {charge:+d}: the counter-ion may have been missed")
    open_stereo = [s for s in Chem.FindPotentialStereo(mol) if s.specified == Chem.StereoSpecified.Unspecified]
    atoms = sum(s.type == Chem.StereoType.Atom_Tetrahedral for s in open_stereo)
    bonds = sum(s.type == Chem.StereoType.Bond_Double for s in open_stereo)
    if atoms or bonds:
        which = f"{atoms} centre(s) and {bonds} double bond(s)"
        findings.note("molecule.stereo-open", f"{which} could have a configuration, but none is given")


def _derived(mol: Mol, findings: Findings) -> MoleculeContent:
    from rdkit import Chem, rdBase
    from rdkit.Chem import rdDepictor, rdMolDescriptors

    with rdBase.BlockLogs():
        canonical = Chem.MolToSmiles(mol)
        # Read back, so that every spelling of a molecule gives the same atom order and with it the same molblock.
        again = Chem.MolFromSmiles(canonical)
        if again is None:
            findings.note("molecule.unstable", "RDKit cannot read back its own canonical SMILES")
            again = mol
        inchi = Chem.MolToInchi(again) or None
        key = (Chem.InchiToInchiKey(inchi) or None) if inchi else None
        if inchi is None:
            findings.note("molecule.no-inchi", "InChI cannot say this molecule (open atoms or unusual bonding)")
        rdDepictor.Compute2DCoords(again, canonOrient=True)
        block = Chem.MolToMolBlock(again)
    formula = rdMolDescriptors.CalcMolFormula(again)
    return MoleculeContent(smiles=canonical, molblock=block, inchi=inchi, inchikey=key, formula=formula)
