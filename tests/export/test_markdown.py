"""Markdown: parsed by a markdown parser of its own, it has the structure of the document and no more."""

from __future__ import annotations

from pathlib import Path

import handmade
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from docpipe.document import Document, PictureContent, ScoreContent, TableContent
from docpipe.export import export
from docpipe.export.json import StoredDocument, write_document
from docpipe.export.markdown import escaped, render
from docpipe.source import SourceRef

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def markdown(document: Document) -> str:
    return "".join(render(document))


def parsed(document: Document) -> list[Token]:
    return PARSER.parse(markdown(document))


def test_headings_stand_by_level_below_the_title() -> None:
    tokens = parsed(handmade.everything())
    headings = [(t.tag, tokens[i + 1].content) for i, t in enumerate(tokens) if t.type == "heading_open"]
    assert headings == [("h1", "On the reading of pages"), ("h2", "1 Introduction"), ("h3", "1.1 Methods")]


def test_lists_are_nested_by_level_and_numbers_kept() -> None:
    html = PARSER.render(markdown(handmade.everything()))
    assert "<ul>\n<li>first\n<ol>\n<li>second, one deeper</li>\n</ol>\n</li>\n<li>third</li>\n</ul>" in html


def test_a_list_that_begins_deep_or_jumps_is_still_a_list() -> None:
    items = [handmade.region("list_item", f"• item {i}", i, level=level) for i, level in enumerate((3, 9, 1, 4))]
    html = PARSER.render(markdown(handmade.of(*items)))
    assert html.count("<li>") == 4
    assert "<code>" not in html


def test_a_table_without_spans_is_gfm_and_one_with_spans_html() -> None:
    plain = markdown(handmade.of(handmade.region("table", handmade.table([["a", "b|c"], ["1", "2\n3"]]))))
    assert plain == "| a | b\\|c |\n| --- | --- |\n| 1 | 2 3 |\n"
    assert '<th rowspan="2">Solvent</th>' in markdown(handmade.everything())
    headless = markdown(handmade.of(handmade.region("table", handmade.table([["a"], ["b"]], head=0))))
    assert headless == "|  |\n| --- |\n| a |\n| b |\n"


def test_molecules_and_scores_stand_in_fences_that_say_what_they_are() -> None:
    fences = {t.info: t.content for t in parsed(handmade.everything()) if t.type == "fence"}
    assert fences["smiles"] == "CC(=O)Oc1ccccc1C(=O)O\n"
    assert fences["kern"] == handmade.KERN + "\n"
    assert fences[""] == "for x in y:\n    print(x)\n"


def test_a_fence_is_longer_than_any_run_of_backticks_within() -> None:
    kern = ScoreContent(kern="**kern\n```\n# not a heading\n````\n*-")
    (fence,) = [t for t in parsed(handmade.of(handmade.region("score", kern))) if t.type == "fence"]
    assert fence.content == kern.kern + "\n"


def test_unread_regions_and_lost_pages_are_said() -> None:
    text = PARSER.render(markdown(handmade.everything()))
    for said in (
        "[molecule, not read: no checkpoint is named that reads molecules]",
        "[paragraph, not read: the text layer is garbled]",
        "[page 3, not read: it broke]",
    ):
        assert f"<p>{said}</p>" in text


def test_a_figure_links_to_its_crop_only_where_there_is_one(tmp_path: Path) -> None:
    document = handmade.of(
        handmade.region("picture", PictureContent(alt="A cat [sic]"), box=handmade.Box(50, 100, 150, 140))
    )
    assert "![A cat \\[sic\\]](crops/p1.r0.png)" in markdown(document)
    (path,) = export(document, "md", tmp_path)
    assert path.read_text() == "\\[A cat \\[sic\\]\\]\n"
    export(document, "md", tmp_path, SourceRef("made.pdf", data=handmade.pdf()))
    assert path.read_text() == "![A cat \\[sic\\]](crops/p1.r0.png)\n"
    assert (tmp_path / "crops" / "p1.r0.png").read_bytes().startswith(b"\x89PNG")


def test_footnotes_are_gfm_footnotes_where_the_text_refers_to_them() -> None:
    text = markdown(handmade.everything())
    assert "accounts[^1-1] and" in text
    assert "\n[^1-1]: But see ice.\n" in text


def test_the_same_is_written_from_memory_and_from_disk(tmp_path: Path) -> None:
    document = handmade.everything()
    stored = StoredDocument(write_document(document, tmp_path / "document.json"))
    assert "".join(render(stored)) == markdown(document)


@pytest.mark.parametrize(
    "hostile",
    [
        "# no heading", "## no heading", "> no quote", "- no item", "+ no item", "* no item", "1. no item",
        "2) no item",
        "--- ", "***", "___", "===", "```", "~~~ python", "    no code", "\tno code", "| no | table |",
        "[no](javascript:x)", "![no](http://x/y.png)", "[no]: http://x", "[^1]: no note", "<script>alert(1)</script>",
        "<b>no</b>", "<!-- no -->", "&lt;b&gt; &copy;", "*no* **no** _no_ __no__ ~~no~~ `no`", "a\\*b", "no  \nbreak",
        "snake_case_name 3*4*5", "# no #", "<http://no.example>", ":-: | :-:", "- [ ] no task", "\u2028# no heading",
        "a\r\n# no heading", "\x00# no", "$x$ and $y$",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["paragraph", "heading", "list_item", "caption", "footnote", "other"])
def test_recognised_text_never_becomes_markup(hostile: str, kind: str) -> None:
    text = markdown(handmade.of(handmade.region(kind, hostile), handmade.region("paragraph", "after", 1)))
    tokens = PARSER.parse(text)
    outer = {"paragraph_open", "paragraph_close", "inline"} | {
        "heading": {"heading_open", "heading_close"},
        "list_item": {"bullet_list_open", "bullet_list_close", "ordered_list_open", "ordered_list_close",
                      "list_item_open", "list_item_close"},
    }.get(kind, set())  # fmt: skip
    assert {t.type for t in tokens} <= outer, text
    inner = {c.type for t in tokens for c in t.children or ()}
    assert inner <= {"text", "text_special"} | ({"em_open", "em_close"} if kind == "caption" else set()), text
    assert tokens[-2].content == "after"


@pytest.mark.parametrize("hostile", ["a | b", "`|`", "\\|", "| --- |", "<script>", "# x", "a\nb"])
def test_a_cell_never_breaks_its_table(hostile: str) -> None:
    tokens = parsed(handmade.of(handmade.region("table", handmade.table([["h", "k"], [hostile, "z"], ["y", "x"]]))))
    assert [t.type for t in tokens].count("td_open") == 4
    assert [t.type for t in tokens].count("tr_open") == 3
    assert not [c for t in tokens for c in t.children or () if c.type not in {"text", "text_special"}]


def test_a_cell_of_a_table_with_spans_is_text() -> None:
    content = TableContent.model_validate(
        {"html": "<table><tr><td><script>x</script></td></tr></table>", "rows": 2, "columns": 2, "cells": [
            {"row": 0, "column": 0, "column_span": 2, "text": "<script>alert(1)</script>\n\n# no heading"},
            {"row": 1, "column": 0, "text": "<img src=x onerror=alert(1)>"}]}
    )  # fmt: skip
    (token,) = parsed(handmade.of(handmade.region("table", content)))
    assert token.type == "html_block"
    assert "<script" not in token.content
    assert "<img" not in token.content
    assert "&lt;script&gt;alert(1)&lt;/script&gt; # no heading" in token.content


def test_plain_text_is_left_plain() -> None:
    said = "Costs $5 & more: a_b, x-y, 3.5 (see p. 7); it's 50% – done!"
    assert escaped(said) == said


def test_dots_that_lead_to_a_page_number_are_shown_as_three() -> None:
    item = handmade.region("list_item", "2.1 Naming " + ". " * 40 + "3", level=1)
    assert markdown(handmade.of(item)) == "- 2.1 Naming … 3\n"
    assert markdown(handmade.of(handmade.region("paragraph", "And so on..."))) == "And so on...\n"
