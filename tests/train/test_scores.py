"""Generated scores: the same for the same seed, engraved as they say, and learnable as samples."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest

from docpipe.models.strips import HEIGHT, PATCH, SIDE, WIDTH, fold, folded_place, unfold
from docpipe.notation.kern_tokens import decode, encode, split
from docpipe.train.batches import Collator
from docpipe.train.domains import domain
from docpipe.train.domains.scores import Scores, score
from docpipe.train.recipe import read_recipe
from docpipe.train.sample import Sample
from docpipe.train.synth.music.piece import random_system
from docpipe.train.synth.music.rhythm import METER_WEIGHTS, measure_length, rhythm
from docpipe.train.synth.scores import LABELS, LONGEST, strips, systems

pytest.importorskip("verovio")
pytest.importorskip("resvg_py")


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(islice(Scores().stream(3), 72))


def test_a_sample_depends_on_seed_and_number_alone(samples: list[Sample]) -> None:
    again = list(islice(Scores().stream(3, start=60), 12))
    assert [s.target for s in again] == [s.target for s in samples[60:]]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(again, samples[60:], strict=True))
    other = list(islice(Scores().stream(4), 12))
    assert [s.target for s in other] != [s.target for s in samples[:12]]


def test_held_out_samples_are_fixed_and_not_those_of_training(samples: list[Sample]) -> None:
    kept = Scores().validation(6)["held_out"]
    assert len(kept) == 6
    assert [s.target for s in kept] == [s.target for s in Scores().validation(6)["held_out"]]
    assert not {s.pixels.tobytes() for s in kept} & {s.pixels.tobytes() for s in samples}


def test_samples_are_what_the_trainer_takes(samples: list[Sample]) -> None:
    made = domain("scores")
    batch = Collator(made, SIDE // PATCH, PATCH)(samples[:8])
    assert batch.pixels.shape == (8, SIDE, SIDE)
    assert batch.labels.shape == (8, 100, len(LABELS))
    assert batch.labels.any(axis=(1, 2)).all()
    assert all(len(s.points) == len(s.target) for s in samples)
    assert all(set(s.target) <= set(made.vocabulary) for s in samples)


def test_tokens_point_at_ink(samples: list[Sample]) -> None:
    """In the patch of a note's head, or beside it, is something black."""
    seen = dark = 0
    for sample in samples:
        strip = unfold(sample.pixels)
        for token, (x, y) in zip(sample.target, sample.points, strict=True):
            if not token.startswith("p") or not np.isfinite(x):
                continue
            k = int(y // PATCH) * 10 + int(x // PATCH)
            u, v = (k // 5) * PATCH + x % PATCH, (k % 5) * PATCH + y % PATCH
            around = strip[max(0, int(v) - 3) : int(v) + 4, max(0, int(u) - 4) : int(u) + 5]
            seen += 1
            dark += around.min() < 100
    assert seen > 200
    assert dark / seen > 0.99


def test_positions_agree_with_where_heads_are(samples: list[Sample]) -> None:
    """The row that a head is in tells its staff position, to a step or so: strips are centred on the middle line."""
    off = []
    for sample in samples:
        for token, (x, y) in zip(sample.target, sample.points, strict=True):
            if token[0] == "p" and np.isfinite(x):
                k = int(y // PATCH) * 10 + int(x // PATCH)
                v = (k % 5) * PATCH + y % PATCH
                off.append(abs((HEIGHT / 2 - v) / 3.0 - int(token[1:])))
    assert np.quantile(off, 0.95) < 1.6


def test_strips_hold_their_measures() -> None:
    rng = random.Random(0)
    for sheet in (*islice(systems(11, noise=0.0), 3), *islice(systems(13, noise=0.0), 3)):
        found = list(strips(sheet, rng, jitter=0.0, joined=0.0))
        wanted = [m for staff in sheet.system.staves for m in staff]
        read = [decode(s.tokens)[0] for s in found]
        assert all(any(_bare(r) == _bare(w) for w in wanted) for r in read)
        # Only what is too long is left out: with the columns of its notes a measure has some more tokens than without.
        assert len(found) >= sum(len(encode([m])) <= 0.75 * LONGEST for m in wanted)


def _bare(measure: object) -> str:
    import re

    return re.sub(r"x=(None|\d+)", "", repr(measure))


def test_folding_is_a_permutation_in_reading_order() -> None:
    strip = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH)).astype(np.uint8)
    square = fold(strip)
    assert np.array_equal(unfold(square), strip)
    assert np.array_equal(square[:PATCH, PATCH : 2 * PATCH], strip[PATCH : 2 * PATCH, :PATCH])
    for x, y in ((0, 0), (17.5, 3), (319, 79), (160, 40)):
        u, v = folded_place(x, y)
        assert square[int(v), int(u)] == strip[int(y), int(x)]
    assert folded_place(-5, 900) == folded_place(0, 79.99)


@pytest.mark.parametrize("meter", list(METER_WEIGHTS))
def test_rhythms_fill_the_measure_and_beams_are_closed(meter: str) -> None:
    rng = random.Random(1)
    for _ in range(30):
        slots = rhythm(meter, rng)
        end = Fraction(0)
        depth = False
        for slot in slots:
            assert slot.onset == end
            end += _length(slot.recip)
            assert slot.beam != "L" or not depth
            assert slot.beam not in ("M", "J") or depth
            depth = slot.beam in ("L", "M") or (depth and not slot.beam)
        assert end == measure_length(meter)
        assert not depth


def _length(recip: str) -> Fraction:
    digits = recip.rstrip(".")
    return Fraction(4, int(digits)) * (2 - Fraction(1, 2 ** (len(recip) - len(digits))))


def test_music_is_varied() -> None:
    made = [random_system(random.Random(i), 4, 2) for i in range(60)]
    events = [e for s in made for staff in s.staves for m in staff for e in m.events()]
    share = {kind: sum(e.kind == kind for e in events) / len(events) for kind in ("note", "rest", "grace", "space")}
    assert share["note"] > 0.75
    assert all(value > 0 for value in share.values())
    assert sum(len(e.heads) > 1 for e in events) > 0.1 * len(events)
    assert sum(m.voices > 1 for s in made for staff in s.staves for m in staff) > 40
    for sign in ("tied", "accidental"):
        assert any(getattr(h, sign) for e in events for h in e.heads)
    assert any(e.opens for e in events)
    assert any(e.marks for e in events)


def test_score_tells_right_from_wrong(samples: list[Sample]) -> None:
    targets = [tuple(split("".join(s.target))) for s in samples[:20]]
    assert all(len(t) == len(s.target) for t, s in zip(targets, samples, strict=False))
    assert Scores().score(samples[:20], [s.target for s in samples[:20]])["exact"] == 1.0
    kinds = ["one"] * 20
    perfect = score(targets, targets, kinds)
    assert perfect["ser"] == 0.0
    assert perfect["exact"] == perfect["note_f1"] == perfect["pitch_f1"] == perfect["clef"] == 1.0
    nothing = score(targets, [()] * 20, kinds)
    assert nothing["ser"] == 1.0
    assert nothing["note_f1"] == nothing["exact"] == 0.0
    columns = [tuple(t for t in target if t[0] != "x") for target in targets]
    assert score(targets, columns, kinds)["ser"] == 0.0


def test_one_wrong_duration_costs_one_symbol_but_the_onsets_after_it() -> None:
    truth = ("4", "p0", "4", "p1", "4", "p2", "=")
    wrong = ("8", "p0", "4", "p1", "4", "p2", "=")
    scores = score([truth], [wrong], ["one"])
    assert scores["ser"] == pytest.approx(1 / 7)
    assert scores["note_f1"] == 0.0
    assert scores["pitch_f1"] == 1.0


def test_the_shipped_recipe_names_this_domain() -> None:
    recipe = read_recipe("scores")
    made = domain(recipe.domain, **recipe.options)
    assert recipe.architecture.size == SIDE
    assert recipe.evaluation.max_tokens >= 80
    assert made.prompts == ("kern",)
    with pytest.raises(ValueError, match="160"):
        Scores(side=224)
