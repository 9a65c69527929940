"""Each layout of training data, on a few rows made in that layout here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymupdf
import pytest
from PIL import Image

from docpipe.document import Box
from docpipe.errors import DocpipeError
from docpipe.notation.html import table_content
from docpipe.notation.tokens import read_objects
from docpipe.train.examples import Example, Shelf, picture
from docpipe.train.readers import layouts, read


def image(path: Path, size: tuple[int, int] = (60, 40), color: str = "white") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


def lines(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def taken(layout: str, place: Path, split: str = "train", task: str = "question", **options: Any) -> list[Example]:
    return list(read(layout, place, split=split, task=task, options=options))


def test_folder_takes_text_or_json_beside_each_image(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg", "without.png"):
        image(tmp_path / "train" / name)
    image(tmp_path / "val" / "c.png")
    (tmp_path / "train" / "a.txt").write_text("a cat\n")
    said = {"target": "yes", "parts": {"question": "is it?"}, "task": "question"}
    (tmp_path / "train" / "b.json").write_text(json.dumps(said))
    (tmp_path / "val" / "c.txt").write_text("two\nlines\n")
    first, second = taken("folder", tmp_path, task="caption")
    assert (first.image.name, first.task, first.target) == ("a.png", "caption", "a cat")
    assert (second.task, second.target, second.parts) == ("question", "yes", {"question": "is it?"})
    assert [e.target for e in taken("folder", tmp_path, "val")] == ["two\nlines"]
    assert taken("folder", tmp_path / "train", "val") == []


def test_jsonl_takes_prefixes_as_they_are_or_parts(tmp_path: Path) -> None:
    rows = [{"image": "a.png", "prefix": "answer en what?", "suffix": "x"},
            {"image": "b.png", "parts": {"question": "what?"}, "suffix": "y", "split": "val"}]  # fmt: skip
    file = lines(tmp_path / "annotations.jsonl", rows)
    (one,) = taken("jsonl", tmp_path)
    assert (one.image, one.prompt, one.target) == (tmp_path / "a.png", "answer en what?", "x")
    (other,) = taken("jsonl", file, "val")
    assert (other.prompt, other.parts) == (None, {"question": "what?"})
    lines(tmp_path / "val.jsonl", [{"image": "c.png", "suffix": "z"}])
    assert [e.target for e in taken("jsonl", tmp_path, "val")] == ["z"]


@pytest.mark.parametrize(
    ("row", "said"),
    [("{not json", "line 2"), ("[]", "line 2: an object|line 2.*an object"), ('{"image": "a"}', "suffix")],
)
def test_a_broken_line_is_named(tmp_path: Path, row: str, said: str) -> None:
    file = lines(tmp_path / "train.jsonl", [{"image": "a.png", "suffix": "x"}, row])
    with pytest.raises(DocpipeError, match=rf"DP622 .*{said}"):
        taken("jsonl", file)


TABLE = {
    "structure": {"tokens": ["<thead>", "<tr>", "<td", ' colspan="2"', ">", "</td>", "</tr>", "</thead>", "<tbody>",
                             "<tr>", "<td>", "</td>", "<td>", "</td>", "</tr>", "</tbody>"]},
    "cells": [{"tokens": ["<b>", "A", "&", "B", "</b>"], "bbox": [10, 0, 50, 20]},
              {"tokens": [*"12"], "bbox": [0, 20, 30, 40]}, {"tokens": []}],
}  # fmt: skip


def test_pubtabnet_gives_html_with_coordinates_in_the_padded_square(tmp_path: Path) -> None:
    image(tmp_path / "train" / "PMC1.png", (60, 40))
    lines(tmp_path / "PubTabNet_2.0.0.jsonl", [
        {"filename": "PMC1.png", "split": "train", "imgid": 1, "html": TABLE},
        {"filename": "PMC2.png", "split": "train", "imgid": 2, "html": TABLE},
        {"filename": "PMC3.png", "split": "val", "imgid": 3, "html": TABLE},
    ])  # fmt: skip
    (one,) = taken("pubtabnet", tmp_path, task="table")
    assert one.target.startswith(
        '<table><thead><tr><td coords="<loc0170><loc0170><loc0852><loc0512>" colspan="2">A&amp;B'
    )
    assert one.target.endswith("<td></td></tr></tbody></table>")
    # The task's own parser finds the cells where they were: the square is 60 x 60 around the 60 x 40 image.
    content = table_content(one.target, Box(0, -10, 60, 50))
    assert [c.text for c in content.cells] == ["A&B", "12", ""]
    assert content.cells[0].box == pytest.approx((10, 0, 50, 20), abs=0.06)
    (plain,) = taken("pubtabnet", tmp_path, task="table", coords=False)
    assert "coords" not in plain.target


def test_fintabnet_cuts_the_table_out_of_its_page(tmp_path: Path) -> None:
    pdf = tmp_path / "pdf" / "A" / "page_1.pdf"
    pdf.parent.mkdir(parents=True)
    with pymupdf.open() as made:
        page = made.new_page(width=200, height=300)
        page.draw_rect(pymupdf.Rect(50, 100, 110, 140), color=(1, 0, 0), fill=(1, 0, 0))
        made.save(pdf)
    # As stored: the origin at the lower left. The red table is at y 100..140 from the top, 160..200 from below.
    cells = [
        {"tokens": ["x"], "bbox": [50, 180, 110, 200]},
        {"tokens": ["y"], "bbox": [50, 160, 80, 180]},
        {"tokens": []},
    ]
    row = {"filename": "A/page_1.pdf", "split": "train", "bbox": [50, 160, 110, 200], "html": {**TABLE, "cells": cells}}
    lines(tmp_path / "FinTabNet_1.0.0_table_train.jsonl", [row])
    (one,) = taken("fintabnet", tmp_path, task="table", margin=0.0)
    assert one.box == (50, 100, 110, 140)
    content = table_content(one.target, Box(50, 90, 110, 150))
    assert content.cells[0].box == pytest.approx((50, 100, 110, 120), abs=0.1)
    assert content.cells[1].box == pytest.approx((50, 120, 80, 140), abs=0.1)
    pixels = picture(one)
    assert pixels.getpixel((pixels.width // 2, pixels.height // 2)) == (255, 0, 0)
    assert pixels.width == pytest.approx(60 * 200 / 72, abs=2)


def test_grandstaff_pairs_images_with_kern_and_follows_its_lists(tmp_path: Path) -> None:
    for name in ("one", "two"):
        score = tmp_path / "beethoven" / "op1" / f"{name}.krn"
        image(score.with_suffix(".jpg"))
        score.write_text("**kern\t**kern\n4c\t4e\n*-\t*-\n")
    image(tmp_path / "beethoven" / "op1" / "one_distorted.jpg")
    assert [e.image.name for e in taken("grandstaff", tmp_path, task="score")] == ["one.jpg", "two.jpg"]
    both = taken("grandstaff", tmp_path, task="score", distorted=True)
    assert [e.image.name for e in both] == ["one.jpg", "one_distorted.jpg", "two.jpg"]
    assert both[0].target == "**kern\t**kern\n4c\t4e\n*-\t*-"
    lines(tmp_path / "partitions" / "val.txt", ["grandstaff/beethoven/op1/two.krn"])
    assert [e.image.name for e in taken("grandstaff", tmp_path, "val", task="score")] == ["two.jpg"]


def test_molscribe_csv(tmp_path: Path) -> None:
    (tmp_path / "train_1k.csv").write_text("image_id,file_path,SMILES,num_atoms\n1,images/1.png,CC(=O)O,4\n")
    (tmp_path / "val.csv").write_text("image_id,SMILES\nUS123,CCO\n")
    (one,) = taken("molscribe", tmp_path, task="molecule")
    assert (one.image, one.target) == (tmp_path / "images" / "1.png", "CC(=O)O")
    (other,) = taken("molscribe", tmp_path, "val", task="molecule", images="pictures")
    assert other.image == tmp_path / "pictures" / "US123.png"
    (tmp_path / "train_1k.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DocpipeError, match=r"DP622 .*line 2.*SMILES"):
        taken("molscribe", tmp_path)


def test_docci_by_split(tmp_path: Path) -> None:
    lines(tmp_path / "docci_descriptions.jsonlines", [
        {"type": "iid", "split": "train", "image_file": "train_0.jpg", "description": "A dog. "},
        {"type": "iid", "split": "qual_dev", "example_id": "q", "image_file": "q.jpg", "description": "A cat."},
    ])  # fmt: skip
    (one,) = taken("docci", tmp_path, task="describe")
    assert (one.image, one.target) == (tmp_path / "images" / "train_0.jpg", "A dog.")
    assert [e.target for e in taken("docci", tmp_path, "qual_dev")] == ["A cat."]


def test_vsr_statements_are_true_or_false(tmp_path: Path) -> None:
    rows = [{"image": "1.jpg", "caption": "The cat is under the table.", "label": 1, "relation": "under"},
            {"image": "2.jpg", "caption": "The dog is on it.", "label": 0, "relation": "on"}]  # fmt: skip
    lines(tmp_path / "data" / "splits" / "zeroshot" / "dev.jsonl", rows)
    found = taken("vsr", tmp_path, "dev", task="spatial")
    assert [(e.target, e.parts["statement"]) for e in found] == [
        ("True", rows[0]["caption"]),
        ("False", rows[1]["caption"]),
    ]
    assert found[0].image == tmp_path / "images" / "1.jpg"


def test_icdar15_words_become_boxes_in_reading_order(tmp_path: Path) -> None:
    image(tmp_path / "ch4_training_images" / "img_1.jpg", (100, 100))
    truth = tmp_path / "ch4_training_localization_transcription_gt" / "gt_img_1.txt"
    truth.parent.mkdir()
    text = (
        "10,60,50,60,50,80,10,80,a;b, c\n0,0,9,0,9,9,0,9,###\n60,10,90,12,90,30,60,28,right\n"
        "5,10,40,10,40,30,5,30,left\n"
    )
    truth.write_text(text, encoding="utf-8-sig")
    (one,) = taken("icdar15", tmp_path, task="detect")
    found, findings = read_objects(one.target)
    assert not findings
    assert [f.label for f in found] == ["left", "right", "a,b, c"]
    assert found[1].place == pytest.approx((0.6, 0.1, 0.9, 0.3), abs=1e-3)
    truth.write_text("1,2,3\n")
    with pytest.raises(DocpipeError, match=r"DP622 .*line 1"):
        taken("icdar15", tmp_path)


def test_totaltext_polygons(tmp_path: Path) -> None:
    image(tmp_path / "Images" / "Train" / "img7.jpg", (200, 100))
    truth = tmp_path / "Groundtruth" / "Polygon" / "Train" / "poly_gt_img7.txt"
    truth.parent.mkdir(parents=True)
    truth.write_text(
        "x: [[20 60\n 60 20]], y: [[10 10 30 30]], ornt: [u'c'], transcriptions: [u'IT\\'S']\n"
        "x: [[0 5 5]], y: [[0 0 5]], ornt: [u'#'], transcriptions: [u'#']\n"
    )
    (one,) = taken("totaltext", tmp_path, task="detect")
    (found,) = read_objects(one.target)[0]
    assert found.place == pytest.approx((0.1, 0.1, 0.3, 0.3), abs=1e-3)
    assert taken("totaltext", tmp_path, "val") == []


def test_coco_boxes_and_captions(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "1.jpg", "width": 100, "height": 50}]
    notes = [{"image_id": 1, "category_id": 3, "bbox": [50, 25, 50, 25], "iscrowd": 0},
             {"image_id": 1, "category_id": 4, "bbox": [0, 0, 10, 10], "iscrowd": 0},
             {"image_id": 1, "category_id": 3, "bbox": [0, 0, 1, 1], "iscrowd": 1}]  # fmt: skip
    categories = [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}]
    (tmp_path / "annotations").mkdir()
    (tmp_path / "train2017").mkdir()
    held = {"images": images, "annotations": notes, "categories": categories}
    (tmp_path / "annotations" / "instances_train2017.json").write_text(json.dumps(held))
    said = {
        "images": images,
        "annotations": [{"image_id": 1, "caption": "A cat. "}, {"image_id": 1, "caption": "A dog."}],
    }
    (tmp_path / "annotations" / "captions_train2017.json").write_text(json.dumps(said))
    (one,) = taken("coco", tmp_path, task="detect")
    found = read_objects(one.target)[0]
    assert [(f.label, f.place) for f in found][1] == ("cat", pytest.approx((0.5, 0.5, 1.0, 1.0), abs=1e-3))
    assert one.parts == {"things": "all classes"}
    assert taken("coco", tmp_path, classes="named")[0].parts == {"things": "cat ; dog"}
    captions = taken("coco", tmp_path, task="caption", what="captions")
    assert [e.target for e in captions] == ["A cat.", "A dog."]


REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___-year-old woman with
 cough.

 FINDINGS:  The lungs are clear.

 IMPRESSION:

 No acute process.
"""


def test_mimic_cxr_reads_the_sections_of_a_report(tmp_path: Path) -> None:
    person = tmp_path / "files" / "p10" / "p10000032"
    image(person / "s1" / "d1.jpg")
    image(person / "s2" / "d2.jpg")
    (person / "s1.txt").write_text(REPORT)
    (person / "s2.txt").write_text("INDICATION: fever.\n\n WET READ: nothing.\n")
    head = "dicom_id,study_id,subject_id,split\n"
    (tmp_path / "mimic-cxr-2.0.0-split.csv").write_text(head + "d1,1,10000032,train\nd2,2,10000032,train\n")
    (one,) = taken("mimic-cxr", tmp_path, task="radiology")
    assert one.image == person / "s1" / "d1.jpg"
    assert one.parts == {"indication": "___-year-old woman with cough."}
    assert one.target == "FINDINGS: The lungs are clear.\nIMPRESSION: No acute process."


def test_hugging_face_images_become_files(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    columns = {"image": [Image.new("RGB", (8, 6), c) for c in ("red", "blue")], "text": ["r", "b"], "q": ["1?", "2?"]}
    features = datasets.Features(
        {"image": datasets.Image(), "text": datasets.Value("string"), "q": datasets.Value("string")}
    )
    made = datasets.Dataset.from_dict(columns, features=features)
    datasets.DatasetDict({"train": made, "test": made.select([1])}).save_to_disk(str(tmp_path / "saved"))
    (tmp_path / "files").mkdir()
    made.to_parquet(str(tmp_path / "files" / "train-00000-of-00001.parquet"))
    for place in (tmp_path / "saved", tmp_path / "files"):
        found = taken("huggingface", place, parts={"question": "q"})
        assert [(e.target, e.parts) for e in found] == [("r", {"question": "1?"}), ("b", {"question": "2?"})]
        assert picture(found[0]).getpixel((1, 1)) == (255, 0, 0)
    assert len(taken("huggingface", tmp_path / "saved", "test")) == 1
    with pytest.raises(DocpipeError, match=r"DP622 .*no column 'answer'"):
        taken("huggingface", tmp_path / "saved", target="answer")


def test_unknown_layouts_and_options_are_named(tmp_path: Path) -> None:
    with pytest.raises(DocpipeError, match=r"DP620 nothing: .*pubtabnet"):
        taken("nothing", tmp_path)
    with pytest.raises(DocpipeError, match=r"DP620 coco: .*colour.*what"):
        taken("coco", tmp_path, colour=3)
    with pytest.raises(DocpipeError, match="DP107"):
        taken("folder", tmp_path / "no")


@pytest.mark.parametrize("layout", [n for n in layouts() if n not in ("huggingface", "corrections")])
def test_what_is_not_laid_out_so_is_an_error_or_empty(layout: str, tmp_path: Path) -> None:
    (tmp_path / "something.bin").write_bytes(b"\0")
    if layout == "folder":
        assert taken(layout, tmp_path) == []
        return
    with pytest.raises(DocpipeError, match="DP622"):
        taken(layout, tmp_path)


def test_a_shelf_gives_back_what_was_put_on_it(tmp_path: Path) -> None:
    put = [Example(Path("a.png"), "text", "x\ny", {"a": "ü"}),
           Example(Path("b.pdf"), "table", "z", page=2, box=(1, 2, 3, 4.5)),
           Example(Path("c.png"), "text", "", prompt="p", rotation=90, skew=1.5)]  # fmt: skip
    fits: Callable[[Example], bool] = lambda e: e.target != "z"  # noqa: E731
    shelf, left_out = Shelf.fill(tmp_path / "s.jsonl", put, lambda _: True)
    assert ([shelf[i] for i in (2, 0, 1)], left_out) == ([put[2], put[0], put[1]], 0)
    shelf.close()
    kept, left_out = Shelf.fill(tmp_path / "s.jsonl", put, fits)
    assert (len(kept), left_out) == (2, 1)
