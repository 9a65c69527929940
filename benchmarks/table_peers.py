"""Tables by other tools, as JSON lines, for benchmarks/tables.py. Run by a Python that has the tool, not docpipe.

    python benchmarks/table_peers.py TOOL FILE...

TOOL: pymupdf, pdfplumber, camelot (from PDFs); img2table (from images, with tesseract). One line a file:
{"file": …, "tables": [html, …], "seconds": CPU seconds, "error": null or text}.
"""

from __future__ import annotations

import html
import json
import logging
import resource
import sys
import time
import warnings
from collections.abc import Sequence


def as_html(rows: Sequence[Sequence[str | None]]) -> str:
    """Rows of texts as a table without spans."""
    cells = ("".join(f"<td>{html.escape(' '.join((c or '').split()))}</td>" for c in row) for row in rows)
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"


def by_pymupdf(file: str) -> list[str]:
    import pymupdf

    found = []
    with pymupdf.open(file) as pdf:
        for page in pdf:
            found += [table.to_html() for table in page.find_tables(refine=True).tables]
    return found


def by_pdfplumber(file: str) -> list[str]:
    import pdfplumber

    with pdfplumber.open(file) as pdf:
        return [as_html(table.extract()) for page in pdf.pages for table in page.find_tables()]


def by_camelot(file: str) -> list[str]:
    import camelot

    return [as_html(table.df.values.tolist()) for table in camelot.read_pdf(file, pages="all", flavor="auto")]


def by_img2table(file: str) -> list[str]:
    import io

    from img2table.document import Image as Document
    from img2table.ocr import TesseractOCR
    from PIL import Image, ImageOps

    data = io.BytesIO()
    ImageOps.expand(Image.open(file).convert("RGB"), 40, "white").save(data, "PNG")
    tables = Document(data.getvalue()).extract_tables(
        ocr=TesseractOCR(n_threads=1), implicit_rows=True, implicit_columns=True, borderless_tables=True
    )
    tables = sorted(tables, key=lambda t: (t.bbox.x2 - t.bbox.x1) * (t.bbox.y2 - t.bbox.y1))
    return [tables[-1].html.replace("<td>None", "<td>")] if tables else []


TOOLS = {"pymupdf": by_pymupdf, "pdfplumber": by_pdfplumber, "camelot": by_camelot, "img2table": by_img2table}


def spent() -> float:
    """CPU seconds of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    read = TOOLS[sys.argv[1]]
    for file in sys.argv[2:]:
        began, error, tables = spent(), None, []
        try:
            tables = read(file)
        except Exception as failure:  # a tool that fails on a file has read no table of it
            error = f"{type(failure).__name__}: {failure}"
        line = {"file": file, "tables": tables, "seconds": spent() - began, "error": error}
        print("@@" + json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
