"""nano-scenes, where it ships: asked of a scene drawn here, of its own world and of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

import docpipe
from docpipe import asking
from docpipe.document import AnswerContent, PictureContent
from docpipe.models import registry

NAME = "nano-scenes"
SHIPS = NAME in registry.shipped()
pytestmark = pytest.mark.skipif(not SHIPS, reason=f"{NAME} does not ship yet")


@pytest.fixture(autouse=True)
def _fresh_engine():
    asking._engine.cache_clear()
    yield
    asking._engine.cache_clear()


def can(task: str) -> None:
    if SHIPS and not registry.find_checkpoint(NAME).can_read(task):
        pytest.skip(f"{NAME} is not offered for {task}")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A red circle at the left, a blue square at the bottom right, on white."""
    image = Image.new("RGB", (512, 512), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((60, 90, 220, 250), fill=(215, 30, 30))
    draw.rectangle((330, 330, 440, 440), fill=(40, 80, 210))
    image.save(tmp_path / "scene.png")
    return tmp_path / "scene.png"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("what colour is the circle?", "red"),
        ("What color is the square?", "blue"),
        ("how many things are there?", "2"),
        ("is there a triangle?", "no"),
        ("where is the square?", "bottom right"),
    ],
)
def test_questions_about_a_scene_are_answered(scene: Path, question: str, answer: str) -> None:
    can("question")
    found = docpipe.ask(scene, f"answer en {question}")
    assert found.text == answer
    assert found[0].reading.origin.checkpoint == NAME
    assert found[0].reading.confidence is not None


SCENES = (
    ("red", "blue", (60, 90, 220, 250), (330, 330, 440, 440)),
    ("green", "yellow", (60, 60, 200, 200), (300, 280, 460, 440)),
    ("blue", "red", (180, 40, 330, 190), (190, 320, 310, 440)),
    ("yellow", "green", (300, 60, 460, 220), (60, 300, 180, 420)),
)
INKS = {"red": (215, 30, 30), "blue": (40, 80, 210), "green": (40, 160, 70), "yellow": (240, 200, 40)}


@pytest.fixture(params=SCENES, ids=lambda s: s[0])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str, str, tuple[int, int, int, int]]:
    """A circle and a square on white: the picture, their colours, the circle's box."""
    one, other, first, second = request.param
    image = Image.new("RGB", (512, 512), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse(first, fill=INKS[one])
    draw.rectangle(second, fill=INKS[other])
    image.save(tmp_path / "pair.png")
    return tmp_path / "pair.png", one, other, first


def test_things_that_are_found_are_where_they_are(pair: tuple[Path, str, str, tuple[int, int, int, int]]) -> None:
    can("detect")
    answers = docpipe.detect(pair[0], "circle")
    told = [finding.code for finding in answers[0].reading.verdict.findings]
    assert len(answers.detections) == 1 or "abstained" in told
    for found in answers.detections:
        assert found.label == "circle"
        assert found.box == pytest.approx(pair[3], abs=28)


def test_a_mask_fills_its_shape(scene: Path) -> None:
    can("segment")
    (found,) = docpipe.detect(scene, "circle", segment=True).detections
    assert found.mask is not None
    width, height = found.mask_size
    covered = sum(found.mask[1::2]) / (width * height)
    assert 0.6 < covered < 0.95  # a circle in its box: 0.785


def test_what_a_caption_says_is_there(pair: tuple[Path, str, str, tuple[int, int, int, int]]) -> None:
    can("short-caption")
    found = docpipe.caption(pair[0], length="short")
    assert isinstance(found[0].reading.content, PictureContent)
    assert f"{pair[1]} circle" in found.text
    assert f"{pair[2]} square" in found.text


def test_statements_are_judged(scene: Path) -> None:
    can("spatial")
    circle, square = "red circle", "blue square"  # the longest way to name a thing
    for side, answer in (("left of", "True"), ("right of", "False")):
        found = docpipe.ask(scene, f"answer en the {circle} is {side} the {square} true or false?")
        content = found[0].reading.content
        assert isinstance(content, AnswerContent)
        assert found.text == answer
        assert found[0].reading.verdict.status == "valid"
        assert content.probability is not None
        assert (content.probability > 0.5) == (answer == "True")


def test_a_word_of_another_world_is_refused_and_others_are_named(scene: Path) -> None:
    can("question")
    (found,) = docpipe.ask(scene, "answer en where is the cow standing?")
    assert found.reading.content is None
    (told,) = [f.message for f in found.reading.verdict.findings if f.code == "DP307"]
    assert "cow" in told
    assert "bar, line and pie charts" in told
    assert "paligemma2-3b-mix-448" in told


def test_of_something_like_a_photograph_it_says_nothing() -> None:
    can("caption")
    generator = np.random.default_rng(4)
    said = 0
    for _ in range(10):
        small = generator.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize((400, 300), Image.Resampling.BICUBIC)
        image = image.filter(ImageFilter.GaussianBlur(6))
        noisy = np.asarray(image, np.int16) + generator.normal(0, 8, (300, 400, 3)).astype(np.int16)
        said += bool(docpipe.caption(Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))).text)
    assert said <= 1
