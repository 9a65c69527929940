"""The remote engine against real peers: retries, deadlines, the breaker, the cascade, parity, `transformers serve`."""

from __future__ import annotations

import itertools
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from rdkit import Chem
from rdkit.Chem import Draw
from served import Handler, Peer, Transformer, answering, question_of, serving, statuses, trickling
from test_paligemma import ask, noise, only

from docpipe.document import AnswerContent, Box, MoleculeContent, TextContent
from docpipe.engines import remote_client
from docpipe.engines.base import Answer, Engine, Request
from docpipe.engines.catalogue import engine as make_engine
from docpipe.engines.ocr import OcrEngine
from docpipe.engines.paligemma import PaliGemmaEngine
from docpipe.engines.paligemma_job import Job, picture
from docpipe.engines.remote import EXTRAS, RemoteEngine
from docpipe.engines.remote_address import api_url
from docpipe.engines.remote_breaker import Breaker
from docpipe.engines.remote_parity import LENGTH, Answered, candidates, line_of, nearer, reference, with_logs
from docpipe.engines.remote_reply import after, parsed
from docpipe.errors import DocpipeError
from docpipe.models import registry
from docpipe.models.preprocess import to_pixels
from docpipe.notation.tokens import Found, write_objects
from docpipe.stages.answers import key_of
from docpipe.stages.recognize import Reader
from docpipe.tasks import get_task

torch.set_num_threads(1)
NANO = registry.SHIPPED / "molecule"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_client, "FIRST_WAIT", 0.02)


def remote(peer: Peer | str, **more: Any) -> RemoteEngine:
    url = peer if isinstance(peer, str) else peer.url
    return RemoteEngine(**{"url": url, "model": "reader", "parity": "off", **more})


def molecule(smiles: str = "CCO") -> Request:
    drawn = Draw.MolToImage(Chem.MolFromSmiles(smiles), size=(240, 240)).convert("RGB")
    return ask(get_task("molecule"), drawn)


def smiles_of(answer: Answer) -> str:
    assert isinstance(answer.content, MoleculeContent), answer
    return answer.content.smiles


def unsure_smiles_of(answer: Answer) -> str:
    """What it would have read, had it known how sure to be."""
    assert answer.content is None, answer
    (content,) = answer.alternatives
    assert isinstance(content, MoleculeContent)
    return content.smiles


def code_of(answer: Answer) -> str:
    assert answer.content is None
    assert answer.error is not None
    return answer.error.code


def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module")
def models() -> dict[str, Transformer]:
    return {mask: Transformer(NANO, mask, tells=True) for mask in ("prefix", "image", "causal")}


def nano(peer: Peer, **more: Any) -> RemoteEngine:
    return remote(peer, **{"checkpoint": "nano-molecule", "parity": "refuse", **more})


# --- settings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["ftp://a/v1", "file:///etc/passwd", "localhost:8000", "http://me:secret@a/v1", "http://a/v1?key=x", "http://a:x"]
)  # fmt: skip
def test_only_plain_http_addresses_are_taken(url: str) -> None:
    with pytest.raises(DocpipeError) as caught:
        remote(url)
    assert caught.value.code == "DP532"
    assert "secret" not in str(caught.value)


def test_addresses_are_those_of_the_api() -> None:
    assert api_url("http://host:8000") == api_url("http://host:8000/v1/") == "http://host:8000/v1"
    assert api_url("https://host/v1/chat/completions") == "https://host/v1"
    assert api_url("https://host/some/where") == "https://host/some/where"


def test_settings_that_cannot_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    for wrong in ({"key_env": "NO_SUCH_KEY"}, {"parity": "maybe"}, {"confidence": "high"}, {"timeout": 0.0}):
        with pytest.raises(DocpipeError, match="DP532"):
            remote("http://127.0.0.1:9", **wrong)
    with pytest.raises(DocpipeError, match="DP301"):
        remote("http://127.0.0.1:9", checkpoint="no-such-checkpoint")
    with pytest.raises(DocpipeError, match="DP205"):
        make_engine("remote", url="http://127.0.0.1:9")  # no model


def test_the_token_is_sent_and_never_shown(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("A_KEY", "hush-hush")

    def script(handler: Handler, _: dict[str, Any]) -> None:
        handler.say(401, {"error": {"message": f"no such key: {handler.headers['authorization']}"}})

    with caplog.at_level(logging.DEBUG), serving(script) as peer:
        engine = remote(peer, key_env="A_KEY")
        answer = only(engine, molecule())
        assert peer.keys == ["Bearer hush-hush"]  # asked once: a wrong key is not tried again
    assert code_of(answer) == "DP527"
    assert "hush-hush" not in repr(answer) + repr(engine.identity(molecule())) + caplog.text


def test_a_redirect_is_not_followed_with_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "hush-hush")
    with serving(answering("CCO")) as other:

        def script(handler: Handler, _: dict[str, Any]) -> None:
            handler.say(307, {}, location=other.url + "/chat/completions")

        with serving(script) as peer:
            assert code_of(only(remote(peer, key_env="A_KEY"), molecule())) == "DP527"
        assert other.bodies == []


# --- what is asked and answered -------------------------------------------------------------------------------


def test_it_is_asked_as_the_checkpoint_wants_it() -> None:
    with serving(answering("CCO")) as peer:
        answer = only(remote(peer, model="served", checkpoint="nano-molecule"), request := molecule())
    assert answer.origin.checkpoint == "served"
    assert answer.origin.prompt == "smiles"
    (body,) = peer.bodies
    assert peer.paths == ["/v1/chat/completions"]
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("served", 0, 64)
    sent, prompt = question_of(body)
    loaded = PaliGemmaEngine().load(registry.find_checkpoint("nano-molecule"))
    expected = picture(Job(request, loaded, "smiles", (), 1))
    assert prompt == "smiles"
    assert sent.size == (128, 128)
    assert sent.tobytes() == expected.tobytes()


def test_a_public_name_gives_family_and_size_and_an_unknown_one_the_general_prompts() -> None:
    with serving(answering("a cat")) as peer:
        caption = ask(get_task("caption"), noise(90, 60))
        known = remote(peer, model="google/paligemma2-3b-mix-448")
        assert only(known, caption).error is None
        assert not known.can_read(get_task("molecule"))
        unknown = remote(peer, model="somebodys-model")
        assert only(unknown, caption).error is None
        assert unknown.can_read(get_task("molecule"))
    sizes = [question_of(body)[0].size for body in peer.bodies]
    assert sizes == [(448, 448), (90, 60)]


def test_boxes_are_on_the_page() -> None:
    said = write_objects([Found("cat", (0.25, 0.5, 0.75, 0.6))])
    with serving(answering(said + "<eos>")) as peer:
        answer = only(remote(peer), ask(get_task("detect"), noise(60, 40), parts={"things": "cat"}))
        missing = only(remote(peer), ask(get_task("detect"), noise(60, 40)))
    assert isinstance(answer.content, AnswerContent)
    assert answer.content.detections[0].box == pytest.approx(Box(15, 20, 45, 24), abs=0.1)
    assert code_of(missing) == "DP307"


def test_a_cut_answer_is_truncated_and_log_probabilities_make_a_raw_confidence() -> None:
    def script(handler: Handler, body: dict[str, Any]) -> None:
        assert body["logprobs"] is True
        handler.stream("CC", "length", [("C", -0.1), ("C", -0.3)], 2)

    with serving(script) as peer:
        answer = only(remote(peer, confidence="raw"), molecule())
    assert answer.truncated
    assert answer.origin.tokens == 2
    assert answer.confidence == pytest.approx(2.718281828**-0.2)


@pytest.mark.parametrize("smiles", ["CCO", "C1CCCCC1", "CC(=O)NC1CC1", "CC(C)CN"])
def test_with_log_probabilities_it_is_as_sure_as_the_checkpoint_here(
    models: dict[str, Transformer], smiles: str
) -> None:
    request = molecule(smiles)
    own = only(PaliGemmaEngine(model="nano-molecule"), request)
    with serving(models["prefix"]) as peer:
        answer = only(nano(peer, parity="off"), request)
    assert answer.content == own.content
    assert answer.reason == own.reason
    assert answer.confidence == pytest.approx(own.confidence, abs=1e-3)


def test_a_checkpoint_that_abstains_does_so_where_it_cannot_tell_how_sure_it_is() -> None:
    with serving(answering("CCO")) as peer:
        answer = only(nano(peer, parity="off"), molecule())
        assert unsure_smiles_of(answer) == "CCO"
        assert answer.reason is not None
        assert "does not tell how sure" in answer.reason
        taken = only(nano(peer, parity="off", confidence="none"), molecule())
        assert smiles_of(taken) == "CCO"
        assert taken.generated
        assert taken.reason is not None
        assert "0.98" in taken.reason


def test_a_blank_crop_is_not_sent() -> None:
    with serving(answering("CCO")) as peer:
        answer = only(remote(peer), ask(get_task("molecule"), Image.new("RGB", (50, 50), "white")))
        assert peer.bodies == []
    assert answer.content is None
    assert answer.error is None


def test_a_server_that_refuses_the_extras_is_asked_without_them_from_then_on() -> None:
    def script(handler: Handler, body: dict[str, Any]) -> None:
        if "skip_special_tokens" in body:
            handler.say(422, {"detail": "Unexpected fields"})
        else:
            handler.stream("CCO")

    with serving(script) as peer:
        engine = remote(peer, concurrency=1)
        assert [smiles_of(a) for a in engine.read([molecule(), molecule()])] == ["CCO", "CCO"]
    assert ["logprobs" in body for body in peer.bodies] == [True, False, False]


def test_answers_keep_their_order_and_no_more_than_allowed_are_under_way() -> None:
    turns = itertools.count()

    def script(handler: Handler, body: dict[str, Any]) -> None:
        time.sleep(0.08 if next(turns) % 2 else 0.01)
        handler.stream(question_of(body)[1])

    asked = [ask(get_task("question"), noise(), parts={"question": f"number {i}"}) for i in range(12)]
    with serving(script) as peer:
        answers = list(remote(peer, concurrency=3).read(asked))
        assert peer.most == 3
    said = [a.content.answer for a in answers if isinstance(a.content, AnswerContent)]
    assert said == [f"answer en number {i}" for i in range(12)]


def test_an_answer_is_remembered_by_all_it_depends_on() -> None:
    request = molecule()
    keys = [
        key_of(remote("http://127.0.0.1:9", **more), request)
        for more in ({}, {}, {"model": "other"}, {"parity": "refuse"}, {"checkpoint": "nano-molecule"})
    ]
    assert keys[0] is not None
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


# --- retries --------------------------------------------------------------------------------------------------


def test_failures_are_tried_again_and_refusals_are_not() -> None:
    with serving(statuses(500, 503, 429)) as peer:
        assert smiles_of(only(remote(peer), molecule())) == "CCO"
        assert len(peer.bodies) == 4
    with serving(statuses(500, 500, 500)) as peer:
        answer = only(remote(peer, retries=2), molecule())
        assert code_of(answer) == "DP526"
        assert "not now" in (answer.error.message if answer.error else "")
        assert len(peer.bodies) == 3
    for status, asked in ((404, 1), (400, 2)):  # 400: once more without the extras
        with serving(statuses(status, status, status)) as peer:
            assert code_of(only(remote(peer), molecule())) == "DP527"
            assert len(peer.bodies) == asked


def test_it_waits_as_long_as_it_is_told_to() -> None:
    with serving(statuses(429, retry_after="1")) as peer:
        began = time.monotonic()
        assert smiles_of(only(remote(peer), molecule())) == "CCO"
        assert time.monotonic() - began >= 1.0
    with serving(statuses(429, retry_after="3600")) as peer:  # past the deadline: given up at once
        began = time.monotonic()
        assert code_of(only(remote(peer, timeout=20.0), molecule())) == "DP526"
        assert time.monotonic() - began < 10


def test_retry_after_is_a_number_or_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert after("7") == 7.0
    assert after(soon) == pytest.approx(60, abs=2)
    assert after("Thu, 01 Jan 1970 00:00:00 GMT") == 0.0
    assert after("soon") is after("") is after(None) is None


def test_no_server_is_an_answer_with_a_code() -> None:
    answer = only(remote(f"http://127.0.0.1:{unused_port()}", retries=1), molecule())
    assert code_of(answer) == "DP525"


# --- answers that make no sense -------------------------------------------------------------------------------

CHOICE = {"index": 0, "message": {"role": "assistant", "content": "CCO"}, "finish_reason": "stop"}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/json"),
        (b"<html>", "text/html"),
        (b"[]", "application/json"),
        (b'{"choices": []}', "application/json"),
        (json.dumps({"choices": [{**CHOICE, "message": {"content": 7}}]}).encode(), "application/json"),
        (json.dumps({"choices": [{**CHOICE, "finish_reason": "abort"}]}).encode(), "application/json"),
        (b"\xff\xfe", "application/json"),
        (b'data: {"choices": [{"delta": {"content": "CC"}}]}\n\n', "text/event-stream"),  # it breaks off
        (b'data: {"error": "out of "memory""}\n\n', "text/event-stream"),
        (b'data: {"error": {"message": "no"}}\n\ndata: [DONE]\n\n', "text/event-stream"),
        (b"data: 3\n\n", "text/event-stream"),
        (b"", "text/event-stream"),
    ],
)
def test_nonsense_is_tried_again_and_never_taken(body: bytes, kind: str) -> None:
    with serving(lambda handler, _: handler.say(200, body, kind)) as peer:
        assert code_of(only(remote(peer, retries=1), molecule())) == "DP528"
        assert len(peer.bodies) == 2


def test_a_whole_answer_is_as_good_as_a_streamed_one() -> None:
    said = parsed("application/json", json.dumps({"choices": [CHOICE], "usage": {"completion_tokens": 3}}).encode())
    assert (said.text, said.finished, said.tokens) == ("CCO", True, 3)


def test_an_endless_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_client, "LARGEST", 1 << 16)
    with serving(trickling(0.0)) as peer:
        assert code_of(only(remote(peer), molecule())) == "DP528"
        assert len(peer.bodies) == 1


# --- deadlines ------------------------------------------------------------------------------------------------


def test_a_deadline_holds_whatever_the_server_sends() -> None:
    def silent(_: Handler, __: dict[str, Any]) -> None:
        time.sleep(5)

    for script in (trickling(0.02), silent):
        with serving(script) as peer:
            began = time.monotonic()
            assert code_of(only(remote(peer, timeout=0.5), molecule())) == "DP529"
            assert 0.4 < time.monotonic() - began < 4
            assert len(peer.bodies) == 1


def test_who_stops_reading_answers_leaves_no_request_behind() -> None:
    def script(handler: Handler, body: dict[str, Any]) -> None:
        (answering("first") if "number 0" in question_of(body)[1] else trickling(0.02))(handler, body)

    asked = [ask(get_task("question"), noise(), parts={"question": f"number {i}"}) for i in range(6)]
    with serving(script) as peer:
        answers = remote(peer, concurrency=2).read(asked)
        assert next(answers).error is None
        began = time.monotonic()
        answers.close()  # type: ignore[attr-defined]
        assert time.monotonic() - began < 2
        while peer.active and time.monotonic() - began < 5:
            time.sleep(0.02)
        assert peer.active == 0
        assert len(peer.bodies) < 6


# --- the breaker ----------------------------------------------------------------------------------------------


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_try() -> None:
    now = 0.0
    breaker = Breaker("it", failures=3, pause=10, clock=lambda: now)
    for well in (False, False, True, False, None, False):
        breaker.leave(breaker.enter(), well)
    assert breaker.state == "closed"  # a success begins the count anew, and being busy is no failure
    breaker.leave(breaker.enter(), False)
    assert breaker.state == "open"
    with pytest.raises(DocpipeError, match="DP530"):
        breaker.enter()
    now = 10.0
    assert breaker.state == "half-open"
    trial = breaker.enter()
    with pytest.raises(DocpipeError, match="DP530"):
        breaker.enter()  # one at a time
    breaker.leave(trial, False)
    assert breaker.state == "open"
    now = 20.0
    breaker.leave(breaker.enter(), True)
    assert breaker.state == "closed"


def test_a_server_that_is_down_is_left_alone_and_found_again() -> None:
    well = False

    def script(handler: Handler, _: dict[str, Any]) -> None:
        if well:
            handler.stream("CCO")
        else:
            handler.say(500, {})

    with serving(script) as peer:
        engine = remote(peer, retries=0, failures=3, pause=0.4, concurrency=1)
        codes = [code_of(answer) for answer in engine.read([molecule()] * 6)]
        assert codes == ["DP526"] * 3 + ["DP530"] * 3
        assert len(peer.bodies) == 3
        well = True
        time.sleep(0.5)
        assert smiles_of(only(engine, molecule())) == "CCO"
        assert len(peer.bodies) == 4


def test_its_regions_fall_to_the_next_engine_and_say_so() -> None:
    page = Image.new("RGB", (420, 60), "white")
    ImageDraw.Draw(page).text((10, 14), "The quick brown fox", "black", ImageFont.load_default(28))
    down = remote(f"http://127.0.0.1:{unused_port()}", retries=0, failures=2, pause=60, concurrency=1)
    reader = Reader(get_task("text"), [down, OcrEngine()])
    read = reader.read([ask(get_task("text"), page) for _ in range(3)])
    for (reading, _), code in zip(read, ("DP525", "DP525", "DP530"), strict=True):
        assert isinstance(reading.content, TextContent)
        assert reading.content.text == "The quick brown fox"
        assert [f.code for f in reading.verdict.findings if f.where == "remote"] == [code]


# --- parity ---------------------------------------------------------------------------------------------------


def test_an_answer_fits_as_far_as_rounding_leaves_no_choice() -> None:
    sure = Answered("CCO", ("C", "C", "O"), (7, 7, 8), (4.0, 3.0, 2.0, 5.0), True)
    assert sure.fits(line_of("CCO", True))
    assert not sure.fits(line_of("CCO", False))
    assert not sure.fits(line_of("CCN", True))
    unsure = Answered("CCO", ("C", "C", "O"), (7, 7, 8), (4.0, 3.0, 0.1, 5.0), True)
    assert unsure.fits(line_of("CCN", True))
    assert not unsure.fits(line_of("CNO", True))
    assert sure.parts_from(unsure) == 0.0
    other = Answered("CC", ("C", "C"), (7, 7), (4.0, 3.0, 0.7), True)
    assert sure.parts_from(other) == 0.7


def test_a_server_with_the_right_mask_is_taken(
    models: dict[str, Transformer], caplog: pytest.LogCaptureFixture
) -> None:
    with serving(models["prefix"]) as peer, caplog.at_level(logging.INFO, "docpipe"):
        engine = nano(peer)
        answer = only(engine, molecule("CC(=O)NC1CC1"))
        before = len(peer.bodies)
        assert answer.error is None
        assert "parity of reader" in caplog.text
        assert "same" in caplog.text
        only(engine, molecule())
        assert len(peer.bodies) == before + 1  # looked at once


@pytest.mark.parametrize(("mask", "tells"), [("image", True), ("image", False), ("causal", False)])
def test_a_server_with_a_wrong_mask_is_refused_or_warned_of(
    models: dict[str, Transformer], mask: str, tells: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models[mask], "tells", tells)
    with serving(models[mask]) as peer:
        refused = only(nano(peer), molecule("CC(=O)NC1CC1"))
        assert code_of(refused) == "DP531"
        assert refused.error is not None
        assert "causal mask" in refused.error.message
        assert ("image alone" in refused.error.message) == (mask == "image")
        warned = only(nano(peer, parity="warn"), molecule("CC(=O)NC1CC1"))
        assert warned.error is None
        assert warned.reason is not None
        assert "DP531" in warned.reason
        before = len(peer.bodies)
        unseen = only(nano(peer, parity="off"), molecule("CC(=O)NC1CC1"))
        assert "DP531" not in (unseen.reason or "")
        assert len(peer.bodies) == before + 1


def test_where_all_masks_say_the_same_the_probabilities_tell(models: dict[str, Transformer]) -> None:
    loaded = reference(registry.find_checkpoint("nano-molecule"))
    made = itertools.islice(candidates(loaded), 2)
    alike = [p for p in made if p.answers["prefix"].line == p.answers["causal"].line]
    assert alike
    probes = [with_logs(loaded, probe) for probe in alike]
    for mask, expected in (("prefix", "right"), ("causal", "wrong")):
        with serving(models[mask]) as peer:
            client = remote(peer).client
            body = remote(peer)._message
            said = [client.ask({**body(p.picture, p.prompt, LENGTH), "stream": True}, EXTRAS) for p in probes]
        assert nearer(probes, said, "causal") == expected
        silent = [replace(answer, logprobs=()) for answer in said]
        assert nearer(probes, silent, "causal") == "unclear"


def test_a_server_with_other_weights_is_refused() -> None:
    with serving(answering("CCO")) as peer:
        answer = only(nano(peer), molecule())
    assert code_of(answer) == "DP531"
    assert "CCO" in (answer.error.message if answer.error else "")


@pytest.mark.parametrize(("mask", "code"), [("prefix", None), ("image", "DP531"), ("causal", "DP531")])
def test_without_weights_the_prompt_tells(
    models: dict[str, Transformer], mask: str, code: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = models[mask]
    # A closed vocabulary has no word for the two prompts: other words that it has stand for them.
    words = {"caption en": [2, 5, 20, 4], "caption fr": [2, 5, 60, 4]}
    prompt = served.tokenizer.prompt
    monkeypatch.setattr(served.tokenizer, "prompt", lambda text: words.get(text) or prompt(text))
    with serving(served) as peer:
        engine = remote(peer, model="my-paligemma", parity="refuse", side=128)
        answer = only(engine, molecule())
    assert (answer.error.code if answer.error else None) == code


def test_what_cannot_be_told_is_said(models: dict[str, Transformer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models["prefix"], "tells", False)
    with serving(models["prefix"]) as peer:
        engine = remote(peer, model="my-paligemma", parity="refuse", side=128)
        answer = only(engine, molecule())
        assert answer.error is None
        assert answer.reason is not None
        assert "could not be told" in answer.reason


def test_a_model_that_nothing_is_known_of_is_not_looked_at() -> None:
    with serving(answering("CCO")) as peer:
        answer = only(remote(peer, model="somebodys-model", parity="refuse"), molecule())
        assert len(peer.bodies) == 1
    assert smiles_of(answer) == "CCO"
    assert answer.reason is None


def test_a_server_that_is_down_is_looked_at_when_it_is_back() -> None:
    down = True
    served = Transformer(NANO, "causal")

    def script(handler: Handler, body: dict[str, Any]) -> None:
        if down:
            handler.say(503, {})
        else:
            served(handler, body)

    with serving(script) as peer:
        engine = nano(peer, retries=0, failures=100, pause=0.5)
        assert [code_of(only(engine, molecule())) for _ in range(2)] == ["DP526", "DP526"]
        assert len(peer.bodies) == 1  # not looked at again at once
        down = False
        time.sleep(0.6)
        assert code_of(only(engine, molecule())) == "DP531"


# --- transformers serve ---------------------------------------------------------------------------------------

TEMPLATE = (
    "{%- for message in messages -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'image' -%}<image>{%- elif part['type'] == 'text' -%}{{ part['text'] }}{%- endif -%}"
    "{%- endfor -%}{%- endfor -%}"
)
"""What PaliGemma lacks to be served: its processor adds <bos> and the newline by itself."""


@pytest.fixture(scope="module")
def transformers_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a real `transformers serve` process, and what it calls its model."""
    folder = tmp_path_factory.mktemp("serve")
    checkpoint = folder / "checkpoint"
    shutil.copytree(NANO, checkpoint)
    (checkpoint / "chat_template.jinja").write_text(TEMPLATE)
    port = unused_port()
    env = {**os.environ, "HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    (folder / "home" / "hub").mkdir(parents=True)
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(checkpoint)]
    command += ["--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        end = time.monotonic() + 120
        while True:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end, (folder / "log").read_text()
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health", timeout=2, trust_env=False).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1", str(checkpoint)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_transformers_serve_reads_as_docpipe_does(transformers_serve: tuple[str, str]) -> None:
    url, model = transformers_serve
    engine: Engine = make_engine("remote", url=url, model=model, checkpoint="nano-molecule", concurrency=2)
    requests = [molecule(smiles) for smiles in ("CC(=O)NC1CC1", "CCO", "C1CCCCC1", "CC(C)CN")]
    answers = list(engine.read(requests))
    loaded = PaliGemmaEngine().load(registry.find_checkpoint("nano-molecule"))
    prompt = loaded.tokenizer.prompt("smiles")
    pictures = to_pixels([picture(Job(request, loaded, "smiles", (), 1)) for request in requests])
    own = loaded.decoder.decode(pictures, [prompt] * 4, [64] * 4)
    assert [unsure_smiles_of(a) for a in answers] == [loaded.tokenizer.text(d.tokens) for d in own]
    assert not any("could not be told" in (a.reason or "") for a in answers)
    assert [a.origin.tokens for a in answers] == [len(d.tokens) + 1 for d in own]  # it counts <eos>


def test_transformers_serve_refuses_in_words(transformers_serve: tuple[str, str]) -> None:
    url, _ = transformers_serve
    answer = only(RemoteEngine(url=url, model="someone/else", parity="off", retries=0), molecule())
    assert code_of(answer) in ("DP526", "DP527")
