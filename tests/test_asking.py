"""`docpipe.ask`, `detect` and `caption` on the tiny checkpoint, and errors that name checkpoints that can answer."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pymupdf
import pytest
from PIL import Image

import docpipe
from docpipe import asking
from docpipe.asking import meant
from docpipe.document import AnswerContent, Box, Origin, Page, Reading
from docpipe.errors import DocpipeError
from docpipe.models import registry
from docpipe.models.dicom import windowed
from docpipe.notation.tokens import write_box
from docpipe.tasks import get_task

GOLDEN = Path(__file__).parent / "golden" / "tiny_10b"
SAMPLES = Path(__file__).parents[1] / "samples"


def tiny(path: Path, **tasks: dict[str, object]) -> str:
    """The tiny checkpoint, with short answers; it speaks nonsense and never ends by itself."""
    shutil.copytree(GOLDEN, path)
    said = {name: {"max_tokens": 6, **settings} for name, settings in tasks.items()}
    (path / "docpipe.json").write_text(json.dumps({"name": path.name, "tasks": said}))
    return str(path)


@pytest.fixture
def model(tmp_path) -> str:
    names = ("question", "detect", "segment", "caption", "describe", "spatial", "radiology", "ask-back")
    return tiny(tmp_path / "tiny", **{name: {} for name in names})


@pytest.fixture
def photo(tmp_path) -> Path:
    noise = np.random.default_rng(3).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "image.png")
    return tmp_path / "image.png"


@pytest.fixture
def _nothing_shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "SHIPPED", tmp_path / "no-such-folder")
    asking._engine.cache_clear()


def test_the_quick_start_is_three_lines(photo, capsys):
    import docpipe

    answers = docpipe.ask(photo, "answer en Where is the cow standing?", model=str(GOLDEN))
    print(answers.text)

    assert capsys.readouterr().out.strip() == answers.text.strip()
    (found,) = answers
    content = found.reading.content
    assert isinstance(content, AnswerContent)
    assert content.question == "Where is the cow standing?"
    origin = found.reading.origin
    assert (origin.checkpoint, origin.prompt) == ("tiny_10b", "answer en Where is the cow standing?")
    assert origin.crop is not None
    assert origin.crop.box == (0, 0, 60, 40)
    assert found.reading.confidence is None  # nothing calibrated it


def test_path_bytes_and_pil_give_the_same_answer(photo, model):
    image = Image.open(photo)
    answers = [docpipe.ask(source, "Where?", model=model)[0] for source in (photo, photo.read_bytes(), image)]
    assert len({(a.text, a.reading.origin.crop.sha256) for a in answers}) == 1
    turned = Image.open(photo).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    held = io.BytesIO()
    turned.save(held, "PNG", exif=exif)
    from_turned = docpipe.ask(Image.open(held), "Where?", model=model)[0]
    assert from_turned.reading.origin.crop.sha256 == answers[0].reading.origin.crop.sha256


@pytest.mark.usefixtures("_nothing_shipped")
def test_without_a_checkpoint_the_error_names_those_that_can_answer(photo):
    with pytest.raises(DocpipeError, match=r"DP303 question: .*paligemma2-3b-mix-448.*--model"):
        docpipe.ask(photo, "answer en Where is the cow standing?")
    with pytest.raises(DocpipeError, match=r"DP307 paligemma2-3b-ft-docci-448, detect: .*paligemma2-3b-mix-448"):
        docpipe.detect(photo, "cow", model="paligemma2-3b-ft-docci-448")
    with pytest.raises(DocpipeError, match=r"DP303 radiology: .*no registered checkpoint was trained for it"):
        docpipe.ask(photo, "Cough.", task="radiology")
    with pytest.raises(DocpipeError, match="DP301"):
        docpipe.caption(photo, model="no-such-model")


def test_a_shipped_checkpoint_answers_within_its_world_or_not_at_all(photo, tmp_path, monkeypatch):
    tiny(tmp_path / "shipped" / "nano-questions", question={})
    monkeypatch.setattr(registry, "SHIPPED", tmp_path / "shipped")
    asking._engine.cache_clear()
    assert docpipe.ask(photo, "Where?")[0].reading.origin.checkpoint == "nano-questions"
    with pytest.raises(DocpipeError, match=r"DP303 caption: .*paligemma2-3b-mix-448"):
        docpipe.caption(photo)


@pytest.mark.parametrize(
    ("prompt", "task", "parts", "language"),
    [
        ("Where is the cow?", "question", {"question": "Where is the cow?"}, None),
        ("answer de Wo?", "question", {"question": "Wo?"}, "de"),
        ("answer me this: where?", "question", {"question": "answer me this: where?"}, None),
        ("answer en The cat is left of it. true or false?", "spatial", {"statement": "The cat is left of it."}, "en"),
        ("question en on sand", "ask-back", {"answer": "on sand"}, "en"),
        ("detect cow ; dog", "detect", {"things": "cow ; dog"}, None),
        ("segment cow", "segment", {"things": "cow"}, None),
        ("caption fil", "caption", {}, "fil"),
        ("cap en", "short-caption", {}, "en"),
        ("describe en", "describe", {}, "en"),
        ("ocr", "text", {}, None),
        ("caption <loc0001><loc0002><loc0003><loc0004>", "grounded-caption",
         {"place": "<loc0001><loc0002><loc0003><loc0004>"}, None),
    ],
)  # fmt: skip
def test_prompts_are_understood(prompt, task, parts, language):
    assert meant(prompt) == (task, parts, language)


def test_the_prompt_that_runs_is_the_one_written(photo, model):
    for prompt in ("question de on sand", "describe fr", "segment a ; b", "answer en It is left. true or false?"):
        assert docpipe.ask(photo, prompt, model=model)[0].reading.origin.prompt == prompt
    assert docpipe.detect(photo, ["a", " b "], model=model)[0].reading.origin.prompt == "detect a ; b"
    assert docpipe.caption(photo, length="long", language="de", model=model)[0].reading.origin.prompt == "describe de"
    assert docpipe.ask(photo, "Cough.", task="radiology", model=model)[0].reading.origin.prompt == "Cough."


def test_the_checkpoint_stays_loaded_from_call_to_call(photo, model):
    docpipe.ask(photo, "Where?", model=model)
    before = asking._engine(model, 1, None, "auto")._loaded["tiny"]
    docpipe.detect(photo, "cow", model=model)
    assert asking._engine(model, 1, None, "auto")._loaded["tiny"] is before


def test_a_statement_comes_with_the_probability_of_its_answer(photo, model):
    reading = docpipe.ask(photo, "The cat is left.", task="spatial", model=model)[0].reading
    assert 0 < reading.content.probability < 1
    assert reading.confidence is None, "the tiny checkpoint says neither True nor False"
    content = AnswerContent(answer="False", probability=0.2)
    said = Reading(content=content, confidence=0.8, origin=Origin(engine="e"))
    kept = asking._confident(said, calibrated=False, raw=True)
    assert kept.confidence == 0.8
    assert [f.code for f in kept.verdict.findings] == ["confidence.uncalibrated"]
    assert "opposite" in kept.verdict.findings[0].message


def test_with_what_ships_the_quick_start_answers_or_names_checkpoints_that_can(photo):
    asking._engine.cache_clear()
    question = "answer en Where is the cow standing?"
    if not any(checkpoint.can_read("question") for checkpoint in registry.shipped().values()):
        with pytest.raises(DocpipeError, match=r"DP303 question: .*paligemma2-3b-mix-448"):
            docpipe.ask(photo, question)
        return
    reading = docpipe.ask(photo, question)[0].reading  # within its world, or it says why not
    codes = {finding.code for finding in reading.verdict.findings}
    assert reading.content is not None or codes & {"DP307", "abstained"}
    assert reading.origin.checkpoint in (None, *registry.shipped())


def test_a_blank_image_is_not_answered_and_a_report_on_it_still_has_its_banner(tmp_path, model):
    Image.new("RGB", (60, 40), "white").save(tmp_path / "blank.png")
    (found,) = docpipe.ask(tmp_path / "blank.png", "Cough.", task="radiology", model=model)
    assert found.reading.content is None
    assert found.text == ""
    codes = [f.code for f in found.reading.verdict.findings]
    assert codes[0] == "radiology.no-medical-device"
    assert "abstained" in codes


def document(path: Path) -> Path:
    made = pymupdf.Document()
    for number in (1, 2, 3):
        page = made.new_page(width=200, height=100 + number)
        page.insert_text((20, 40), f"Page {number} of three", fontsize=14)
    made.save(path)
    return path


def test_a_document_is_asked_page_by_page_and_the_surest_comes_first(tmp_path, model):
    answers = docpipe.ask(document(tmp_path / "a.pdf"), "How many?", model=model)
    assert sorted(found.page for found in answers) == [1, 2, 3]
    sure = [found.reading.confidence for found in answers]
    assert sure == sorted(sure, reverse=True)
    assert None not in sure
    assert answers.text == answers[0].text
    some = docpipe.ask(tmp_path / "a.pdf", "How many?", model=model, pages="2")
    assert [found.page for found in some if found.reading.content] == [2]


def test_answers_are_ranked_by_what_holds_before_confidence():
    def found(confidence, status="unchecked", content=AnswerContent(answer="x")):  # noqa: B008 (frozen)
        verdict = {"status": status}
        reading = Reading(content=content, confidence=confidence, verdict=verdict, origin=Origin(engine="e"))
        return docpipe.Found("a", 1, docpipe.Region(id="p1.r1", kind="other", box=Box(0, 0, 1, 1)), reading)

    order = [found(0.4), found(0.9), found(0.95, "invalid"), found(None, content=None)]
    ranked = sorted(order, key=asking._rank, reverse=True)
    assert [f.reading.confidence for f in ranked] == [0.9, 0.4, 0.95, None]


def test_the_figures_of_a_document_are_asked(model):
    answers = docpipe.ask(SAMPLES / "mixed.pdf", "What is it?", model=model, kinds=["table"], pages="2")
    assert answers
    assert {found.region.kind for found in answers} == {"table"}
    assert all(found.reading.origin.crop.box == found.region.box for found in answers)
    with pytest.raises(DocpipeError, match="DP203 tabel"):
        docpipe.ask(SAMPLES / "mixed.pdf", "What?", model=model, kinds=["tabel"])


def test_a_part_of_an_image_is_asked_alone(photo, model):
    (found,) = docpipe.ask(photo, "What?", model=model, box=(10, 10, 30, 400))
    assert found.region.box == (10, 10, 30, 40)
    assert found.reading.origin.crop.box == (10, 10, 30, 40)
    for box in ((0, 0, 0, 0), (70, 0, 90, 10), (1, 2), ("a", 1, 2, 3), (float("nan"), 0, 9, 9)):
        with pytest.raises(DocpipeError, match="DP208"):
            docpipe.ask(photo, "What?", model=model, box=box)


def test_a_box_is_captioned_within_the_whole_image(photo, tmp_path):
    # The tiny vocabulary has no location tokens, so this checkpoint's own prompt does without them.
    model = tiny(tmp_path / "grounded", **{"grounded-caption": {"prompt": "caption en"}})
    (found,) = docpipe.caption(photo, model=model, box=(15, 10, 45, 30))
    assert found.reading.origin.crop.box == (0, 0, 60, 40)
    (thing,) = found.reading.content.detections
    assert thing.box == pytest.approx((15, 10, 45, 30), abs=0.05)
    (found,) = docpipe.caption(photo, model=str(GOLDEN), box=(15, 10, 45, 30))
    assert "DP307" in {f.code for f in found.reading.verdict.findings}


def test_a_box_on_a_turned_page_is_named_where_it_is_once_upright(photo):
    page = Page(number=1, width=60, height=40, rotation=90)
    region = docpipe.Region(id="p1.r1", kind="other", box=Box(0, 0, 60, 40))
    page = page.replace_regions([region])
    task = get_task("grounded-caption")
    ((_, _, parts),) = asking._regions(asking.as_ref(photo), page, task, {}, None, (0, 20, 30, 40))
    # The lower left quarter is the upper left one after a turn clockwise.
    assert parts["place"] == write_box(Box(0, 0, 20, 30), Box(0, 0, 40, 60))


def test_a_pipeline_file_asks_with_the_parts_it_names(photo, model, tmp_path):
    file = tmp_path / "ask.toml"
    file.write_text(
        'name = "ask"\n[[stage]]\nuse = "crop"\nkind = "picture"\n'
        '[[stage]]\nuse = "route"\nfigures = false\ntasks = {question = ["picture"], detect = ["picture"]}\n'
        '[[stage]]\nuse = "recognize"\nengines = {question = ["paligemma"], detect = ["paligemma"]}\n'
        'parts = {question = {question = "What is it?"}, detect = {things = "stamp ; seal"}}\n'
    )
    (region,) = docpipe.convert(photo, file, model=model).pages[0].regions
    readings = [region.reading, *region.alternatives]
    assert {r.origin.prompt for r in readings} == {"answer en What is it?", "detect stamp ; seal"}
    assert "What is it?" in {r.content.question for r in readings}


def test_what_cannot_be_asked_is_told(photo, model):
    for call in (
        lambda: docpipe.ask(photo, "  ", model=model),
        lambda: docpipe.detect(photo, " ; ", model=model),
        lambda: docpipe.caption(photo, length="endless", model=model),
    ):
        with pytest.raises(DocpipeError, match="DP207"):
            call()
    with pytest.raises(DocpipeError, match="DP203 haiku"):
        docpipe.ask(photo, "x", task="haiku", model=model)
    with pytest.raises(DocpipeError, match="DP107"):
        docpipe.ask(photo.with_name("none.png"), "x", model=model)


# --- DICOM -----------------------------------------------------------------------------------------------------


def x_ray(path: Path, **tags: object) -> Path:
    """A made-up X-ray of 12 bits: a ramp from left to right."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = SecondaryCaptureImageStorage, ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["x"])
    made = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    made.Rows, made.Columns, made.SamplesPerPixel = 32, 64, 1
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.PhotometricInterpretation = "MONOCHROME2"
    ramp = np.tile(np.arange(64, dtype=np.uint16) * 64, (32, 1))
    made.PixelData = ramp.tobytes()
    for name, value in tags.items():
        setattr(made, name, value)
    made.save_as(path, enforce_file_format=True)
    return path


def grey(source: Path) -> list[int]:
    image = Image.open(io.BytesIO(asking.as_ref(source).read()))
    return [int(v) for v in np.asarray(image.convert("L"))[0]]


def test_an_x_ray_is_shown_through_its_window(tmp_path):
    pytest.importorskip("pydicom")
    plain = grey(x_ray(tmp_path / "a.dcm"))
    assert (plain[0], plain[-1]) == (0, 255)
    narrow = grey(x_ray(tmp_path / "b.dcm", WindowCenter=2048, WindowWidth=1024))
    assert narrow[24] == 0
    assert narrow[40] == 255
    assert narrow[32] == pytest.approx(127, abs=1)
    wide = grey(x_ray(tmp_path / "c.dcm", WindowCenter=[2048, 1], WindowWidth=[8192, 1]))
    assert min(wide) > 60
    assert max(wide) < 195
    negative = grey(x_ray(tmp_path / "d.dcm", PhotometricInterpretation="MONOCHROME1"))
    assert negative == [255 - value for value in plain]
    moved = grey(x_ray(tmp_path / "e.dcm", RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=1024, WindowWidth=1024))
    assert moved == narrow


def test_windows_follow_the_standard():
    values = np.array([0.0, 50.0, 100.0])
    assert windowed(values, 50.5, 101) == pytest.approx([0, 0.5, 1])
    assert windowed(values, 50, 100, "LINEAR_EXACT") == pytest.approx([0, 0.5, 1])
    assert windowed(values, 50, 100, "SIGMOID") == pytest.approx([1 / (1 + np.exp(2)), 0.5, 1 / (1 + np.exp(-2))])
    assert windowed(values, 51, 1) == pytest.approx([0, 0, 1])
    with pytest.raises(ValueError, match="width"):
        windowed(values, 50, 0)


def test_an_x_ray_is_reported_on(tmp_path, model):
    pytest.importorskip("pydicom")
    (found,) = docpipe.ask(x_ray(tmp_path / "a.dcm"), "Cough.", task="radiology", model=model)
    assert found.source.endswith("a.dcm")
    assert found.reading.content.question == "Cough."
    assert "radiology.no-medical-device" in {finding.code for finding in found.reading.verdict.findings}


def test_damaged_and_colour_dicom_is_refused(tmp_path, model):
    pytest.importorskip("pydicom")
    whole = x_ray(tmp_path / "a.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[:-900])
    (tmp_path / "head.dcm").write_bytes(whole[:140])
    x_ray(tmp_path / "colour.dcm", SamplesPerPixel=3)
    x_ray(tmp_path / "huge.dcm", Rows=60000, Columns=60000)
    x_ray(tmp_path / "width.dcm", WindowCenter=1, WindowWidth=0)
    for name, code in (
        ("cut", "DP103"), ("head", "DP10"), ("colour", "DP101"), ("huge", "DP110"), ("width", "DP103"),
    ):  # fmt: skip
        with pytest.raises(DocpipeError, match=code):
            docpipe.ask(tmp_path / f"{name}.dcm", "Cough.", task="radiology", model=model)
