"""Greedy decoding with a draft: several tokens are tried in one forward pass, and those that greedy decoding would have
given are kept (Leviathan et al., Fast inference from transformers via speculative decoding, arXiv 2211.17192, with a
draft for nothing instead of a second model; n-gram look-up as in Saxena, Prompt lookup decoding, 2023).

On a CPU a step reads all weights whether it is for one token or for eight, so what is tried in vain costs little. The
answer is the same, token for token: a draft only says what to try.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from docpipe.models.decode import Decoded, Prefilled, prefill
from docpipe.models.network import as_bias

if TYPE_CHECKING:
    from docpipe.models.network import Network

AT_ONCE = 8
"""Tokens of a draft that are tried together."""

GRAM = 3
"""Tokens that must agree for the draft, or what was said before, to be gone on with."""


@dataclass
class Tally:
    """steps: forward passes after the prefill. tried, kept: tokens of drafts."""

    steps: int = 0
    tried: int = 0
    kept: int = 0


class Guess:
    """What may come next: the draft where it agrees with what was said, else what followed the same tokens before.

    After a mismatch the draft is taken up again behind the next place where its tokens agree with the last ones said.
    """

    def __init__(self, draft: Sequence[int], *, lookup: bool = True) -> None:
        self.draft, self.lookup = list(draft), lookup
        self.said: list[int] = []
        self._place = 0
        self._in_step = bool(self.draft)

    def take(self, tokens: Sequence[int]) -> None:
        """These tokens were said."""
        for token in tokens:
            if self._in_step and self._place < len(self.draft) and self.draft[self._place] == token:
                self._place += 1
            else:
                self._in_step = False
            self.said.append(token)
        if not self._in_step:
            self._find()

    def _find(self) -> None:
        """Take the draft up behind the next place, from a little before where it was lost, that agrees."""
        for gram in (GRAM, 2):
            last = self.said[-gram:]
            if len(last) < gram:
                continue
            for at in range(max(0, self._place - 2 * AT_ONCE), len(self.draft) - gram + 1):
                if self.draft[at : at + gram] == last:
                    self._place, self._in_step = at + gram, True
                    return

    def next(self, most: int) -> list[int]:
        """Up to `most` tokens to try."""
        if self._in_step and self._place < len(self.draft):
            return self.draft[self._place : self._place + most]
        if self.lookup and len(self.said) >= GRAM:
            last = tuple(self.said[-GRAM:])
            for at in range(len(self.said) - GRAM - 1, -1, -1):
                if tuple(self.said[at : at + GRAM]) == last:
                    return self.said[at + GRAM : at + GRAM + most]
        return []


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
    tally: Tally | None = None,
) -> Decoded:
    """The greedy answer to one prompt about one image [1, 3, side, side], as `decode.generate` gives it, but in fewer
    steps where the draft or the answer's own repetitions foretell it.

    draft: tokens of another reading, without <eos>. lookup: try what followed the same three tokens before. tally: is
    filled in.
    """
    eos = network.config.eos if eos is None else eos
    tally = tally or Tally()
    guess = Guess([*draft, eos] if draft else [], lookup=lookup)
    state = prefill(network, pixels, [prompt], limit + at_once)
    given = state.cache.length
    tokens: list[int] = []
    chances: list[float] = []
    logits = state.logits  # of the next token, [1, V]
    tried: list[int] = []
    while True:
        for row in logits:  # the first is sure; each other only while what was tried before it was right
            token = int(row.argmax())
            tokens.append(token)
            chances.append(float(row[token] - row.logsumexp(-1)))
            guess.take([token])
            wrong = not tried or tried.pop(0) != token
            if token == eos or len(tokens) >= limit or wrong:
                break
            tally.kept += 1
        if tokens[-1] == eos or len(tokens) >= limit:
            finished = tokens[-1] == eos
            return Decoded(tuple(tokens[:-1] if finished else tokens), tuple(chances), finished)
        # The cache holds what was tried in vain, too: its length says how much of it is believed.
        state.cache.length = given + len(tokens) - 1
        tried = guess.next(min(at_once, limit - len(tokens)))
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
