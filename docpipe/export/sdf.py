"""molecules.sdf and molecules.smi: every molecule that was read and that RDKit can build, with where it stands.

Their coordinates are computed, not those of the drawing. What did not hold up is left out of both files; document.json
has it with its reasons.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docpipe.document import MoleculeContent, Page, Reading, Region
from docpipe.export.atomic import write_whole
from docpipe.export.json import Pages
from docpipe.export.runs import one_line
from docpipe.source import SourceRef

SDF, SMILES = "molecules.sdf", "molecules.smi"


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:  # noqa: ARG001
    """Write both files; nothing for a document without molecules. Raises DP401."""
    found = list(_molecules(document))
    if not found:
        return []
    lines = [f"{one_line(content.smiles)} {region.id}\n" for _, region, _, content, _ in found]
    return [write_whole(folder / SDF, [_sdf(document, found)]), write_whole(folder / SMILES, lines)]


def _molecules(document: Pages) -> Iterator[tuple[Page, Region, Reading, MoleculeContent, Any]]:
    from rdkit import Chem, rdBase

    for page in document.pages:
        for region in sorted(page.regions, key=lambda r: r.order):
            reading = region.reading
            if reading is None or not isinstance(reading.content, MoleculeContent):
                continue
            if reading.verdict.status == "invalid":
                continue
            with rdBase.BlockLogs():
                mol = Chem.MolFromSmiles(reading.content.smiles)
            if mol is not None and mol.GetNumAtoms():
                yield page, region, reading, reading.content, mol


def _sdf(document: Pages, found: list[tuple[Page, Region, Reading, MoleculeContent, Any]]) -> str:
    from rdkit import Chem
    from rdkit.Chem import rdDepictor

    out = io.StringIO()
    writer = Chem.SDWriter(out)
    for page, region, reading, content, mol in found:
        rdDepictor.Compute2DCoords(mol)
        said = {
            "_Name": region.id,
            "DOCUMENT": one_line(document.source.name),
            "PAGE": str(page.number),
            "BOX": " ".join(f"{side:.1f}" for side in region.box),
            "SMILES": content.smiles,
            "INCHI": content.inchi or "",
            "INCHIKEY": content.inchikey or "",
            "FORMULA": content.formula or "",
            "VERDICT": reading.verdict.status,
            "CONFIDENCE": "" if reading.confidence is None else f"{reading.confidence:.3f}",
            "ENGINE": reading.origin.engine,
        }
        for name, value in said.items():
            if value:
                mol.SetProp(name, value)
        writer.write(mol)
    writer.close()
    return out.getvalue()
