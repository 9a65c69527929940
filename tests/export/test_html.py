"""The HTML page: parsed by lxml, accessible in its structure, and proof against whatever was read."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import handmade
import lxml.html
import pytest
from PIL import Image

from docpipe.document import (
    Box,
    Document,
    ErrorItem,
    Finding,
    Metadata,
    MoleculeContent,
    Origin,
    PictureContent,
    Reading,
    ScoreContent,
    Section,
    SourceInfo,
    TableContent,
    Verdict,
)
from docpipe.export import export
from docpipe.export.html import render
from docpipe.source import SourceRef

VOID = {"meta", "img", "br", "hr", "link", "input"}


def tree(document: Document) -> Any:
    html = "".join(render(document))
    return lxml.html.document_fromstring(html.encode("utf-8"), parser=lxml.html.HTMLParser(encoding="utf-8"))


def test_the_page_has_a_language_a_title_and_landmarks() -> None:
    root = tree(handmade.everything())
    assert root.get("lang") == "en"
    assert root.findtext("head/title") == "On the reading of pages"
    assert len(root.findall("body/main")) == 1
    assert [a.get("href") for a in root.findall("body/nav[@aria-label]//a")] == ["#p1.r2", "#p2.r1"]
    for link in root.iter("a"):
        assert root.get_element_by_id(link.get("href")[1:]) is not None


@pytest.mark.parametrize("language", [None, 'en"><script>', "english language"])
def test_a_language_that_is_none_is_left_unknown(language: str | None) -> None:
    root = tree(handmade.document(handmade.page(), metadata=Metadata(language=language)))
    assert root.get("lang") == ""
    assert not root.findall(".//script")


def test_headings_go_down_one_level_at_a_time_below_one_h1() -> None:
    levels = (1, 4, 2, 9, 1)
    regions = [handmade.region("heading", f"h {i}", i, level=level) for i, level in enumerate(levels)]
    root = tree(handmade.of(handmade.region("title", "T", 90, order=-1), *regions, handmade.region("title", "U", 91)))
    found = [int(e.tag[1]) for e in root.iter("h1", "h2", "h3", "h4", "h5", "h6")]
    assert found == [1, 2, 3, 3, 4, 2, 2]
    assert [e.text for e in tree(handmade.of(handmade.region("heading", "H"))).iter("h1", "h2")] == ["made.pdf", "H"]


def test_a_table_has_its_caption_and_heads_with_scope() -> None:
    (table,) = tree(handmade.everything()).iter("table")
    assert table.findtext("caption") == "Table 1. Yields."
    assert [(th.text, th.get("scope")) for th in table.iter("th")] == [
        ("Solvent", "col"), ("Yield / %", "colgroup"), ("1 h", "col"), ("2 h", "col"), ("Water", "row")
    ]  # fmt: skip
    assert [len(tr) for tr in table.iter("tr")] == [2, 2, 3]


def test_figures_have_words_and_pixels_where_the_source_is_given(tmp_path: Path) -> None:
    box = Box(50, 100, 150, 140)
    page = handmade.page(
        handmade.region("picture", PictureContent(alt='A "cat"'), 0, box=box, caption="p1.r1"),
        handmade.region("caption", "Fig. 1", 1, parent="p1.r0"),
        handmade.region("molecule", MoleculeContent(smiles="CCO"), 2, box=box),
    )
    (path,) = export(handmade.document(page), "html", tmp_path, SourceRef("made.pdf", data=handmade.pdf()))
    root = lxml.html.parse(str(path)).getroot()
    first, second = root.iter("img")
    assert first.get("alt") == 'A "cat"'
    assert second.get("alt") == "Molecule on page 1"
    assert first.getparent().findtext("figcaption") == "Fig. 1"
    head, data = first.get("src").split(",")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert head == f"data:image/{str(image.format).lower()};base64"
    assert image.size == (int(first.get("width")), int(first.get("height"))) == (209, 84)
    assert [p.name for p in tmp_path.iterdir()] == ["document.html"]
    (words,) = [f.text_content().split() for f in tree(handmade.document(page)).findall(".//figure")[:1]]
    assert words == ["[A", '"cat"]', "Fig.", "1"]


def test_molecules_and_scores_are_data_and_words() -> None:
    root = tree(handmade.everything())
    (data,) = root.iter("data")
    assert (data.get("value"), data.text_content()) == ("CC(=O)Oc1ccccc1C(=O)O",) * 2
    kern = root.find(".//details/pre")
    assert kern.text == handmade.KERN
    assert root.findtext(".//details/summary").startswith("Music")


def test_lists_are_nested_and_numbered() -> None:
    root = tree(handmade.everything())
    (outer,) = root.findall("body/main/ul")
    assert [li.text for li in outer.findall("li")] == ["first", "third"]
    (inner,) = outer.findall("li/ol/li")
    assert (inner.get("value"), inner.text) == ("1", "second, one deeper")


def test_footnotes_are_notes_that_the_text_links_to() -> None:
    root = tree(handmade.everything())
    (reference,) = root.findall(".//a[@role='doc-noteref']")
    note = root.get_element_by_id(reference.get("href")[1:])
    assert reference.getparent().tag == "sup"
    assert note.getparent().get("role") == "doc-footnote"
    assert note.text_content() == "1. But see ice."


def test_what_was_not_read_is_said() -> None:
    notices = [e.text for e in tree(handmade.everything()).find_class("notice")]
    assert notices == [
        "[molecule, not read: no checkpoint is named that reads molecules]",
        "[paragraph, not read: the text layer is garbled]",
        "[page 3, not read: it broke]",
    ]


HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</p></main></body></html><h1>out</h1>",
    "</title></style><script>alert(1)</script>",
    "]]><!-- --!> <?php ?>",
    "<a href='javascript:alert(1)'>x</a>",
    "a\x00b\x08\x1b[0m\ufeff\u202e",
    "&lt;script&gt;",
    "</pre></code></details></figure></table>",
)


def besieged(hostile: str) -> Document:
    """A document that says the same hostile thing wherever a document can say something."""
    text = handmade.text(hostile, (hostile, "bold"), (hostile, "superscript"))
    cells = [{"row": 0, "column": 0, "text": hostile, "header": True}, {"row": 1, "column": 0, "text": hostile}]
    table = TableContent.model_validate(
        {"html": f"<table onclick=x>{hostile}</table>", "rows": 2, "columns": 1, "cells": cells}
    )
    unread = Reading(
        verdict=Verdict(status="invalid", findings=(Finding(code=hostile, message=hostile, where=hostile),)),
        origin=Origin(engine=hostile, checkpoint=hostile),
    )
    kinds = ("title", "heading", "paragraph", "list_item", "footnote", "code", "formula", "other", "caption", "header")
    regions = [handmade.region(kind, text, i) for i, kind in enumerate(kinds)]
    regions += [
        handmade.region("table", table, 20, caption="c"),
        handmade.region("caption", text, 21, id="c"),
        handmade.region("molecule", MoleculeContent(smiles=hostile, formula=hostile, inchikey=hostile), 22, id=hostile),
        handmade.region("score", ScoreContent(kern=hostile, clefs=(hostile,)), 23),
        handmade.region("picture", PictureContent(alt=hostile, description=hostile), 24, id=hostile + "2"),
        handmade.region("table", TableContent(html=f"<table><td>{hostile}</td></table>"), 25),
        handmade.region("paragraph", None, 26, reading=unread),
        handmade.region("paragraph", text.model_copy(update={"language": hostile}), 27),
    ]
    error = ErrorItem(code="DP505", message=hostile, region=hostile)
    section = Section(title=hostile, level=1, region=hostile)
    return handmade.document(
        handmade.page(*regions, error=error, status="partial"),
        source=SourceInfo(name=hostile, sha256=hostile, media_type=hostile),
        metadata=Metadata(title=hostile, authors=(hostile,), language=hostile, sections=(section, section)),
        errors=(error,),
    )


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_that_was_read_becomes_markup(hostile: str) -> None:
    harmless, root = tree(besieged("harmless")), tree(besieged(hostile))

    def shape(element: Any) -> list[str]:
        return [e.tag if isinstance(e.tag, str) else "comment" for e in element.iter()]

    # A table that is HTML alone is read as HTML: its text may differ, its cells not.
    assert shape(root) == shape(harmless)
    for element in root.iter():
        assert element.tag not in {"script", "svg", "iframe", "object", "embed", "base", "form"}
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert "javascript:" not in value.lower() or name in {"value", "alt", "content"}
            assert name not in {"href", "src"} or value.startswith(("#", "data:image/"))
    said = root.text_content()
    assert not [c for c in said if c < " " and c not in "\n\t"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_every_element_is_closed_where_it_should_be(hostile: str) -> None:
    from html.parser import HTMLParser

    class Nesting(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002
            if tag not in VOID:
                self.open.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    parser = Nesting()
    parser.feed("".join(render(besieged(hostile))))
    parser.close()
    assert parser.open == []


def test_the_page_forbids_scripts_and_fetches_by_its_own_policy() -> None:
    metas = {m.get("http-equiv"): m.get("content") for m in tree(handmade.of()).iter("meta")}
    assert metas["Content-Security-Policy"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_the_same_document_gives_the_same_bytes(tmp_path: Path) -> None:
    source = SourceRef("made.pdf", data=handmade.pdf(pages=3))
    (first,) = export(handmade.everything(), "html", tmp_path / "a", source)
    (second,) = export(handmade.everything(), "html", tmp_path / "b", source)
    assert first.read_bytes() == second.read_bytes()


def test_two_thousand_lists_each_deeper_do_not_break_it() -> None:
    items = [handmade.region("list_item", f"• {i}", i, level=i + 1) for i in range(2000)]
    assert len(list(tree(handmade.of(*items)).iter("li"))) == 2000
