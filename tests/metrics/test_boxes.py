"""Average precision against pycocotools, word spotting by hand."""

from __future__ import annotations

import contextlib
import io
import random

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from docpipe.document import Box
from docpipe.metrics.ap import Scored, average_precision
from docpipe.metrics.spotting import Spotted, word_spotting

Images = list[list[Scored]]


def scene(seed: int, images: int = 10) -> tuple[Images, Images]:
    """True boxes of two labels, and found ones near them, beside them, missing or of the wrong label."""
    rng = random.Random(seed)
    answers: Images = []
    truths: Images = []
    for _ in range(images):
        true, found = [], []
        for _ in range(rng.randint(0, 5)):
            x, y, w, h = rng.uniform(0, 80), rng.uniform(0, 80), rng.uniform(5, 30), rng.uniform(5, 30)
            label = rng.choice("ab")
            true.append(Scored(label, Box(x, y, x + w, y + h)))
            for _ in range(rng.randint(0, 2)):
                dx, dy = (rng.gauss(0, 2) for _ in range(2))
                said = label if rng.random() < 0.9 else rng.choice("abc")
                found.append(Scored(said, Box(x + dx, y + dy, x + w + dx * 2, y + h), rng.random()))
        truths.append(true)
        answers.append(found)
    return answers, truths


def coco_ap(answers: Images, truths: Images) -> list[float]:
    """pycocotools' AP, AP50 and AP75, small and large boxes alike."""
    labels = {"a": 1, "b": 2, "c": 3}

    def rows(images: Images) -> list[dict[str, object]]:
        every = [(i, thing) for i, image in enumerate(images) for thing in image]
        return [
            {
                "id": n, "image_id": i, "category_id": labels[t.label], "score": t.score, "iscrowd": 0,
                "bbox": [t.box.x0, t.box.y0, t.box.width, t.box.height], "area": t.box.width * t.box.height,
            }
            for n, (i, t) in enumerate(every, 1)
        ]  # fmt: skip

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i} for i in range(len(truths))],
            "categories": [{"id": n, "name": label} for label, n in labels.items()],
            "annotations": rows(truths),
        }
        coco.createIndex()
        scored = COCOeval(coco, coco.loadRes(rows(answers)), "bbox")
        scored.evaluate()
        scored.accumulate()
        scored.summarize()
    return [float(value) for value in scored.stats[:3]]


@pytest.mark.parametrize("seed", range(12))
def test_average_precision_agrees_with_pycocotools(seed: int) -> None:
    answers, truths = scene(seed)
    every, half, three_quarters = coco_ap(answers, truths)
    assert average_precision(answers, truths) == pytest.approx(every, abs=1e-9)
    assert average_precision(answers, truths, (0.5,)) == pytest.approx(half, abs=1e-9)
    assert average_precision(answers, truths, (0.75,)) == pytest.approx(three_quarters, abs=1e-9)


def test_a_weight_counts_as_that_many_copies_of_the_image() -> None:
    answers, truths = scene(3, images=6)
    times = [2, 0, 1, 3, 0, 1]
    copies = [[image for image, n in zip(images, times, strict=True) for _ in range(n)] for images in (answers, truths)]
    assert average_precision(answers, truths, weights=times) == pytest.approx(average_precision(*copies))


def test_average_precision_of_worked_cases() -> None:
    box, far = Box(0, 0, 10, 10), Box(50, 50, 60, 60)
    truth = [[Scored("a", box), Scored("a", far)]]
    # The surest is right, the next wrong: precision 1 up to recall 1/2, which 51 of the 101 recalls do not pass.
    found = [[Scored("a", box, 0.9), Scored("a", Box(80, 80, 90, 90), 0.8)]]
    assert average_precision(found, truth) == pytest.approx(51 / 101)
    assert average_precision([[]], truth) == 0
    assert average_precision([[]], [[]]) == 0
    with pytest.raises(ValueError, match="1 answers, 2 truths"):
        average_precision([[]], [[], []])


WORD, OTHER = Spotted("Kawa", Box(0, 0, 40, 10)), Spotted("bar", Box(0, 20, 30, 30))


def test_a_word_counts_when_it_is_at_its_place_and_read_right() -> None:
    assert word_spotting([WORD, OTHER], [WORD, OTHER]).f1 == 1
    shifted = Spotted("Kawa", Box(20, 0, 60, 10))  # overlap 20 / 60
    assert word_spotting([shifted, OTHER], [WORD, OTHER]).hits == 1
    half = Spotted("Kawa", Box(0, 0, 20, 10))  # overlap exactly 1/2
    assert word_spotting([half], [WORD]).hits == 1
    assert word_spotting([Spotted("kawa", WORD.box)], [WORD]).hits == 0
    assert word_spotting([Spotted("kawa", WORD.box)], [WORD], exactly=False).hits == 1


def test_a_word_found_twice_is_one_too_many() -> None:
    found = word_spotting([WORD, WORD], [WORD, OTHER])
    assert (found.precision, found.recall, found.f1) == (0.5, 0.5, 0.5)


def test_words_on_illegible_ones_do_not_count() -> None:
    illegible = Spotted("###", Box(0, 40, 100, 60), ignored=True)
    on_it = Spotted("guess", Box(10, 42, 60, 58))
    found = word_spotting([WORD, on_it], [WORD, illegible])
    assert (found.hits, found.given, found.wanted) == (1, 1, 1)
    assert word_spotting([on_it], []).precision == 0


def test_nothing_to_find_and_nothing_found_agree() -> None:
    assert word_spotting([], []).f1 == 1
    assert word_spotting([], [WORD]).f1 == 0
    assert np.isclose(word_spotting([WORD], []).recall, 0)
