"""The first look at a document, before its pages are worked on: what it is, and what it says as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from docpipe.document import Metadata, Page, SourceInfo
from docpipe.engines.statistics import SAMPLED_PAGES, statistics
from docpipe.errors import DocpipeError
from docpipe.run.pages import parse_pages, skipped_page
from docpipe.sheet import Statistics, close_source
from docpipe.source import Source, SourceRef


@dataclass(frozen=True)
class Look:
    """Look at this document. wanted: a page range; sampled: how many pages to gather statistics from."""

    ref: SourceRef
    wanted: str | None = None
    sampled: int = SAMPLED_PAGES


@dataclass(frozen=True)
class Opening:
    """What the first look found: the file, what it states, its statistics, the pages wanted and the others."""

    info: SourceInfo
    metadata: Metadata
    statistics: Statistics
    wanted: tuple[int, ...]
    skipped: tuple[Page, ...]


def look(at: Look) -> Opening:
    """Open a document and look through it. Raises DP101 to DP112 for one that cannot be opened, DP204 for the range."""
    try:
        return _look(at)
    except DocpipeError:
        raise
    except MemoryError as error:
        raise DocpipeError("DP504", at.ref.name, str(error)) from error
    except Exception as error:  # MuPDF raises a dozen types for damaged files
        raise DocpipeError("DP103", at.ref.name, str(error).split("\n")[0]) from error


def _look(at: Look) -> Opening:
    with Source(at.ref) as source:
        count = source.page_count
        wanted = parse_pages(at.wanted, count) if at.wanted else list(range(1, count + 1))
        left_out = sorted(set(range(1, count + 1)) - set(wanted))
        found = statistics(source, at.sampled)
        info, metadata = source.info, source.metadata
    skipped = tuple(skipped_page(at.ref, number) for number in left_out)
    close_source(at.ref)
    return Opening(info, metadata, found, tuple(wanted), skipped)
