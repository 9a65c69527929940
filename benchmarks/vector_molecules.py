"""Molecules that PDFs draw as paths: SMILES of real drawings, drawn anew by several programs, read from the paths.

python benchmarks/vector_molecules.py [--count 100] [--show]

Needs DOCPIPE_BENCH_DATA with molecules/truth.tsv for the SMILES; Indigo (the extra `train`), and Open Babel's program
`obabel` where it is installed. Prints of each program: how many were answered, and how many of those exactly right.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pymupdf
from rdkit import Chem, rdBase
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from docpipe.document import Page, Region
from docpipe.engines.base import Request
from docpipe.engines.pdfmolecule import PdfMoleculeEngine
from docpipe.sheet import Sheet, open_page
from docpipe.source import SourceRef
from docpipe.tasks import get_task


def drawn_by_rdkit(smiles: str, rng: random.Random) -> bytes:
    mol = Chem.MolFromSmiles(smiles)
    rdDepictor.Compute2DCoords(mol, canonOrient=rng.random() < 0.5)
    drawer = rdMolDraw2D.MolDraw2DSVG(600, 400)
    options = drawer.drawOptions()
    options.bondLineWidth = rng.choice((1, 2, 2, 3))
    options.explicitMethyl = rng.random() < 0.2
    options.rotate = rng.choice((0, 0, 30, 90, rng.uniform(0, 360)))
    options.multipleBondOffset = rng.uniform(0.12, 0.2)
    if rng.random() < 0.5:
        options.useBWAtomPalette()
    drawer.DrawMolecule(mol)
    drawer.FinishDrawing()
    return drawer.GetDrawingText().encode()


def drawn_by_indigo(smiles: str, rng: random.Random) -> bytes:
    from indigo import Indigo
    from indigo.renderer import IndigoRenderer

    indigo = Indigo()
    renderer = IndigoRenderer(indigo)
    indigo.setOption("render-output-format", "pdf")
    indigo.setOption("render-coloring", rng.random() < 0.5)
    indigo.setOption("render-implicit-hydrogens-visible", True)
    indigo.setOption("render-relative-thickness", rng.choice((0.8, 1.0, 1.4)))
    mol = indigo.loadMolecule(smiles)
    mol.layout()
    return bytes(renderer.renderToBuffer(mol))


def drawn_by_obabel(smiles: str, rng: random.Random) -> bytes:  # noqa: ARG001
    done = subprocess.run(["obabel", f"-:{smiles}", "-osvg", "-xC"], capture_output=True, check=True)
    return done.stdout


DRAWERS = {"rdkit": drawn_by_rdkit, "indigo": drawn_by_indigo, "obabel": drawn_by_obabel}


def as_pdf(drawing: bytes) -> bytes:
    if drawing.startswith(b"%PDF"):
        return drawing
    with pymupdf.open(stream=drawing, filetype="svg") as svg:
        made: bytes = svg.convert_to_pdf()
    return made


def smiles_of_real_drawings(count: int) -> Iterator[str]:
    rows = (Path(os.environ["DOCPIPE_BENCH_DATA"]) / "molecules" / "truth.tsv").read_text().splitlines()[1:]
    random.Random("vector").shuffle(rows)
    found = 0
    for row in rows:
        smiles = row.split("\t")[1]
        mol = Chem.MolFromSmiles(smiles)
        if mol is not None and "." not in smiles and "*" not in smiles and not leaves_open(mol):
            yield Chem.MolToSmiles(mol)
            found += 1
        if found == count:
            return


def leaves_open(mol: Chem.Mol) -> bool:
    """Whether a double bond has no configuration in the SMILES, which every drawing gives it."""
    kinds = (Chem.StereoType.Bond_Double,)
    return any(s.type in kinds and s.specified != Chem.StereoSpecified.Specified for s in Chem.FindPotentialStereo(mol))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--show", action="store_true", help="print what was wrong, and why nothing was answered")
    parser.add_argument("--keep", type=Path, help="put the PDFs there")
    given = parser.parse_args()
    engine = PdfMoleculeEngine()
    with tempfile.TemporaryDirectory() as scratch, rdBase.BlockLogs():
        folder = given.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        for name, draw in DRAWERS.items():
            if name == "obabel" and shutil.which("obabel") is None:
                continue
            asked = answered = right = 0
            for number, smiles in enumerate(smiles_of_real_drawings(given.count)):
                path = folder / f"{name}-{number}.pdf"
                try:
                    path.write_bytes(as_pdf(draw(smiles, random.Random(number))))
                except (RuntimeError, ValueError, subprocess.CalledProcessError):
                    continue
                asked += 1
                ref = SourceRef(path.name, str(path))
                page = open_page(ref, 1)
                sheet = Sheet(Page(number=1, width=page.width, height=page.height), ref)
                region = Region(id="p1.r1", kind="molecule", box=page.box)
                (answer,) = engine.read([Request(get_task("molecule"), sheet, region)])
                said = getattr(answer.content, "smiles", None)
                answered += said is not None
                right += said == smiles
                if given.show and said != smiles:
                    offered = getattr(answer.alternatives[0], "smiles", "") if answer.alternatives else ""
                    print(path.name, said or f"({answer.reason or answer.error}) {offered}", smiles)
            share = right / answered if answered else 0.0
            print(f"{name}: {asked} drawn, {answered / asked:.1%} answered, {share:.1%} of those exactly right")


if __name__ == "__main__":
    main()
