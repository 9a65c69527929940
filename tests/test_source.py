"""Opening sources: what one parser cannot make out another may, and authors as PDFs state them."""

from __future__ import annotations

import pymupdf
import pytest

import docpipe
from docpipe.source import open_source


def pdf(count: bytes = b"/Count 1") -> bytes:
    document = pymupdf.Document()
    document.new_page().insert_text((72, 72), "hello there")
    return document.tobytes().replace(b"/Count 1", count)


def test_a_page_tree_that_mupdf_finds_empty_is_read_through_pdfium():
    broken = pdf(b"/Count 0")
    assert pymupdf.Document(stream=broken, filetype="pdf").page_count == 0
    document = docpipe.convert(broken)
    assert document.status == "complete"
    assert [region.text for region in document.regions("paragraph")] == ["hello there"]


def test_pages_that_are_counted_but_cannot_be_opened_are_listed_as_failed():
    document = docpipe.convert(pdf(b"/Count-1"))
    assert document.status == "failed"
    assert [(page.number, page.status) for page in document.pages] == [(1, "failed")]
    assert document.errors[0].code == "DP111"


@pytest.mark.parametrize(
    ("stated", "authors"),
    [
        ("Ada Lovelace, Mary Somerville", ("Ada Lovelace", "Mary Somerville")),
        ("Lovelace, Ada; Somerville, Mary", ("Lovelace, Ada", "Somerville, Mary")),
        ("Ada Lovelace and Mary Somerville", ("Ada Lovelace", "Mary Somerville")),
        ("Lovelace, Ada", ("Lovelace, Ada",)),
        ("", ()),
    ],
)
def test_authors_are_parted_as_they_are_stated(stated, authors):
    document = pymupdf.Document()
    document.new_page()
    document.set_metadata({"author": stated})
    with open_source(document.tobytes()) as source:
        assert source.metadata.authors == authors


def test_half_a_surrogate_pair_in_a_font_or_a_name_costs_a_sign_and_not_the_document(tmp_path):
    """TeX's fonts have such names for signs that Unicode lacks."""
    document = pymupdf.Document()
    page = document.new_page()
    page.insert_text((72, 72), "A line of words, all of them but its first as plain as they can be, to be read.")
    font = page.get_fonts()[0][0]
    table = document.get_new_xref()
    document.update_object(table, "<<>>")
    names = (
        b"12 dict begin", b"begincmap", b"1 begincodespacerange", b"<00> <ff>", b"endcodespacerange",
        b"1 beginbfchar", b"<41> <d800>", b"endbfchar", b"endcmap", b"end",
    )  # fmt: skip
    document.update_stream(table, b"\n".join(names))
    document.xref_set_key(font, "ToUnicode", f"{table} 0 R")
    path = tmp_path / "odd \udcff.pdf"  # a name that is no UTF-8
    path.write_bytes(document.tobytes())
    with open_source(path) as source:
        assert source.page(1).lines()[0].words[0].text == "\ufffd"
    made = docpipe.convert(path)
    assert made.status == "complete"
    assert next(made.regions("paragraph")).text.startswith("A line of words")  # the pixels say what was lost
    assert made.source.name == "odd \ufffd.pdf"
