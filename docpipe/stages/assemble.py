"""The stage that looks one page ahead: what goes on over the page break.

It runs over a document's pages in order, after the work on single pages, wherever that was done.
"""

from __future__ import annotations

from collections.abc import Iterator

from docpipe.sheet import Sheet
from docpipe.stages.base import Stage, failed, in_order, is_open
from docpipe.stages.structure import link_continuations


@in_order
def assemble() -> Stage:
    """Link the first paragraph or table of a page to the last of the page before, when it goes on from there.

    Pages of different documents may follow one another; a page that failed or was left out breaks the chain.
    """

    def run(sheets: Iterator[Sheet]) -> Iterator[Sheet]:
        before: Sheet | None = None
        for sheet in sheets:
            done = sheet
            if before is not None and is_open(before) and is_open(sheet) and before.ref == sheet.ref:
                try:
                    if before.page.number + 1 == sheet.page.number:
                        done = sheet.with_page(link_continuations(before.page, sheet.page))
                except Exception as error:  # one bad page never loses the document
                    done = failed(sheet, error)
            before = done
            yield done

    run.__name__ = "assemble"
    return run
