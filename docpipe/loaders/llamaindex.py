"""A LlamaIndex reader: chunks of documents with their headings, pages, boxes, and what was said against them.

from docpipe.loaders.llamaindex import DocpipeReader
documents = DocpipeReader().load_data("paper.pdf")
SimpleDirectoryReader("papers", file_extractor={".pdf": DocpipeReader()})
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docpipe.errors import DocpipeError
from docpipe.export.chunks import LONGEST, chunks
from docpipe.loaders.source import opened

try:
    from llama_index.core.readers.base import BaseReader
    from llama_index.core.schema import Document
except ImportError as error:
    raise DocpipeError("DP305", "llama-index-core", "pip install docpipe[llamaindex]") from error


class DocpipeReader(BaseReader):
    """Reads PDFs and images, which are converted, and output folders, which are read with their corrections.

    pipeline: by name or path. longest: characters of a chunk.
    """

    def __init__(self, pipeline: str | Path = "default", longest: int = LONGEST) -> None:
        self.pipeline, self.longest = pipeline, longest

    def lazy_load_data(self, file: str | Path, extra_info: dict[str, Any] | None = None) -> Iterable[Document]:
        """One document for each chunk. extra_info: more metadata for each. Raises DocpipeError as `convert` does."""
        document = opened(file, self.pipeline)
        for number, chunk in enumerate(chunks(document, self.longest)):
            said = chunk.to_json(document, number)
            text, name = said.pop("text"), said.pop("id")
            made = Document(text=text, metadata={"source": str(file), **said, **(extra_info or {})}, id_=name)
            # Boxes are for programs: neither a model nor an embedding gains from reading them.
            made.excluded_llm_metadata_keys = ["places"]
            made.excluded_embed_metadata_keys = ["places"]
            yield made
