"""Continuous batching: a row that has ended makes room for the next prompt at once (Orca, OSDI 2022, sec. 3.2).

Rows share one static cache. A prompt that joins is run by itself, and its keys and values are put right before the slot
that all rows write next: rotary turns are in the keys already, so it does not matter at which slots they lie. When the
slots run out, what is still needed of the cache is moved to its beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from docpipe.models.decode import Decoded, prefill
from docpipe.models.network import Cache, as_bias

if TYPE_CHECKING:
    from docpipe.models.network import Network


@dataclass(frozen=True)
class Prompted:
    """A request: what makes its pixels [1, 3, side, side] when its turn comes, its prompt's tokens, and its limit."""

    pixels: Callable[[], Tensor]
    prompt: Sequence[int]
    limit: int


@dataclass
class _Row:
    """A row at work. start: its first slot; position: of the last token given; token: the next to be put in."""

    index: int
    limit: int
    start: int
    position: int
    token: int = 0
    tokens: list[int] = field(default_factory=list)
    chances: list[float] = field(default_factory=list)

    def take(self, logits: Tensor) -> int:
        """The likeliest token of logits [V], and the mark of it."""
        self.token = int(logits.argmax())
        self.tokens.append(self.token)
        self.chances.append(float(logits[self.token] - logits.logsumexp(-1)))
        return self.token


def longest_first(requests: Sequence[Prompted]) -> list[int]:
    """The order in which requests are begun: those that may take longest first, so that none is left over alone."""
    return sorted(range(len(requests)), key=lambda i: (-requests[i].limit, i))


@torch.inference_mode()
def generate_all(
    network: Network, requests: Sequence[Prompted], rows: int, eos: int | None = None
) -> Iterator[tuple[int, Decoded]]:
    """The greedy answer to every request, at most `rows` at a time, each with its place among the requests as it ends.

    Answers are those of `decode.generate`, token for token. Memory: the cache has room for the longest prompt and
    limit of the requests, `rows` times.
    """
    if not requests:
        return
    eos = network.config.eos if eos is None else eos
    rows = min(rows, len(requests))
    given = network.config.vision.tokens + max(len(r.prompt) for r in requests)
    slots = given + max(r.limit for r in requests) + 1
    waiting = longest_first(requests)
    first = network.places if network.computes_in is None else network.places.to(network.computes_in)
    cache = Cache(network.config.text, rows, slots, first)
    cache.length = given
    live: list[_Row | None] = [None] * rows
    while waiting or any(live):
        for place in range(rows):
            while live[place] is None and waiting:
                index = waiting.pop(0)
                row, ended = _join(network, cache, place, index, requests[index], eos)
                if ended is not None:
                    yield index, ended
                else:
                    live[place] = row
        at_work = [row for row in live if row is not None]
        if not at_work:
            continue
        if cache.length >= slots:
            _compact(cache, live, given)
        logits = _advance(network, cache, live)
        for place, working in enumerate(live):
            if working is None:
                continue
            token = working.take(logits[place])
            if token == eos or len(working.tokens) >= working.limit:
                yield working.index, _ended(working, eos)
                live[place] = None


def _join(
    network: Network, cache: Cache, place: int, index: int, request: Prompted, eos: int
) -> tuple[_Row, Decoded | None]:
    """Run a prompt by itself and put its keys and values before the next slot; its answer when that ends it already."""
    state = prefill(network, request.pixels(), [request.prompt], 0)
    count = state.cache.length
    start = cache.length - count
    for (keys, values), (own_keys, own_values) in zip(cache.layers, state.cache.layers, strict=True):
        keys[place, :, start : cache.length] = own_keys[0]
        values[place, :, start : cache.length] = own_values[0]
    row = _Row(index, request.limit, start, int(state.positions[0]))
    token = row.take(state.logits[0])
    return row, _ended(row, eos) if token == eos or row.limit <= 1 else None


def _advance(network: Network, cache: Cache, live: Sequence[_Row | None]) -> Tensor:
    """One step of all rows; logits [rows, V]. A row that is empty computes what nobody reads."""
    tokens = torch.tensor([[row.token if row else 0] for row in live])
    positions = torch.tensor([[row.position + 1 if row else 1] for row in live])
    seen = torch.zeros(len(live), 1, cache.length + 1, dtype=torch.bool)
    for place, row in enumerate(live):
        seen[place, 0, row.start if row else cache.length :] = True
    x = network.embed(tokens)
    hidden = network(x, positions, cache, as_bias(seen, x.dtype))
    for row in live:
        if row is not None:
            row.position += 1
    return network.logits(hidden[:, 0])


def _compact(cache: Cache, live: Sequence[_Row | None], given: int) -> None:
    """Move what the rows still see to the beginning, as far as the longest of them lets."""
    starts = [row.start for row in live if row is not None]
    away = min(starts)
    kept = max(given, cache.length - away)
    away = cache.length - kept
    for keys, values in cache.layers:
        for kind in (keys, values):
            kind[:, :, :kept] = kind[:, :, away : cache.length].clone()
    cache.length = kept
    for row in live:
        if row is not None:
            row.start -= away


def _ended(row: _Row, eos: int) -> Decoded:
    finished = row.tokens[-1] == eos
    return Decoded(tuple(row.tokens[:-1] if finished else row.tokens), tuple(row.chances), finished)
