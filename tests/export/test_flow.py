"""The flow of a document: what is left out, what is joined, what stands with what, and what is said of the unread."""

from __future__ import annotations

from collections.abc import Iterator

import handmade
import pytest

from docpipe.document import Cell, Page, PictureContent, TableContent
from docpipe.export.flow import Block, PageLost, PageStart, flow
from docpipe.export.runs import Run, clean, joined, runs_of, text_of


def blocks(*pages: Page) -> list[Block]:
    return [item for item in flow(pages) if isinstance(item, Block)]


def texts(*pages: Page) -> list[str]:
    return [block.text for block in blocks(*pages)]


def test_regions_come_in_reading_order_without_running_heads_and_feet() -> None:
    page = handmade.page(
        handmade.region("footer", "9", 3), handmade.region("paragraph", "b", 2),
        handmade.region("paragraph", "a", 1), handmade.region("header", "head", 0),
    )  # fmt: skip
    assert texts(page) == ["a", "b"]


def test_a_paragraph_that_goes_on_over_columns_and_pages_is_one_with_its_words_whole() -> None:
    first = handmade.page(
        handmade.region("paragraph", "It is an exam-", 0),
        handmade.region("paragraph", "ple that goes", 1, continues="p1.r0"),
        handmade.region("footnote", "a note", 2),
    )
    second = handmade.page(
        handmade.region("paragraph", "on and on.", 0, page=2, continues="p1.r1"),
        handmade.region("paragraph", "Another.", 1, page=2),
        number=2,
    )
    assert texts(first, second) == ["It is an example that goes on and on.", "a note", "Another."]
    assert blocks(first, second)[0].last_page == 2


def test_a_paragraph_over_three_pages_is_one() -> None:
    pages = [
        handmade.page(handmade.region("paragraph", f"part {n}", page=n, continues=f"p{n - 1}.r0"), number=n)
        for n in (1, 2, 3)
    ]
    assert texts(*pages) == ["part 1 part 2 part 3"]


def test_memory_is_bounded_blocks_are_given_once_the_next_page_is_known() -> None:
    asked: list[int] = []

    def pages() -> Iterator[Page]:
        for number in range(1, 50):
            asked.append(number)
            yield handmade.page(handmade.region("paragraph", f"on {number}", page=number), number=number)

    told = flow(pages())
    assert isinstance(next(told), PageStart)
    assert isinstance(next(told), Block)
    assert asked == [1, 2]


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [
        ("exam-", "ple", "example"),
        ("state-of-the-", "art", "state-of-the-art"),
        ("Jean-", "Paul", "Jean-Paul"),
        ("one", "two", "one two"),
        ("漢字", "文字", "漢字文字"),
        ("pages 3-", "7", "pages 3-7"),
        ("", "b", "b"),
    ],
)
def test_two_parts_of_a_text_are_joined_as_they_would_be_printed(first: str, second: str, whole: str) -> None:
    assert text_of(joined([Run(first)] if first else [], [Run(second)])) == whole


def test_a_soft_hyphen_at_the_end_parts_a_word() -> None:
    page = handmade.page(
        handmade.region("paragraph", "an exam\u00ad", 0), handmade.region("paragraph", "ple", 1, continues="p1.r0")
    )
    assert texts(page) == ["an example"]


def test_a_caption_stands_with_what_it_names_and_alone_where_it_names_nothing() -> None:
    page = handmade.page(
        handmade.region("caption", "Figure 1", 0, parent="p1.r1"),
        handmade.region("picture", PictureContent(alt="x"), 1),
        handmade.region("caption", "of nothing", 2),
        handmade.region("table", handmade.table([["a"], ["b"]]), 3, caption="p1.r4"),
        handmade.region("caption", "Table 1", 4),
    )
    found = [(b.kind, text_of(b.caption_runs), b.text) for b in blocks(page)]
    assert found == [("picture", "Figure 1", ""), ("caption", "", "of nothing"), ("table", "Table 1", "")]


def test_a_caption_that_nobody_could_read_is_said_so_and_not_swallowed() -> None:
    bad = handmade.region("caption", None, 1, parent="p1.r0", reading=handmade.reading(None, "invalid", "garbled"))
    found = blocks(handmade.page(handmade.region("picture", PictureContent(), 0), bad))
    assert [b.notice for b in found] == [None, "caption, not read: garbled"]


def test_a_table_over_the_page_break_is_one_its_repeated_head_once() -> None:
    first = handmade.page(handmade.region("table", handmade.table([["h", "k"], ["1", "2"]])))
    second = handmade.page(
        handmade.region("table", handmade.table([["h", "k"], ["3", "4"]]), page=2, continues="p1.r0"), number=2
    )
    (block,) = blocks(first, second)
    assert isinstance(block.content, TableContent)
    assert [c.text for c in block.content.cells] == ["h", "k", "1", "2", "3", "4"]
    other = handmade.page(handmade.region("table", handmade.table([["only one"]]), page=2, continues="p1.r0"), number=2)
    assert len(blocks(first, other)) == 2


@pytest.mark.parametrize(
    ("kind", "reading", "notice"),
    [
        ("molecule", handmade.reading(PictureContent(), "unchecked", "no model"), "molecule, not read: no model"),
        ("table", handmade.reading(None, "invalid", "no cells"), "table, not read: no cells"),
        ("paragraph", None, "paragraph, not read: no engine read it"),
        ("list_item", handmade.reading(None), "list item, not read: no engine read it"),
        ("paragraph", handmade.reading(handmade.text(" "), "invalid", "inked"), "paragraph, not read: inked"),
        (
            "paragraph",
            handmade.reading(handmade.text("a a"), "invalid", "a loop"),
            "paragraph, reading in doubt: a loop",
        ),
        ("paragraph", handmade.reading(handmade.text("fine"), "repaired", "mended"), None),
        ("picture", handmade.reading(PictureContent(), "unchecked", "no words"), None),
        ("picture", None, None),
    ],
)
def test_what_was_not_read_or_does_not_hold_is_said(kind: str, reading: object, notice: str | None) -> None:
    (block,) = blocks(handmade.page(handmade.region(kind, reading=reading)))
    assert block.notice == notice


def test_a_region_that_is_rightly_blank_is_nothing() -> None:
    assert blocks(handmade.page(handmade.region("paragraph", handmade.text(" ")))) == []


def test_lost_pages_are_named_and_pages_left_out_are_not() -> None:
    items = list(flow(handmade.everything().pages))
    assert [i.notice for i in items if isinstance(i, PageLost)] == ["page 3, not read: it broke"]
    assert [i.number for i in items if isinstance(i, PageStart)] == [1, 2, 3]


def test_styles_lie_on_the_words_they_belong_to_and_a_parted_word_is_found() -> None:
    content = handmade.text(
        "an example of H2O in italics", ("an", ""), ("exam-", "bold"), ("ple", "bold"), ("of", ""), ("H", ""),
        ("2", "subscript"), ("O", ""), ("in", "italic"), ("italics", "italic"),
    )  # fmt: skip
    assert [(r.text, *r.style) for r in runs_of(content)] == [
        ("an ",), ("example", "bold"), (" of H",), ("2", "subscript"), ("O ",), ("in italics", "italic")
    ]  # fmt: skip


def test_words_that_contradict_the_text_do_not_change_what_is_said() -> None:
    content = handmade.text("the text", ("something", "bold"), ("else", "italic"), ("text", "bold"))
    assert text_of(runs_of(content)) == "the text"


def test_a_style_that_all_words_share_tells_nothing() -> None:
    assert runs_of(handmade.text("all bold", ("all", "bold"), ("bold", "bold"))) == [Run("all bold")]


def test_footnotes_are_linked_to_their_marks_on_the_same_page_alone() -> None:
    content = handmade.text("so they say1 at 102", ("say", ""), ("1", "superscript"), ("10", ""), ("2", "superscript"))
    page = handmade.page(handmade.region("paragraph", content, 0), handmade.region("footnote", "1 Who?", 1))
    paragraph, note = blocks(page)
    assert [(r.text, r.note) for r in paragraph.runs if r.style] == [("1", "1-1"), ("2", None)]
    assert (note.note, note.text) == ("1-1", "Who?")
    unlinked = blocks(handmade.page(handmade.region("footnote", "1 Who?", 1)))[0]
    assert (unlinked.note, unlinked.text) == (None, "1 Who?")


def test_a_footnote_is_linked_once_to_the_last_mark_that_can_mean_it() -> None:
    authors = handmade.text(
        "A. Author2, B. Name1", ("Author", ""), ("2", "superscript"), ("Name", ""), ("1", "superscript")
    )
    body = handmade.text(
        "as said.1 It is 3 m2 wide", ("said.", ""), ("1", "superscript"), ("m", ""), ("2", "superscript")
    )
    page = handmade.page(
        handmade.region("paragraph", authors, 0), handmade.region("paragraph", body, 1),
        handmade.region("footnote", "1 One.", 2), handmade.region("footnote", "2 Two.", 3),
    )  # fmt: skip
    notes = [(r.text, r.note) for b in blocks(page)[:2] for r in b.runs if "superscript" in r.style]
    assert notes == [("2", "1-2"), ("1", None), ("1", "1-1"), ("2", None)]


def test_a_mark_glued_to_a_word_raises_itself_alone() -> None:
    content = handmade.text("1The text of 10th", ("1The", "superscript"), ("text", ""), ("th", "superscript"))
    assert [(r.text, *r.style) for r in runs_of(content)] == [
        ("1", "superscript"), ("The text of 10",), ("th", "superscript")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "ordinal", "shown"),
    [("• a", None, "a"), ("12. b", 12, "b"), ("3) c", 3, "c"), ("(a) d", None, "(a) d"), ("–5 °C", None, "–5 °C")],
)
def test_list_markers_are_told_from_the_text(said: str, ordinal: int | None, shown: str) -> None:
    (block,) = blocks(handmade.page(handmade.region("list_item", said)))
    assert (block.ordinal, block.text) == (ordinal, shown)


def test_control_characters_are_dropped_and_line_ends_kept() -> None:
    assert clean("a\x00b\x1b[31mc\x9fd\ufeff\r\ne\u2028f\tg") == "ab[31mcd\ne\nf\tg"


def test_cells_on_top_of_each_other_lose_no_text() -> None:
    from docpipe.export.tables import lost_texts, trusted

    cells = (Cell(row=0, column=0, column_span=9, text="a"), Cell(row=0, column=1, text="b"), Cell(row=1, column=0))
    content = TableContent(html="", rows=2, columns=2, cells=cells)
    laid = trusted(content)
    assert (laid.rows, laid.columns) == (2, 2)
    assert [(c.row, c.column, c.column_span, c.text) for c in laid.cells if c.row == 0] == [(0, 0, 2, "a")]
    assert lost_texts(content) == ["b"]


def test_a_table_of_a_billion_places_is_not_laid_out() -> None:
    from docpipe.export.tables import trusted

    cells = (Cell(row=0, column=0), Cell(row=10**6, column=10**6, text="far"))
    assert trusted(TableContent(html="", rows=10**9, columns=10**9, cells=cells)).cells == ()
