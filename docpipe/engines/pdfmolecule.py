"""Molecules that a PDF draws as lines and letters, read from its paths: no pixel is guessed at, no model is asked.

Drawing programs write a bond as a path with two ends and a label as text or outlines, so what takes much learning from
pixels is geometry here. A drawing is read only when every stroke and every letter in it has its place in the molecule;
else it is left to the engines that look at pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from PIL import Image

from docpipe.box import Box
from docpipe.document import MoleculeContent, Origin
from docpipe.engines.atom_labels import Label, put_together
from docpipe.engines.base import Answer, Request, one_by_one
from docpipe.engines.bond_strokes import Strokes, strokes_of
from docpipe.engines.drawn_molecule import NoMoleculeError, molecule_of, refuse
from docpipe.engines.letters import read_label
from docpipe.sheet import Sheet
from docpipe.tasks import Task

LETTER = 32.0
"""Pixels of a capital letter that is read from outlines."""

SURE = 0.97
"""Share of answers that are exactly right (benchmarks/vector_molecules.py), to be on the safe side."""


class PdfMoleculeEngine:
    """Reads the `molecule` task where a PDF page draws the molecule as vector paths. threads: of letter recognition."""

    name = "pdfmolecule"

    def __init__(self, *, threads: int = 1) -> None:
        self.threads = threads

    def can_read(self, task: Task) -> bool:
        return task.name == "molecule"

    def read(self, requests: Sequence[Request]) -> Iterator[Answer]:
        return one_by_one(self.name, requests, self.answer)

    def answer(self, request: Request) -> Answer:
        """The molecule that the region's paths draw, or why they draw none."""
        origin = Origin(engine=self.name)
        sheet, box = request.sheet, request.region.box
        if sheet.page.rotation or sheet.page.skew:
            return Answer(origin, reason="the page does not stand upright")
        strokes = strokes_of(sheet.source.drawings(), box)
        if any(_meet(image.box, box) for image in sheet.source.images()):
            return Answer(origin, reason="part of the drawing is a picture")
        if not strokes.bonds:
            return Answer(origin, reason="the page draws no bonds as paths there")
        from rdkit import Chem

        try:
            refuse(strokes)
            mol = molecule_of(strokes, labels_of(sheet, box, strokes, self.threads))
        except NoMoleculeError as why:
            return Answer(origin, reason=f"the drawing {why}")
        if len(Chem.GetMolFrags(mol)) > 1:
            return Answer(origin, reason="the drawing has several structures")
        return Answer(origin, MoleculeContent(smiles=Chem.MolToSmiles(Chem.RemoveHs(mol))), SURE)


def labels_of(sheet: Sheet, box: Box, strokes: Strokes, threads: int = 1) -> list[Label]:
    """The labels in a box: words of the text layer, and outlines of letters read by OCR."""
    words = [
        Label(word.text, _inked(word.box, word.baseline, word.size), word.size)
        for line in sheet.source.lines()
        for word in line.words
        if word.visible and box.x0 <= word.box.center[0] <= box.x1 and box.y0 <= word.box.center[1] <= box.y1
    ]
    contours = [b for b in strokes.letters if not any(_meet(b, w.box) for w in words)]  # of a word they are its edge
    outlined = put_together(Label("", b, max(b.height, 0.3 * strokes.unit)) for b in contours)
    words.sort(key=lambda word: -len(word.text))
    words = [w for k, w in enumerate(words) if not any(_same(w, other) for other in words[:k])]
    return put_together([*words, *(read_label(label, _picture(sheet, label), threads) for label in outlined)])


def _same(a: Label, b: Label) -> bool:
    """Whether a word is drawn twice, once filled and once outlined: a is b or its beginning."""
    return b.text.startswith(a.text) and abs(a.box.x0 - b.box.x0) + abs(a.box.y0 - b.box.y0) < 0.2 * a.size


def _meet(a: Box, b: Box) -> bool:
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1


def _inked(box: Box, baseline: float, size: float) -> Box:
    """A word's box without the room above and below its capitals."""
    if not baseline or not box.y0 < baseline <= box.y1 + 0.5 * size:
        return box
    return Box(box.x0, max(box.y0, baseline - 0.75 * size), box.x1, min(box.y1, baseline + 0.08 * size))


def _picture(sheet: Sheet, label: Label) -> Callable[[Box], Image.Image]:
    return lambda box: sheet.clip(box, 72 * LETTER / label.size).image
