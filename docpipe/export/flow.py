"""A document as a flow of regions for reading: running heads dropped, paragraphs that go on made whole.

What is common to markdown, HTML and plain text; nothing here knows of a format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from docpipe.document import Page, PictureContent, Region, TextContent
from docpipe.export.json import Pages

DROPPED = frozenset(("header", "footer"))
FIGURES = frozenset(("picture", "chart", "molecule", "score", "formula"))


@dataclass(frozen=True)
class Item:
    """A region in the flow with its text, made whole where it goes on. caption: the text of its caption, if it has one."""

    region: Region
    page: int
    text: str
    caption: str | None = None


def flow(document: Pages) -> Iterator[Item]:
    """The regions in reading order. A paragraph waits until it is known not to go on; memory is bounded by two pages."""
    waiting: list[Item] = []
    for page in document.pages:
        for item in _of_page(page):
            before = next((n for n, w in enumerate(waiting) if w.region.id == item.region.continues), None)
            if before is not None and isinstance(_content(item.region), TextContent):
                whole = replace(waiting[before], text=joined(waiting[before].text, item.text))
                # The next half names this one as what it goes on from.
                waiting[before] = replace(whole, region=whole.region.model_copy(update={"id": item.region.id}))
            else:
                waiting.append(item)
        while waiting and waiting[0].page < page.number:
            yield waiting.pop(0)
    yield from waiting


def _of_page(page: Page) -> Iterator[Item]:
    texts = {region.id: region.text for region in page.regions}
    for region in page.regions:
        if region.kind in DROPPED or (region.kind == "caption" and region.parent):
            continue
        yield Item(region, page.number, region.text.strip(), texts.get(region.caption or "") or None)


def joined(first: str, second: str) -> str:
    """Two halves of a text parted by a column or page break; a word parted there is made whole."""
    if first.endswith("\u00ad") or (first.endswith(("-", "\u2010")) and second[:1].islower()):
        return first[:-1] + second
    return f"{first} {second}"


def unread(region: Region) -> str | None:
    """What to say of a region that nobody could read; None when it was read (or holds nothing to say)."""
    reading = region.reading
    if reading is not None and reading.content is not None and not isinstance(reading.content, PictureContent):
        return None
    if region.kind not in {"molecule", "score", "table"} and (reading is None or region.kind in FIGURES):
        return None
    reasons = [finding.message for finding in reading.verdict.findings] if reading else []
    return f"[{region.kind.replace('_', ' ')}, not read{': ' + reasons[0] if reasons else ''}]"


def alt_text(item: Item) -> str:
    """Words for a figure: what was read of it, else its caption, else what it is."""
    content = _content(item.region)
    if isinstance(content, PictureContent) and content.alt:
        return content.alt
    figure = content.figure if isinstance(content, PictureContent) and content.figure != "other" else item.region.kind
    return item.caption or figure.replace("_", " ")


def _content(region: Region) -> object:
    return region.reading.content if region.reading else None
