"""What a document as a whole says, gathered while its pages go by: sections, heading levels, front matter, references.

Only what is needed is kept (headings, the first two pages, what follows a heading References), so that memory does not
grow with the pages.
"""

from __future__ import annotations

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
        self._skeletons: list[Page] = []
        self._after_references = False
        self._kept = 0

    def add(self, page: Page) -> None:
        """Take note of the next page."""
        kept = []
        for region in page.regions:
            if self._opens_references(region):
                self._drop_references()
                self._after_references, self._kept = True, 0
            in_references = self.wanted and self._after_references and self._kept < MOST_REFERENCES
            self._kept += in_references
            if region.kind == "heading" or in_references or (self.wanted and page.number <= FIRST_PAGES):
                kept.append(region)
        if kept:
            self._skeletons.append(page.replace_regions(kept))

    def _opens_references(self, region: Region) -> bool:
        return self.wanted and region.kind in {"heading", "title", "paragraph"} and is_references(region.text)

    def _drop_references(self) -> None:
        """Of several bibliographies (a book has one a chapter) the last is the document's."""
        self._skeletons = [
            page
            if page.number <= FIRST_PAGES
            else page.replace_regions([r for r in page.regions if r.kind == "heading"])
            for page in self._skeletons
        ]

    @property
    def ranks(self) -> dict[int, int]:
        """For each heading level the one it gets (see `structure.level_ranks`)."""
        return level_ranks(region for page in self._skeletons for region in page.regions)

    def metadata(self, stated: Metadata) -> Metadata:
        """The file's own metadata with the section tree and, when wanted, what the pages say."""
        ranks = self.ranks
        pages = [with_ranks(page, ranks) for page in self._skeletons]
        found = front_matter(pages, stated) if self.wanted else stated
        return found.model_copy(update={"sections": section_tree(pages)})
