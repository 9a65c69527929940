"""A document as a person reads it: its regions in order as blocks, what goes on over a column or page joined again.

Every text export is made from these blocks, one after another, in memory bounded by the pages that a paragraph spans.
Running heads and feet are left out, captions stand with what they name, and what could not be read is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from docpipe.document import (
    AnswerContent,
    Content,
    Kind,
    Page,
    PictureContent,
    Region,
    TableContent,
    TextContent,
)
from docpipe.export.runs import Run, joined, one_line, runs_of, text_of, without_start
from docpipe.export.tables import merged

FIGURES: frozenset[Kind] = frozenset(("picture", "chart", "molecule", "score"))
"""Kinds that are shown as pixels too."""

DEEPEST_LIST = 8
"""Lists are nested this deep at most, whatever their levels say."""

_READ_AS: dict[str, str] = {"table": "table", "molecule": "molecule", "score": "score"}
"""Kinds that are read only when their content has this type; a picture in its place means nobody could."""

_BULLET = re.compile(r"^[•◦▪▫‣⁃∙·●○■□–—*\-]\s+")
_ORDINAL = re.compile(r"^(\d{1,4})[.)]\s+")
_NOTE = re.compile(r"^\W?(\d{1,3}|[*†‡§¶]{1,3}|[a-z](?=[\s.)\]]))[.)\]]?\s*")

_NOTED = re.compile(r"([.,;:!?)\]”’\"']|[^\W\d_]{3})\s?$")
"""What a footnote's mark follows: a word or a sign at its end."""


@dataclass
class Block:
    """A region in reading order, and those that go on from it.

    runs: its text, empty when it has none. unread: why nothing could be read. doubt: why its check does not hold.
    ordinal: the number of a list item. note: of a footnote that the text refers to, its name.
    """

    kind: Kind
    page: Page
    regions: list[Region]
    content: Content | None = None
    runs: list[Run] = field(default_factory=list)
    caption: Region | None = None
    unread: str | None = None
    doubt: str | None = None
    ordinal: int | None = None
    note: str | None = None
    last_page: int = 0

    @property
    def id(self) -> str:
        return self.regions[0].id

    @property
    def level(self) -> int:
        return max(1, self.regions[0].level or 1)

    @property
    def text(self) -> str:
        return text_of(self.runs)

    @property
    def language(self) -> str | None:
        return self.content.language if isinstance(self.content, TextContent) else None

    @property
    def caption_runs(self) -> list[Run]:
        """The caption's text, empty when there is none or nobody could read it."""
        if self.caption is None or self.caption.reading is None:
            return []
        content = self.caption.reading.content
        return runs_of(content) if isinstance(content, TextContent) else []

    @property
    def notice(self) -> str | None:
        """What must be said of the block where it was not read or its check does not hold: "table, not read: …"."""
        if self.unread is not None:
            return one_line(f"{name_of(self.kind)}, not read: {self.unread}")
        return one_line(f"{name_of(self.kind)}, reading in doubt: {self.doubt}") if self.doubt is not None else None

    @property
    def is_read(self) -> bool:
        """Whether there is more to it than a picture."""
        return self.content is not None and not isinstance(self.content, PictureContent)

    @property
    def alternative(self) -> str:
        """A figure's words for a person who cannot see it."""
        return alternative_text(self.regions[0], self.page.number)


@dataclass(frozen=True)
class PageStart:
    """The place where a page begins."""

    number: int


@dataclass(frozen=True)
class PageLost:
    """A page, or a part of it, that is missing, and why."""

    number: int
    reason: str
    whole: bool

    @property
    def notice(self) -> str:
        return one_line(f"page {self.number}{'' if self.whole else ', in part'}, not read: {self.reason}")


Item = Block | PageStart | PageLost


def name_of(kind: Kind) -> str:
    """A kind as people say it."""
    return kind.replace("_", " ")


def alternative_text(region: Region, page: int) -> str:
    """The words for a figure: its alternative text, else its description, else what it is and where."""
    content = region.reading.content if region.reading else None
    if isinstance(content, PictureContent):
        if words := one_line(content.alt or content.description or ""):
            return words
        what = name_of(region.kind) if region.kind != "picture" or content.figure == "other" else content.figure
    else:
        what = name_of(region.kind)
    read = content is not None and not isinstance(content, PictureContent)
    return f"{what[0].upper()}{what[1:]} on page {page}" + ("" if read else ", not described")


def is_pictured(region: Region) -> bool:
    """Whether a region is shown as pixels: a figure, or what was kept as a picture because nobody could read it."""
    content = region.reading.content if region.reading else None
    return region.kind in FIGURES or isinstance(content, PictureContent)


def flow(pages: Iterable[Page]) -> Iterator[Item]:
    """The blocks of the pages in reading order. Pages left out on purpose are passed over in silence."""
    held: list[Item] = []
    ends: dict[str, Block] = {}  # the last region of each block that may go on
    for page in pages:
        if page.status == "skipped":
            continue
        fresh: list[Block] = []
        held.append(PageStart(page.number))
        if page.status == "failed" or page.error is not None:
            reason = page.error.message if page.error else "no reason is known"
            held.append(PageLost(page.number, reason, page.status == "failed"))
        new_ends: dict[str, Block] = {}
        for region, caption in _with_captions(page):
            earlier = (new_ends | ends).get(region.continues or "")
            if earlier is not None and _goes_on(earlier, region, page.number):
                new_ends[region.id] = earlier
                continue
            block = _block(region, caption, page)
            if block is not None:
                fresh.append(block)
                held.append(block)
                new_ends[region.id] = block
        _link_notes([*ends.values(), *fresh], fresh, page.number)
        ends = new_ends
        # What ends on this page may go on on the next one.
        while held and not (isinstance(held[0], Block) and held[0].last_page == page.number):
            yield held.pop(0)
    yield from held


def _with_captions(page: Page) -> Iterator[tuple[Region, Region | None]]:
    """Regions in order without running heads and feet; each caption with what it names, or else by itself."""
    regions = sorted(page.regions, key=lambda r: r.order)
    by_id = {r.id: r for r in regions}
    captions: dict[str, Region] = {}
    for region in regions:
        named = by_id.get(region.caption or "")
        if named is not None and named.kind == "caption" and region.kind != "caption":
            captions[region.id] = named
    for region in regions:
        if region.kind == "caption" and region.parent in by_id and by_id[region.parent].kind != "caption":
            captions.setdefault(region.parent, region)
    taken = {caption.id for caption in captions.values() if _is_read(caption)}
    for region in regions:
        if region.kind in {"header", "footer"} or region.id in taken:
            continue
        caption = captions.get(region.id)
        yield region, caption if caption is not None and caption.id in taken else None


def _is_read(region: Region) -> bool:
    content = region.reading.content if region.reading else None
    return isinstance(content, TextContent) and bool(one_line(content.text))


def _block(region: Region, caption: Region | None, page: Page) -> Block | None:
    """A region as a block; None for one that is blank, and rightly so."""
    reading = region.reading
    content = reading.content if reading else None
    block = Block(region.kind, page, [region], content, caption=caption, last_page=page.number)
    status = reading.verdict.status if reading else "unchecked"
    why = "; ".join(f.message for f in reading.verdict.findings[:2]) if reading else ""
    if isinstance(content, TextContent | AnswerContent):
        text = content if isinstance(content, TextContent) else TextContent(text=content.answer)
        block.runs = runs_of(text, keep_lines=region.kind == "code")
        if not block.runs:
            if status == "valid":
                return None
            block.unread = why or "nothing was found"
    if content is None or (region.kind in _READ_AS and content.type == "picture"):
        if region.kind not in {"picture", "chart"}:
            block.unread = why or "no engine read it"
    elif status == "invalid" and block.unread is None:
        block.doubt = why or "its check does not hold"
    if region.kind == "list_item":
        _take_marker(block)
    return block


def _take_marker(block: Block) -> None:
    if found := _BULLET.match(block.text):
        block.runs = without_start(block.runs, found.end())
    elif found := _ORDINAL.match(block.text):
        block.ordinal = int(found[1])
        block.runs = without_start(block.runs, found.end())


def _goes_on(block: Block, region: Region, page: int) -> bool:
    """Add to a block the region that goes on from it, where the two make one text or one table."""
    reading = region.reading
    content = reading.content if reading else None
    if isinstance(block.content, TextContent) and isinstance(content, TextContent) and block.runs:
        block.runs = joined(block.runs, runs_of(content))
    elif isinstance(block.content, TableContent) and isinstance(content, TableContent):
        both = merged(block.content, content)
        if both is None:
            return False
        block.content = both
    else:
        return False
    if reading is not None and reading.verdict.status == "invalid" and block.doubt is None:
        block.doubt = "; ".join(f.message for f in reading.verdict.findings[:2]) or "its check does not hold"
    block.regions.append(region)
    block.last_page = page
    return True


def _link_notes(texts: Sequence[Block], fresh: Sequence[Block], page: int) -> None:
    """Link each footnote of a page to the superscript on it that refers to it.

    A footnote is referred to once: of several superscripts that could be meant the last is, since marks by authors'
    names stand above, and exponents and isotopes follow digits or short symbols.
    """
    notes: dict[str, Block] = {}
    for block in fresh:
        if block.kind == "footnote" and (found := _NOTE.match(block.text)):
            notes.setdefault(found[1], block)
    references: dict[str, tuple[Block, int]] = {}
    for block in texts:
        if not notes or block.kind == "footnote" or block.last_page != page:
            continue
        for i, run in enumerate(block.runs):
            mark = run.text.strip().strip("()[].,")
            if "superscript" in run.style and run.note is None and mark in notes:
                before = text_of(block.runs[max(0, i - 2) : i])
                if _NOTED.search(before):
                    references[mark] = (block, i)
    for number, (mark, (block, i)) in enumerate(references.items()):
        name = f"{page}-{mark}" if mark.isalnum() else f"{page}-n{number}"
        block.runs[i] = Run(block.runs[i].text, block.runs[i].style, name)
        found = _NOTE.match(notes[mark].text)
        notes[mark].note = name
        notes[mark].runs = without_start(notes[mark].runs, found.end() if found else 0)
