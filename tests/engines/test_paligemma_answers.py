"""What the engine makes of answers: spotted words, truth of statements, sure and unsure parts, grammars."""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from test_paligemma import ask, noise, only

from docpipe.document import AnswerContent, Box, TableContent, TextContent
from docpipe.engines.base import Answer, Request
from docpipe.engines.paligemma import PaliGemmaEngine
from docpipe.engines.paligemma_job import Job, Loaded, picture, truth
from docpipe.engines.paligemma_reference import PaliGemmaReference
from docpipe.models import registry
from docpipe.models.decode import Decoded, prefill
from docpipe.models.grammar import rings_hold
from docpipe.models.preprocess import to_pixels
from docpipe.notation.tokens import write_objects, write_words
from docpipe.stages.recognize import Reader
from docpipe.tasks import get_task

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from spelling_model import spelling_model

TASKS = ("text", "molecule", "table", "score", "spatial", "detect", "question")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = spelling_model(tmp_path_factory.mktemp("spelling") / "speller")
    said = {name: {"max_tokens": 30} for name in TASKS}
    (path / "docpipe.json").write_text(json.dumps({"name": "speller", "tasks": said}))
    return str(path)


def loaded(engine: PaliGemmaEngine, model: str) -> Loaded:
    return engine.load(registry.find_checkpoint(model))


def saying(
    model: str, request: Request, text: str, monkeypatch: pytest.MonkeyPatch, sure: dict[str, float] | None = None
) -> Answer:
    """The engine's answer where the network says this, every character with probability 0.9 or as told."""
    engine = PaliGemmaEngine(model=model)
    tokenizer = loaded(engine, model).tokenizer
    tokens = tuple(tokenizer.encode(text))
    logs = tuple(math.log((sure or {}).get(tokenizer.piece(t), 0.9)) for t in tokens)
    said = Decoded(tokens, (*logs, math.log(0.99)), finished=True)
    monkeypatch.setattr(loaded(engine, model).decoder, "decode", lambda *_, **__: [said])
    return only(engine, request)


def turned(request: Request, rotation: int) -> Request:
    page = request.sheet.page.model_copy(update={"rotation": rotation})
    return replace(request, sheet=replace(request.sheet, page=page))


# --- text spotting --------------------------------------------------------------------------------------------


def test_spotted_words_have_boxes_lines_and_confidence(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [("low", Box(5, 25, 20, 33)), ("Top", Box(4, 4, 30, 12)), ("right", Box(35, 5, 58, 12))]
    said = write_words(words, Box(0, 0, 60, 40))
    answer = saying(model, ask(get_task("text"), noise(60, 40)), said, monkeypatch, {"w": 0.3})
    content = answer.content
    assert isinstance(content, TextContent)
    assert content.text == "Top right\nlow"
    assert [w.text for w in content.words] == ["Top", "right", "low"]
    assert [w.confidence for w in content.words] == pytest.approx([0.9, 0.9, 0.3])
    assert content.words[2].box == pytest.approx(words[0][1], abs=0.05)


def test_words_and_things_on_a_turned_page_are_where_they_are(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    request = turned(ask(get_task("text"), noise(60, 40)), 90)  # upright it is 40 wide and 60 high
    answer = saying(model, request, write_words([("a", Box(10, 20, 30, 26))], Box(0, 0, 40, 60)), monkeypatch)
    assert isinstance(answer.content, TextContent)
    assert answer.content.words[0].box == pytest.approx((20, 10, 26, 30), abs=0.05)
    from docpipe.notation.tokens import Found

    thing = write_objects([Found("cat", (0.25, 0.5, 0.75, 0.6))])
    answer = saying(model, replace(request, task=get_task("detect"), parts={"things": "cat"}), thing, monkeypatch)
    assert isinstance(answer.content, AnswerContent)
    assert answer.content.detections[0].box == pytest.approx((30, 10, 36, 30), abs=0.1)


def test_cells_of_a_table_on_a_turned_page_are_where_they_are(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Upright the crop is 40 x 60 points in the middle of a square of 60: x from 10 to 50 of it.
    html = '<table><tr><td coords="<loc0170><loc0000><loc0853><loc0512>">a</td></tr></table>'
    answer = saying(model, turned(ask(get_task("table"), noise(60, 40)), 90), html, monkeypatch)
    assert isinstance(answer.content, TableContent)
    box = answer.content.cells[0].box
    assert box == pytest.approx((0, 0, 30, 40), abs=0.1)


def test_where_the_picture_is_scaled_to_its_content_nothing_has_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = spelling_model(tmp_path / "scaled")
    (path / "docpipe.json").write_text(json.dumps({"tasks": {"text": {"prepare": "drawing-square"}}}))
    answer = saying(str(path), ask(get_task("text"), noise()), write_words([("a", Box(0, 0, 1, 1))], Box(0, 0, 9, 9)),
                    monkeypatch)  # fmt: skip
    assert answer.content == TextContent(text="a")


# --- true or false --------------------------------------------------------------------------------------------


def test_a_statement_has_the_probability_of_true_from_the_first_token(model: str) -> None:
    request = ask(get_task("spatial"), noise(seed=8), parts={"statement": "a is left"})
    engine = PaliGemmaEngine(model=model)
    made = loaded(engine, model)
    answer = only(engine, request)
    assert answer.error is None
    prompt = "answer en a is left true or false?"
    tokens = made.tokenizer.prompt(prompt)
    pixels = to_pixels([picture(Job(request, made, prompt, tuple(tokens), 1))])
    network: Any = made.decoder
    with torch.inference_mode():
        chances = prefill(network.network, pixels, [tokens], 1).logits.softmax(-1)[0]
    true, false = (float(chances[made.tokenizer.encode(letter)[0]]) for letter in "TF")
    assert isinstance(answer.content, AnswerContent)
    assert answer.content.probability == pytest.approx(true / (true + false), abs=1e-5)
    reference = only(PaliGemmaReference(model=model), request)
    assert isinstance(reference.content, AnswerContent)
    assert reference.content.probability == pytest.approx(answer.content.probability, abs=1e-4)
    question = only(engine, ask(get_task("question"), noise(), parts={"question": "where"}))
    assert isinstance(question.content, AnswerContent)
    assert question.content.probability is None


@pytest.mark.parametrize("kind", [PaliGemmaEngine, PaliGemmaReference])
def test_watched_tokens_are_those_where_the_first_of_them_was_said(model: str, kind: Any) -> None:
    made = loaded(kind(model=model), model)
    prompts = [made.tokenizer.prompt(f"answer en {statement} true or false?") for statement in ("a", "a is left")]
    request = ask(get_task("spatial"), noise(seed=8), parts={"statement": "a"})
    pixels = to_pixels([picture(Job(request, made, "", tuple(tokens), 1)) for tokens in prompts])
    found = made.decoder.decode(pixels, prompts, [8, 8])
    later = next(k for k in range(1, len(found[0].tokens)) if found[0].tokens[k] not in found[0].tokens[:k])
    never = next(t for t in range(5, 60) if all(t not in one.tokens for one in found))
    watched = made.decoder.decode(pixels, prompts, [8, 8], watch=(never, found[0].tokens[later]))
    assert [one.tokens for one in watched] == [one.tokens for one in found]
    assert watched[0].watched[1] == pytest.approx(found[0].logprobs[later], abs=1e-4)
    first = made.decoder.decode(pixels, prompts, [1, 1], watch=(never,))
    nowhere = made.decoder.decode(pixels, prompts, [8, 8], watch=(never,))
    assert [one.watched for one in nowhere] == [pytest.approx(one.watched, abs=1e-4) for one in first]


@pytest.mark.parametrize(("said", "confidence"), [("True", 0.75), ("False", 0.25), ("yes.", 0.75), ("maybe", None)])
def test_the_confidence_is_that_of_the_answer_given(said: str, confidence: float | None) -> None:
    content, sure = truth(AnswerContent(answer=said), (math.log(0.3), math.log(0.1)), None)
    assert content.probability == pytest.approx(0.75)
    assert sure == (None if confidence is None else pytest.approx(confidence))
    assert truth(content, (math.log(0.3), math.log(0.1)), 0.6)[1] == 0.6


# --- parts ----------------------------------------------------------------------------------------------------


def test_a_reading_says_which_of_its_parts_are_unsure(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ask(get_task("molecule"), noise())
    engine = PaliGemmaEngine(model=model)
    tokenizer = loaded(engine, model).tokenizer
    tokens = tuple(tokenizer.encode("OCN"))
    said = Decoded(tokens, tuple(map(math.log, (0.9, 0.8, 0.2, 0.99))), finished=True)
    monkeypatch.setattr(loaded(engine, model).decoder, "decode", lambda *_, **__: [said])
    ((reading, _),) = Reader(get_task("molecule"), [engine]).read([request])
    assert reading.content is not None
    assert reading.content.type == "molecule"
    assert reading.content.smiles == "NCO"
    found = {part.where: (part.text, part.confidence) for part in reading.part_confidences}
    assert found == {
        "atom 0": ("N", pytest.approx(0.2)), "atom 1": ("C", pytest.approx(0.8)), "atom 2": ("O", pytest.approx(0.9)),
    }  # fmt: skip
    assert '"part_confidences":[{"where":"atom 2"' in reading.model_dump_json()


# --- grammar --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("candidates", [1, 2])
def test_with_a_grammar_answers_keep_their_notation(model: str, candidates: int) -> None:
    requests = [ask(get_task("molecule"), noise(seed=s)) for s in range(3)]
    requests.append(ask(get_task("text"), noise(seed=9)))
    free = list(PaliGemmaEngine(model=model).read(requests))
    bound = list(PaliGemmaEngine(model=model, grammar="auto", candidates=candidates).read(requests))
    assert all(answer.error is None for answer in bound)
    for answer in bound[:3]:
        assert answer.content is not None
        assert answer.content.type == "molecule"
        assert re.fullmatch(r"(\[[^\[\]]*\]|[^\[\]])*(\[[^\[\]]*)?", answer.content.smiles)
        assert rings_hold(answer.content.smiles)
    assert [a.content for a in free[:3]] != [a.content for a in bound[:3]]
    if candidates == 1:
        assert free[3] == bound[3], "text has no grammar"
    refused = only(PaliGemmaReference(model=model, grammar="auto"), requests[0])
    assert refused.error is not None
    assert refused.error.code == "DP302"
