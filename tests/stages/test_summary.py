"""What is gathered while the pages of a document go by."""

from __future__ import annotations

import tracemalloc

from docpipe.document import Box, Metadata, Origin, Page, Reading, Region, TextContent
from docpipe.stages.summary import Summary

BYTES_OF_A_PAGE = 2_000


def page(number: int, *said: tuple[str, str]) -> Page:
    regions = [
        Region(
            id=f"p{number}-{i}",
            kind=kind,  # type: ignore[arg-type]
            box=Box(50, 50 + 30 * i, 550, 70 + 30 * i),
            order=i,
            level=1 if kind == "heading" else None,
            reading=Reading(content=TextContent(text=text), origin=Origin(engine="test")),
        )
        for i, (kind, text) in enumerate(said)
    ]
    return Page(number=number, width=600, height=800, regions=tuple(regions))


def test_of_a_bibliography_in_each_chapter_the_last_is_the_document_s():
    summary = Summary(wanted=True)
    for chapter in range(3):
        number = 10 * chapter + 1
        summary.add(page(number, ("heading", f"Chapter {chapter}"), ("paragraph", "Some text.")))
        summary.add(page(number + 3, ("heading", "References"), ("paragraph", f"[1] A. Fox, Book {chapter}. 1999.")))
        summary.add(page(number + 4, ("paragraph", f"[2] B. Hen, Tale {chapter}. 2001.")))
    found = summary.metadata(Metadata())
    assert list(found.references) == ["[1] A. Fox, Book 2. 1999.", "[2] B. Hen, Tale 2. 2001."]
    assert [s.title for s in found.sections] == [
        title for chapter in range(3) for title in (f"Chapter {chapter}", "References")
    ]


def test_a_page_with_two_headings_is_remembered_in_two_kilobytes():
    """A run of many documents of hundreds of pages holds all that their open ones have gathered."""
    summary = Summary(wanted=True)
    summary.add(page(1, ("heading", "Before")))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(2, 202):
            summary.add(page(number, ("heading", f"Section {number}"), ("heading", "More"), ("paragraph", "x" * 2000)))
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 200 * BYTES_OF_A_PAGE
    assert len(summary.metadata(Metadata()).sections) == 401
