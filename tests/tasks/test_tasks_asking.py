"""The tasks that answer: prompts as the papers print them, parsers, and the verdicts on what comes back."""

from __future__ import annotations

import importlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from docpipe.document import AnswerContent, Box, PictureContent, TableContent
from docpipe.models import registry
from docpipe.models.masks import mask_decoder, segmented
from docpipe.models.registry import PRETRAINED
from docpipe.notation.masks import from_run_lengths
from docpipe.notation.tokens import loc, seg, write_box
from docpipe.tasks import get_task, prompt_for, task_names

IMAGE = Box(100, 200, 300, 600)
CAT = "<loc0256><loc0128><loc0768><loc0512> cat"


@pytest.mark.parametrize(
    ("task", "parts", "prompt"),
    [
        ("text", {}, "ocr"),
        ("caption", {}, "caption de"),
        ("short-caption", {}, "cap de"),
        ("describe", {}, "describe de"),
        ("question", {"question": "Wo steht die Kuh?"}, "answer de Wo steht die Kuh?"),
        ("ask-back", {"answer": "on the beach"}, "question de on the beach"),
        ("detect", {"things": "cow ; dog"}, "detect cow ; dog"),
        ("segment", {"things": "cow"}, "segment cow"),
        ("grounded-caption", {"place": "<loc0001><loc0002><loc0003><loc0004>"},
         "caption <loc0001><loc0002><loc0003><loc0004>"),
        ("spatial", {"statement": "The cat is on the mat."}, "answer de The cat is on the mat. true or false?"),
        ("radiology", {"indication": "Cough {3 days}."}, "Cough {3 days}."),
        ("chart", {}, "chart"),
        ("formula", {}, "formula"),
    ],
)  # fmt: skip
def test_prompts_of_the_published_families(task, parts, prompt):
    for family in ("pt", "mix", "ft"):
        assert prompt_for(get_task(task), family, "de", **parts) == prompt


def test_what_pretraining_knows_are_tasks():
    assert set(task_names()) >= PRETRAINED
    assert registry.find_checkpoint("paligemma2-3b-mix-448").can_read("ask-back")
    for task in ("radiology", "spatial", "chart", "formula"):
        assert not registry.find_checkpoint("paligemma2-3b-mix-448").can_read(task)


def test_every_task_is_one_file_with_all_that_a_task_has():
    for name in task_names():
        task = get_task(name)
        assert importlib.import_module(type(task).__module__).__doc__
        assert task.size in {224, 448, 896}
        assert task.max_tokens > 0
        assert 0 <= task.metric("", "x") <= 1
        assert task.check(task.parse("")).verdict.status in {"invalid", "unchecked"}


# --- places ----------------------------------------------------------------------------------------------------


def test_detections_are_y_first_and_a_1023rd_of_the_side():
    (found,) = get_task("detect").parse("<loc0000><loc0341><loc1023><loc0682> cat", boxes=IMAGE).detections
    assert found.label == "cat"
    assert found.box == pytest.approx((100 + 200 / 3, 200, 100 + 400 / 3, 600))


def test_table_cells_are_x_first_and_a_1023rd_of_the_side():
    html = '<table><tr><td coords="<loc0000><loc0341><loc1023><loc0682>">a</td></tr></table>'
    (cell,) = get_task("table").parse(html, boxes=IMAGE).cells
    assert cell.box == pytest.approx((100, 200 + 400 / 3, 300, 200 + 800 / 3))


def test_several_things_and_what_is_broken_between_them():
    task = get_task("detect")
    text = f"{CAT} ; <loc0001><loc0002> dog ; <loc0500><loc0500><loc0400><loc0600> hen ; {CAT} ; <loc0900><lo"
    content, verdict = task.check(task.parse(text, boxes=IMAGE))
    assert [d.label for d in content.detections] == ["cat"]
    assert verdict.status == "repaired"
    codes = {finding.code for finding in verdict.findings}
    assert codes >= {"detect.coordinates", "detect.no-area", "detect.cut-off", "detect.twice"}


def test_an_answer_that_places_nothing_is_invalid():
    task = get_task("detect")
    for text in ("", "no cat here", "<loc0001>", "<loc9999><loc0001><loc0002><loc0003> cat"):
        content, verdict = task.check(task.parse(text, boxes=IMAGE))
        assert content.detections == ()
        assert verdict.status == "invalid"
        assert "detect.none" in {finding.code for finding in verdict.findings}


def test_on_a_turned_page_the_tokens_stay_and_say_why_there_are_no_boxes():
    task = get_task("detect")
    content, verdict = task.check(task.parse(CAT))
    assert content.answer == CAT
    assert [f.code for f in verdict.findings] == ["detect.unplaced"]


def test_a_grounded_caption_keeps_its_box():
    box = Box(150, 300, 250, 500)
    content = get_task("grounded-caption").parse(" a cat ", boxes=IMAGE, parts={"place": write_box(box, IMAGE)})
    assert content.answer == "a cat"
    assert content.detections[0].label == "a cat"
    assert content.detections[0].box == pytest.approx(box, abs=0.3)


# --- masks -----------------------------------------------------------------------------------------------------


@pytest.fixture
def weights(tmp_path) -> Path:
    """Random weights in the layout of the published file."""
    random, shapes = np.random.default_rng(0), {"decoder.0": (8, 6, 1, 1), "decoder.12": (1, 3, 1, 1)}
    for block in (2, 3):
        shapes |= {f"decoder.{block}.net.{i}": (8, 8, *((1, 1) if i == 4 else (3, 3))) for i in (0, 2, 4)}
    stored = {"_vq_vae._embedding": random.normal(0, 1, (128, 6))}
    for layer, a, b in ((4, 8, 6), (6, 6, 5), (8, 5, 4), (10, 4, 3)):
        stored[f"decoder.{layer}.weight"] = random.normal(0, 0.5, (a, b, 4, 4))
        stored[f"decoder.{layer}.bias"] = random.normal(0, 0.5, b)
    for name, shape in shapes.items():
        stored[f"{name}.weight"] = random.normal(0, 0.5, shape)
        stored[f"{name}.bias"] = random.normal(0, 0.5, shape[0])
    np.savez(tmp_path / "vae-oid.npz", **stored)
    return tmp_path / "vae-oid.npz"


def run(count: int, first: int = 0) -> str:
    return "".join(seg((first + i) % 128) for i in range(count))


def test_a_mask_fills_its_box_at_a_pixel_a_point(weights):
    decoder = mask_decoder(str(weights))
    text = f"{loc(0.25)}{loc(0)}{loc(0.5)}{loc(1)}{run(16)} cat"
    (found,) = get_task("segment").parse(text, boxes=IMAGE, masks=decoder).detections
    assert found.mask_size == (200, 100)
    assert sum(found.mask) == 200 * 100
    mask = from_run_lengths(found.mask, found.mask_size)
    assert 0 < mask.mean() < 1
    other = segmented(text.replace(run(16), run(16, 60)), IMAGE, decoder)[0]
    assert other.mask != found.mask


@pytest.mark.parametrize("codes", ["", run(15), run(17), run(15) + "<seg128>", run(15) + "<seg12>", run(8) + "<seg"])
def test_a_run_of_codes_that_is_no_mask_gives_the_box_and_a_finding(weights, codes):
    task, text = get_task("segment"), CAT.replace(" cat", f"{codes} cat" if not codes.endswith("<seg") else codes)
    content, verdict = task.check(task.parse(text, boxes=IMAGE, masks=mask_decoder(str(weights))))
    assert len(content.detections) == 1
    assert content.detections[0].mask is None
    assert {"segment.no-mask"} <= {f.code for f in verdict.findings}
    assert verdict.status == ("repaired" if codes else "valid")
    if codes:
        assert "detect.mask" in {f.code for f in verdict.findings}


def test_without_weights_there_are_boxes_and_a_finding():
    task = get_task("segment")
    content, verdict = task.check(task.parse(CAT.replace(" cat", run(16) + " cat"), boxes=IMAGE))
    assert content.detections[0].mask is None
    assert [f.code for f in verdict.findings] == ["segment.no-mask"]


def test_the_mask_decoder_is_found_by_name_digest_or_in_the_checkpoints_folder(weights, monkeypatch):
    import hashlib

    from docpipe.errors import DocpipeError

    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert mask_decoder(f"{weights}#sha256={digest}").digest == digest
    assert mask_decoder(None, weights.parent).digest == digest
    assert mask_decoder(None, weights.parent.parent) is None
    monkeypatch.setenv("DOCPIPE_CACHE", str(weights.parent / "cache"))
    (weights.parent / "cache").mkdir()
    (weights.parent / "cache" / f"{digest}.npz").write_bytes(weights.read_bytes())
    assert mask_decoder(f"https://example.invalid/vae-oid.npz#sha256={digest}").digest == digest
    for name, code in (
        (f"{weights}#sha256={'0' * 64}", "DP306"),
        ("https://example.invalid/vae-oid.npz", "DP302"),
        (str(weights.parent / "none.npz"), "DP302"),
    ):
        with pytest.raises(DocpipeError) as told:
            mask_decoder(name)
        assert told.value.code == code
    with zipfile.ZipFile(weights, "w"):
        pass
    with pytest.raises(DocpipeError, match="DP302"):
        mask_decoder(str(weights))


# --- words -----------------------------------------------------------------------------------------------------


def test_an_answer_is_never_called_valid():
    task = get_task("question")
    content, verdict = task.check(task.parse(" on the beach ", parts={"question": "Where?"}))
    assert content == AnswerContent(answer="on the beach", question="Where?")
    assert (verdict.status, verdict.findings[0].code) == ("unchecked", "answer.unverified")
    assert task.check(task.parse(" ... ")).verdict.findings[0].code == "answer.empty"
    assert task.check(task.parse("unanswerable")).verdict.findings[0].code == "answer.refused"
    looped = task.check(task.parse("It is a cow." + " and a very big dog" * 9))
    assert looped.verdict.status == "repaired"
    assert looped.content.answer.count("dog") == 1
    assert looped.verdict.original.count("dog") == 9


@pytest.mark.parametrize(
    ("said", "answer", "status"),
    [("True", "True", "valid"), ("false", "False", "repaired"), ("Yes.", "True", "repaired"),
     ("blue square False", "False", "valid"), ("the cat", "the cat", "invalid"), ("", "", "invalid")],
)  # fmt: skip
def test_a_statement_is_true_or_false(said, answer, status):
    task = get_task("spatial")
    content, verdict = task.check(task.parse(said))
    assert (content.answer, verdict.status) == (answer, status)


def test_a_description_gives_alternative_text_too():
    task = get_task("describe")
    content, verdict = task.check(task.parse("A cow stands on sand. Behind it is the sea, e.g. waves. It is day."))
    assert content == PictureContent(
        alt="A cow stands on sand.", description="A cow stands on sand. Behind it is the sea, e.g. waves. It is day."
    )
    assert verdict.status == "unchecked"
    content, verdict = task.check(task.parse("..."))
    assert (content.alt, content.description, verdict.status) == (None, None, "invalid")


def test_every_verdict_on_a_report_carries_the_banner():
    task = get_task("radiology")
    for text in ("FINDINGS: Clear lungs.\nIMPRESSION: Normal.", "Clear.", "", "no " * 60):
        verdict = task.check(task.parse(text)).verdict
        assert verdict.findings[0].code == "radiology.no-medical-device"
        assert "no medical device" in verdict.findings[0].message
        assert verdict.status != "valid"
    whole = task.check(task.parse("FINDINGS: Clear lungs.\nIMPRESSION: Normal.")).verdict
    assert "radiology.sections" not in {f.code for f in whole.findings}
    part = task.check(task.parse("FINDINGS: Clear lungs.")).verdict
    assert "impression" in next(f.message for f in part.findings if f.code == "radiology.sections")


# --- charts and formulas ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "<table><tr><th>Year</th><th>Sales</th></tr><tr><td>2020</td><td>5</td></tr></table>",
        "| Year | Sales |\n|---|---:|\n| 2020 | 5 |",
        "TITLE | Sales by year<0x0A>Year | Sales<0x0A>2020 | 5",
    ],
)
def test_chart_data_is_a_table(text):
    task = get_task("chart")
    content, verdict = task.check(task.parse(text))
    assert isinstance(content, TableContent)
    assert [(c.row, c.column, c.text) for c in content.cells] == [
        (0, 0, "Year"), (0, 1, "Sales"), (1, 0, "2020"), (1, 1, "5"),
    ]  # fmt: skip
    assert [c.header for c in content.cells] == [True, True, False, False]
    assert verdict.status == "valid"


def test_chart_data_that_is_none_is_invalid():
    task = get_task("chart")
    assert task.check(task.parse("a bar chart")).verdict.findings[0].code == "table.none"


@pytest.mark.parametrize(
    ("latex", "code"),
    [
        (r"\frac{a}{b}", None),
        (r"\begin{matrix} a & b \\ c & d \end{matrix}", None),
        (r"\left\{ x \in \mathbb{R} \mid x > 0 \right\}", None),
        (r"\{a\}_{1}", None),
        ("", "latex.empty"),
        (r"\frac{a}{", "latex.braces"),
        (r"a_{1", "latex.braces"),
        (r"a}", "latex.braces"),
        (r"\notacommand x", "latex.unknown"),
        (r"\left( x", "latex.broken"),
        (r"\begin{matrix} a", "latex.broken"),
        (r"x^", "latex.broken"),
        ("{" * 3000 + "x" + "}" * 3000, "latex.broken"),
    ],
)
def test_formulas_are_judged_by_what_reads_them(latex, code):
    task = get_task("formula")
    verdict = task.check(task.parse(latex)).verdict
    assert verdict.status == ("invalid" if code else "valid"), verdict
    assert code is None or code in {f.code for f in verdict.findings}


@pytest.mark.parametrize("around", ["${}$", "$${}$$", r"\[{}\]", r"\({}\)", "\\begin{{equation*}}{}\\end{{equation*}}"])
def test_what_delimits_a_formula_is_taken_off(around):
    task = get_task("formula")
    content, verdict = task.check(task.parse(around.format("x^{2}")))
    assert content.answer == "x^{2}"
    assert (verdict.status, verdict.original) == ("repaired", around.format("x^{2}"))
    assert task.check(task.parse("$a$ and $b$")).content.answer == "$a$ and $b$"
