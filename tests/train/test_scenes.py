"""Scenes: what is drawn is what is told, in PaliGemma's own formats and a closed world of words."""

from __future__ import annotations

import hashlib
import random
import re
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from docpipe.models.vae import MaskDecoder, mask_in_box
from docpipe.notation.tokens import BINS, Found, read_box, read_objects, write_objects
from docpipe.train.batches import Collator, batches
from docpipe.train.domains import domain
from docpipe.train.domains.scenes import PER_BLOCK, TASKS, Scenes, box_overlap, kind_sample, sample_of, score
from docpipe.train.mask_codes import SHIPPED, Codebook, patterns_of, scene_masks
from docpipe.train.sample import pattern_of, split
from docpipe.train.synth import figure_kinds
from docpipe.train.synth.scene.asking import ANSWERED, ask, caption, description, matching
from docpipe.train.synth.scene.charts import Chart
from docpipe.train.synth.scene.colours import COLOURS
from docpipe.train.synth.scene.pages import PageLook
from docpipe.train.synth.scene.words import CODES, KINDS, LOCATIONS, PLURALS, VOCABULARY
from docpipe.train.synth.scenes import Scene, scenes

PATTERN = re.compile(pattern_of(VOCABULARY))
SIDE = 128


@pytest.fixture(scope="module")
def book() -> Codebook:
    return Codebook.read()


@pytest.fixture(scope="module")
def drawn() -> list[Scene]:
    return list(islice(scenes(11, side=SIDE), 250))


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small pool of molecules and scores, drawn by their own synthesizers."""
    folder = tmp_path_factory.mktemp("pool")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure_kinds, "POOL_MOLECULES", 20)
        patch.setattr(figure_kinds, "POOL_SYSTEMS", 10)
        figure_kinds.figure_pool(folder)
    figure_kinds._shared_pool.cache_clear()
    return str(folder)


def test_a_scene_is_the_same_for_the_same_seed_and_number():
    first, second = list(islice(scenes(3), 6)), list(islice(scenes(3, 4), 2))
    for a, b in zip(first[4:], second, strict=True):
        assert np.array_equal(a.pixels, b.pixels)
        assert [t.label for t in a.things] == [t.label for t in b.things]
    assert not np.array_equal(first[0].pixels, next(scenes(4)).pixels)
    assert not np.array_equal(first[0].pixels, next(scenes(3, fresh="held out")).pixels)


def test_all_kinds_are_drawn_and_things_stand_from_left_to_right(drawn):
    assert {s.kind for s in drawn} == {"shapes", "chart", "page"}
    for scene in drawn:
        assert scene.pixels.shape == (SIDE, SIDE, 3)
        xs = [t.center[0] for t in scene.things]
        assert xs == sorted(xs)
        for thing in scene.things:
            rows, columns = np.nonzero(thing.mask)
            assert thing.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_colours_are_what_people_call_them():
    """Of the named colours the median inside the mask says which it is, by the nearest of plain examples."""
    examples = {
        "red": (208, 20, 20), "orange": (250, 130, 10), "yellow": (245, 220, 40), "green": (40, 150, 60),
        "blue": (40, 70, 190), "purple": (120, 45, 160), "pink": (250, 150, 200), "brown": (110, 70, 32),
        "black": (15, 15, 15), "gray": (140, 140, 140),
    }  # fmt: skip
    right = total = 0
    for scene in islice(scenes(5, noise=0.0), 60):
        for thing in scene.things:
            if scene.kind == "shapes" and thing.name not in ("house", "boat", "flower"):
                found = np.median(scene.pixels[thing.mask], axis=0)
                named = min(examples, key=lambda name: float(np.abs(found - np.array(examples[name])).sum()))
                right += named == thing.colour
                total += 1
    assert total > 60
    assert right / total > 0.93


def test_every_prompt_and_answer_is_spelt_in_the_closed_vocabulary(drawn, book):
    tasks = set()
    for number, scene in enumerate(drawn):
        rng = random.Random(number)
        for task in ANSWERED:
            told = ask(scene, rng, book, task)
            tasks.add(told.task)
            assert "".join(split(told.prompt, PATTERN)) == told.prompt
            pieces = [token for text, _ in told.answer for token in split(text, PATTERN)]
            assert pieces == split(told.text, PATTERN)
            for _, point in told.answer:
                assert point is None or (0 <= point[0] <= SIDE and 0 <= point[1] <= SIDE)
    assert tasks == set(ANSWERED)


def test_the_vocabulary_is_closed_for_good():
    """A trunk goes on only with the same rows: new words take free ones."""
    assert len(VOCABULARY) == len(set(VOCABULARY)) == 448
    kept = [token for token in VOCABULARY if not token.startswith("<free")]
    assert hashlib.sha256("\n".join(kept).encode()).hexdigest()[:16] == "cf9691f296d48d94"
    with pytest.raises(ValueError, match="cow"):
        split("answer en where is the cow?", PATTERN)


def test_locations_are_some_of_the_published_ones():
    assert LOCATIONS[0] == "<loc0000>"
    assert LOCATIONS[-1] == f"<loc{BINS - 1:04d}>"
    steps = {int(b[4:8]) - int(a[4:8]) for a, b in pairwise(LOCATIONS)}
    assert steps == {33}


# --- boxes and masks ---------------------------------------------------------------------------------------------


def test_detections_are_in_the_published_format_and_name_every_thing(drawn, book):
    several = 0
    for number, scene in enumerate(drawn):
        told = ask(scene, random.Random(number), book, "detect")
        labels = told.prompt.removeprefix("detect ").split(" ; ")
        several += len(labels) > 1
        wanted = [(label, thing) for label in labels for thing in matching(scene, label)]
        found, findings = read_objects(told.text)
        assert not findings
        assert told.text == write_objects(found)
        assert [f.label for f in found] == [label for label, _ in wanted]
        for (_, thing), thing_found in zip(wanted, found, strict=True):
            true = tuple(value / SIDE for value in thing.box)
            assert all(abs(a - b) <= 0.02 + 0.034 for a, b in zip(true, thing_found.place, strict=True))
            if min(true[2] - true[0], true[3] - true[1]) > 0.15:
                assert box_overlap(true, thing_found.place) > 0.6
    assert several > 20


def test_masks_survive_the_way_through_their_codes(drawn, book):
    decoder = MaskDecoder(SHIPPED)
    overlaps = []
    for number, scene in enumerate(drawn[:80]):
        if scene.kind != "shapes":
            continue
        told = ask(scene, random.Random(number), book, "segment")
        found = read_objects(told.text)[0]
        assert len(found) == len(told.masks)
        for thing, mask in zip(found, told.masks, strict=True):
            assert max(thing.codes) < CODES
            x0, y0, x1, y1 = (round(value * SIDE) for value in thing.place)
            whole = np.zeros((SIDE, SIDE), bool)
            whole[y0:y1, x0:x1] = mask_in_box(decoder.masks([thing.codes])[0], x1 - x0, y1 - y0)
            overlaps.append((whole & mask).sum() / (whole | mask).sum())
    assert len(overlaps) > 30
    assert np.mean(overlaps) > 0.8


def test_mask_codes_begin_with_nothing_and_end_with_everything(book):
    assert book.encode(np.zeros((64, 64), np.float32)) == (0,) * 16
    assert book.encode(np.ones((64, 64), np.float32)) == (CODES - 1,) * 16
    half = np.zeros((64, 64), np.float32)
    half[:, 32:] = 1
    assert book.encode(half) == ((0, 0, CODES - 1, CODES - 1) * 4)
    few = patterns_of(np.stack(list(islice(scene_masks(2), 40))), codes=8, rounds=5)
    assert few.shape == (8, 256)
    assert 0 <= few.min() <= few.max() <= 1
    assert SHIPPED.stat().st_size < 2 * 2**20


def test_a_grounded_caption_is_of_the_box_in_its_prompt(drawn, book):
    for number, scene in enumerate(drawn):
        told = ask(scene, random.Random(number), book, "grounded-caption")
        if told.task != "grounded-caption":
            continue
        place = read_box(told.prompt)
        boxes = {t.label: tuple(v / SIDE for v in t.box) for t in scene.things}
        said = re.sub(r"^ an? ", "", told.text)
        best = max(boxes.values(), key=lambda box: box_overlap(box, place))
        assert box_overlap(boxes[said], place) >= 0.6 * box_overlap(best, place)


# --- words -------------------------------------------------------------------------------------------------------


def test_captions_name_every_thing_once_and_in_order(drawn):
    for scene in drawn:
        if scene.kind != "shapes":
            continue
        labels = [t.label for t in scene.things]
        said = "".join(text for text, _ in caption(scene))
        assert re.findall(r"an? (\w+ \w+)", said) == labels
        longer = "".join(text for text, _ in description(scene))
        assert re.findall(r"the (\w+ \w+) is", longer) == labels
        if len(labels) == 2 and "left of" in said:
            assert scene.things[0].center[0] < scene.things[1].center[0]
        if len(labels) == 2 and "above" in said:
            assert scene.things[0].center[1] < scene.things[1].center[1]


def _things_of(scene: Scene, words: str) -> list:
    return [t for t in scene.things if words in (t.name, t.label)]


def test_answers_are_true_by_another_way_of_finding_them(drawn, book):
    """Each kind of question is answered again from the scene's things alone."""
    checked: dict[str, int] = {}
    singular = {plural: name for name, plural in PLURALS.items()}
    for number, scene in enumerate(drawn * 3):
        told = ask(scene, random.Random(number), book, "question")
        asked, answer = told.prompt.removeprefix("answer en ").rstrip("?"), told.text.strip()
        if found := re.fullmatch(r"what colou?r is the (\w+)", asked):
            colours = {t.colour for t in scene.things if t.name == found[1]}
            assert answer == (colours.pop() if len(colours) == 1 else "")
        elif found := re.fullmatch(r"is there an? ([\w ]+?)( in the (image|picture)| on the page)?", asked):
            assert answer == ("yes" if _things_of(scene, found[1]) else "no")
        elif (found := re.fullmatch(r"how many (\w+) are there", asked)) and scene.kind == "shapes":
            name = singular.get(found[1])
            things = [t for t in scene.things if found[1] in ("things", "objects") or t.name == name]
            assert answer == str(len(things))
        elif found := re.fullmatch(r"what is (to the )?(left|right) of the ([\w ]+)", asked):
            (thing,) = _things_of(scene, found[3])
            sign = -1 if found[2] == "left" else 1
            beyond = [t for t in scene.things if sign * (t.center[0] - thing.center[0]) > 0]
            assert answer == (beyond[0].label if len(beyond) == 1 else "")
        elif found := re.fullmatch(r"what colou?r is the (tallest|shortest|largest|smallest) (bar|slice)", asked):
            assert isinstance(scene.look, Chart)
            by_area = sorted(scene.things, key=lambda t: t.mask.sum() if found[2] == "slice" else t.box[3] - t.box[1])
            assert answer == by_area[-1 if found[1] in ("tallest", "largest") else 0].colour
        elif asked == "how many columns are there":
            assert isinstance(scene.look, PageLook)
            assert answer == str(scene.look.columns)
        else:
            continue
        form = re.sub(r"(the|an?|many) [\w ]+", r"\1", asked)
        checked[form] = checked.get(form, 0) + 1
    assert sum(checked.values()) > 300
    assert len(checked) > 5


def test_statements_are_true_or_false_as_the_places_say(drawn, book):
    said = {"True": 0, "False": 0}
    for number, scene in enumerate(drawn):
        told = ask(scene, random.Random(number), book, "spatial")
        pattern = r"answer en the (.+) is (?:to the )?(left of|right of|above|below) the (.+?)\.? true or false\?"
        found = re.fullmatch(pattern, told.prompt)
        if found is None:  # of sizes, or there are not two things
            continue
        (first,), (second,) = _things_of(scene, found[1]), _things_of(scene, found[3])
        axis = 0 if "of" in found[2] else 1
        less = first.center[axis] < second.center[axis]
        true = less if found[2] in ("left of", "above") else not less
        assert told.text == f" {found[1] if true else found[3]} {true}"
        said[str(true)] += 1
    assert min(said.values()) > 25


# --- the domain --------------------------------------------------------------------------------------------------


def test_the_stream_goes_on_exactly_and_batches_take_words_for_prompts(pool):
    made = domain("scenes", pool=pool)
    whole = list(islice(made.stream(1), PER_BLOCK + 6))
    later = list(islice(made.stream(1, PER_BLOCK + 2), 4))
    for a, b in zip(whole[PER_BLOCK + 2 :], later, strict=True):
        assert (a.prompt, a.target) == (b.prompt, b.target)
        assert np.array_equal(a.pixels, b.pixels)
    assert {s.slices["task"] for s in whole} == set(TASKS)
    empty = [s for s in whole if not s.target]
    assert 15 < len(empty) < 90  # no answer is an answer, too
    collate = Collator(made, 8, 16)
    batch = next(batches(made, collate, 1, 16))
    assert batch.pixels.shape == (16, SIDE, SIDE, 3)
    prompt = "answer en what colour is the circle?"
    assert [collate.vocabulary[i] for i in collate.prefix(prompt)[65:-1]] == [
        "answer", " en", " what", " colour", " is", " the", " circle", "?",
    ]  # fmt: skip
    lengths = (batch.kinds == 0)[:, 64:].sum(axis=1)
    assert len(set(lengths.tolist())) > 1
    assert batch.labels.any()


def test_words_of_a_prompt_point_at_the_one_thing_that_they_name(drawn, book, pool):
    collate = Collator(domain("scenes", pool=pool), 8, 16)
    pointed = 0
    for number, scene in enumerate(drawn):
        sample = sample_of(ask(scene, random.Random(number), book, "spatial"), scene.pixels, scene.things)
        batch = collate([sample])
        tokens = [collate.vocabulary[i].strip() for i in batch.tokens[0]]
        begin = 8 * 8 + 1
        for place in range(begin, batch.kinds[0].argmax() - 1):
            patch = batch.pointers[0, place + 1]  # the loss shifts by one
            if patch < 0:
                continue
            pointed += 1
            colour, name = (tokens[place - 1], tokens[place]) if tokens[place] not in COLOURS else tokens[place:][:2]
            meant = [t for t in scene.things if t.name == name and (colour not in COLOURS or t.colour == colour)]
            assert [collate.patches(np.array([t.center]))[0] for t in meant] == [patch]
    assert pointed > 200


def test_the_score_is_one_for_the_truth_and_tells_tasks_apart(pool):
    made = Scenes(pool=pool)
    sets = made.validation(27)
    assert set(sets) == {"held_out", "outside"}
    assert {s.slices["task"] for s in sets["held_out"]} == set(TASKS)
    assert all(not s.target for s in sets["outside"])
    samples = sets["held_out"]
    truth = made.score(samples, [s.target for s in samples])
    assert truth["exact"] == truth["box_iou"] == truth["mask_iou"] == 1.0
    assert {f"exact_{task}" for task in TASKS} <= set(truth)
    nothing = made.score(samples, [()] * len(samples))
    assert nothing["exact"] < 0.2
    assert nothing["exact_caption"] == 0


def test_boxes_are_right_when_they_are_near_and_of_the_right_thing(book):
    def right(answer: str) -> float:
        sample = kind_sample(np.zeros((SIDE, SIDE, 3), np.uint8), "other")
        truth = write_objects([Found("circle", (8 / 31, 8 / 31, 16 / 31, 16 / 31))])
        sample = type(sample)(sample.pixels, "", (), sample.points, (), truth, {"task": "detect"})
        return score([sample], [answer], book)["exact"]

    near = write_objects([Found("circle", (9 / 31, 8 / 31, 17 / 31, 16 / 31))])
    far = write_objects([Found("circle", (14 / 31, 8 / 31, 22 / 31, 16 / 31))])
    assert right(near) == 1
    assert right(far) == 0
    assert right(near.replace("circle", "square")) == 0
    assert right(f"{near} ; {far}") == 0
    assert right("") == 0


# --- kinds of figures --------------------------------------------------------------------------------------------


def test_figures_of_every_kind_are_drawn_in_a_white_square(pool):
    figures = list(islice(figure_kinds.figures(2, pool=Path(pool)), 80))
    assert {f.kind for f in figures} == set(KINDS)
    for figure in figures:
        assert figure.pixels.shape == (SIDE, SIDE, 3)
        assert figure.pixels.std() > 0.5
    again = next(figure_kinds.figures(2, 5, pool=Path(pool)))
    assert np.array_equal(again.pixels, figures[5].pixels)
    alone = next(figure_kinds.figures(2, 5, pooled=False))
    assert alone.kind == figures[5].kind
    photos = [f.pixels.std() for f in figures if f.kind == "photo"]
    assert min(photos) > 5


def test_made_up_molecules_are_molecules():
    rng = random.Random(1)
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        found = [Chem.MolFromSmiles(figure_kinds.made_up_smiles(rng)) for _ in range(200)]
    assert sum(mol is not None for mol in found) > 150
    assert len({Chem.MolToSmiles(mol) for mol in found if mol is not None}) > 120
