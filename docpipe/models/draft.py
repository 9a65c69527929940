"""Greedy decoding with a draft: several tokens are tried in one forward pass, and those that greedy decoding would have
given are kept (Leviathan et al., Fast inference from transformers via speculative decoding, arXiv 2211.17192, with a
draft for nothing instead of a second model; n-gram look-up as in Saxena, Prompt lookup decoding, 2023).

On a CPU a step reads all weights whether it is for one token or for eight, so what is tried in vain costs little. The
answer is the same, token for token: a draft only says what to try.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from docpipe.models.decode import Decoded, Prefilled, prefill
from docpipe.models.network import as_bias

if TYPE_CHECKING:
    from docpipe.models.network import Network

AT_ONCE = 8
"""Tokens of a draft that are tried together, at most."""

WORTH = 0.12
"""The least chance at which a further token is worth trying: what it adds to a step of int8 layers, beyond the first
few that come for nothing."""

GRAM = 3
"""Tokens that must agree for what was said before to be gone on with."""

MEMORY = 0.8
"""How much of what is known of a draft's worth stays with each token."""

SURE = {torch.float32: 1e-3, torch.int8: 0.01}
"""How far the likeliest token's logit must lead where several tokens were computed together; one that leads by less is
computed by itself. Rounding differs with the number of rows, and int8 layers make more of it (measured: 1.4e-3)."""


@dataclass
class Tally:
    """steps: forward passes after the prefill. tried, kept: tokens of drafts."""

    steps: int = 0
    tried: int = 0
    kept: int = 0


class Guess:
    """What may come next: the draft from the place that the tokens said so far lead to, else what followed the last of
    them before.

    The place is where the draft's beginning needs the fewest changes to become what was said, so a word left out, put
    in or replaced costs a token or two. `trust`, `luck`: the chances that draft and repetition foretell a token right.
    """

    def __init__(self, draft: Sequence[int], *, lookup: bool = True) -> None:
        self.draft, self.lookup = np.asarray(draft, np.int64), lookup
        self.said: list[int] = []
        self.trust, self.luck = 0.8, 0.5
        self._place, self._steps = 0, np.arange(len(self.draft) + 1)
        self._changes = self._steps.copy()  # to make what was said of the draft's first 0, 1, 2 … tokens
        self._seen: dict[tuple[int, ...], int] = {}  # behind which place the tokens of a gram were said last
        self._again: int | None = None  # the place that the last gram was said before

    def take(self, tokens: Sequence[int]) -> None:
        """These tokens were said."""
        for token in tokens:
            if self._place < len(self.draft):
                self.trust = _towards(self.trust, int(self.draft[self._place]) == token)
            if self._again is not None:
                self.luck = _towards(self.luck, self.said[self._again] == token)
            self.said.append(token)
            if len(self.draft):
                self._follow(token)
            if self.lookup and len(self.said) >= GRAM:
                last = tuple(self.said[-GRAM:])
                self._again = self._seen.get(last)
                self._seen[last] = len(self.said)

    def _follow(self, token: int) -> None:
        """A row of the table of edit distances; of the places that need the fewest changes, the last."""
        changed = self._changes + 1
        np.minimum(changed[1:], self._changes[:-1] + (self.draft != token), out=changed[1:])
        self._changes = np.minimum.accumulate(changed - self._steps) + self._steps
        self._place = len(self._changes) - 1 - int(self._changes[::-1].argmin())

    def next(self, most: int) -> list[int]:
        """Up to `most` tokens to try: as many as are likely enough to be right."""
        left = self._place < len(self.draft)
        if self._again is not None and (not left or self.luck > self.trust):
            return self.said[self._again : self._again + min(most, _count(self.luck))]
        if left:
            found: list[int] = self.draft[self._place : self._place + min(most, _count(self.trust))].tolist()
            return found
        return []


def _towards(chance: float, right: bool) -> float:
    return MEMORY * chance + (1 - MEMORY) * right


def _count(chance: float) -> int:
    """How many tokens in a row are right with a chance of WORTH, when each is with this one."""
    return 99 if chance >= 1 else int(math.log(WORTH) / math.log(max(chance, 1e-9)))


@torch.inference_mode()
def generate_with_draft(
    network: Network,
    pixels: Tensor,
    prompt: Sequence[int],
    limit: int,
    draft: Sequence[int] = (),
    *,
    eos: int | None = None,
    lookup: bool = True,
    at_once: int = AT_ONCE,
    sure: float | None = None,
    tally: Tally | None = None,
) -> Decoded:
    """The greedy answer to one prompt about one image [1, 3, side, side], as `decode.generate` gives it, but in fewer
    steps where the draft or the answer's own repetitions foretell it.

    draft: tokens of another reading, without <eos>. lookup: try what followed the same three tokens before. sure: as
    in `SURE`, which is what None takes. tally: is filled in.
    """
    eos = network.config.eos if eos is None else eos
    tally = Tally() if tally is None else tally
    ended = [eos] if 0 <= eos < network.config.text.vocabulary else []
    guess = Guess([*draft, *ended] if draft else [], lookup=lookup)
    sure = SURE[torch.int8 if network.unembed is not None else torch.float32] if sure is None else sure
    state = prefill(network, pixels, [prompt], limit + at_once)
    given = state.cache.length
    tokens: list[int] = []
    chances: list[float] = []
    logits = state.logits  # of the next token, [1, V]
    tried: list[int] = []
    while True:
        several, unsure = len(tried) > 0, False
        for row in logits:  # the first is of what was said; each other only holds if what was tried before it was right
            best, token = row.max(-1)
            unsure = several and float(best - row.topk(2).values[1]) < sure
            if unsure:
                break
            tokens.append(int(token))
            chances.append(float(best - row.logsumexp(-1)))
            guess.take(tokens[-1:])
            if tokens[-1] == eos or len(tokens) >= limit or not tried or tried.pop(0) != tokens[-1]:
                break
            tally.kept += 1
        if tokens[-1] == eos or len(tokens) >= limit:
            finished = tokens[-1] == eos
            return Decoded(tuple(tokens[:-1] if finished else tokens), tuple(chances), finished)
        # The cache holds what was tried in vain, too: its length says how much of it is believed.
        state.cache.length = given + len(tokens) - 1
        tried = [] if unsure else guess.next(min(at_once, limit - len(tokens)))
        tally.tried += len(tried)
        tally.steps += 1
        logits = _step(network, state, [tokens[-1], *tried])


def _step(network: Network, state: Prefilled, tokens: Sequence[int]) -> Tensor:
    """Logits [T, V] of what follows each of these tokens, which are put behind the cache."""
    start, count = state.cache.length, len(tokens)
    place = torch.arange(count)
    seen = torch.ones(1, count, start + count, dtype=torch.bool)
    seen[0, :, start:] = place[None, :] <= place[:, None]
    x = network.embed(torch.tensor([tokens]))
    bias = None if count == 1 else as_bias(seen, x.dtype)
    # One prompt has no padding: slots and positions, which count from 1, go together.
    return network.logits(network(x, (place + start + 1)[None], state.cache, bias)[0])
