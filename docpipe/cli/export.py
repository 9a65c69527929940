"""`docpipe export`: further formats of documents that were converted, with what people corrected."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from docpipe.cli.app import Password, app
from docpipe.errors import DocpipeError


@app.command()
def export(
    folders: Annotated[list[Path], typer.Argument(metavar="OUT...", help="Output folders, or folders of them.")],
    to: Annotated[
        str, typer.Option("--to", metavar="LIST", help="Formats: md, html, txt, files, overlay, searchable, hocr, "
                          "chunks, xlsx, sdf, musicxml, midi, docling, parquet.")
    ] = "md",
    source: Annotated[
        Path | None,
        typer.Option("--source", metavar="FILE", help="The file it was made from, for formats that show its pixels."),
    ] = None,
    password: Password = None,
    corrected: Annotated[
        bool, typer.Option("--corrected/--as-read", help="With what people accepted, edited and rejected, or without.")
    ] = True,
) -> None:  # fmt: skip
    """Write further formats beside document.json. It needs no engine and reads nothing anew."""
    from docpipe.export import check_formats
    from docpipe.export import export as write
    from docpipe.export.corrections import Corrected, read_corrections
    from docpipe.export.json import Pages, StoredDocument
    from docpipe.run.outputs import documents_in, source_of

    formats = check_formats(name for name in to.split(",") if name)
    failed = False
    for folder in documents_in(folders):
        document = StoredDocument(folder)
        laid: Pages = Corrected(document, read_corrections(folder)) if corrected else document
        ref = source_of(folder, document, source, password)
        for name in formats:
            try:
                for path in write(laid, name, folder, source=ref):
                    print(path)
            except DocpipeError as error:
                failed = True
                print(error, file=sys.stderr)
    if failed:
        raise typer.Exit(1)
