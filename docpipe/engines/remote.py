"""The engine whose model runs elsewhere: any server that speaks OpenAI's chat completions and takes images.

Prompts, image preparation and parsers are the tasks' own, as for the `paligemma` engine. What goes wrong with the
server is an answer with a code (DP525 to DP531), so that the region falls to the next engine of its cascade.
"""

from __future__ import annotations

import base64
import importlib.util
import inspect
import io
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from typing import Any, ClassVar, Literal

from PIL import Image

from docpipe.document import Content, Origin
from docpipe.engines.base import Answer, Request
from docpipe.engines.paligemma_view import View, on_page, upright
from docpipe.engines.remote_address import api_url, token_in
from docpipe.engines.remote_breaker import Breaker
from docpipe.engines.remote_client import Client
from docpipe.engines.remote_parity import Parity
from docpipe.engines.remote_reply import Said
from docpipe.engines.score_answers import STAVES
from docpipe.errors import DocpipeError
from docpipe.models import registry
from docpipe.models.confidence import measured
from docpipe.models.load import network_config
from docpipe.models.preprocess import Frame, arrangement, is_blank, pad_to_white_square, resize
from docpipe.models.registry import Checkpoint
from docpipe.notation.table_structure import is_structure
from docpipe.tasks import Task
from docpipe.tasks.base import prompt_for

_log = logging.getLogger(__name__)

PATCH = 14
"""Pixels of a patch of the published checkpoints, where no config.json is here to say."""

EXTRAS: dict[str, Any] = {"logprobs": True, "stream_options": {"include_usage": True}, "skip_special_tokens": False}
"""Asked of every server; one that refuses them is asked without."""


@dataclass(frozen=True)
class Question:
    """A request made ready: what is asked, and how the answer is read. arranged: as `paligemma_job.Job.arranged`."""

    request: Request
    prompt: str
    picture: Image.Image
    limit: int
    arranged: str


class RemoteEngine:
    """Reads regions with a model behind an OpenAI-compatible server (vLLM, SGLang, `transformers serve`, TGI).

    url: of the API, as http://host:8000/v1. model: as the server calls it. checkpoint: what that is, as docpipe names
    checkpoints (a folder, a registered or a hub name): prompts and image size are taken from it, and when its weights
    are here the server is held against them; without it `model` is taken for such a name, and what that is not is asked
    by the tasks' general prompts. parity: what to do with a server that reads otherwise than the checkpoint here
    (`remote_parity`): refuse it, warn with each reading, or do not look. key_env: the environment variable that holds
    the server's token. concurrency: requests under way at once, in this process. timeout: seconds for one region, its
    tries and waits together. retries: further tries after one that failed. failures, pause: after so many in a row the
    server is left alone for so many seconds. side: of the square image in pixels, where the checkpoint does not say.
    confidence: "calibrated" and "raw" as of the `paligemma` engine, where the server tells log-probabilities; where it
    does not, a checkpoint that abstains below some confidence abstains always. "none" takes every answer.
    Raises DP532 for settings that cannot be, DP305 without httpx, DP301 for an unknown `checkpoint`.
    """

    name: ClassVar[str] = "remote"
    cached: ClassVar[bool] = True
    in_batches: ClassVar[bool] = True

    def __init__(
        self,
        *,
        url: str,
        model: str,
        checkpoint: str | None = None,
        parity: Literal["refuse", "warn", "off"] = "refuse",
        key_env: str | None = None,
        concurrency: int = 8,
        timeout: float = 30.0,
        retries: int = 3,
        failures: int = 5,
        pause: float = 30.0,
        side: int | None = None,
        confidence: Literal["calibrated", "raw", "none"] = "calibrated",
    ) -> None:
        if importlib.util.find_spec("httpx") is None:
            raise DocpipeError("DP305", "httpx", "pip install 'docpipe[remote]'")
        if parity not in ("refuse", "warn", "off"):
            raise DocpipeError("DP532", "parity", f"{parity!r} is none of refuse, warn, off")
        if confidence not in ("calibrated", "raw", "none"):
            raise DocpipeError("DP532", "confidence", f"{confidence!r} is none of calibrated, raw, none")
        if not (math.isfinite(timeout) and timeout > 0):
            raise DocpipeError("DP532", "timeout", f"{timeout!r} is no number of seconds")
        self.url, self.model, self.parity, self.confidence = api_url(url), model, parity, confidence
        self.concurrency, self.side = max(1, concurrency), side
        self.checkpoint, self._named = _described(checkpoint or model, named=checkpoint is not None), bool(checkpoint)
        breaker = Breaker(self.url, failures, pause)
        self.client = Client(self.url, token_in(key_env, self.url), timeout=timeout, retries=retries, breaker=breaker)
        self._lock = threading.Lock()
        self._checked: Parity | None = None
        self._unasked: tuple[DocpipeError, float] | None = None

    def can_read(self, task: Task) -> bool:
        """What the checkpoint was trained for, as far as is known; no music in strips, which needs the weights here."""
        said = self.checkpoint.settings.get(task.name)
        return self.checkpoint.can_read(task.name) and not (said and said.prepare == STAVES)

    def identity(self, request: Request) -> dict[str, object] | None:
        """What an answer depends on beside task, pixels, language and parts (see `stages.answers`). That the server
        still has the same weights under this name cannot be told.
        """
        found, task = self.checkpoint, request.task.name
        return {
            "docpipe": version("docpipe"), "url": self.url, "model": self.model, "checkpoint": found.name,
            "family": found.family, "settings": repr(found.settings.get(task)), "resize": found.resize,
            "side": self._size[0], "parity": self.parity, "confidence": self.confidence, "world": found.world,
            "calibration": repr(found.calibration.get(task)), "abstain": found.abstain_below.get(task),
        }  # fmt: skip

    def read(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Answer in order, `concurrency` requests at a time; pictures are made ready only a few ahead.

        Left early, it cuts the connections that are open.
        """
        stop = threading.Event()
        waiting: deque[Answer | tuple[Question, Future[Said]]] = deque()
        pool = ThreadPoolExecutor(self.concurrency, "docpipe-remote")
        parity: Parity | DocpipeError | None = None
        done = False
        try:
            for request in requests:
                made = self._prepare(request)
                if isinstance(made, Question):
                    parity = self._parity(made) if parity is None else parity
                    refused = self._refused(parity)
                    if refused is None:
                        waiting.append((made, pool.submit(self.client.ask, self._body(made), EXTRAS, stop)))
                    else:
                        waiting.append(self._failure(request, refused))
                else:
                    waiting.append(made)
                if len(waiting) >= 2 * self.concurrency:
                    yield self._answer(waiting.popleft(), parity)
            while waiting:
                yield self._answer(waiting.popleft(), parity)
            done = True
        finally:
            if not done:
                stop.set()
                self.client.abort()
            pool.shutdown(wait=done, cancel_futures=True)

    def close(self) -> None:
        """Close the connections that are kept for further requests."""
        self.client.close()

    def _prepare(self, request: Request) -> Question | Answer:
        task, found = request.task, self.checkpoint
        try:
            if is_blank(request.clipping.image):
                blank = task.parse("") if task.writes == "text" else None
                return Answer(Origin(engine=self.name), blank, reason="the crop is blank")
            said = found.settings.get(task.name)
            blanks = {"language": request.language, **request.parts}
            try:
                prompt = (
                    said.prompt.format(**blanks)
                    if said and said.prompt
                    else prompt_for(task, found.family, request.language, **request.parts)
                )
            except KeyError as error:
                detail = f"its prompt needs {error.args[0]!r}, which was not given"
                raise DocpipeError("DP307", task.name, detail) from error
            arranged = said.prepare if said and said.prepare else ""
            if not arranged and task.prepare is pad_to_white_square:
                arranged = "white-square"
            limit = said.max_tokens if said and said.max_tokens else task.max_tokens
            return Question(request, prompt, self._picture(request, arranged), limit, arranged)
        except Exception as error:  # a crop that cannot be had, a task of a plug-in: an answer like any other
            return self._failure(request, error)

    def _picture(self, request: Request, arranged: str) -> Image.Image:
        """What the model sees: the crop upright, arranged, and at the checkpoint's size where that is known, so that
        the server has nothing left to resize.
        """
        image, (side, patch) = upright(request), self._size
        said = self.checkpoint.settings.get(request.task.name)
        if arranged:
            options = said.options if said else {}
            image = arrangement(arranged)(image, Frame(side or request.task.size, patch, options))
        else:
            image = request.task.prepare(image)
        return resize(image, side, self.checkpoint.resize) if side else image  # type: ignore[arg-type]

    @cached_property
    def _size(self) -> tuple[int | None, int]:
        """Side of the square image, when it is known, and of a patch, in pixels."""
        folder = self.checkpoint.folder
        if folder is None:
            return self.side or self.checkpoint.side, PATCH
        vision = network_config(folder).vision
        return vision.side, vision.patch

    def _body(self, question: Question) -> dict[str, Any]:
        return self._message(question.picture, question.prompt, question.limit) | {"stream": True}

    def _message(self, picture: Image.Image, prompt: str, limit: int) -> dict[str, Any]:
        data = io.BytesIO()
        picture.save(data, "PNG")
        url = "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
        parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": prompt}]
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": parts}],
            "max_tokens": limit,
            "temperature": 0,
        }

    def _parity(self, question: Question) -> Parity | DocpipeError | None:
        """What the check found, made once. A server that could not be asked gives its error, and is asked again after
        `pause` seconds: each look at one that hangs would cost a page `timeout`.
        """
        if self.parity == "off":
            return None
        with self._lock:
            if self._checked is None:
                if self._unasked is not None and time.monotonic() < self._unasked[1]:
                    return self._unasked[0]
                try:
                    self._checked = self._compare(question)
                except DocpipeError as error:
                    self._unasked = error, time.monotonic() + self.client.breaker.pause
                    return error
                found = self._checked
                level = {"untold": logging.WARNING, "differs": logging.ERROR}.get(found.outcome, logging.INFO)
                _log.log(level, "parity of %s at %s: %s: %s", self.model, self.url, found.outcome, found.why)
            return self._checked

    def _compare(self, question: Question) -> Parity:
        from docpipe.engines import remote_parity

        found = self._here()
        if found is None and not self._is_paligemma:
            return Parity("unlooked", "nothing is known of this model: there is nothing to hold it against")
        if found is None:
            side = self._size[0] or question.request.task.size

            def prompts(picture: Image.Image, prompt: str) -> Sequence[Any]:
                body = self._message(picture, prompt, 1) | {"prompt_logprobs": 1}
                return list(self.client.ask(body, {}).whole.get("prompt_logprobs") or ())

            return remote_parity.without_weights(prompts, side)

        def ask(picture: Image.Image, prompt: str, limit: int) -> Said:
            return self.client.ask(self._message(picture, prompt, limit) | {"stream": True}, EXTRAS)

        try:
            probes = remote_parity.probes_of(found)
        except DocpipeError as error:
            return Parity("untold", f"the checkpoint here cannot be run: {error}")
        return remote_parity.check(probes, ask)

    @property
    def _is_paligemma(self) -> bool:
        """Whether the model is one that must see its whole prompt at once, as far as is known."""
        return self._named or "paligemma" in f"{self.model} {self.checkpoint.name}".casefold()

    def _here(self) -> Checkpoint | None:
        """The checkpoint with its weights, if they are here (of a named one the hub's cache is looked into); nothing is
        fetched.
        """
        found = self.checkpoint
        if self._named and found.folder is None and found.hub is not None:
            try:
                found = registry.locate(found, offline=True)
            except DocpipeError:
                return None
        return found if found.folder is not None and any(found.folder.glob("*.safetensors")) else None

    def _refused(self, parity: Parity | DocpipeError | None) -> DocpipeError | None:
        if isinstance(parity, DocpipeError):
            return parity
        if parity is not None and parity.outcome == "differs" and self.parity == "refuse":
            return DocpipeError("DP531", self.url, parity.why)
        return None

    def _answer(self, waiting: Answer | tuple[Question, Future[Said]], parity: Parity | DocpipeError | None) -> Answer:
        if isinstance(waiting, Answer):
            return waiting
        question, future = waiting
        try:
            said = future.result()
            answer = self._made_of(question, said)
        except Exception as error:  # the server's failure, or a parser's, is an answer
            return self._failure(question.request, error)
        notes = [note for note in (self._doubt(parity), answer.reason) if note]
        return replace(answer, reason="; ".join(notes) or None)

    def _doubt(self, parity: Parity | DocpipeError | None) -> str | None:
        if not isinstance(parity, Parity) or parity.outcome in ("same", "unlooked"):
            return None
        if parity.outcome == "untold":
            return f"whether the server reads as the checkpoint was trained to could not be told: {parity.why}"
        return str(DocpipeError("DP531", self.url, parity.why))

    def _made_of(self, question: Question, said: Said) -> Answer:
        request, found = question.request, self.checkpoint
        text = without_control(said.text)
        origin = Origin(
            engine=self.name, checkpoint=self.model, prompt=question.prompt, crop=request.clipping.record,
            tokens=said.tokens,
        )  # fmt: skip
        if found.world and said.finished and not text:
            why = f"{self.model} has no answer to this; its world: {found.world}"
            return Answer(origin, reason=why)
        content = content_of(question, text)
        confidence, least = self._sure(request.task.name, said), found.abstain_below.get(request.task.name)
        notes = [] if said.finished else [f"the answer was cut at its limit of {question.limit} tokens (no <eos>)"]
        if least is not None and self.confidence == "none":
            notes.append(f"run here, {found.name} answers only from confidence {least:.2f} on")
        elif least is not None and confidence is None:
            why = f"{found.name} answers from confidence {least:.2f} on, and the server does not tell how sure it is"
            return Answer(origin, alternatives=(content,), reason=why, generated=True, truncated=not said.finished)
        elif least is not None and confidence is not None and confidence < least:
            why = f"not sure enough: confidence {confidence:.2f}, {found.name} answers from {least:.2f} on"
            return Answer(origin, confidence=confidence, reason=why)
        if confidence is None and self.confidence == "raw" and said.logprobs:
            confidence = min(1.0, measured(said.logprobs))
        reason = "; ".join(notes) or None
        return Answer(origin, content, confidence, reason=reason, generated=True, truncated=not said.finished)

    def _sure(self, task: str, said: Said) -> float | None:
        """The calibrated confidence, which is of all tokens and the end; None where any of it is unknown."""
        calibration = self.checkpoint.calibration.get(task)
        if calibration is None or self.confidence == "none" or said.with_end != said.finished or not said.logprobs:
            return None
        return calibration(said.logprobs)

    def _failure(self, request: Request, error: Exception) -> Answer:
        if not isinstance(error, DocpipeError):
            error = DocpipeError("DP304", self.name, f"{type(error).__name__}: {error}")
        item = error.item(request.sheet.page.number, request.region.id)
        return Answer(Origin(engine=self.name, checkpoint=self.model), error=item)


def _described(name: str, *, named: bool) -> Checkpoint:
    """The checkpoint of that name; for a server's own name of a model one of which nothing is known."""
    try:
        return registry.find_checkpoint(name)
    except DocpipeError:
        if named:
            raise
        return Checkpoint(name=name, family="ft")


def without_control(text: str) -> str:
    """A text without the control tokens that a server leaves in."""
    for mark in ("<bos>", "<eos>", "<pad>", "<image>"):
        text = text.replace(mark, "")
    return text


def content_of(question: Question, text: str) -> Content:
    """An answer as a content, its boxes on the page (as `paligemma_job.parsed`, without what needs the weights)."""
    request = question.request
    task, padded = request.task, question.arranged == "white-square"
    if task.writes == "table" and is_structure(text):
        from docpipe.engines.table_fill import filled

        return filled(text, request, View.of(request, padded=padded))
    takes: Mapping[str, object] = inspect.signature(task.parse).parameters
    known: dict[str, object] = {"parts": dict(request.parts)}
    if "boxes" not in takes or question.arranged not in ("", "squeeze", "white-square"):
        return task.parse(text, **{name: value for name, value in known.items() if name in takes})
    view = View.of(request, padded=padded)
    known["boxes"] = view.frame
    return on_page(task.parse(text, **{name: value for name, value in known.items() if name in takes}), view)
