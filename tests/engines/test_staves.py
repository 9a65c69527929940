"""A system cut into strips: staves, bars and measures found on clean, skewed and damaged prints."""

from __future__ import annotations

import os
import random
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from docpipe.engines.staves import cut_system, find_staves, joined, line_distance, read_system
from docpipe.models.strips import HEIGHT, WIDTH
from docpipe.notation.kern_reading import read_staves
from docpipe.notation.kern_tokens import encode


def drawn(staves: int = 2, bars: tuple[int, ...] = (300, 520, 700), space: int = 12, slope: float = 0.0) -> Image.Image:
    """A bare system: lines, the line at its start, and bars through all staves."""
    image = Image.new("L", (760, 140 + 150 * staves), 255)
    draw = ImageDraw.Draw(image)
    tops = [80 + 150 * s for s in range(staves)]
    for top in tops:
        for k in range(5):
            draw.line((40, top + k * space, 700, top + k * space), fill=0, width=2)
    for x in (40, *bars):
        draw.line((x, tops[0], x, tops[-1] + 4 * space), fill=0, width=3)
    rng = random.Random(1)
    for top in tops:
        for _ in range(14):  # heads with stems, which are no bars
            x, y = rng.randrange(60, 690), top + rng.randrange(0, 4 * space)
            if min(abs(x - b) for b in bars) > 30:
                draw.ellipse((x, y - 6, x + 14, y + 6), fill=0)
                draw.line((x + 13, y, x + 13, y - 42), fill=0, width=2)
    return image.rotate(slope, Image.Resampling.BICUBIC, fillcolor=255) if slope else image


@pytest.mark.parametrize("staves", [1, 2, 3])
@pytest.mark.parametrize("slope", [0.0, 0.6, -0.6])
def test_bars_and_staves_of_a_bare_system(staves: int, slope: float) -> None:
    cuts = cut_system(drawn(staves, slope=slope))
    assert {cut.staff for cut in cuts} == set(range(staves))
    assert {cut.measure for cut in cuts} == {0, 1, 2}
    assert all(cut.pixels.shape == (HEIGHT, WIDTH) for cut in cuts)
    ends = [cut.box[2] for cut in cuts if cut.staff == 0]
    assert [round(e / 10) for e in ends] == pytest.approx([31, 53, 71], abs=1)


def test_the_middle_line_is_in_the_middle_of_every_strip() -> None:
    for cut in cut_system(drawn(2, slope=0.5)):
        dark = (cut.pixels[:, 60:150] < 160).mean(axis=1)
        rows = np.arange(HEIGHT)
        lines = [rows[(rows >= 40 + 6 * k - 2) & (rows <= 40 + 6 * k + 2)] for k in (-2, -1, 0, 1, 2)]
        assert all(dark[r].max() > 0.5 for r in lines)


@pytest.mark.parametrize("space", [6, 9, 14, 22])
def test_the_distance_of_lines_is_measured(space: int) -> None:
    ink = np.zeros((400, 500), bool)
    for k in range(5):
        ink[100 + k * space : 102 + k * space, 20:480] = True
    assert line_distance(ink) == pytest.approx(space, abs=0.2)
    assert find_staves(ink)[0].space == pytest.approx(space, abs=0.3)


@pytest.mark.parametrize(
    "image", [Image.new("L", (300, 200), 255), Image.new("L", (300, 200), 0), Image.new("L", (1, 1))]
)
def test_nothing_is_found_where_there_is_no_music(image: Image.Image) -> None:
    assert cut_system(image) == []
    assert read_system(image, lambda strips: [[] for _ in strips]) is None


def test_text_is_no_staff() -> None:
    image = Image.new("L", (600, 300), 255)
    draw = ImageDraw.Draw(image)
    for y in range(20, 280, 18):
        draw.text((20, y), "All work and no play makes Jack a dull boy. " * 3, fill=0)
    assert cut_system(image) == []


def test_rendered_systems_are_cut_into_as_many_measures_as_they_have() -> None:
    pytest.importorskip("resvg_py")
    from docpipe.train.synth.scores import systems

    right = total = 0
    for sheet in islice((s for s in systems(21, noise=0.6) if len(s.system.staves) == 2), 10):
        cuts = cut_system(Image.fromarray(sheet.pixels))
        assert {cut.staff for cut in cuts} == {0, 1}
        total += 1
        right += len(cuts) == 2 * len(sheet.system.staves[0])
    assert right / total >= 0.8


def test_right_readings_of_a_rendered_system_give_its_text() -> None:
    pytest.importorskip("resvg_py")
    from docpipe.train.synth.scores import systems

    sheet = next(s for s in systems(5, noise=0.0) if len(s.system.staves) == 2)
    cuts = cut_system(Image.fromarray(sheet.pixels))
    assert len(cuts) == 2 * len(sheet.system.staves[0])
    tokens = [encode([sheet.system.staves[cut.staff][cut.measure]]) for cut in cuts]
    again = read_staves(joined(cuts, tokens))
    assert [len(staff) for staff in again] == [len(staff) for staff in sheet.system.staves]
    assert joined(cuts, tokens).splitlines()[3:] == sheet.kern.splitlines()[3:]


@pytest.mark.slow
def test_real_scans_are_cut_at_their_bars() -> None:
    """Measured on 475 scanned systems: staves 100 %, bars exactly right 93.7 %."""
    data = os.environ.get("DOCPIPE_BENCH_DATA")
    if not data:
        pytest.skip("DOCPIPE_BENCH_DATA is not set")
    paths = sorted(Path(data).glob("scores/scan-*/*.png"))[::8]
    staves = bars = 0
    for path in paths:
        truth = read_staves(path.with_suffix(".krn").read_text())
        cuts = cut_system(Image.open(path))
        staves += max((c.staff for c in cuts), default=-1) + 1 == len(truth)
        bars += max((c.measure for c in cuts), default=-1) + 1 == len(truth[0])
    assert staves / len(paths) > 0.97
    assert bars / len(paths) > 0.88
