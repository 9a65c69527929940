"""The structure of pages and documents: captions and what they name, what goes on over a break, levels, sections.

Pure functions on regions that have been read; they change links and levels, never text or boxes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise, takewhile

from docpipe.document import Kind, Page, Region, Section, TableContent, TextContent

_FIGURES: tuple[Kind, ...] = ("picture", "chart", "molecule", "score")
FIGURES = frozenset(_FIGURES)
NAMED: frozenset[Kind] = frozenset((*_FIGURES, "table", "code", "formula"))
"""Kinds that a caption may belong to."""

FLOW: frozenset[Kind] = frozenset(("paragraph", "list_item"))
"""Kinds whose text may go on in another column or on another page."""

ASIDE: frozenset[Kind] = frozenset(("header", "footer", "footnote", "caption", "other", *_FIGURES))
"""Kinds that may stand between the two halves of a table that goes on."""

FLOATS: frozenset[Kind] = frozenset((*ASIDE, "table"))
"""Kinds that may stand between the two halves of a paragraph that goes on."""

LABEL = 90.0
"""Text narrower than this many points that stands level with a figure is its label, and nobody's half."""

FARTHEST_CAPTION = 60.0
"""A caption stands within this many points of what it names."""

_TABLE_LABEL = re.compile(r"^\W*(supplementary\s+|extended data\s+)?(tab|cuadro|表)", re.IGNORECASE)
_FIGURE_LABEL = re.compile(
    r"^\W*(supplementary\s+|extended data\s+)?(fig|abb|scheme|chart|plate|diagram|图|図)", re.IGNORECASE
)
_CONTINUED = re.compile(r"\b(cont(inue|['’.]|)d|fortsetzung|suite)\b", re.IGNORECASE)
_NUMBER = re.compile(
    r"^(?:(\d{1,2}(?:\.\d{1,2})*)\.?\s|((?:appendix|annex)\s+[A-Z\d]|[A-Z](?:\.\d{1,2})+)\.?\s)", re.IGNORECASE
)
_SENTENCE_END = (".", "!", "?", ":", ";", "。", "！", "？", "؟", "”", "\u2019", '"', ")", "]", "…")


def link_captions(regions: Sequence[Region]) -> list[Region]:
    """Link each caption of a page to the nearest figure or table of its sort, each of these to one caption.

    A caption's `parent` is what it names, and that region's `caption` the caption. A table's is looked for above
    first, a figure's below first; the wrong side costs as much as a blank of two lines.
    """
    by_id = {region.id: region for region in regions}
    pairs = sorted(
        (cost, caption.id, named.id)
        for caption in regions
        if caption.kind == "caption"
        for named in regions
        if named.kind in NAMED and (cost := _caption_cost(caption, named)) is not None
    )
    for _, caption_id, named_id in pairs:
        if by_id[caption_id].parent is None and by_id[named_id].caption is None:
            by_id[caption_id] = by_id[caption_id].model_copy(update={"parent": named_id})
            by_id[named_id] = by_id[named_id].model_copy(update={"caption": caption_id})
    return list(by_id.values())


def _caption_cost(caption: Region, named: Region) -> float | None:
    """How far a caption is from a region it may name, in points; None when it cannot name it."""
    a, b = caption.box, named.box
    across = max(a.x0, b.x0) - min(a.x1, b.x1)
    down = max(a.y0, b.y0) - min(a.y1, b.y1)
    if (across > 0 and down > 0) or max(across, down) > FARTHEST_CAPTION:
        return None
    is_table, is_figure = bool(_TABLE_LABEL.match(caption.text)), bool(_FIGURE_LABEL.match(caption.text))
    cost = max(across, down, 0.0)
    if across > 0:  # beside it
        cost += 15.0
    elif (a.center[1] > b.center[1]) is is_table:
        cost += 24.0
    if (is_table and named.kind != "table") or (is_figure and named.kind not in FIGURES):
        cost += 40.0
    return cost


def link_columns(page: Page) -> Page:
    """Link a paragraph to the one it goes on from, in the column before or above a figure or table between."""
    flow = _flow(page)
    links = {
        b.id: a.id
        for a, b in pairwise(flow)
        if b.continues is None and (not _right_below(a, b) or b.order > a.order + 1) and _goes_on(a, b)
    }
    return page.replace_regions([_continuing(region, links) for region in page.regions])


def _flow(page: Page) -> list[Region]:
    """A page's running text: neither floats nor the labels of figures."""
    figures = [region.box for region in page.regions if region.kind in FIGURES]
    return [
        r
        for r in page.regions
        if r.kind not in FLOATS and not (r.box.width < LABEL and any(f.y0 < r.box.center[1] < f.y1 for f in figures))
    ]


def _right_below(a: Region, b: Region) -> bool:
    shared = min(a.box.x1, b.box.x1) - max(a.box.x0, b.box.x0)
    return shared > 0 and b.box.y0 >= a.box.center[1]


def link_continuations(previous: Page, page: Page) -> Page:
    """Link the first paragraph or table of a page to the last of the page before when it goes on from there."""
    links = _table_link(previous, page) or _text_link(previous, page)
    return page.replace_regions([_continuing(region, links) for region in page.regions]) if links else page


def _table_link(previous: Page, page: Page) -> dict[str, str]:
    before = [region for region in previous.regions if region.kind not in ASIDE]
    after = [region for region in page.regions if region.kind not in ASIDE]
    if not before or not after or not before[-1].kind == after[0].kind == "table" or after[0].continues:
        return {}
    captions = [r.text for r in page.regions if r.id == after[0].caption]
    goes_on = _same_columns(before[-1], after[0]) and all(_CONTINUED.search(text) for text in captions)
    return {after[0].id: before[-1].id} if goes_on else {}


def _text_link(previous: Page, page: Page) -> dict[str, str]:
    before, after = _flow(previous), _flow(page)
    if not before or not after or after[0].continues or not _goes_on(before[-1], after[0]):
        return {}
    return {after[0].id: before[-1].id}


def _continuing(region: Region, links: dict[str, str]) -> Region:
    return region.model_copy(update={"continues": links[region.id]}) if region.id in links else region


def _goes_on(a: Region, b: Region) -> bool:
    """Whether text `b` takes up the sentence that text `a` broke off."""
    if a.kind not in FLOW or b.kind != "paragraph":
        return False
    first, second = a.text.rstrip(), b.text.lstrip()
    if not first or not second:
        return False
    if first.endswith(("-", "\u2010", "\u00ad")) and second[0].islower():
        return True
    if first.endswith(_SENTENCE_END) or second[0] in "•◦▪–—":
        return False
    return not second[0].isupper() or _fills_its_line(a)


def _fills_its_line(region: Region) -> bool:
    """Whether the last line of a paragraph of several lines runs to its right edge: it does not end there."""
    content = region.reading.content if region.reading else None
    if not isinstance(content, TextContent) or len(content.words) < 12:
        return False
    last = content.words[-1].box
    return region.box.height > 2 * last.height and region.box.x1 - last.x1 < 0.35 * last.height


def _same_columns(a: Region, b: Region) -> bool:
    """Whether two tables have as many columns and about the same width and place."""
    contents = [r.reading.content if r.reading else None for r in (a, b)]
    counts = [c.columns for c in contents if isinstance(c, TableContent)]
    if len(counts) == 2 and counts[0] != counts[1]:
        return False
    if (head := _head(a)) and head == _head(b):
        return True  # the head is set again, wherever the second part stands
    wide = max(a.box.width, b.box.width)
    return abs(a.box.x0 - b.box.x0) < 0.08 * wide and abs(a.box.x1 - b.box.x1) < 0.08 * wide


def _head(table: Region) -> list[str]:
    """The texts of a table's header cells."""
    content = table.reading.content if table.reading else None
    cells = content.cells if isinstance(content, TableContent) else ()
    return [cell.text for cell in cells if cell.header and cell.row < 3]


def consistent_levels(pages: Sequence[Page]) -> list[Page]:
    """Heading levels that agree over the document: a section number decides, and levels nobody uses are closed up."""
    ranks = level_ranks(region for page in pages for region in page.regions)
    return [with_ranks(page, ranks) for page in pages]


def level_ranks(regions: Iterable[Region]) -> dict[int, int]:
    """For each level that headings have the one they get, so that a document's levels are 1, 2, 3 without gaps."""
    levels = {_level(region) for region in regions if region.kind == "heading"}
    return {level: rank for rank, level in enumerate(sorted(levels), 1)}


def with_ranks(page: Page, ranks: Mapping[int, int]) -> Page:
    """A page with its headings' levels as `level_ranks` says."""
    headed = [
        r.model_copy(update={"level": ranks.get(_level(r), _level(r))}) if r.kind == "heading" else r
        for r in page.regions
    ]
    return page.replace_regions(headed)


def _level(heading: Region) -> int:
    return _depth(heading.text) or heading.level or 1


def _depth(text: str) -> int | None:
    """How deep a section number says its heading is: 2 for "3.1 Results", 1 for "Appendix A"; None without one."""
    match = _NUMBER.match(text.strip() + " ")
    if not match:
        return None
    return (match[1] or match[2]).count(".") + 1


def section_tree(pages: Iterable[Page]) -> tuple[Section, ...]:
    """The document's headings as a tree by their levels; a level skipped on the way down makes no empty section."""
    return _nested([r for page in pages for r in page.regions if r.kind == "heading" and r.text.strip()])


def _nested(headings: Sequence[Region]) -> tuple[Section, ...]:
    sections = []
    while headings:
        head = headings[0]
        below = list(takewhile(partial(_is_below, head), headings[1:]))
        sections.append(
            Section(title=head.text.strip(), level=head.level or 1, region=head.id, sections=_nested(below))
        )
        headings = headings[1 + len(below) :]
    return tuple(sections)


def _is_below(head: Region, other: Region) -> bool:
    return (other.level or 1) > (head.level or 1)
