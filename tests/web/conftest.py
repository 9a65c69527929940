"""A real browser, and documents for it to look at."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "export"))

from handmade import KERN, pdf, reading, region, table, text

from docpipe.document import Document, MoleculeContent, Page, PartConfidence, PictureContent, ScoreContent, SourceInfo
from docpipe.export.json import write_document
from docpipe.run.journal import JOURNAL, Journal


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """Chromium from the system, driven by Playwright."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = os.environ.get("DOCPIPE_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'


def document(source: bytes, pages: int = 2) -> Document:
    """Two pages (or more like the second) with a region of each kind that has a notation, and hostile words."""
    import hashlib

    unread = reading(PictureContent(figure="molecule"), "unchecked", "no checkpoint is named that reads molecules")
    wrong = reading(MoleculeContent(smiles="C1CC"), "invalid", "a ring is left open")
    parts = (
        ("measure 0", "", 0.91),
        ("measure 1", "", 0.42),
        ("line 4, spine 0", "4c", 0.5),
        ("line 5, spine 0", "4d", 0.9),
    )
    played = reading(ScoreContent(kern=KERN, spines=1)).model_copy(
        update={"part_confidences": tuple(PartConfidence(where=w, text=t, confidence=c) for w, t, c in parts)}
    )
    first = [
        region("title", "On the reading of pages", 0),
        region("paragraph", text(f"A paragraph. {HOSTILE}"), 1),
        region("table", table([["Solvent", "Yield"], ["Water", HOSTILE]]), 2),
        region("molecule", MoleculeContent(smiles="CC(=O)Oc1ccccc1C(=O)O", formula="C9H8O4"), 3),
        region("molecule", None, 4, reading=unread, alternatives=(wrong,)),
        region("score", ScoreContent(kern=KERN, spines=1), 5, reading=played),
        region("picture", PictureContent(figure="photo", alt="A cat on a mat"), 6),
    ]
    rest = [
        [region("paragraph", f"Page {n}, paragraph {i}: said in a few words.", i, page=n) for i in range(12)]
        for n in range(2, pages + 1)
    ]
    made = [
        Page(number=n, width=400.0, height=600.0, regions=tuple(regions)) for n, regions in enumerate([first, *rest], 1)
    ]
    info = SourceInfo(
        name=f"{HOSTILE}.pdf", sha256=hashlib.sha256(source).hexdigest(), media_type="application/pdf", pages=pages
    )
    return Document(source=info, pages=tuple(made))


def shelve(root: Path, pages: int = 2, name: str = "made") -> Path:
    """An output folder as a run leaves it: the document, and a journal that names its source."""
    source = root.parent / f"{root.name}-{name}.pdf"
    source.write_bytes(pdf(pages=pages))
    write_document(document(source.read_bytes(), pages), root / name / "document.json")
    with Journal(root / JOURNAL) as journal:
        journal.begin({}, [(name, str(source))])
    return root


class Served:
    """An application served on a port of its own until it is closed."""

    def __init__(self, app: object) -> None:
        import uvicorn

        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


@pytest.fixture
def review(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The review page on a folder with one document: its address, and the document's folder."""
    from docpipe.serve.app import review_app

    root = shelve(tmp_path / "out")
    served = Served(review_app(root))
    yield served.url, root / "made"
    served.close()
