"""What a document as a whole says, gathered while its pages go by: sections, heading levels, front matter, references.

Only what is needed is kept (headings, the first two pages, what follows a heading References), packed, so that memory
hardly grows with the pages: a page of regions takes 13 kB as objects, half a kB packed.
"""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator

from docpipe.document import Metadata, Page, Region
from docpipe.stages.frontmatter import front_matter, is_references
from docpipe.stages.structure import level_ranks, section_tree, with_ranks

FIRST_PAGES = 2
MOST_REFERENCES = 5_000
"""Regions kept after a heading References; the longest bibliographies of books have fewer."""


class Summary:
    """Gathers from pages in order; `ranks` and `metadata` are asked for after the last."""

    def __init__(self, wanted: bool = False) -> None:
        """wanted: whether title, authors, abstract and references are to be read off the pages."""
        self.wanted = wanted
        self._packed: list[bytes] = []
        self._references_from: int | None = None
        self._kept = 0

    def add(self, page: Page) -> None:
        """Take note of the next page."""
        kept = []
        for region in page.regions:
            if self._opens_references(region):
                self._drop_references()
                self._references_from, self._kept = len(self._packed), 0
            in_references = self._references_from is not None and self._kept < MOST_REFERENCES
            self._kept += in_references
            if region.kind == "heading" or in_references or (self.wanted and page.number <= FIRST_PAGES):
                kept.append(region)
        if kept:
            self._packed.append(_pack(page.replace_regions(kept)))

    def _opens_references(self, region: Region) -> bool:
        return self.wanted and region.kind in {"heading", "title", "paragraph"} and is_references(region.text)

    def _drop_references(self) -> None:
        """Of several bibliographies (a book has one a chapter) the last is the document's."""
        if self._references_from is None:
            return
        for i in range(self._references_from, len(self._packed)):
            page = _unpack(self._packed[i])
            if page.number > FIRST_PAGES:
                self._packed[i] = _pack(page.replace_regions([r for r in page.regions if r.kind == "heading"]))

    def _skeletons(self) -> Iterator[Page]:
        """The pages gathered so far, with the regions that are kept of them."""
        return map(_unpack, self._packed)

    @property
    def ranks(self) -> dict[int, int]:
        """For each heading level the one it gets (see `structure.level_ranks`)."""
        return level_ranks(region for page in self._skeletons() for region in page.regions)

    def metadata(self, stated: Metadata) -> Metadata:
        """The file's own metadata with the section tree and, when wanted, what the pages say."""
        ranks = self.ranks
        pages = [with_ranks(page, ranks) for page in self._skeletons()]
        found = front_matter(pages, stated) if self.wanted else stated
        return found.model_copy(update={"sections": section_tree(pages)})


def _pack(page: Page) -> bytes:
    return zlib.compress(pickle.dumps(page, pickle.HIGHEST_PROTOCOL), level=1)


def _unpack(packed: bytes) -> Page:
    page: Page = pickle.loads(zlib.decompress(packed))
    return page
