"""A LangChain loader: chunks of documents with their headings, pages, boxes, and what was said against them.

from docpipe.loaders.langchain import DocpipeLoader
documents = DocpipeLoader(["paper.pdf", "out/report"]).load()
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from docpipe.errors import DocpipeError
from docpipe.export.chunks import LONGEST, chunks
from docpipe.loaders.source import opened

try:
    from langchain_core.document_loaders import BaseLoader
    from langchain_core.documents import Document
except ImportError as error:
    raise DocpipeError("DP305", "langchain-core", "pip install docpipe[langchain]") from error


class DocpipeLoader(BaseLoader):
    """Loads PDFs and images, which are converted, and output folders, which are read with their corrections.

    pipeline: by name, path, or a Pipeline's own file. longest: characters of a chunk. Metadata of each document:
    source, headings, kinds, pages, places (page, region, box in points) and doubts.
    """

    def __init__(
        self, sources: str | Path | Sequence[str | Path], pipeline: str | Path = "default", longest: int = LONGEST
    ) -> None:
        self.sources = [sources] if isinstance(sources, str | Path) else list(sources)
        self.pipeline, self.longest = pipeline, longest

    def lazy_load(self) -> Iterator[Document]:
        """One document for each chunk. Raises DocpipeError where a source cannot be opened."""
        for source in self.sources:
            document = opened(source, self.pipeline)
            for number, chunk in enumerate(chunks(document, self.longest)):
                said = chunk.to_json(document, number)
                text, name = said.pop("text"), said.pop("id")
                yield Document(page_content=text, metadata={"source": str(source), **said}, id=name)
