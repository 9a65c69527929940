"""`docpipe convert`: folders, formats, exit codes that tell the truth, and errors of one line."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import pymupdf
import pytest
from PIL import Image

from docpipe.export.json import read_document, read_manifest


def pdf(path: Path, pages: int = 2, **save: object) -> Path:
    document = pymupdf.Document()
    for number in range(1, pages + 1):
        page = document.new_page()
        page.insert_text((72, 90), f"{number} Heading of page {number}", fontsize=16)
        page.insert_text((72, 120), "Some words that make a paragraph of their own.", fontsize=11)
    document.save(path, **save)
    return path


def one_line(err: str, code: str) -> bool:
    return err.startswith(code + " ") and err.count("\n") == 1 and "; " in err


def test_a_document_gets_its_folder_and_a_summary(docpipe_cli, tmp_path):
    ran = docpipe_cli("convert", pdf(tmp_path / "a.pdf"), "-o", tmp_path / "out", "--to", "json")
    assert ran.code == 0, ran.err
    document = read_document(tmp_path / "out" / "a")
    assert document.status == "complete"
    assert [r.text for r in document.regions("paragraph")] == ["Some words that make a paragraph of their own."] * 2
    manifest = read_manifest(tmp_path / "out" / "a")
    assert manifest.pipeline == "default"
    assert [trace.ways["layout"] for trace in manifest.pages] == ["geometry", "geometry"]
    assert "2 complete" in " ".join(ran.out.split())


def test_the_same_input_gives_the_same_bytes(docpipe_cli, tmp_path):
    source = pdf(tmp_path / "a.pdf", pages=20)
    digests = set()
    for out, jobs in (("one", 1), ("two", 2), ("again", 1)):
        assert docpipe_cli("convert", source, "-o", tmp_path / out, "--jobs", jobs, "-q").code == 0
        digests.add(hashlib.sha256((tmp_path / out / "a" / "document.json").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_two_sources_of_one_stem_get_two_folders_and_json_tells_all(docpipe_cli, tmp_path):
    (tmp_path / "x").mkdir()
    pdf(tmp_path / "x" / "a.pdf", pages=1)
    pdf(tmp_path / "x" / "A.PDF", pages=1)
    Image.new("RGB", (200, 100), "white").save(tmp_path / "x" / "a.png")
    ran = docpipe_cli("convert", tmp_path / "x", "-o", tmp_path / "out", "--to", "json", "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert len({entry["folder"] for entry in told}) == 3
    assert all(Path(entry["folder"], "document.json").is_file() for entry in told)


def test_pages_left_out_are_skipped_and_nothing_is_missing(docpipe_cli, tmp_path):
    ran = docpipe_cli(
        "convert", pdf(tmp_path / "a.pdf", 3), "-o", tmp_path / "out", "--pages", "2", "--to", "json", "-q"
    )
    assert ran == (0, "", "")
    assert [p.status for p in read_document(tmp_path / "out" / "a").pages] == ["skipped", "complete", "skipped"]


def test_one_bad_file_costs_only_itself(docpipe_cli, tmp_path):
    bad = tmp_path / "bad.pdf"
    bad.write_text("not a pdf at all")
    ran = docpipe_cli("convert", bad, pdf(tmp_path / "good.pdf", 1), "-o", tmp_path / "out", "--to", "json", "-q")
    assert ran.code == 1
    assert one_line(ran.err, "DP101")
    assert (tmp_path / "out" / "good" / "document.json").is_file()
    assert not (tmp_path / "out" / "bad").exists()


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="there file names are always text")
def test_a_file_name_that_is_no_text_costs_nobody_anything(docpipe_cli, tmp_path):
    odd = tmp_path / "odd \udcff.pdf"
    odd.write_bytes(pdf(tmp_path / "good.pdf").read_bytes())
    out = tmp_path / "out"
    ran = docpipe_cli("convert", odd, tmp_path / "good.pdf", "-o", out)
    assert ran.code == 0, ran.err
    assert read_document(out / "odd \ufffd").source.name == "odd \ufffd.pdf"
    odd.write_bytes(b"rubbish")  # known by its path: a document that has changed since
    ran = docpipe_cli("resume", out)
    assert ran.code == 1
    assert "DP101" in ran.err
    assert read_document(out / "good").status == "complete"


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [("empty.pdf", b"", "DP102"), ("text.pdf", b"hello", "DP101"), ("cut.png", b"\x89PNG\r\n\x1a\n\0\0", "DP103")],
)
def test_a_source_that_cannot_be_opened_is_one_line(docpipe_cli, tmp_path, name, data, code):
    (tmp_path / name).write_bytes(data)
    ran = docpipe_cli("convert", tmp_path / name, "-o", tmp_path / "out")
    assert ran.code == 1
    assert one_line(ran.err, code), ran.err
    assert ran.out == ""


def test_encrypted_pdfs_want_their_password(docpipe_cli, tmp_path):
    how = {"encryption": pymupdf.PDF_ENCRYPT_AES_256, "user_pw": "open", "owner_pw": "own"}
    source = pdf(tmp_path / "a.pdf", 1, **how)
    assert one_line(docpipe_cli("convert", source, "-o", tmp_path / "out").err, "DP104")
    assert one_line(docpipe_cli("convert", source, "-o", tmp_path / "out", "--password", "x").err, "DP105")
    assert docpipe_cli("convert", source, "-o", tmp_path / "out", "--password", "open", "-q").code == 0


def test_names_that_do_not_exist_are_told_before_any_work(docpipe_cli, tmp_path):
    source = pdf(tmp_path / "a.pdf", 1)
    for arguments, code in (
        (["--pipeline", "fast"], "DP201"),
        (["--to", "docx"], "DP206"),
        (["--pages", "seven"], "DP204"),
    ):
        ran = docpipe_cli("convert", source, "-o", tmp_path / "out", *arguments)
        assert (ran.code, ran.err[:5]) == (1, code)
        assert one_line(ran.err, code)
    assert one_line(docpipe_cli("convert", tmp_path / "none.pdf", "-o", tmp_path / "out").err, "DP107")
    (tmp_path / "nothing").mkdir()
    assert one_line(docpipe_cli("convert", tmp_path / "nothing", "-o", tmp_path / "out").err, "DP108")


def test_an_output_path_that_cannot_be_written(docpipe_cli, tmp_path):
    (tmp_path / "file").write_text("in the way")
    ran = docpipe_cli("convert", pdf(tmp_path / "a.pdf", 1), "-o", tmp_path / "file" / "out")
    assert ran.code == 1
    assert one_line(ran.err, "DP401")


@pytest.mark.skipif(os.name != "posix", reason="the odd stage uses signals")
def test_a_page_that_fails_is_told_and_the_exit_code_is_not_0(docpipe_cli, tmp_path):
    pipeline = tmp_path / "odd.toml"
    pipeline.write_text('name = "odd"\n[[stage]]\nuse = "odd_stages:crashing"\npages = [2]\n', encoding="utf-8")
    ran = docpipe_cli("convert", pdf(tmp_path / "a.pdf", 3), "-o", tmp_path / "out", "-p", pipeline, "--to", "json")
    assert ran.code == 1
    assert one_line(ran.err, "DP501")
    document = read_document(tmp_path / "out" / "a")
    assert document.status == "partial"
    assert [p.status for p in document.pages] == ["complete", "failed", "complete"]
    assert [error.page for error in document.errors] == [2]


def test_pages_of_odd_sizes(docpipe_cli, tmp_path):
    document = pymupdf.Document()
    document.new_page(width=1, height=1)
    document.new_page(width=14400, height=14400)
    document.save(tmp_path / "odd.pdf")
    ran = docpipe_cli("convert", tmp_path / "odd.pdf", "-o", tmp_path / "out", "--to", "json", "-q")
    assert ran.code == 1
    assert one_line(ran.err, "DP109")
    assert [p.status for p in read_document(tmp_path / "out" / "odd").pages] == ["failed", "complete"]


def test_an_image_too_large_is_refused(docpipe_cli, tmp_path):
    Image.new("1", (30_000, 30_000)).save(tmp_path / "huge.png")
    assert one_line(docpipe_cli("convert", tmp_path / "huge.png", "-o", tmp_path / "out").err, "DP110")
