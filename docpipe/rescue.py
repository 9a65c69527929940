"""A second opinion on PDFs that MuPDF finds no pages in: pdfium repairs some files that it does not."""

from __future__ import annotations

import io

_REMOVE_SECURITY = 3
"""pdfium's FPDF_REMOVE_SECURITY: files that open without a password are written without encryption."""


def rescue(data: bytes) -> tuple[bytes | None, int]:
    """The PDF as pdfium writes it anew (None when it cannot), and how many pages pdfium counts (0: it is none)."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
        count = len(document)
    except pypdfium2.PdfiumError:
        return None, 0
    out = io.BytesIO()
    try:
        document.save(out, flags=_REMOVE_SECURITY)
    except pypdfium2.PdfiumError:
        return None, count
    finally:
        document.close()
    return out.getvalue(), count
