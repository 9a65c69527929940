"""Who may ask: the hosts that a request may name, where it may come from, and the token.

A page of another site can make a browser send requests to this machine. It cannot know the token, cannot set this
site's origin, and names its own host: each of these is looked at.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlsplit

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

COOKIE = "docpipe-token"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "[::1]"))
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


class Guard:
    """ASGI middleware in front of everything.

    token: asked of every request when given (header `Authorization: Bearer …`, a cookie, or `?token=` once, which sets
    the cookie), but for `open_paths`. hosts: names that the Host header may have; None allows the loopback names.
    most_bytes: of a request's body.
    """

    def __init__(
        self,
        app: App,
        *,
        token: str | None = None,
        hosts: frozenset[str] | None = None,
        most_bytes: int = 4_000_000,
        open_paths: frozenset[str] = frozenset(),
    ) -> None:
        self.app, self.token, self.hosts, self.most_bytes, self.open_paths = app, token, hosts, most_bytes, open_paths

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refused(scope, headers)
        if refused is not None:
            await _answer(send, *refused)
            return
        entered = self._entered(scope)

        async def dressed(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                had = {name.lower() for name, _ in message["headers"]}
                more = [pair for pair in _HEADERS if pair[0] not in had]
                if entered:
                    cookie = f"{COOKIE}={self.token}; HttpOnly; SameSite=Strict; Path=/"
                    more.append((b"set-cookie", cookie.encode()))
                message["headers"] = [*message["headers"], *more]
            await send(message)

        await self.app(scope, _Counted(receive, self.most_bytes), dressed)

    def _refused(self, scope: Scope, headers: dict[bytes, str]) -> tuple[int, str] | None:
        host = headers.get(b"host", "")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if name not in (self.hosts if self.hosts is not None else _LOOPBACK):
            return 421, "this server does not answer to that name"
        if scope["method"] not in _SAFE:
            origin = headers.get(b"origin")
            if origin is not None and urlsplit(origin).netloc != host:
                return 403, "the request comes from another site"
            if headers.get(b"sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
                return 403, "the request comes from another site"
        length = headers.get(b"content-length")
        if length is not None and (not length.isdigit() or int(length) > self.most_bytes):
            return 413, f"at most {self.most_bytes} bytes"
        if self.token is not None and scope["path"] not in self.open_paths and not self._knows(scope, headers):
            return 401, "give the token: Authorization: Bearer …, or ?token=… in the browser"
        return None

    def _knows(self, scope: Scope, headers: dict[bytes, str]) -> bool:
        said = headers.get(b"authorization", "")
        given = [said[7:]] if said.lower().startswith("bearer ") else []
        cookie: SimpleCookie = SimpleCookie()
        cookie.load(headers.get(b"cookie", ""))
        if COOKIE in cookie:
            given.append(cookie[COOKIE].value)
        given.append(_query(scope).get("token", ""))
        assert self.token is not None
        return any(hmac.compare_digest(one.encode(), self.token.encode()) for one in given)

    def _entered(self, scope: Scope) -> bool:
        return self.token is not None and "token" in _query(scope)


def _query(scope: Scope) -> dict[str, str]:
    from urllib.parse import parse_qsl

    return dict(parse_qsl(scope.get("query_string", b"").decode("latin-1")))


class _Counted:
    """A body that ends the connection when it is longer than allowed, whatever its headers said."""

    def __init__(self, receive: Any, most: int) -> None:
        self.receive, self.most, self.taken = receive, most, 0

    async def __call__(self) -> Any:
        message = await self.receive()
        self.taken += len(message.get("body", b""))
        if self.taken > self.most:
            return {"type": "http.disconnect"}
        return message


async def _answer(send: Any, status: int, why: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": why.encode() + b"\n"})
