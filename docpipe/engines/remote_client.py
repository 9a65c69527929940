"""Asks a server that speaks OpenAI's chat completions, and stays whole when it does not answer, or answers nonsense.

Each question has one deadline for all its tries, kept by a watchdog that cuts the connection: a server that sends a
byte now and then runs into it like one that sends none.
"""

from __future__ import annotations

import json
import logging
import queue
import random
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from docpipe.engines.remote_breaker import Breaker
from docpipe.engines.remote_reply import Said, after, message_of, parsed
from docpipe.errors import DocpipeError

if TYPE_CHECKING:
    import ssl

    import httpx

_log = logging.getLogger(__name__)

LARGEST = 8 * 2**20
"""Bytes of an answer; the longest that a task may give is a hundredth of that, prompt_logprobs of 4,096 image tokens
are the most that is asked for.
"""

CONNECT = 10.0
"""Seconds to wait for a connection."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 20.0
"""Seconds before the second try, doubled with each further one up to the longest; jitter takes up to half off."""


class Refusal(Exception):  # noqa: N818  (it is no error of docpipe's until the tries are over)
    """A try that failed. again: another may do better. wait: seconds that the server asked for. ill: it counts as a
    failure of the server; None: the server is alive, but busy.
    """

    def __init__(self, error: DocpipeError, *, again: bool, wait: float | None = None, ill: bool | None = True) -> None:
        self.error, self.again, self.wait, self.ill = error, again, wait, ill
        super().__init__(str(error))


class Client:
    """Asks one server. Safe under threads; each question holds a connection of its own while it lasts.

    url: of the API, as http://host:8000/v1. key: sent as a bearer token, and never shown. timeout: seconds for one
    question with all its tries and waits. retries: further tries after the first.
    """

    def __init__(self, url: str, key: str | None, *, timeout: float, retries: int, breaker: Breaker) -> None:
        self.url, self.timeout, self.retries, self.breaker = url, timeout, max(0, retries), breaker
        self._key = key
        self._lines: queue.LifoQueue[Line] = queue.LifoQueue()
        self._busy: set[Line] = set()
        self._lock = threading.Lock()
        self._plain = False
        self._certificates: ssl.SSLContext | bool | None = None

    def ask(self, body: Mapping[str, Any], extras: Mapping[str, Any], stop: threading.Event | None = None) -> Said:
        """The answer to one question. extras: fields that some servers refuse; they are then left out, for good.

        stop: set, it ends all waiting. Raises DP525 when there is no connection, DP526 when the server fails, DP527
        when it refuses, DP528 when its answer makes no sense, DP529 at the deadline, DP530 while the breaker is open.
        """
        end, stop = time.monotonic() + self.timeout, stop or threading.Event()
        last: DocpipeError | None = None
        for attempt in range(self.retries + 1):
            try:
                trial = self.breaker.enter()
            except DocpipeError as error:
                raise last or error from last
            well: bool | None = False
            try:
                said = self._try(body, {} if self._plain else extras, end, stop)
                well = True
                return said
            except Refusal as refusal:
                last = refusal.error
                left = end - time.monotonic()
                wait = self._wait(attempt) if refusal.wait is None else refusal.wait
                over = not refusal.again or attempt == self.retries or wait >= left or stop.is_set()
                well = {True: False, False: True, None: False if over else None}[refusal.ill]
                if over:
                    raise last from refusal
            finally:
                self.breaker.leave(trial, well)
            if stop.wait(wait):
                raise last
        raise AssertionError  # the last try raises or returns

    def abort(self) -> None:
        """Cut every connection in use, so that the threads that wait for them come back at once."""
        with self._lock:
            busy = list(self._busy)
        for line in busy:
            line.cut()

    def close(self) -> None:
        """Close the connections that are not in use."""
        while True:
            try:
                self._lines.get_nowait().close()
            except queue.Empty:
                return

    def _trust(self) -> ssl.SSLContext | bool:
        """The certificates to trust, loaded once for all connections."""
        import httpx

        with self._lock:
            if self._certificates is None:
                self._certificates = httpx.create_ssl_context() if self.url.startswith("https:") else False
            return self._certificates

    @staticmethod
    def _wait(attempt: int) -> float:
        return float(min(LONGEST_WAIT, FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1.0))

    def _try(self, body: Mapping[str, Any], extras: Mapping[str, Any], end: float, stop: threading.Event) -> Said:
        """One try; a server that refuses the extras is asked again without them at once."""
        try:
            return self._once({**body, **extras}, end, stop)
        except Refusal as refusal:
            if not extras or refusal.error.code != "DP527" or refusal.ill:
                raise
            said = self._once(body, end, stop)
            self._plain = True  # it was the extras, then
            _log.info("%s takes none of %s: left out from now on", self.url, ", ".join(sorted(extras)))
            return said

    def _once(self, body: Mapping[str, Any], end: float, stop: threading.Event) -> Said:
        try:
            line = self._lines.get_nowait()
        except queue.Empty:
            line = Line(self._trust())
        line.take()
        with self._lock:
            self._busy.add(line)
        try:
            headers = {"content-type": "application/json", "accept-encoding": "identity"}
            if self._key:
                headers["authorization"] = f"Bearer {self._key}"
            if stop.is_set():
                raise Refusal(DocpipeError("DP525", self.url, "stopped"), again=False, ill=None)
            reply = self._exchange(line, json.dumps(body).encode(), headers, end, stop)
        finally:
            with self._lock:
                self._busy.discard(line)
            line.give_back()
            self._lines.put(line)
        return self._read(reply)

    def _exchange(
        self, line: Line, content: bytes, headers: Mapping[str, str], end: float, stop: threading.Event
    ) -> Reply:
        import httpx

        seconds = end - time.monotonic()
        late = Refusal(DocpipeError("DP529", self.url, f"no whole answer within {self.timeout:g} s"), again=False)
        if seconds <= 0:
            raise late
        try:
            return line.exchange(f"{self.url}/chat/completions", content, headers, seconds)
        except OverflowError as error:
            raise Refusal(DocpipeError("DP528", self.url, str(error)), again=False) from error
        except Exception as error:  # cutting a connection under a read shows itself in many ways
            if stop.is_set():
                raise Refusal(DocpipeError("DP525", self.url, "stopped"), again=False, ill=None) from error
            if line.was_cut or time.monotonic() >= end or isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout):
                raise late from error
            if not isinstance(error, httpx.HTTPError):
                raise
            detail = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise Refusal(DocpipeError("DP525", self.url, self._clean(detail)), again=True) from error

    def _read(self, reply: Reply) -> Said:
        status = reply.status
        if status == 200:
            try:
                return parsed(reply.kind, reply.body)
            except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
                detail = self._clean(f"{type(error).__name__}: {error}")
                raise Refusal(DocpipeError("DP528", self.url, detail), again=True) from error
        detail = self._clean(f"HTTP {status}: {message_of(reply.body)}")
        if status in (408, 429) or status >= 500:
            wait = after(reply.after)
            busy = status == 429 or wait is not None
            raise Refusal(DocpipeError("DP526", self.url, detail), again=True, wait=wait, ill=None if busy else True)
        # A wrong key or address is wrong for every request; of 400, 413 and 422 this one request is the cause.
        raise Refusal(DocpipeError("DP527", self.url, detail), again=False, ill=status not in (400, 413, 422))

    def _clean(self, text: str) -> str:
        return text.replace(self._key, "…") if self._key else text


@dataclass(frozen=True)
class Reply:
    """An HTTP answer. kind: its content type; after: its Retry-After."""

    status: int
    kind: str
    after: str | None
    body: bytes


class Line:
    """One connection, kept alive between questions, which can be cut from another thread."""

    def __init__(self, trust: ssl.SSLContext | bool) -> None:
        import httpx

        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        self._client = httpx.Client(limits=limits, follow_redirects=False, verify=trust)
        self._lock = threading.Lock()
        self._stream: Any = None
        self._in_use = self.was_cut = False

    def take(self) -> None:
        """Begin a question: from now on it can be cut."""
        with self._lock:
            self._in_use, self.was_cut = True, False

    def give_back(self) -> None:
        """End a question: cutting has no effect any more."""
        with self._lock:
            self._in_use = False

    def exchange(self, url: str, content: bytes, headers: Mapping[str, str], seconds: float) -> Reply:
        """Send a question and read the answer to its end. Raises what httpx raises, OverflowError for an endless one.

        After `seconds` the connection is cut, whatever came over it in the meantime.
        """
        import httpx

        watchdog = threading.Timer(seconds, self.cut)
        watchdog.daemon = True
        watchdog.start()
        try:
            timeout = httpx.Timeout(seconds, connect=min(CONNECT, seconds))
            request = self._client.build_request(
                "POST", url, content=content, headers=dict(headers), timeout=timeout, extensions={"trace": self._trace}
            )
            response = self._client.send(request, stream=True)
            try:
                reply = self._all(response)
            finally:
                response.close()
            if self.was_cut:  # an answer of no told length then looks as if it had ended
                raise httpx.ReadError("cut")
            return reply
        finally:
            watchdog.cancel()

    def cut(self) -> None:
        """Cut the connection if a question is under way; the thread that reads from it comes back with an error.

        One that is being made is cut as soon as it stands; until then its own limit holds.
        """
        with self._lock:
            if self._in_use:
                self.was_cut = True
                self._shut()

    def _shut(self) -> None:
        if self._stream is None:
            return
        try:
            self._stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):  # it is gone already
            return

    def close(self) -> None:
        """Give the connection up."""
        self._client.close()

    def _trace(self, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                self._stream = info.get("return_value")
                if self.was_cut:
                    self._shut()

    @staticmethod
    def _all(response: httpx.Response) -> Reply:
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            if len(body) > LARGEST:
                raise OverflowError(f"more than {LARGEST >> 20} MiB of answer")
        kind = response.headers.get("content-type", "")
        return Reply(response.status_code, kind, response.headers.get("retry-after"), bytes(body))
