"""A file for each region that is worth one: tables, molecules, scores, and the crops of all figures.

tables/<region>.html .csv   molecules/<region>.smi .mol   scores/<region>.krn   crops/<region>.png
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docpipe.document import MoleculeContent, Region, ScoreContent, TableContent
from docpipe.export.atomic import write_whole
from docpipe.export.crops import file_name, pixels_of, write_figures
from docpipe.export.json import Pages
from docpipe.export.runs import clean, one_line
from docpipe.export.tables import to_csv, trusted
from docpipe.source import SourceRef


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:
    """Write the files of all regions; crops only when the source is given. Raises DP401."""
    written = [
        write_whole(folder / name, [text])
        for page in document.pages
        for region in page.regions
        for name, text in files_of(region)
    ]
    return written + (write_figures(document, folder, pixels_of(source)) if source is not None else [])


def files_of(region: Region) -> Iterator[tuple[str, str]]:
    """A region's files, but for its crop: each one's name relative to document.json, and its text."""
    name = file_name(region.id)
    match region.reading.content if region.reading else None:
        case TableContent() as table:
            yield f"tables/{name}.html", trusted(table).html + "\n"
            yield f"tables/{name}.csv", to_csv(table)
        case MoleculeContent() as molecule:
            yield f"molecules/{name}.smi", f"{one_line(molecule.smiles)} {name}\n"
            if molecule.molblock:
                # Its first lines are a header that may be empty: nothing is stripped.
                yield f"molecules/{name}.mol", clean(molecule.molblock).rstrip("\n") + "\n"
        case ScoreContent() as score:
            yield f"scores/{name}.krn", clean(score.kern).strip("\n") + "\n"
        case _:
            return
