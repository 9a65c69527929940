"""The example plug-in, installed beside docpipe as a user installs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pymupdf
import pytest

PLUGIN = Path(__file__).parents[2] / "examples" / "docpipe-qr"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the plug-in is installed, docpipe's own with a folder more."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", folder]
    subprocess.run([*command, PLUGIN], check=True)
    return {**os.environ, "PYTHONPATH": str(folder)}


def docpipe(environment: dict[str, str], *words: object) -> subprocess.CompletedProcess[str]:
    code = "from docpipe.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_its_task_engine_and_stage_read_a_document(installed: dict[str, str], tmp_path: Path) -> None:
    made = pymupdf.open()
    page = made.new_page(width=400, height=600)
    page.insert_text((50, 60), "A page with two codes, of which one is no web address.")
    for place, said in ((100, "https://example.org/a"), (300, "ftp://example.org/b")):
        code = cv2.QRCodeEncoder.create().encode(said)
        code = cv2.resize(code, None, fx=6, fy=6, interpolation=cv2.INTER_NEAREST)
        page.insert_image(pymupdf.Rect(100, place, 220, place + 120), stream=cv2.imencode(".png", code)[1].tobytes())
    made.save(tmp_path / "codes.pdf")
    done = docpipe(installed, "convert", tmp_path / "codes.pdf", "-p", PLUGIN / "qr.toml", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "out" / "codes" / "document.json").read_text())
    readings = [r["reading"] for p in document["pages"] for r in p["regions"] if r["kind"] == "picture"]
    assert [r["content"]["answer"] for r in readings] == ["https://example.org/a", "ftp://example.org/b"]
    assert [r["verdict"]["status"] for r in readings] == ["valid", "valid"]
    assert [[f["code"] for f in r["verdict"]["findings"]] for r in readings] == [[], ["qr.scheme"]]
    assert {r["origin"]["engine"] for r in readings} == {"opencv-qr"}


def test_a_setting_that_its_stage_has_not_is_refused_with_its_place(installed: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text((PLUGIN / "qr.toml").read_text().replace("schemes =", "scheme ="))
    done = docpipe(installed, "convert", PLUGIN / "README.md", "-p", file, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert "DP202" in done.stderr
    assert "schemes" in done.stderr
