"""Sources named by URLs: real file systems of fsspec, a zip archive and a server among them."""

from __future__ import annotations

import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from docpipe.api import convert
from docpipe.errors import DocpipeError
from docpipe.source import SourceRef, find_sources
from docpipe.urls import Url, is_url, place

SAMPLES = Path(__file__).parents[1] / "samples"


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("urls") / "all.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.write(SAMPLES / "form.pdf", "in/deep/form.pdf")
        file.write(SAMPLES / "table.png", "in/TABLE.PNG")
        file.writestr("in/notes.txt", "not asked for")
    return f"file://{path}"


@pytest.fixture(scope="module")
def server():
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SAMPLES))) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("s3://bucket/a/b.pdf", "b.pdf"),
        ("https://host/x/b.pdf?token=a/c#p", "b.pdf"),
        ("zip://in/b.pdf::s3://bucket/all.zip", "b.pdf"),
        ("gs://bucket/odd#name?.pdf", "odd#name?.pdf"),
    ],
)
def test_the_name_of_a_url_is_its_file_s(text, name):
    assert is_url(text)
    assert (Url(text).name, str(place(text))) == (name, text)


@pytest.mark.parametrize("text", ["a.pdf", "/a/b.pdf", "c://a.pdf", "C:\\a.pdf", "a:b.pdf"])
def test_a_path_is_no_url(text):
    assert place(text) == Path(text)


def test_the_files_of_a_folder_and_of_a_pattern_are_found(archive):
    both = [f"zip://in/TABLE.PNG::{archive}", f"zip://in/deep/form.pdf::{archive}"]
    assert [str(one) for one in find_sources(f"zip://in::{archive}")] == both
    assert [str(one) for one in find_sources(f"zip://in/*/*.pdf::{archive}")] == both[1:]
    assert SourceRef("form.pdf", path=both[1]).read() == (SAMPLES / "form.pdf").read_bytes()


def test_a_document_read_from_a_server_is_the_one_read_from_the_disk(server):
    url = f"{server}/table.png"
    ref = SourceRef("table.png", path=url)
    assert ref.read() == (SAMPLES / "table.png").read_bytes()
    assert find_sources(url) == [Url(url)]
    with pytest.raises(DocpipeError, match=r"DP107 http.*none\.png"):
        SourceRef("none.png", path=f"{server}/none.png").read()


def test_a_url_is_converted_like_a_path(archive):
    assert convert(f"zip://in/TABLE.PNG::{archive}").pages == convert(SAMPLES / "table.png").pages


@pytest.mark.parametrize(
    ("end", "code"),
    [("zip://out::{}", "DP107"), ("zip://in/none.pdf::{}", "DP107"), ("zip://a.pdf::{}.none", "DP107"),
     ("zip://in/*.tiff::{}", "DP108"), ("nosuch://a/b.pdf", "DP521")],
)  # fmt: skip
def test_what_is_not_there_is_said(archive, end, code):
    def read() -> None:
        for found in find_sources(end.format(archive)):
            SourceRef(found.name, path=str(found)).read()

    with pytest.raises(DocpipeError, match=code):
        read()
