"""Servers to ask: a scripted one in a thread, and one that runs a checkpoint by transformers under a mask of choice."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from docpipe.engines.paligemma_reference import TransformersDecoder
from docpipe.models.load import network_config
from docpipe.models.preprocess import to_pixels
from docpipe.models.tokenizer import Tokenizer

Script = Callable[["Handler", dict[str, Any]], None]


class Handler(BaseHTTPRequestHandler):
    """One request. Scripts write their answer with `say` and `stream`, or to `wfile`."""

    protocol_version = "HTTP/1.1"
    server: Peer

    def do_POST(self) -> None:
        peer, length = self.server, int(self.headers["content-length"])
        body = json.loads(self.rfile.read(length))
        with peer.lock:
            peer.bodies.append(body)
            peer.keys.append(self.headers.get("authorization"))
            peer.paths.append(self.path)
            peer.active += 1
            peer.most = max(peer.most, peer.active)
        try:
            peer.script(self, body)
        except OSError:  # the client hung up
            self.close_connection = True
            with peer.lock:
                peer.hung_up += 1
        finally:
            with peer.lock:
                peer.active -= 1

    def say(self, status: int, body: object, kind: str = "application/json", **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def stream(
        self,
        text: str,
        reason: str | None = "stop",
        logprobs: Sequence[tuple[str, float]] = (),
        tokens: int | None = None,
    ) -> None:
        """A streamed answer, a character an event."""
        events: list[dict[str, Any]] = [{"delta": {"role": "assistant"}}]
        events += [{"delta": {"content": letter}} for letter in text]
        if logprobs:
            events[-1]["logprobs"] = {"content": [{"token": token, "logprob": log} for token, log in logprobs]}
        if reason:
            events.append({"delta": {}, "finish_reason": reason})
        lines = [json.dumps({"choices": [{"index": 0, **event}]}) for event in events]
        if tokens is not None:
            lines.append(json.dumps({"choices": [], "usage": {"completion_tokens": tokens}}))
        lines += ["[DONE]"] if reason else []
        self.say(200, "".join(f"data: {line}\n\n" for line in lines).encode(), "text/event-stream")

    def log_message(self, *_: object) -> None: ...


class Peer(ThreadingHTTPServer):
    """A server with a script, which remembers what it was asked."""

    daemon_threads = True

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.lock = script, threading.Lock()
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.paths: list[str] = []
        self.active = self.most = self.hung_up = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, *_: object) -> None: ...


@contextmanager
def serving(script: Script) -> Iterator[Peer]:
    peer = Peer(script)
    thread = threading.Thread(target=peer.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield peer
    finally:
        peer.shutdown()
        peer.server_close()


def answering(*texts: str) -> Script:
    """A script that gives these answers in turn, the last one from then on."""
    left = list(texts)

    def script(handler: Handler, _: dict[str, Any]) -> None:
        handler.stream(left.pop(0) if len(left) > 1 else left[0])

    return script


def statuses(*codes: int, text: str = "CCO", **headers: str) -> Script:
    """A script that fails with these codes in turn, then answers."""
    left = list(codes)

    def script(handler: Handler, _: dict[str, Any]) -> None:
        if left:
            handler.say(left.pop(0), {"error": {"message": "not now"}}, **headers)
        else:
            handler.stream(text)

    return script


def trickling(seconds: float, whole: float = 30.0) -> Script:
    """A script that sends an event now and then, and never ends within `whole` seconds."""

    def script(handler: Handler, _: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("connection", "close")
        handler.end_headers()
        end = time.monotonic() + whole
        while time.monotonic() < end:
            handler.wfile.write(b'data: {"choices": [{"index": 0, "delta": {"content": "C"}}]}\n\n')
            handler.wfile.flush()
            time.sleep(seconds)

    return script


class Transformer:
    """A checkpoint run by transformers: with the prefix mask, or with one of those that servers have got wrong.

    mask: prefix; image (image tokens see each other, words only what is before them); causal (no token_type_ids, as a
    server that does not know of them). tells: gives log-probabilities when asked for them, of prompts too.
    """

    def __init__(self, folder: Path, mask: str, *, tells: bool = False) -> None:
        self.decoder = TransformersDecoder(folder)
        self.tokenizer = Tokenizer(folder, network_config(folder))
        self.mask, self.tells, self.lock = mask, tells, threading.Lock()

    def __call__(self, handler: Handler, body: dict[str, Any]) -> None:
        if body.get("prompt_logprobs") is not None and not self.tells:
            handler.say(422, {"detail": "Unexpected fields in the request: {'prompt_logprobs'}"})
            return
        picture, prompt = question_of(body)
        given = self.inputs(picture, self.tokenizer.prompt(prompt))
        if body.get("prompt_logprobs") is not None:
            handler.say(200, self.whole(given))
            return
        with self.lock, torch.inference_mode():
            out: Any = self.decoder.model.generate(
                **given, do_sample=False, max_new_tokens=body["max_tokens"], eos_token_id=1, pad_token_id=0,
                output_scores=True, return_dict_in_generate=True,
            )  # fmt: skip
        tokens = out.sequences[0, given["input_ids"].shape[1] :].tolist()
        logs = [float(s[0].float().log_softmax(-1)[t]) for s, t in zip(out.scores, tokens, strict=True)]
        text, ended = self.tokenizer.text([t for t in tokens if t != 1]), 1 in tokens
        pieces = [self.tokenizer.piece(token) for token in tokens]
        told = list(zip(pieces, logs, strict=True)) if self.tells and body.get("logprobs") else ()
        handler.stream(text, "stop" if ended else "length", told, len(tokens))

    def inputs(self, picture: Image.Image, tokens: list[int]) -> dict[str, torch.Tensor]:
        given = self.decoder.inputs(to_pixels([picture]), [tokens])
        if self.mask == "causal":
            del given["token_type_ids"]
        if self.mask == "image":
            given["token_type_ids"][:, -len(tokens) :] = 1
        return given

    def whole(self, given: dict[str, torch.Tensor]) -> dict[str, Any]:
        with self.lock, torch.inference_mode():
            logs = self.decoder.model(**given).logits[0].float().log_softmax(-1)
        told = [None] + [
            {str(token): {"logprob": float(logs[i, token]), "rank": 1}}
            for i, token in enumerate(given["input_ids"][0, 1:].tolist())
        ]
        choice = {"index": 0, "message": {"role": "assistant", "content": "C"}, "finish_reason": "length"}
        return {"choices": [choice], "usage": {"completion_tokens": 1}, "prompt_logprobs": told}


def question_of(body: dict[str, Any]) -> tuple[Image.Image, str]:
    """The picture and the prompt of a request."""
    parts = body["messages"][0]["content"]
    data = parts[0]["image_url"]["url"].removeprefix("data:image/png;base64,")
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"), parts[1]["text"]
