"""What is drawn for people to look at: pages, crops, molecules, scores. Runs in the workshop's process.

Every function takes and gives plain values, and raises ValueError (or DocpipeError) for what cannot be drawn.
"""

from __future__ import annotations

from typing import Any

from docpipe.document import Page, Region
from docpipe.export.crops import encoded, pixels_of, upright
from docpipe.sheet import open_page
from docpipe.source import SourceRef

MOST_PIXELS = 20_000_000
"""Of a page's picture: a poster is shown at a lower resolution."""

MOST_CHARACTERS = 60_000
"""Of a **kern text that is engraved."""


def page_image(ref: SourceRef, number: int, dpi: float) -> bytes:
    """A page as displayed, as JPEG. Raises DocpipeError when it cannot be opened."""
    page = open_page(ref, number)
    area = max(1.0, page.width * page.height) / 72**2
    dpi = min(dpi, (MOST_PIXELS / area) ** 0.5)
    return encoded(page.pixels(dpi)[0], "JPEG")


def crop_image(ref: SourceRef, page: Page, region: Region, dpi: float) -> bytes:
    """A region's pixels, upright, as PNG. Raises ValueError when the source does not give them."""
    image = upright(page, region, pixels_of(ref, dpi))
    if image is None:
        raise ValueError("the source gives no pixels there")
    return encoded(image)


def molecule_svg(smiles: str) -> bytes:
    """The structure as RDKit draws it, on no ground. Raises ValueError for what is no molecule."""
    from rdkit import Chem, rdBase
    from rdkit.Chem.Draw import rdMolDraw2D

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
    if mol is None or not mol.GetNumAtoms():
        raise ValueError("RDKit reads no molecule from it")
    drawer = rdMolDraw2D.MolDraw2DSVG(360, 260)
    options: Any = drawer.drawOptions()
    options.clearBackground = False
    options.bondLineWidth = 1.6
    rdMolDraw2D.PrepareAndDrawMolecule(drawer, mol)
    drawer.FinishDrawing()
    return str(drawer.GetDrawingText()).encode()


def score_svg(kern: str) -> bytes:
    """The first page as Verovio engraves it. Raises ValueError when it cannot."""
    toolkit = _engraved(kern)
    svg = str(toolkit.renderToSVG(1))
    if "<svg" not in svg:
        raise ValueError("Verovio cannot engrave it")
    return svg.encode()


def score_notes(kern: str) -> list[tuple[float, float, int]]:
    """Its notes to listen to: onset and length in seconds, MIDI pitch. Raises ValueError when there are none."""
    toolkit = _engraved(kern)
    playing: dict[str, tuple[float, int]] = {}
    notes: list[tuple[float, float, int]] = []
    for moment in toolkit.renderToTimemap({}):
        now = float(moment["tstamp"]) / 1000
        for name in moment.get("off", []):
            if name in playing:
                start, pitch = playing.pop(name)
                notes.append((round(start, 3), round(now - start, 3), pitch))
        for name in moment.get("on", []):
            pitch = int(toolkit.getMIDIValuesForElement(name).get("pitch", 0))
            if pitch:
                playing[name] = (now, pitch)
    if not notes:
        raise ValueError("there are no notes in it")
    return sorted(notes)


def _engraved(kern: str) -> Any:
    import verovio

    if len(kern) > MOST_CHARACTERS:
        raise ValueError(f"more than {MOST_CHARACTERS} characters are not engraved")
    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(
        {"inputFrom": "humdrum", "scale": 40, "pageWidth": 2000, "adjustPageHeight": True, "adjustPageWidth": True,
         "header": "none", "footer": "none", "pageMarginTop": 30, "pageMarginBottom": 30, "breaks": "auto"}
    )  # fmt: skip
    if not toolkit.loadData(kern):
        raise ValueError("Verovio cannot read it")
    return toolkit
