"""What servers answer: chat completions, whole or streamed, errors, and how long to wait."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

ENDED = frozenset(("stop", "eos_token", "stop_sequence"))
CUT = frozenset(("length", "max_tokens"))
"""What servers give as the reason why an answer ended."""

ENDS = frozenset(("<eos>", ""))
"""How the end of an answer is written among its tokens."""


@dataclass(frozen=True)
class Said:
    """What a server answered. finished: it ended by itself, not at the limit. logprobs: natural logarithms, where told.

    tokens: how many, where told. with_end: the last of `logprobs` is that of the end. whole: the JSON of an answer that
    was not streamed.
    """

    text: str
    finished: bool
    tokens: int | None = None
    logprobs: tuple[float, ...] = ()
    with_end: bool = False
    whole: Mapping[str, Any] = field(default_factory=dict)


def after(value: str | None) -> float | None:
    """Seconds of a Retry-After, which is a number or a date; None when there is none that can be read."""
    if not value:
        return None
    try:
        if value.strip().isdigit():
            return float(value)
        when = parsedate_to_datetime(value)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def message_of(body: bytes) -> str:
    """What a server says of an error, in at most 300 characters."""
    text = body[:20000].decode("utf-8", errors="replace")
    try:
        said = json.loads(text)
        for key in ("error", "message", "detail"):
            if isinstance(said, dict) and key in said:
                said = said[key]
        text = said if isinstance(said, str) else json.dumps(said)
    except ValueError:
        pass
    return " ".join(text.split())[:300]


def parsed(kind: str, body: bytes) -> Said:
    """A chat completion, streamed (server-sent events) or whole. Raises ValueError and the like for anything else."""
    text = body.decode("utf-8")
    if "text/event-stream" not in kind:
        whole = json.loads(text)
        choice = whole["choices"][0]
        answer = choice["message"]["content"] or ""
        if not isinstance(answer, str):
            raise ValueError(f"its text is a {type(answer).__name__}")
        return _said(answer, choice.get("finish_reason"), _tokens(whole), _logs(choice.get("logprobs")), whole)
    pieces: list[str] = []
    logs: list[tuple[str, float]] = []
    reason = tokens = None
    for line in text.splitlines():
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            break
        chunk = json.loads(data)
        if chunk.get("error"):
            raise ValueError(f"the server failed while it answered: {str(chunk['error'])[:200]}")
        tokens = _tokens(chunk) if chunk.get("usage") else tokens
        for choice in (chunk.get("choices") or [])[:1]:
            pieces.append((choice.get("delta") or {}).get("content") or "")
            logs += _logs(choice.get("logprobs"))
            reason = choice.get("finish_reason") or reason
    return _said("".join(pieces), reason, tokens, logs, {})


def _said(text: str, reason: Any, tokens: int | None, logs: list[tuple[str, float]], whole: Mapping[str, Any]) -> Said:
    with_end = bool(logs) and logs[-1][0] in ENDS
    return Said(text, _finished(reason), tokens, tuple(log for _, log in logs), with_end, whole)


def _finished(reason: Any) -> bool:
    if reason in ENDED:
        return True
    if reason in CUT:
        return False
    raise ValueError("the answer breaks off" if reason is None else f"the answer ended for another reason: {reason}")


def _tokens(said: Mapping[str, Any]) -> int | None:
    count = (said.get("usage") or {}).get("completion_tokens")
    return count if isinstance(count, int) and count >= 0 else None


def _logs(said: Any) -> list[tuple[str, float]]:
    entries = (said or {}).get("content") or []
    return [(str(e.get("token")), float(e["logprob"])) for e in entries if isinstance(e.get("logprob"), int | float)]
