"""What papers say of themselves."""

from __future__ import annotations

from docpipe.document import Box, Metadata, Origin, Page, Reading, Region, TextContent, Word
from docpipe.stages.frontmatter import front_matter


def region(kind: str, text: str, words: tuple[Word, ...] = (), **more: object) -> Region:
    reading = Reading(content=TextContent(text=text, words=words), origin=Origin(engine="test"))
    return Region(id=f"r{abs(hash(text)) % 10_000}", kind=kind, box=Box(50, 50, 500, 90), reading=reading, **more)  # type: ignore[arg-type]


def paper(*regions: Region) -> list[Page]:
    return [Page(number=1, width=600, height=800, regions=regions)]


ABSTRACT = "We show that foxes jump over dogs whenever these are lazy, and that the colour of a fox matters little."


def test_title_authors_and_abstract_are_read_off_the_first_page():
    found = front_matter(
        paper(
            region("header", "arXiv 2024"),
            region("title", "On Foxes and Their Dogs"),
            region("paragraph", "Anna B. Müller1, Jean-Luc de la Tour2 and Li Wei1*"),
            region("paragraph", "1 University of Somewhere, Department of Foxes"),
            region("heading", "Abstract", level=1),
            region("paragraph", ABSTRACT),
            region("paragraph", "Keywords: foxes, dogs"),
            region("heading", "1 Introduction", level=1),
            region("paragraph", "John Smith was here."),
        )
    )
    assert found.title == "On Foxes and Their Dogs"
    assert found.authors == ("Anna B. Müller", "Jean-Luc de la Tour", "Li Wei")
    assert found.abstract == ABSTRACT


def test_an_abstract_run_into_its_paragraph_loses_the_word():
    assert front_matter(paper(region("paragraph", f"Abstract\u2014{ABSTRACT}"))).abstract == ABSTRACT


def test_superscript_words_are_no_part_of_names():
    words = tuple(
        Word(text=text, box=Box(50 + 40 * i, 60, 85 + 40 * i, 70), style=style)
        for i, (text, style) in enumerate([("Ada", ()), ("Lovelace", ()), ("a,b", ("superscript",))])
    )
    found = front_matter(paper(region("title", "Notes"), region("paragraph", "Ada Lovelace a,b", words)))
    assert found.authors == ("Ada Lovelace",)


def test_references_are_parted_and_those_over_a_break_joined():
    found = front_matter(
        paper(
            region("heading", "References", level=1),
            region("paragraph", "[1] A. Fox. Jumping. 2001. [2] B. Dog. Lying. In Proc. of the"),
            region("paragraph", "conference on rest, 2002.", continues="r1"),
            region("list_item", "[3] C. Hen. Fleeing. 2003."),
            region("heading", "A Proofs", level=1),
            region("paragraph", "Not a reference."),
        )
    )
    assert found.references == (
        "[1] A. Fox. Jumping. 2001.",
        "[2] B. Dog. Lying. In Proc. of the conference on rest, 2002.",
        "[3] C. Hen. Fleeing. 2003.",
    )


def test_what_the_pages_do_not_say_is_left_as_the_file_states_it():
    stated = Metadata(title="From the file", authors=("A. Writer",), producer="TeX")
    found = front_matter(paper(region("paragraph", "A letter without any of this.")), stated)
    assert found == stated
