"""Readers of evaluation data: each layout with a few rows made here, and what is wrong with others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from docpipe.document import Box
from docpipe.errors import DocpipeError
from docpipe.evaluate import read_cases, sampled
from docpipe.evaluate.cases import Case


def image(path: Path, size: tuple[int, int] = (100, 50)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "white").save(path)
    return path


def refused(data: Path, task: str) -> DocpipeError:
    with pytest.raises(DocpipeError) as caught:
        read_cases(data, task)
    return caught.value


def test_a_subset_is_read_by_the_table_of_truths_above_it(tmp_path: Path) -> None:
    (tmp_path / "truth.tsv").write_text("path\tsmiles\none/a.png\tCCO\ntwo/b.png\tCCN\n")
    for name in ("one/a.png", "two/b.png"):
        image(tmp_path / name)
    cases = read_cases(tmp_path / "one", "molecule")
    assert [(c.id, c.truth, c.group) for c in cases] == [("one/a.png", "CCO", "one")]
    assert len(read_cases(tmp_path, "molecule")) == 2


def test_a_manifest_names_the_truth_files_of_the_task(tmp_path: Path) -> None:
    image(tmp_path / "set/a.png")
    (tmp_path / "set/a.html").write_text("<table><tr><td>1</td></tr></table>")
    rows = ["path\tsource\ttruth", "set/a.png\there\tset/a.html", "set/b.gz\there\t(self)"]
    (tmp_path / "MANIFEST.tsv").write_text("\n".join(rows))
    assert read_cases(tmp_path, "table")[0].truth == "<table><tr><td>1</td></tr></table>"
    assert refused(tmp_path, "text").code == "DP630"


def test_an_image_that_the_manifest_names_but_is_not_there_stays_a_case(tmp_path: Path) -> None:
    (tmp_path / "truth.tsv").write_text("path\ttext\ngone.png\thello\n")
    assert [c.id for c in read_cases(tmp_path, "text")] == ["gone.png"]


@pytest.mark.parametrize(
    ("task", "name", "text", "truth"),
    [
        ("text", "a.txt", "hello\n", "hello\n"),
        ("score", "a.krn", "**kern\n*-\n", "**kern\n*-\n"),
        ("molecule", "a.smi", "CCO ethanol\n", "CCO"),
        ("table", "a.html", "<table></table>", "<table></table>"),
    ],
)
def test_truths_beside_the_images(tmp_path: Path, task: str, name: str, text: str, truth: str) -> None:
    image(tmp_path / "deep/a.png")
    image(tmp_path / "deep/without.png")
    (tmp_path / "deep" / name).write_text(text)
    assert [(c.id, c.truth) for c in read_cases(tmp_path, task)] == [("deep/a.png", truth)]


def test_each_line_of_a_caption_file_is_a_reference(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a cat\n\na cat on a mat\n")
    assert read_cases(tmp_path, "caption")[0].truths == ("a cat", "a cat on a mat")


VOC = """<annotation><size><width>200</width><height>100</height></size>
<object><name>rook</name><bndbox><xmin>20</xmin><ymin>10</ymin><xmax>60</xmax><ymax>50</ymax></bndbox></object>
<object><name>king</name><bndbox><xmin>100</xmin><ymin>0</ymin><xmax>200</xmax><ymax>100</ymax></bndbox></object>
<object><name>rook</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></object>
</annotation>"""


def test_pascal_voc_boxes_become_shares_and_their_labels_the_question(tmp_path: Path) -> None:
    image(tmp_path / "A.jpg", (200, 100))
    (tmp_path / "a.xml").write_text(VOC)
    (case,) = read_cases(tmp_path, "detect")
    assert case.parts == {"things": "rook ; king"}
    assert case.things is not None
    assert case.things[0].box == Box(0.1, 0.1, 0.3, 0.5)
    assert case.truth.startswith("<loc0102><loc0102><loc0512><loc0307> rook ; ")
    (tmp_path / "a.xml").write_text(VOC.replace("<width>200</width>", ""))
    assert refused(tmp_path, "detect").code == "DP631"


def lines(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return path


def test_paligemma_s_jsonl(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    file = lines(
        tmp_path / "test.jsonl",
        {"image": "a.png", "prefix": "answer en How many?", "suffix": "3"},
        {"image": "a.png", "prefix": "Which year?", "suffix": "2018"},
        {"image": "a.png", "prefix": "Which year?", "suffix": "2018"},
    )
    for data in (file, tmp_path):
        cases = read_cases(data, "question")
        assert [(c.parts["question"], c.truth) for c in cases] == [("How many?", "3"), ("Which year?", "2018")]


def test_jsonl_with_several_answers_words_and_boxes(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    votes = lines(tmp_path / "votes.jsonl", {"image": "a.png", "question": "What?", "answers": ["cat", "a cat"]})
    assert read_cases(votes, "question")[0].truths == ("cat", "a cat")
    words = [{"text": "hi", "box": [10, 5, 50, 25]}, {"text": "###", "box": [0, 0, 5, 5]}]
    spotted = read_cases(lines(tmp_path / "w.jsonl", {"image": "a.png", "text": "hi", "words": words}), "text")[0].words
    assert spotted is not None
    assert (spotted[0].box, spotted[1].ignored) == (Box(0.1, 0.1, 0.5, 0.5), True)
    boxes = lines(
        tmp_path / "b.jsonl", {"image": "a.png", "things": ["cat"], "boxes": [{"label": "cat", "box": [0, 0, 50, 50]}]}
    )
    (case,) = read_cases(boxes, "detect")
    assert (case.truth, case.parts) == ("<loc0000><loc0000><loc1023><loc0512> cat", {"things": "cat"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1"),
        ('{"image": "a.png", "text": "x"}\n["a.png"]', "line 2"),
        ('{"image": "a.png"}', "no truth"),
        ('{"image": "a.png", "text": "x", "words": [{"text": "x"}]}', "boxes"),
    ],
)
def test_a_line_that_cannot_be_understood_is_named(tmp_path: Path, text: str, said: str) -> None:
    image(tmp_path / "a.png")
    (tmp_path / "a.jsonl").write_text(text)
    error = refused(tmp_path / "a.jsonl", "text")
    assert error.code == "DP631"
    assert said in str(error)


@pytest.mark.parametrize("table", ["name\tsmiles\na.png\tC\n", "path\tsmiles\na.png\n", "path\tsmiles\na\tC\na\tC\n"])
def test_a_table_of_another_form_is_refused(tmp_path: Path, table: str) -> None:
    (tmp_path / "truth.tsv").write_text(table)
    assert refused(tmp_path, "molecule").code == "DP631"


def test_nothing_and_nowhere(tmp_path: Path) -> None:
    assert refused(tmp_path, "text").code == "DP630"
    assert refused(tmp_path / "none", "text").code == "DP107"


def test_smaller_samples_are_part_of_larger_ones(tmp_path: Path) -> None:
    cases = [Case(f"{i:03}.png", tmp_path, ("x",)) for i in range(50)]
    small, large = sampled(cases, 5, 1), sampled(cases, 20, 1)
    assert {c.id for c in small} < {c.id for c in large}
    assert [c.id for c in large] == sorted(c.id for c in large)
    assert sampled(cases, 5, 2) != small
    assert sampled(cases, None) == sampled(cases, 99) == cases
