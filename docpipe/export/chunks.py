"""chunks.jsonl: passages for retrieval, each with its headings, and the pages and boxes that it stands on.

A chunk holds whole blocks of the reading flow under one heading, up to `LONGEST` characters; a longer paragraph is cut
between sentences. A table is a chunk by itself, a row a line; so are a molecule and a score with their captions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docpipe.document import Box, MoleculeContent, ScoreContent, TableContent
from docpipe.export.atomic import write_whole
from docpipe.export.flow import Block, flow
from docpipe.export.json import Pages
from docpipe.export.runs import one_line, text_of
from docpipe.export.tables import grid, trusted
from docpipe.source import SourceRef

FILE = "chunks.jsonl"

LONGEST = 1200
"""Characters of a chunk; a row of a table or a sentence that is longer stays whole."""

_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+")


@dataclass(frozen=True)
class Place:
    """Where a part of a chunk stands: page (1-based), region, box in points."""

    page: int
    region: str
    box: Box


@dataclass
class Chunk:
    """A passage. headings: the titles above it, outermost first. kinds: of the regions that it holds. doubtful: what
    was said against them (unread, or a check that does not hold)."""

    text: str
    headings: tuple[str, ...]
    kinds: tuple[str, ...]
    places: tuple[Place, ...]
    doubts: tuple[str, ...] = ()

    def to_json(self, document: Pages, number: int) -> dict[str, Any]:
        """The chunk as plain JSON values."""
        return {
            "id": f"{document.source.sha256[:16]}-{number}",
            "document": document.source.name,
            "text": self.text,
            "headings": list(self.headings),
            "kinds": list(self.kinds),
            "pages": sorted({place.page for place in self.places}),
            "places": [{"page": p.page, "region": p.region, "box": list(p.box)} for p in self.places],
            "doubts": list(self.doubts),
        }


@dataclass
class _Open:
    """The chunk being filled."""

    headings: tuple[str, ...] = ()
    texts: list[str] = field(default_factory=list)
    kinds: dict[str, None] = field(default_factory=dict)
    places: dict[Place, None] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)

    def closed(self) -> Chunk:
        return Chunk("\n\n".join(self.texts), self.headings, tuple(self.kinds), tuple(self.places), tuple(self.doubts))

    def add(self, text: str, block: Block) -> None:
        self.texts.append(text)
        self.kinds[block.kind] = None
        self.places.update(dict.fromkeys(_places(block)))
        if block.notice:
            self.doubts.append(block.notice)

    @property
    def length(self) -> int:
        return sum(len(text) + 2 for text in self.texts)


def chunks(document: Pages, longest: int = LONGEST) -> Iterator[Chunk]:
    """The chunks of a document in reading order. longest: characters of one.

    A heading alone makes no chunk: it stands among the headings of what follows it.
    """
    above: list[tuple[int, str]] = []
    now = _Open()
    for block in flow(document.pages):
        if not isinstance(block, Block):
            continue
        if block.kind in {"title", "heading"} and block.text:
            if now.texts:
                yield now.closed()
            depth = 0 if block.kind == "title" else block.level
            above = [*(pair for pair in above if pair[0] < depth), (depth, one_line(block.text))]
            now = _Open(tuple(title for _, title in above))
            continue
        parts = list(_parts(block, longest))
        alone = isinstance(block.content, TableContent | MoleculeContent | ScoreContent)
        for part in parts:
            if now.texts and (alone or now.length + len(part) > longest):
                yield now.closed()
                now = _Open(now.headings)
            now.add(part, block)
            if alone:
                yield now.closed()
                now = _Open(now.headings)
    if now.texts:
        yield now.closed()


def _parts(block: Block, longest: int) -> Iterator[str]:
    """A block's text, in parts that fit."""
    caption, content = one_line(text_of(block.caption_runs)), block.content
    if isinstance(content, TableContent):
        lines = ["\t".join(row).rstrip() for row in grid(trusted(content))]
        head = trusted(content).header_rows()
        yield from _packed(lines, longest, "\n", [line for line in (caption, *lines[:head]) if line], head)
        return
    if isinstance(content, MoleculeContent):
        text = " ".join(part for part in (one_line(content.smiles), content.formula or "") if part)
    elif isinstance(content, ScoreContent):
        text = content.kern
    elif block.is_read or block.runs:
        yield from _packed(_SENTENCE.split(one_line(block.text)), longest, " ")
        text = ""
    else:
        text = block.alternative
    if whole := "\n".join(part for part in (caption, text) if part):
        yield whole


def _packed(
    pieces: list[str], longest: int, between: str, first: list[str] | None = None, skip: int = 0
) -> Iterator[str]:
    """Pieces joined up to a length; `first` begins each part, in place of the first `skip` pieces."""
    start = list(first or ())
    held = list(start)
    for piece in pieces[skip:]:
        if len(held) > len(start) and sum(len(p) + 1 for p in held) + len(piece) > longest:
            yield between.join(held)
            held = list(start)
        held.append(piece)
    if any(held):
        yield between.join(held)


def _places(block: Block) -> Iterator[Place]:
    for region in block.regions:
        number = re.match(r"p(\d+)\.", region.id)
        yield Place(int(number[1]) if number else block.page.number, region.id, region.box)


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:  # noqa: ARG001
    """Write chunks.jsonl. Raises DP401."""
    lines = (
        json.dumps(chunk.to_json(document, number), ensure_ascii=False) + "\n"
        for number, chunk in enumerate(chunks(document))
    )
    return [write_whole(folder / FILE, lines)]
