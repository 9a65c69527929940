"""Links, levels and sections of documents that have been read."""

from __future__ import annotations

from docpipe.document import Box, Origin, Page, Reading, Region, TableContent, TextContent
from docpipe.stages.structure import (
    consistent_levels,
    link_captions,
    link_columns,
    link_continuations,
    section_tree,
)


def region(name: str, kind: str, box: tuple[float, ...], text: str = "", **more: object) -> Region:
    content = TableContent(html="", columns=int(text or 3)) if kind == "table" else TextContent(text=text)
    reading = Reading(content=content, origin=Origin(engine="test"))
    return Region(id=name, kind=kind, box=Box(*box), reading=reading, **more)  # type: ignore[arg-type]


def page(*regions: Region, number: int = 1) -> Page:
    ordered = [r.model_copy(update={"order": i}) for i, r in enumerate(regions)]
    return Page(number=number, width=600, height=800, regions=tuple(ordered))


def linked(regions: list[Region]) -> dict[str, str | None]:
    return {r.id: r.parent or r.caption for r in regions}


def test_a_figure_takes_the_caption_below_it_and_a_table_the_one_above():
    regions = link_captions(
        [
            region("figure1", "picture", (50, 50, 300, 150)),
            region("between1", "caption", (50, 160, 300, 170), "Figure 1: A fox."),
            region("between2", "caption", (50, 180, 300, 190), "Table 1: Foxes."),
            region("table1", "table", (50, 200, 300, 300)),
        ]
    )
    assert linked(regions) == {
        "figure1": "between1",
        "between1": "figure1",
        "between2": "table1",
        "table1": "between2",
    }


def test_each_of_two_figures_side_by_side_keeps_its_own_caption():
    regions = link_captions(
        [
            region("a", "chart", (50, 50, 280, 150)),
            region("b", "molecule", (310, 50, 540, 150)),
            region("ca", "caption", (60, 160, 270, 170), "Figure 1. Left"),
            region("cb", "caption", (320, 160, 530, 170), "Figure 2. Right"),
        ]
    )
    assert linked(regions) == {"a": "ca", "b": "cb", "ca": "a", "cb": "b"}


def test_a_caption_far_from_everything_names_nothing():
    regions = link_captions(
        [region("f", "picture", (50, 50, 300, 150)), region("c", "caption", (50, 400, 300, 410), "Figure 1")]
    )
    assert linked(regions) == {"f": None, "c": None}


LEFT, RIGHT = (50, 100, 290, 700), (310, 100, 550, 700)


def test_a_sentence_that_goes_on_in_the_next_column_is_linked():
    found = link_columns(
        page(region("a", "paragraph", LEFT, "It was a"), region("b", "paragraph", RIGHT, "dark night."))
    )
    assert [r.continues for r in found.regions] == [None, "a"]


def test_a_new_sentence_in_the_next_column_is_not():
    found = link_columns(
        page(region("a", "paragraph", LEFT, "It was dark."), region("b", "paragraph", RIGHT, "and so"))
    )
    assert [r.continues for r in found.regions] == [None, None]


def test_a_figure_between_two_halves_of_a_paragraph_does_not_part_them():
    found = link_columns(
        page(
            region("a", "paragraph", (50, 50, 550, 100), "It was a"),
            region("f", "picture", (50, 110, 550, 300)),
            region("b", "paragraph", (50, 310, 550, 400), "dark night."),
        )
    )
    assert [r.continues for r in found.regions] == [None, None, "a"]


def test_paragraphs_one_below_the_other_are_not_linked():
    found = link_columns(
        page(
            region("a", "paragraph", (50, 50, 550, 100), "we have"),
            region("b", "paragraph", (50, 110, 550, 200), "where x is"),
        )
    )
    assert [r.continues for r in found.regions] == [None, None]


def test_a_paragraph_goes_on_over_the_page_break_past_footnotes_and_running_heads():
    before = page(region("a", "paragraph", LEFT, "to be con-"), region("n", "footnote", (50, 710, 290, 730), "1 Note."))
    after = page(
        region("h", "header", (50, 20, 200, 30), "Foxes"), region("b", "paragraph", LEFT, "tinued here."), number=2
    )
    assert [r.continues for r in link_continuations(before, after).regions] == [None, "a"]


def test_a_heading_on_the_new_page_begins_something_else():
    before = page(region("a", "paragraph", LEFT, "to be continued"))
    after = page(region("h", "heading", (50, 50, 200, 60), "next"), region("b", "paragraph", LEFT, "on"), number=2)
    assert link_continuations(before, after) == after


def test_a_table_goes_on_only_with_as_many_columns_and_no_caption_of_its_own():
    before = page(region("a", "table", (50, 500, 550, 700), "4"))
    same = region("b", "table", (50, 60, 550, 300), "4")
    other = region("b", "table", (50, 60, 550, 300), "5")
    captioned = same.model_copy(update={"caption": "c"})
    caption = region("c", "caption", (50, 40, 550, 50), "Table 2: Others", parent="b")
    continued = region("c", "caption", (50, 40, 550, 50), "Table 1 (continued)", parent="b")
    assert link_continuations(before, page(same, number=2)).regions[0].continues == "a"
    assert link_continuations(before, page(other, number=2)).regions[0].continues is None
    assert link_continuations(before, page(caption, captioned, number=2)).regions[1].continues is None
    assert link_continuations(before, page(continued, captioned, number=2)).regions[1].continues == "a"


def heading(name: str, text: str, level: int) -> Region:
    return region(name, "heading", (50, 50, 300, 60), text, level=level)


def test_section_numbers_decide_levels_and_gaps_are_closed():
    pages = [page(heading("a", "Overview", 2), heading("b", "1 Start", 2), heading("c", "1.1.1 Deep", 2))]
    levels = [r.level for p in consistent_levels(pages) for r in p.regions]
    assert levels == [2, 1, 3]
    assert [r.level for p in consistent_levels([page(heading("a", "Overview", 4))]) for r in p.regions] == [1]


def test_the_section_tree_nests_by_level_over_pages():
    pages = [
        page(heading("a", "One", 1), heading("b", "Under one", 2)),
        page(heading("c", "Deeper", 3), heading("d", "Two", 1), number=2),
    ]
    tree = section_tree(pages)
    assert [section.title for section in tree] == ["One", "Two"]
    assert tree[0].sections[0].sections[0].region == "c"
    assert tree[1].sections == ()
