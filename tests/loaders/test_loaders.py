"""Loaders for frameworks of retrieval, held by those frameworks' own classes."""

from __future__ import annotations

from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[2] / "samples" / "report.pdf"


def test_langchain_documents_carry_pages_and_places() -> None:
    pytest.importorskip("langchain_core")
    from docpipe.loaders.langchain import DocpipeLoader

    made = DocpipeLoader(SAMPLE).load()
    assert len(made) > 3
    assert all(d.page_content and d.metadata["source"] == str(SAMPLE) and d.metadata["pages"] for d in made)
    place = made[0].metadata["places"][0]
    assert set(place) == {"page", "region", "box"}
    assert len({d.id for d in made}) == len(made)


def test_llama_index_reads_an_output_folder_with_its_corrections(tmp_path: Path) -> None:
    pytest.importorskip("llama_index.core")
    from llama_index.core.schema import MetadataMode

    import docpipe
    from docpipe.document import TextContent
    from docpipe.export.corrections import Correction, add_correction
    from docpipe.export.json import write_document
    from docpipe.loaders.llamaindex import DocpipeReader

    document = docpipe.convert(SAMPLE, pages="1")
    write_document(document, tmp_path / "document.json")
    target = next(document.regions("paragraph"))
    add_correction(
        tmp_path,
        Correction(
            document="report.pdf", source=document.source.sha256, page=1, region=target.id,
            kind=target.kind, box=target.box, action="edit",
            content=TextContent(text="A person wrote this."), time="2026-01-01T00:00:00Z",
        ),
    )  # fmt: skip
    made = DocpipeReader().load_data(tmp_path, {"shelf": "B"})
    assert any("A person wrote this." in d.text for d in made)
    assert all(d.metadata["shelf"] == "B" for d in made)
    assert "places" not in made[0].get_metadata_str(MetadataMode.LLM)
