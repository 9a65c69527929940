"""Pictures of music through the engine with a checkpoint of strips: cut, read, agreed, joined, and honestly unsure."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from docpipe.checks.kern import check_score
from docpipe.document import Box, Page, PictureContent, Region, ScoreContent
from docpipe.engines.base import Answer, Request
from docpipe.engines.paligemma import PaliGemmaEngine
from docpipe.engines.score_reading import UNFIT, ScoreReader, TokenRules
from docpipe.engines.score_systems import systems_of
from docpipe.engines.staves import cut_system, find_staves, levelled
from docpipe.models.decode import Decoded
from docpipe.models.strips import fold
from docpipe.notation.kern import read
from docpipe.notation.kern_system import System, write_system
from docpipe.notation.kern_tokens import VOCABULARY, encode
from docpipe.sheet import Sheet
from docpipe.source import SourceRef
from docpipe.stages.recognize import Reader
from docpipe.tasks.base import Task
from docpipe.tasks.score import ScoreTask
from docpipe.train.sample import SPECIAL_TOKENS

pytest.importorskip("resvg_py")
torch.set_num_threads(1)
SCORE: Task = ScoreTask()  # type: ignore[assignment]
NAMES = (*SPECIAL_TOKENS, "kern", *(token + " " for token in VOCABULARY))


class Known:
    """Reads strips right, by their pixels, save those that it is told to read otherwise."""

    def __init__(self) -> None:
        self.said: dict[bytes, list[tuple[str, ...]]] = {}
        self.asked: list[int] = []

    def learn(self, image: Image.Image, system: System) -> None:
        for cut in cut_system(image):
            self.said[fold(cut.pixels).tobytes()] = [tuple(encode([system.staves[cut.staff][cut.measure]]))]

    def __call__(self, pixels: torch.Tensor, rules: Sequence[TokenRules]) -> list[list[Decoded]]:
        out = []
        for picture, rule in zip(pixels, rules, strict=True):
            self.asked.append(rule.grammar.length)
            key = ((picture[0] + 1) * 127.5).round().to(torch.uint8).numpy().tobytes()
            ids = [tuple(rule.ids[token] for token in tokens) for tokens in self.said[key]]
            # The second reading is less likely by a factor e, whatever its length.
            every = []
            for k, one in enumerate(ids):
                count = len(one) + 1
                every.append(Decoded(one, ((-0.1 - k) / count,) * count, finished=True))
            out.append(every)
        return out

    @property
    def reader(self) -> ScoreReader:
        return ScoreReader(self, NAMES, 1)


@pytest.fixture(scope="module")
def music() -> list[tuple[Image.Image, System]]:
    """Clean grand staves that are cut as they are, with their music."""
    from docpipe.train.synth.scores import systems

    found = []
    for sheet in islice(systems(5, noise=0.0, measures=4), 60):
        image = Image.fromarray(sheet.pixels)
        wide = 1200 < alike(image).width < 1800
        if wide and len(sheet.system.staves) == 2 and len(cut_system(image)) == 2 * len(sheet.system.staves[0]):
            found.append((image, sheet.system))
        if len(found) == 3:
            break
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of strips that has learnt nothing."""
    from docpipe.train.architecture import Architecture, build
    from docpipe.train.export import write_transformers
    from docpipe.train.recipe import Recipe

    torch.manual_seed(3)
    sizes = Architecture(size=160, vision_width=64, vision_layers=1, text_width=64, text_layers=1)
    path = tmp_path_factory.mktemp("nano-score")
    write_transformers(build(sizes, len(NAMES)), Recipe("scores", "scores", architecture=sizes), NAMES, path)
    return path


def describe(folder: Path, **more: object) -> str:
    task = {"prompt": "kern", "size": 160, "max_tokens": 30, "prepare": "staves"}
    (folder / "docpipe.json").write_text(json.dumps({"family": "nano", "name": "n", "tasks": {"score": task}, **more}))
    return str(folder)


def ask(image: Image.Image) -> Request:
    data = io.BytesIO()
    image.save(data, "PNG")
    sheet = Sheet(Page(number=1, width=image.width, height=image.height), SourceRef("s.png", data=data.getvalue()))
    return Request(SCORE, sheet, Region(id="p1.r0", kind="score", box=Box(0, 0, image.width, image.height)), dpi=72.0)


def only(folder: str, image: Image.Image, **settings: str) -> Answer:
    (answer,) = PaliGemmaEngine(model=folder, **settings).read([ask(image)])  # type: ignore[arg-type]
    assert answer.error is None, answer.error
    return answer


def stacked(images: Sequence[Image.Image]) -> Image.Image:
    width = max(image.width for image in images)
    page = Image.new("L", (width, sum(image.height for image in images)), 255)
    y = 0
    for image in images:
        page.paste(image, (0, y))
        y += image.height
    return page


def alike(image: Image.Image, space: float = 12.0) -> Image.Image:
    """The picture at a size at which its staff lines are so many pixels apart, as on one page."""
    factor = space / find_staves(levelled(image)[1])[0].space
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


def test_what_is_read_right_gives_the_text_of_the_system(music: list[tuple[Image.Image, System]]) -> None:
    for image, system in music:
        known = Known()
        known.learn(image, system)
        found = known.reader.read([image])[0]
        assert found.kern is not None
        assert found.kern.splitlines()[3:] == write_system(system).splitlines()[3:]
        assert found.cut == found.left_out == 0


def test_of_two_readings_the_one_that_adds_up_is_taken(music: list[tuple[Image.Image, System]]) -> None:
    image, system = music[0]
    known = Known()
    known.learn(image, system)
    cut = next(c for c in cut_system(image) if c.measure == 1)
    key = fold(cut.pixels).tobytes()
    known.said[key] = [("4", "p0", "4", "p0", "2", "p0", "8", "p1", "="), *known.said[key]]
    assert known.reader.read([image])[0].unfit == ()
    first = ScoreReader(known, NAMES, 1, agreement=False).read([image])[0]
    assert len(first.unfit) == 1
    assert first.logprobs[-1] == UNFIT


def test_a_strip_that_fits_nowhere_is_read_again_at_its_length(music: list[tuple[Image.Image, System]]) -> None:
    image, system = music[0]
    known = Known()
    known.learn(image, system)
    cut = next(c for c in cut_system(image) if c.measure == 1)
    known.said[fold(cut.pixels).tobytes()] = [("64", "p0", "=")]
    found = known.reader.read([image])[0]
    assert [length > 0 for length in known.asked].count(True) == 1
    assert [(m, staff) for _, m, staff in found.unfit] == [(1, cut.staff)]


def test_a_page_is_cut_into_its_systems_and_they_are_joined(music: list[tuple[Image.Image, System]]) -> None:
    page = stacked([alike(image) for image, _ in music])
    parts = systems_of(page)
    assert len(parts) == len(music)
    known = Known()
    for part, (_, system) in zip(parts, music, strict=True):
        assert len(cut_system(part)) == 2 * len(system.staves[0])
        known.learn(part, system)
    found = known.reader.read([page])[0]
    assert found.kern is not None
    assert found.kern.count("**kern\t**kern") == 1
    bars = sum(line.startswith("=") for line in found.kern.splitlines())
    assert bars == sum(len(system.staves[0]) for _, system in music)
    assert not read(found.kern).problems


def test_one_system_is_not_cut_up(music: list[tuple[Image.Image, System]]) -> None:
    for image, _ in music:
        assert systems_of(image) == [image]
    assert systems_of(Image.new("L", (300, 200), 255)) == []


def test_the_engine_reads_whole_spines_even_with_a_checkpoint_that_knows_nothing(
    folder: Path, music: list[tuple[Image.Image, System]]
) -> None:
    answer = only(describe(folder), music[0][0])
    assert isinstance(answer.content, ScoreContent)
    codes = {problem.code for problem in read(answer.content.kern).problems}
    assert not codes
    assert answer.confidence is None
    assert answer.origin.tokens is not None
    assert answer.origin.tokens > 0
    raw = only(describe(folder), music[0][0], confidence="raw")
    assert raw.confidence is not None
    assert 0 < raw.confidence < 0.5


def test_where_it_is_not_sure_it_abstains_and_keeps_what_it_read_apart(
    folder: Path, music: list[tuple[Image.Image, System]]
) -> None:
    shy = describe(
        folder, confidence={"score": {"measure": "mean", "x": [0, 1], "y": [0.1, 0.2]}}, abstain_below={"score": 1.01}
    )
    answer = only(shy, music[0][0])
    assert answer.content is None
    assert answer.confidence is not None
    assert 0.1 <= answer.confidence <= 0.2
    assert "never sure enough" in (answer.reason or "")
    ((reading, others),) = Reader(SCORE, [PaliGemmaEngine(model=shy)]).read([ask(music[0][0])])
    assert isinstance(reading.content, PictureContent)
    assert any("not sure enough" in finding.message for finding in reading.verdict.findings)
    (other,) = others
    assert isinstance(other.content, ScoreContent)
    assert other.confidence == pytest.approx(answer.confidence)


def test_each_measure_is_as_sure_as_its_strips_and_the_clef_and_key_it_hangs_on(
    music: list[tuple[Image.Image, System]],
) -> None:
    image, system = music[0]
    known = Known()
    known.learn(image, system)
    sure = known.reader.read([image])[0]
    assert len(sure.measures) == len(system.staves[0])
    # Of two staves each measure has two answers of e^-0.1; all but the first hang on clefs and keys, too.
    assert math.fsum(sure.measures[0]) == pytest.approx(-0.2)
    assert all(-0.4 < math.fsum(logs) < -0.2 for logs in sure.measures[1:])
    cut = next(c for c in cut_system(image) if c.measure == 1)
    known.said[fold(cut.pixels).tobytes()] = [("64", "p0", "=")]
    unsure = known.reader.read([image])[0]
    assert UNFIT in unsure.measures[1]
    assert [UNFIT in logs for logs in unsure.measures].count(True) == 1
    assert unsure.kern is not None
    assert len(unsure.measures) == len(check_score(ScoreContent(kern=unsure.kern)).content.measures)


def test_each_note_is_told_by_its_line_and_spine(music: list[tuple[Image.Image, System]]) -> None:
    known = Known()
    known.learn(*music[1])
    found = known.reader.read([music[1][0]])[0]
    assert found.kern is not None
    lines = [line.split("\t") for line in found.kern.splitlines()]
    said = {
        (f"line {line}, spine {spine}", cell)
        for line, cells in enumerate(lines)
        for spine, cell in enumerate(cells)
        if cell[0] not in "*=.!"
    }
    assert {(part.where, part.text) for part in found.notes} == said
    assert all(0.9 < part.confidence <= 1 for part in found.notes)


def test_measures_of_an_alternative_have_their_calibrated_confidence(
    folder: Path, music: list[tuple[Image.Image, System]]
) -> None:
    flat = {"measure": "joint", "x": [0, 1], "y": [0.3, 0.3]}
    shy = describe(
        folder,
        confidence={"score": {"measure": "mean", "x": [0, 1], "y": [0.1, 0.2]}},
        abstain_below={"score": 1.01},
        part_confidence={"score": flat},
    )
    ((reading, (other,)),) = Reader(SCORE, [PaliGemmaEngine(model=shy)]).read([ask(music[0][0])])
    assert reading.part_confidences == ()
    assert isinstance(other.content, ScoreContent)
    sure = [part for part in other.part_confidences if part.where.startswith("measure ")]
    assert [part.where for part in sure] == [f"measure {k}" for k in range(len(other.content.measures))]
    assert {part.confidence for part in sure} == {0.3}
    assert len(other.part_confidences) > len(sure)  # and the notes
    uncalibrated = only(describe(folder), music[0][0])
    assert not any(part.where.startswith("measure") for part in uncalibrated.part_confidences)


def test_a_sure_answer_is_the_reading(folder: Path, music: list[tuple[Image.Image, System]]) -> None:
    bold = describe(
        folder, confidence={"score": {"measure": "mean", "x": [0, 1], "y": [0.9, 0.9]}}, abstain_below={"score": 0.9}
    )
    ((reading, _),) = Reader(SCORE, [PaliGemmaEngine(model=bold)]).read([ask(music[0][0])])
    assert isinstance(reading.content, ScoreContent)
    assert reading.confidence == 0.9


def test_a_picture_without_staves_is_said_to_have_none(folder: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (200, 300), dtype=np.uint8))
    answer = only(describe(folder), noise)
    assert answer.content is None
    assert answer.reason == "no staff lines were found in the picture"
