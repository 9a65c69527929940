"""Groups that chemists write as letters (OMe, Boc, Ph): how they are drawn, and what they stand for.

A reader of drawings may answer with one token for a group, `<free7>`, where it stood in the picture; `expand` writes
it out. Each group is one atom with all the rest in branches, so the text can stand anywhere in a SMILES where an atom
can: first, last or in between. Ring numbers of groups are 90 and up, so that they meet no other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """One group. smiles: the attached atom first, the rest in branches. labels: as written with the bond at the left
    end, each with its form for a bond at the right end. bonds: of the attached atom to the rest of the molecule.
    """

    smiles: str
    labels: tuple[tuple[str, str], ...]
    bonds: int = 1


def _group(smiles: str, *labels: str, bonds: int = 1) -> Group:
    pairs = (label.partition("|") for label in labels)
    return Group(smiles, tuple((right, left or right) for right, _, left in pairs), bonds)


_PHENYL = "C%90(=CC=CC=C%90)"

GROUPS: tuple[Group, ...] = (
    _group("O(C)", "OMe|MeO", "OCH3|H3CO"),
    _group("O(CC)", "OEt|EtO", "OC2H5|C2H5O"),
    _group("C(C)", "Et", "C2H5|H5C2", "CH2CH3|H3CH2C"),
    _group(_PHENYL, "Ph", "C6H5|H5C6"),
    _group("C(F)(F)(F)", "CF3|F3C"),
    _group("O(C(F)(F)F)", "OCF3|F3CO"),
    _group("C(=O)(O)", "COOH|HOOC", "CO2H|HO2C"),
    _group("C(=O)(OC)", "CO2Me|MeO2C", "COOMe|MeOOC", "COOCH3|H3COOC", "CO2CH3|H3CO2C"),
    _group("C(=O)(OCC)", "CO2Et|EtO2C", "COOEt|EtOOC", "COOC2H5|C2H5OOC"),
    _group("C(=O)(C)", "Ac", "COCH3|H3COC", "COMe|MeOC"),
    _group("O(C(C)=O)", "OAc|AcO", "OCOCH3|H3COCO"),
    _group("[N+](=O)([O-])", "NO2|O2N"),
    _group("C(#N)", "CN|NC"),
    _group("C(C)(C)(C)", "tBu|t-Bu", "t-Bu", "But", "C(CH3)3|(H3C)3C"),
    _group("C(C)(C)", "iPr|i-Pr", "i-Pr", "Pri", "CH(CH3)2|(H3C)2HC"),
    _group("C(CC)", "nPr|n-Pr", "Pr", "C3H7|H7C3"),
    _group("C(CCC)", "nBu|n-Bu", "Bu", "C4H9|H9C4"),
    _group("C(C(C)C)", "iBu|i-Bu"),
    _group("C(=O)(OC(C)(C)C)", "Boc", "CO2tBu|tBuO2C", "CO2But|ButO2C"),
    _group(f"C(=O)(OC{_PHENYL})", "Cbz", "Z"),
    _group(f"C({_PHENYL})", "Bn", "CH2Ph|PhH2C"),
    _group(f"O(C{_PHENYL})", "OBn|BnO", "OCH2Ph|PhH2CO"),
    _group(f"C(=O)({_PHENYL})", "Bz", "COPh|PhOC"),
    _group(f"O({_PHENYL})", "OPh|PhO"),
    _group(f"N({_PHENYL})", "NHPh|PhHN"),
    _group("S(=O)(=O)(C)", "Ms", "SO2CH3|H3CO2S", "SO2Me|MeO2S"),
    _group("O(S(C)(=O)=O)", "OMs|MsO"),
    _group("S(=O)(=O)(C%90(=CC=C(C)C=C%90))", "Ts"),
    _group("O(S(=O)(=O)C%90(=CC=C(C)C=C%90))", "OTs|TsO"),
    _group("O(S(=O)(=O)C(F)(F)F)", "OTf|TfO"),
    _group("S(=O)(=O)(C(F)(F)F)", "Tf", "SO2CF3|F3CO2S"),
    _group("S(=O)(=O)(N)", "SO2NH2|H2NO2S"),
    _group("S(=O)(=O)(O)", "SO3H|HO3S"),
    _group("C(=O)(N)", "CONH2|H2NOC"),
    _group("C(=O)", "CHO|OHC"),
    _group("N(C)", "NHMe|MeHN", "NHCH3|H3CHN"),
    _group("N(C)(C)", "NMe2|Me2N", "N(CH3)2|(H3C)2N"),
    _group("N(CC)(CC)", "NEt2|Et2N", "N(C2H5)2|(C2H5)2N", "N(C2H5)2|(H5C2)2N"),
    _group("N(CC)", "NHEt|EtHN"),
    _group("N(C(C)=O)", "NHAc|AcHN", "NHCOCH3|H3COCHN"),
    _group("N(C(=O)OC(C)(C)C)", "NHBoc|BocHN"),
    _group("S(C)", "SMe|MeS", "SCH3|H3CS"),
    _group("C(O)", "CH2OH|HOH2C"),
    _group("C(OC)", "CH2OMe|MeOH2C", "CH2OCH3|H3COH2C"),
    _group("C(N)", "CH2NH2|H2NH2C"),
    _group("C(F)(F)", "CHF2|F2HC"),
    _group("O(C(F)F)", "OCHF2|F2HCO"),
    _group("[Si](C)(C)(C)", "TMS", "SiMe3|Me3Si"),
    _group("[Si](C)(C)(C(C)(C)C)", "TBS", "TBDMS"),
    _group("O([Si](C)(C)C(C)(C)C)", "OTBS|TBSO", "OTBDMS|TBDMSO"),
    _group("C(=O)(N(C)C)", "CONMe2|Me2NOC"),
    _group("C(=O)(NC)", "CONHMe|MeHNOC", "CONHCH3|H3CHNOC"),
    _group("C(Cl)(Cl)(Cl)", "CCl3|Cl3C"),
    _group("N(=[N+]=[N-])", "N3"),
    _group("B(O)(O)", "B(OH)2|(HO)2B"),
    _group("P(=O)(O)(O)", "PO3H2|H2O3P"),
    _group("C%90(CCCCC%90)", "Cy"),
    _group("N(C)", "NMe|MeN", "NCH3|H3CN", bonds=2),
    _group("N(C(=O)OC(C)(C)C)", "NBoc|BocN", bonds=2),
    _group("N(C(C)=O)", "NAc|AcN", bonds=2),
    _group("S(=O)(=O)", "SO2|O2S", bonds=2),
    _group(f"N(C{_PHENYL})", "NBn|BnN", bonds=2),
)
"""By number of their token. The order is part of every checkpoint that was trained with it: only add at the end."""

_TOKEN = re.compile(r"<free(\d+)>")


def token(number: int) -> str:
    """The token of a group."""
    return f"<free{number}>"


def expand(text: str) -> str:
    """A SMILES with every group's token written out; a token that stands for no group becomes `*`."""
    return _TOKEN.sub(lambda m: GROUPS[int(m[1])].smiles if int(m[1]) < len(GROUPS) else "*", text)
