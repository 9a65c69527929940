"""What a block of text is, by how it is set: title, heading, list item, caption, footnote, code, formula …

Rules look at size and weight relative to the document's body text, at markers and numbers, at place and at what
stands beside the block; never at a language's words but for the labels of captions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from docpipe.document import Box, Kind
from docpipe.engines.blocks import CAPTION, DASH, NUMBERED, Block
from docpipe.engines.formulas import is_formula
from docpipe.engines.fragments import LEADERS, PAGE, Fragment, is_monospace
from docpipe.engines.statistics import in_margin, running_form
from docpipe.sheet import Statistics

LARGER = 1.12
"""A heading's size is at least this many times the body's, unless it is bold or numbered."""

MUCH_LARGER = 1.35
"""What is set this many times larger than the body is a heading, however it stands."""

TITLE_LETTERS = 160
"""What is set in the largest size is a title when it has no more letters than this in the whole document."""

EDGE = 0.09
"""Nearer to the page's edge than this share of its height, a line with a page number is a running one."""

_SECTION = re.compile(
    r"^((\d{1,2}(\.\d{1,2}){0,4}\.?|[A-Z](\.\d{1,2}){1,3}\.?|[IVX]{1,5}\.|"
    r"(appendix|annex|chapter|part|section|article|kapitel|chapitre)\s+[\dA-ZIVX]+[.:]?))\s+\S",
    re.IGNORECASE,
)
_UNNUMBERED = re.compile(
    r"^(abstract|references|bibliography|acknowledge?ments?|introduction|conclusions?|summary|contents|appendix|index|"
    r"zusammenfassung|literatur(verzeichnis)?|einleitung|résumé|introduction|conclusion|resumen|referencias|参考文献|摘要)"
    r"\W*$",
    re.IGNORECASE,
)
_PAGE_NUMBER = re.compile(
    r"^\W*((page|seite|p\.)\s*)?(\d{1,4}|[ivxlc]{1,7})\W*((of|/|von|de)\s*\d{1,4})?\W*$", re.IGNORECASE
)
_NUMBER_BESIDE = re.compile(r"^\d{1,4}(\.\d{1,2})?\s*[|•·–—-]\s|\s[|•·–—-]\s*\d{1,4}(\.\d{1,2})?$")
_MARK = re.compile(r"^(\d{1,3}|[*†‡§¶]|\(\d{1,2}\)|[a-z]\))(?=\s|\w|$)")


@dataclass(frozen=True)
class Surroundings:
    """What a block is judged against: the document, its page (number, upright size), the figures and tables on it,
    the rulings across it, and the blocks in reading order.
    """

    statistics: Statistics
    number: int
    size: tuple[float, float]
    objects: Sequence[Box]
    rulings: Sequence[Box]
    body: float


def is_running(fragment: Fragment, row: Sequence[Fragment], outermost: bool, around: Surroundings) -> bool:
    """Whether a line at the edge of the page is a running head or foot: it recurs on other pages, or it is the
    outermost line and a lone page number, or stands beside one. `row`: what shares its line, itself among it.
    """
    height = around.size[1]
    # A title page may show in large what later pages repeat at their head.
    titled = around.number == 1 and fragment.size >= LARGER * around.body
    if in_margin(fragment.box.y0, fragment.box.y1, height) and not titled:
        recurs = running_form(fragment.text) in around.statistics.running
        if recurs and (fragment.letters > 2 or _PAGE_NUMBER.match(fragment.text)):
            return True
        if outermost and len(row) > 1 and any(_PAGE_NUMBER.match(f.text) for f in (row[0], row[-1])):
            return sum(f.letters for f in row) < 120
    if not outermost or len(row) > 1 or height * 0.25 < fragment.box.center[1] < height * 0.75:
        return False
    if _PAGE_NUMBER.match(fragment.text):
        return True
    at_edge = in_margin(fragment.box.y0, fragment.box.y1, height, EDGE) and fragment.size < 1.5 * around.body
    return at_edge and (bool(_NUMBER_BESIDE.search(fragment.text)) or _numbered_apart(fragment))


def _numbered_apart(fragment: Fragment) -> bool:
    """Whether a line begins or ends with a number that a wide blank sets apart, as a running head does."""
    if len(fragment.words) < 3:
        return False
    (a, b), (c, d) = fragment.words[:2], fragment.words[-2:]
    blanks = ((a.text, b.box.x0 - a.box.x1), (d.text, d.box.x0 - c.box.x1))
    return any(text.isdigit() and blank > 0.7 * fragment.size for text, blank in blanks)


def kind_of(block: Block, previous: Block | None, following: Block | None, around: Surroundings) -> Kind:
    """The kind of one block, given its neighbours in reading order. Levels are set by `level_of`."""
    text = block.text.strip()
    if _is_listing(block) and (len(block.fragments) > 2 or _is_listing(previous) or _is_listing(following)):
        return "code"
    if text.isdigit() and _is_listing(previous) and _is_listing(following):  # the number of an empty line
        return "code"
    if _is_footnote(block, around):
        return "footnote"
    if is_entry(block) or (_names_page(block) and any(is_entry(b) or _names_page(b) for b in (previous, following))):
        return "list_item"
    if (
        block.share("monospace") > 0.85
        and not block.fragments[0].bulleted
        and (len(block.fragments) > 1 or block.letters > 20 or _is_code(previous) or _is_code(following))
    ):
        return "code"
    if is_caption(block, around):
        return "caption"
    if is_formula(block):
        return "formula"
    if is_heading(block, previous, following, around):
        return "title" if _is_title(block, around) else "heading"
    if block.fragments[0].bulleted and len(text) > 2:
        return "list_item"
    if _is_item(block) and (_is_item(previous) or _is_item(following) or NUMBERED.match(text) is None):
        return "list_item"
    return "paragraph" if any(c.isalpha() for c in text) or block.letters > 3 else "other"


def _is_listing(block: Block | None) -> bool:
    """Whether the lines of a block are a program's, each after its number: small, but no footnotes."""
    if block is None:
        return False
    numbered = [f for f in block.fragments if f.words[0].text.isdigit() and "superscript" not in f.words[0].style]
    alone = sum(len(f.words) == 1 for f in numbered)
    typed = sum(all(is_monospace(word) and "://" not in word.text for word in f.words[1:]) for f in numbered)
    return typed > max(alone, 0.6 * len(block.fragments))


def is_entry(block: Block | None) -> bool:
    """Whether a block is an entry of a table of contents or of an index: a row of dots leads to a page's number."""
    return block is not None and bool(LEADERS.search(block.text.rstrip()))


def _names_page(block: Block | None) -> bool:
    """Whether a line ends with a number that a wide blank sets apart, as entries of the first rank do without dots."""
    if block is None or block.letters > 180 or len(block.fragments[-1].words) < 2:
        return False
    last, number = block.fragments[-1].words[-2:]
    return bool(PAGE.fullmatch(number.text)) and number.box.x0 - last.box.x1 > 1.5 * block.size


def is_caption(block: Block, around: Surroundings) -> bool:
    """A label and a number, then a stop or a colon, or a figure or table close by."""
    match = CAPTION.match(block.text.strip())
    if not match or block.letters > 1500:
        return False
    rest = match["rest"].lstrip()
    near = any(_distance(block.box, box) < 3.2 * block.size for box in around.objects)
    labelled = block.fragments[0].words[0].style != block.fragments[-1].words[-1].style
    stopped = not rest or rest[0] in ":|–—-" or (rest[0] in "." and not rest[1:2].isdigit())
    sentence = re.match(
        r"^(and|shows?|gives?|lists?|presents?|is|are|in|of|to|summari|illustrat|depict|contain|zeigt)\b", rest
    )
    return not sentence and (stopped or near or (labelled and rest[:1].isupper()))


def _is_footnote(block: Block, around: Surroundings) -> bool:
    """Small text in the lower part of the page that begins with a mark, or stands under a short rule."""
    if block.size > 0.94 * around.body or block.box.y0 < 0.45 * around.size[1]:
        return False
    marked = begins_note(block)
    ruled = any(
        0 <= block.box.y0 - rule.y1 < 2.5 * block.size
        and rule.width < 0.45 * around.size[0]
        and abs(rule.x0 - block.box.x0) < 3 * block.size
        for rule in around.rulings
    )
    return marked or ruled


def begins_note(block: Block) -> bool:
    """Whether a block begins with the mark of a footnote."""
    return bool(_MARK.match(block.text)) or "superscript" in block.fragments[0].words[0].style


def is_heading(block: Block, previous: Block | None, following: Block | None, around: Surroundings) -> bool:
    """Short, set apart by size, weight, capitals or a section number, and followed by something to head."""
    text, body = block.text.strip(), around.body
    if len(block.fragments) > 4 or block.letters > 180 or not any(c.isalpha() for c in text):
        return False
    if text.endswith((",", ";", "-")) or (text.endswith(".") and len(text) > 60) or block.maths > 0.5:
        return False
    if block.fragments[0].bulleted:
        return False
    if block.size >= MUCH_LARGER * body and block.letters > 1:
        return True
    if block.size < 0.85 * body or block.letters < 3:
        return False
    apart, numbered = _set_apart(block, previous, following), bool(_SECTION.match(text))
    if block.size >= LARGER * body or (block.share("bold") > 0.9 and (apart or numbered)):
        return True
    if _is_item(block) and (_is_item(previous) or _is_item(following)):
        return False  # a list set like the text around it
    if not apart or len(block.fragments) > 2 or block.letters >= 90:
        return False
    if _UNNUMBERED.match(text) or (text.isupper() and sum(c.isalpha() for c in text) > max(4, 0.6 * block.letters)):
        return True
    italic, begins = block.share("italic") > 0.9, any(c.isupper() for c in text[:12])
    if numbered and block.size > 0.95 * body:
        return begins and (italic or not text.endswith(".")) and not _is_prose_line(block)
    return italic and begins and not text.endswith(".") and following is not None and len(following.fragments) > 1


def is_numbered(block: Block) -> bool:
    """Whether a block begins as a section does: with a number, or one of the names sections have everywhere."""
    return bool(_SECTION.match(block.text.strip()) or _UNNUMBERED.match(block.text.strip()))


def _is_prose_line(block: Block) -> bool:
    """Whether a numbered line reads as an item of a list: it ends as a sentence does."""
    return block.text.rstrip().endswith((".", ";", ":")) and block.letters > 40


def _set_apart(block: Block, previous: Block | None, following: Block | None) -> bool:
    """Whether more room is left above than inside it, and the next block does not go on in its line."""
    above = block.box.y0 - previous.box.y1 if previous and _stacked(previous, block) else 99.0
    below = following.box.y0 - block.box.y1 if following and _stacked(block, following) else 99.0
    return above > 0.35 * block.size and (above >= 0.8 * below or below > 0.35 * block.size)


def _stacked(upper: Block, lower: Block) -> bool:
    shared = min(upper.box.x1, lower.box.x1) - max(upper.box.x0, lower.box.x0)
    return shared > 0 and lower.box.y0 > upper.box.y0


def _is_title(block: Block, around: Surroundings) -> bool:
    """The largest text of the document, on this page and above its middle."""
    sizes = [size for size, count in around.statistics.sizes.items() if count >= 4] or [block.size]
    largest = max((s for s in sizes if s < 5 * around.body), default=block.size)
    return block.size >= 1.25 * around.body and block.size >= largest - 0.6 and block.box.y0 < 0.6 * around.size[1]


def _is_item(block: Block | None) -> bool:
    """Whether a block begins with a list's marker. One number alone makes no list: ask its neighbours too."""
    if block is None or not any(c.isalpha() for c in block.text[3:]):
        return False
    return bool(NUMBERED.match(block.text) or DASH.match(block.text))


def _is_code(block: Block | None) -> bool:
    return block is not None and block.share("monospace") > 0.85 and not block.fragments[0].bulleted


def _distance(a: Box, b: Box) -> float:
    """The blank between two boxes that share width or height; infinite when they share neither."""
    across = max(a.x0, b.x0) - min(a.x1, b.x1)
    down = max(a.y0, b.y0) - min(a.y1, b.y1)
    if across > 0 and down > 0:
        return float("inf")
    return max(across, down, 0.0)


def heading_level(block: Block, around: Surroundings) -> int:
    """1 for the highest: by its section number, else by the rank of its size among the document's larger sizes."""
    match = _SECTION.match(block.text.strip())
    if match and (number := re.match(r"\d+(\.\d+)*", match[1])):
        return min(6, number[0].count(".") + 1)
    if _UNNUMBERED.match(block.text.strip()):
        return 1  # Abstract, References: sections of the first rank, however small they are set
    sizes = _heading_sizes(around)
    above = sum(size > block.size + 0.6 for size in sizes)
    return min(6, above + 1) if block.size >= LARGER * around.body else min(6, len(sizes) + 1)


def _heading_sizes(around: Surroundings) -> list[float]:
    """The sizes larger than the body's, a point apart. The largest is the title's when little is set in it."""
    counts: dict[int, int] = {}
    for size, letters in around.statistics.sizes.items():
        if size >= LARGER * around.body:
            counts[round(size)] = counts.get(round(size), 0) + letters
    sizes = sorted((float(size) for size, letters in counts.items() if letters >= 4), reverse=True)
    return sizes[1:] if len(sizes) > 1 and counts[round(sizes[0])] <= TITLE_LETTERS else sizes


def list_levels(items: Sequence[Block]) -> list[int]:
    """The nesting of list items that follow one another: 1 for the outermost, by how far each is indented.

    Where a list goes on at the top of the next column, that column's outermost items stand where the first one's do.
    """
    levels: list[int] = []
    stack: list[float] = []
    for item, left in zip(items, _indents(items), strict=True):
        while stack and left < stack[-1] - 0.5 * item.size:
            stack.pop()
        if not stack or left > stack[-1] + 0.5 * item.size:
            stack.append(left)
        levels.append(min(6, len(stack)))
    return levels


def _indents(items: Sequence[Block]) -> list[float]:
    """How far each item is indented in its own column of the list."""
    columns: list[list[float]] = []
    for i, item in enumerate(items):
        if not i or item.box.y1 < items[i - 1].box.y0:
            columns.append([])
        columns[-1].append(item.fragments[0].box.x0)
    return [left - min(column) for column in columns for left in column]
