"""Layout from a page's own geometry, and the statistics of the document it leans on."""

from __future__ import annotations

import io

import pymupdf
import pytest
from PIL import Image
from typeset import kinds, prose, sheets

from docpipe.document import Region
from docpipe.engines.layout_geometry import GeometryLayout, survey


def layout(draw, **page) -> list[Region]:
    found = GeometryLayout().regions(sheets(draw, **page)[0])
    assert found is not None
    return found


def two_columns(page: pymupdf.Page) -> None:
    page.insert_text((120, 60), "On Foxes and Their Dogs", fontsize=20)
    page.insert_text((50, 110), "1 Introduction", fontsize=12, fontname="hebo")
    y = prose(page, 50, 130, 230, 12)
    prose(page, 50, y, 230, 9, indent=12)
    page.insert_text((315, 110), "2 Methods", fontsize=12, fontname="hebo")
    prose(page, 315, 130, 230, 20)


def test_columns_paragraphs_headings_and_title_in_reading_order():
    regions = layout(two_columns)
    assert kinds(regions) == ["title", "heading", "paragraph", "paragraph", "heading", "paragraph"]
    assert [region.id for region in regions] == [f"p1.r{n}" for n in range(1, 7)]
    assert [region.order for region in regions] == list(range(6))


def test_heading_levels_follow_section_numbers():
    def draw(page):
        y = 80
        for head in ("1 First", "1.1 Below it", "1.1.1 Still further"):
            page.insert_text((50, y), head, fontsize=12, fontname="hebo")
            y = prose(page, 50, y + 20, 480, 4) + 20

    assert [r.level for r in layout(draw) if r.kind == "heading"] == [1, 2, 3]


def test_nested_lists_have_levels_and_keep_their_hanging_lines():
    def draw(page):
        y = prose(page, 50, 80, 480, 4) + 10
        for left, text in ((60, "first"), (60, "second"), (80, "inner"), (60, "third")):
            page.insert_text((left, y), "\u2022", fontsize=10, fontname="china-s")
            page.insert_text((left + 14, y), f"{text} item with some words that go on", fontsize=10)
            page.insert_text((left + 14, y + 12), "in a second line of its own", fontsize=10)
            y += 26

    items = [r for r in layout(draw) if r.kind == "list_item"]
    assert [item.level for item in items] == [1, 1, 2, 1]
    assert all(item.box.height > 20 for item in items)


def test_entries_of_a_table_of_contents_are_items_of_a_list_and_no_headings():
    def draw(page):
        page.insert_text((50, 80), "Contents", fontsize=14, fontname="hebo")
        y = 110
        for left, text, dots, number in (
            (50, "1 Introduction", 0, "1"), (70, "1.1 Foxes", 40, "2"), (70, "1.2 Dogs", 40, "4"),
            (50, "2 Methods", 0, "7"), (70, "2.1 Walks", 40, "7"), (50, "Index", 0, "9"),
        ):  # fmt: skip
            bold = "helv" if dots else "hebo"
            page.insert_text((left, y), text + " ." * dots, fontsize=10, fontname=bold)
            page.insert_text((500, y), number, fontsize=10, fontname=bold)
            y += 18 if dots else 14
        prose(page, 50, y + 30, 480, 6)

    regions = layout(draw)
    assert kinds(regions) == ["title", *["list_item"] * 6, "paragraph"]
    assert [r.level for r in regions if r.kind == "list_item"] == [1, 2, 2, 1, 2, 1]


def test_a_list_that_goes_on_in_the_next_column_is_no_deeper_there():
    def draw(page):
        for left in (50, 320):
            for row in range(12):
                inner = 14 if row in (3, 4, 8) else 0
                page.insert_text((left + inner, 80 + 16 * row), f"\x95 an item of some words {row}", fontsize=10)

    levels = [r.level for r in layout(draw) if r.kind == "list_item"]
    assert levels == 2 * [1, 1, 1, 2, 2, 1, 1, 1, 2, 1, 1, 1]


def test_a_list_of_names_in_typewriter_letters_is_a_list_and_no_code():
    def draw(page):
        y = prose(page, 50, 80, 480, 4) + 10
        for name in ("INTEGER;", "BOOLEAN;", "OBJECT IDENTIFIER;"):
            page.insert_text((60, y), "\x95", fontsize=10, fontname="helv")
            page.insert_text((74, y), name, fontsize=10, fontname="cour")
            y += 16

    assert kinds(layout(draw)) == ["paragraph", *["list_item"] * 3]


def test_running_heads_and_page_numbers_are_told_by_recurring():
    def page_of(number):
        def draw(page):
            page.insert_text((50, 40), f"Annual report {2000 + number}", fontsize=9)
            prose(page, 50, 130, 480, 30)
            page.insert_text((290, 815), str(number), fontsize=9)

        return draw

    for sheet in sheets(page_of(1), page_of(2), page_of(3)):
        assert kinds(GeometryLayout().regions(sheet)) == ["header", "paragraph", "footer"]


def test_footnotes_are_small_text_at_the_foot():
    def draw(page):
        y = prose(page, 50, 80, 480, 40)
        page.draw_line((50, y + 20), (150, y + 20))
        page.insert_text((50, y + 32), "1 See the remarks of the second author on foxes and their habits.", fontsize=7)

    assert kinds(layout(draw)) == ["paragraph", "footnote"]


def test_a_vector_chart_with_its_labels_is_one_picture_and_its_caption_stays_text():
    def draw(page):
        y = prose(page, 50, 80, 480, 6) + 20
        page.draw_line((100, y), (100, y + 150))
        page.draw_line((100, y + 150), (400, y + 150))
        points = [(100 + 30 * i, y + 140 - 12 * (i * i % 11)) for i in range(10)]
        page.draw_polyline(points)
        for i in range(4):
            page.insert_text((84, y + 150 - 40 * i), str(10 * i), fontsize=8)
            page.insert_text((120 + 80 * i, y + 162), str(2000 + i), fontsize=8)
        page.insert_text((100, y + 190), "Figure 1: How it went over the years.", fontsize=9)
        prose(page, 50, y + 220, 480, 6)

    regions = layout(draw)
    assert kinds(regions) == ["paragraph", "picture", "caption", "paragraph"]
    assert regions[1].box.x0 < 90
    assert regions[1].box.y1 > 320


def test_a_placed_image_is_a_picture_and_a_scan_behind_the_page_is_none():
    image = io.BytesIO()
    Image.effect_noise((80, 60), 60).save(image, "PNG")

    def draw(page):
        prose(page, 50, 80, 480, 6)
        page.insert_image(pymupdf.Rect(50, 200, 250, 350), stream=image.getvalue())

    def background(page):
        page.insert_image(page.rect, stream=image.getvalue(), keep_proportion=False)
        prose(page, 50, 80, 480, 6)

    assert kinds(layout(draw)) == ["paragraph", "picture"]
    assert kinds(layout(background)) == ["paragraph"]


def test_ruled_and_unruled_tables_are_found_and_prose_is_none():
    def ruled(page):
        y = prose(page, 50, 80, 480, 5) + 10
        for row in range(5):
            page.draw_line((50, y + 20 * row), (350, y + 20 * row))
        for column in range(4):
            page.draw_line((50 + 100 * column, y), (50 + 100 * column, y + 80))
        for row in range(4):
            for column in range(3):
                page.insert_text((56 + 100 * column, y + 14 + 20 * row), f"cell {row}{column}", fontsize=9)

    def unruled(page):
        y = prose(page, 50, 80, 480, 5) + 20
        for row in range(6):
            page.insert_text((60, y + 14 * row), f"Name {row}", fontsize=10)
            for column in range(3):
                page.insert_text((200 + 90 * column, y + 14 * row), f"{row * 7 + column}.5", fontsize=10)
        prose(page, 50, y + 120, 480, 5)

    assert kinds(layout(ruled)) == ["paragraph", "table"]
    assert kinds(layout(unruled)) == ["paragraph", "table", "paragraph"]


def test_a_page_turned_by_its_content_is_read_in_its_own_direction():
    def draw(page):
        for line in range(12):
            page.insert_text(
                (100 + 14 * line, 700), "some words of a line that was set sideways", fontsize=10, rotate=90
            )
        page.insert_text((60, 700), "Sideways Heading", fontsize=18, rotate=90)

    regions = layout(draw)
    assert kinds(regions)[0] in {"title", "heading"}
    assert regions[0].box.x0 < regions[1].box.x0
    assert regions[1].box.height > regions[1].box.width


def test_code_and_line_numbers_do_not_mix_with_prose():
    def draw(page):
        y = prose(page, 50, 80, 480, 5) + 15
        for line in ("def fox(dog):", "    if dog.lazy:", "        return jump(dog)", "    return None"):
            page.insert_text((60, y), line, fontsize=9, fontname="cour")
            y += 11
        prose(page, 50, y + 15, 480, 5)

    assert kinds(layout(draw)) == ["paragraph", "code", "paragraph"]


def test_a_blank_page_has_no_regions_and_a_page_of_pixels_is_left_to_others():
    image = io.BytesIO()
    Image.effect_noise((80, 60), 60).save(image, "PNG")
    blank, scan = sheets(lambda _: None, lambda page: page.insert_image(page.rect, stream=image.getvalue()))
    assert GeometryLayout().regions(blank) == []
    assert GeometryLayout().regions(scan) is None
    assert survey(scan).doubts == ("no text layer",)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_turned_page_has_the_same_regions(turn):
    upright = layout(two_columns)

    def draw(page):
        two_columns(page)
        page.set_rotation(turn)

    assert kinds(layout(draw)) == kinds(upright)


def test_every_word_of_a_page_lies_in_some_region():
    sheet = sheets(two_columns)[0]
    boxes = [region.box.grown(1) for region in layout(two_columns)]
    for line in sheet.source.lines():
        for word in line.words:
            x, y = word.box.center
            assert any(b.x0 <= x <= b.x1 and b.y0 <= y <= b.y1 for b in boxes), word.text


def test_statistics_tell_the_body_size_and_what_recurs():
    def page_of(number):
        def draw(page):
            page.insert_text((50, 40), f"Chapter one, page {number}", fontsize=8)
            prose(page, 50, 130, 480, 20, size=11)

        return draw

    stats = sheets(page_of(1), page_of(2), page_of(3))[0].statistics
    assert stats.body_size == 11
    assert stats.running == {"chapter one, page #"}
    assert stats.page_count == 3


def test_systems_of_music_are_pictures_one_by_one_and_no_tables():
    def draw(page):
        y = prose(page, 50, 80, 480, 4) + 20
        for _ in range(2):
            for staff in (0, 50):
                for line in range(5):
                    page.draw_line((60, y + staff + 5 * line), (520, y + staff + 5 * line))
            for bar in range(4):
                page.draw_line((60 + 153 * bar, y), (60 + 153 * bar, y + 70))
            for note in range(12):
                page.draw_circle((80 + 35 * note, y + 3 * (note % 7)), 2.4, fill=(0, 0, 0))
            y += 110

    regions = layout(draw)
    assert kinds(regions) == ["paragraph", "picture", "picture"]
    assert all(70 < region.box.height < 95 for region in regions[1:])


def test_drawn_molecules_are_pictures_with_their_atom_labels():
    def draw(page):
        y = prose(page, 50, 80, 480, 4) + 40
        ring = [(100, y), (130, y + 17), (130, y + 52), (100, y + 69), (70, y + 52), (70, y + 17), (100, y)]
        page.draw_polyline(ring)
        page.draw_line((130, y + 17), (155, y + 3))
        page.insert_text((157, y + 4), "OH", fontsize=9)
        prose(page, 50, y + 120, 480, 4)

    regions = layout(draw)
    assert kinds(regions) == ["paragraph", "picture", "paragraph"]
    assert regions[1].box.x1 > 165


def test_a_molecule_is_whole_beyond_a_label_that_bonds_keep_away_from_and_a_hashed_bond():
    def draw(page):
        y = prose(page, 50, 80, 480, 4) + 40
        ring = [(200, y), (226, y + 15), (226, y + 45), (200, y + 60), (174, y + 45), (174, y + 15), (200, y)]
        page.draw_polyline(ring)
        page.insert_text((232, y + 64), "NH", fontsize=11)  # the bonds end 6 points before its letters
        page.draw_polyline([(252, y + 64), (275, y + 76), (300, y + 62)])
        for hash_ in range(5):  # down from the ring, then a bond, then a label
            page.draw_line((199 - hash_ / 2, y + 64 + 4 * hash_), (201 + hash_ / 2, y + 64 + 4 * hash_))
        page.draw_line((200, y + 84), (180, y + 96))
        page.insert_text((160, y + 108), "HO", fontsize=11)
        prose(page, 50, y + 150, 480, 4)

    regions = layout(draw)
    assert kinds(regions) == ["paragraph", "picture", "paragraph"]
    box = regions[1].box
    assert box.x0 < 165
    assert box.x1 > 295
    assert box.height > 100


def test_a_flat_chain_between_the_labels_of_two_atoms_is_a_picture():
    def draw(page):
        y = prose(page, 50, 80, 480, 4) + 40
        page.draw_polyline([(140, y + 12), (160, y), (180, y + 12)])
        page.insert_text((117, y + 24), "HO", fontsize=12)
        page.insert_text((185, y + 24), "CH3", fontsize=12)
        prose(page, 50, y + 60, 480, 4)

    regions = layout(draw)
    assert kinds(regions) == ["paragraph", "picture", "paragraph"]
    assert regions[1].box.x0 < 120
    assert regions[1].box.x1 > 200


def test_a_box_with_round_corners_is_no_part_of_what_stands_in_it():
    def draw(page):
        y = prose(page, 50, 80, 480, 4) + 30
        page.draw_rect((50, y, 530, y + 200), radius=0.03)
        for line in range(6):
            page.insert_text((70, y + 20 + 12 * line), f"draw(circle, {line}, red)", fontsize=10, fontname="cour")
        page.draw_line((50, y + 100), (530, y + 100), dashes="[3 3]")
        for place in range(4):
            page.draw_circle((120 + 60 * place, y + 150), 25)
            page.draw_line((120 + 60 * place, y + 150), (180 + 60 * place, y + 120))
        prose(page, 50, y + 230, 480, 4)

    regions = layout(draw)
    assert kinds(regions) == ["paragraph", "code", "picture", "paragraph"]
    assert regions[1].box.height > 55
    assert regions[2].box.y0 > regions[1].box.y1


def test_a_small_listing_with_numbered_lines_low_on_a_page_is_code_and_no_footnotes():
    def draw(page):
        y = prose(page, 50, 80, 480, 30) + 60
        for line, text in enumerate(("begin {", "  first = 1;", "  second = 2;", "}", "", "next {", "  third = 3;")):
            page.insert_text((60, y + 10 * line), str(line + 1), fontsize=6)
            page.insert_text((72, y + 10 * line), text, fontsize=8, fontname="cour")

    assert kinds(layout(draw)) == ["paragraph", "code"]


def test_numbers_by_themselves_are_no_listing():
    def draw(page):
        y = prose(page, 50, 80, 480, 6) + 60
        for place in range(3):
            page.insert_text((60 + 110 * place, y), str(place + 4), fontsize=10)
        prose(page, 50, y + 60, 480, 6)

    assert "code" not in kinds(layout(draw))


def test_bullets_drawn_as_circles_are_not_drawn_into_a_figure_above_them():
    def draw(page):
        y = prose(page, 50, 80, 480, 4) + 30
        page.draw_polyline([(60, y + 60), (120, y), (180, y + 60), (240, y), (300, y + 60)])
        for item in range(8):
            page.draw_circle((64, y + 68 + 13 * item), 2.5, fill=(0, 0, 0))
            page.insert_text((74, y + 72 + 13 * item), "An item of a list, which is a line of text long", fontsize=10)

    assert kinds(layout(draw)) == ["paragraph", "picture", "paragraph"]


def test_line_numbers_stay_out_of_the_text():
    def draw(page):
        for line in range(1, 16):
            page.insert_text((40 if line < 10 else 34, 80 + 22 * line), str(line), fontsize=10)
            page.insert_text((80, 80 + 22 * line), "the witness said that he had seen nothing of it", fontsize=10)

    regions = layout(draw)
    assert kinds(regions) == ["paragraph", "other"]
    assert regions[0].box.x0 > 70
