"""Documents of a run gathered into few files."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pymupdf

from docpipe.document import Document
from docpipe.pipeline import Pipeline
from docpipe.pipeline_file import PipelineFile
from docpipe.run.batch import BatchSettings, convert_files
from docpipe.run.partitions import write_partitions

STAGES = ({"use": "odd_stages:marking", "kind": "picture"}, {"use": "assemble"})


def test_documents_are_gathered_in_order_and_what_is_stale_goes(tmp_path):
    files = [tmp_path / f"{name}.pdf" for name in "abcd"]
    for file in files:
        document = pymupdf.Document()
        document.new_page().insert_text((72, 72), file.name)
        document.new_page()
        document.save(file)
    files[1].write_text("this is no PDF")
    made = Pipeline.from_file(PipelineFile.model_validate({"name": "marked", "stage": STAGES}))
    outcomes = convert_files(files, tmp_path / "out", made, BatchSettings())
    out = tmp_path / "out"

    written = write_partitions(outcomes, out, "jsonl", size=2)
    lines = [path.read_text("utf-8").splitlines() for path in written]
    assert [path.name for path in written] == ["part-00000.jsonl", "part-00001.jsonl"]
    documents = [[Document.model_validate_json(line) for line in part] for part in lines]
    assert [[one.source.name for one in part] for part in documents] == [["a.pdf"], ["c.pdf", "d.pdf"]]
    assert json.loads(lines[0][0]) == json.loads((out / "a" / "document.json").read_bytes())
    before = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in write_partitions(outcomes, out, "jsonl", size=2)] == before

    (one,) = write_partitions(outcomes, out, "parquet")
    assert sorted(path.name for path in (out / "partitions").iterdir()) == ["part-00000.parquet"]
    rows = pq.read_table(one).to_pylist()
    assert [(Path(row["document"]).name, row["page"]) for row in rows] == [
        ("a.pdf", 1), ("a.pdf", 2), ("c.pdf", 1), ("c.pdf", 2), ("d.pdf", 1), ("d.pdf", 2)
    ]  # fmt: skip
    assert all(row["image"]["bytes"].startswith(b"\x89PNG") for row in rows)
    files[0].unlink()  # no pictures of what is gone; the regions stay
    (one,) = write_partitions(outcomes, out, "parquet")
    assert len(pq.read_table(one)) == 6
