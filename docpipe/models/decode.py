"""Greedy decoding over `docpipe.models.network`: one prefill, then one step function until every row has ended.

Rows of a batch may have prompts and limits of different length. A row that has met <eos> or its limit leaves the
batch at once, so the others go on with less work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from docpipe.models.network import Cache, as_bias
from docpipe.models.small import SmallStep

if TYPE_CHECKING:
    from docpipe.models.network import Network


@dataclass(frozen=True)
class Decoded:
    """An answer as tokens, without <eos>. logprobs: natural logarithms of the soft-capped probabilities.

    finished: it ended with <eos>, whose logarithm is then the last of `logprobs`; false when the limit cut it.
    watched: the logarithms of the watched tokens' probabilities where the first of them was said, and as the first
    token where none was.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    finished: bool
    watched: tuple[float, ...] = ()


class Guide(Protocol):
    """What an answer may say next: follows one answer token by token."""

    def limited(self, logits: Tensor, count: int) -> Tensor:
        """Logits [V] with -inf for what may not come next; at least the best `count` of the others hold up."""
        ...

    def take(self, token: int) -> Guide:
        """The guide after a token; it may be itself."""
        ...

    def copy(self) -> Guide:
        """A guide of its own for another way on."""
        ...


@dataclass
class Prefilled:
    """The state after the prompts: what the next step needs. logits: [B, V] of the next token of each row."""

    cache: Cache
    positions: Tensor
    bias: Tensor | None
    logits: Tensor
    small: SmallStep | None = None

    def keep(self, rows: Tensor) -> None:
        """Keep these rows of the batch, in this order; a row may be named more than once."""
        self.cache.keep(rows)
        self.positions = self.positions[rows]
        self.bias = None if self.bias is None else self.bias[rows]


def seen(network: Network, pixels: Tensor) -> Tensor:
    """What the vision tower makes of images [B, 3, side, side], once of each that several prompts ask about: [B, N, D].

    That is all that prompts about one image can share: in the layers after it the image sees the prompt.
    """
    places: dict[bytes, int] = {}
    owners = [
        places.setdefault(sha256(image.float().cpu().numpy().tobytes()).digest(), len(places)) for image in pixels
    ]
    device = network.words.device
    if len(places) == len(pixels):
        return network.see(pixels.to(device))
    return network.see(pixels[[owners.index(place) for place in range(len(places))]].to(device))[owners]


def prefill(network: Network, pixels: Tensor, prompts: Sequence[Sequence[int]], room: int) -> Prefilled:
    """Run images and prompts, all of which see each other; leave `room` slots for what is generated.

    pixels: [B, 3, side, side]. prompts: token ids of <bos>, prefix and newline, without image tokens; shorter ones
    are padded on the left, between image and prompt, where nothing sees the padding and no position is counted.
    """
    config, device = network.config, network.words.device
    longest = max(len(prompt) for prompt in prompts)
    padded = [[config.pad] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    words = network.embed(torch.tensor(padded, device=device))  # [B, T, D]
    x = torch.cat([seen(network, pixels), words], 1)  # [B, N + T, D]
    batch, given, _ = x.shape
    cache = Cache(config.text, batch, given + room, x)
    if all(len(prompt) == longest for prompt in prompts):
        bias = None
        positions = torch.arange(1, given + 1, device=device).expand(batch, given)
    else:
        real = torch.ones(batch, given + room, dtype=torch.bool, device=device)
        for row, prompt in enumerate(prompts):
            real[row, given - longest : given - len(prompt)] = False
        bias, positions = as_bias(real, x.dtype)[:, None], real[:, :given].cumsum(1)
    hidden = network(x, positions, cache, None if bias is None else bias[..., :given])
    return Prefilled(cache, positions[:, -1], bias, network.logits(hidden[:, -1]), small_step(network))


_SMALL: WeakKeyDictionary[Network, SmallStep] = WeakKeyDictionary()
"""Steps by network; they hold weights of their own, so a network must not change once it has answered."""


def small_step(network: Network) -> SmallStep | None:
    """The step that pays for a small network, made once; None for others."""
    if not SmallStep.fits(network):
        return None
    if network not in _SMALL:
        _SMALL[network] = SmallStep(network)
    return _SMALL[network]


def step(network: Network, state: Prefilled, tokens: Tensor) -> Tensor:
    """Take one token a row, tokens: [B]; give the logits [B, V] of the next."""
    state.positions = state.positions + 1
    bias = None if state.bias is None else state.bias[..., : state.cache.length + 1]
    if state.small is not None:
        return state.small(state.cache, tokens, state.positions, bias)
    # Every slot up to the current one is seen: training had no sliding window, so neither has this.
    hidden = network(network.embed(tokens[:, None]), state.positions[:, None], state.cache, bias)
    return network.logits(hidden[:, 0])


@torch.inference_mode()
def generate(network: Network, pixels: Tensor, prompts: Sequence[Sequence[int]], limits: int | Sequence[int],
             eos: int | None = None, *, guides: Sequence[Guide] = (),
             watch: Sequence[int] = ()) -> list[Decoded]:  # fmt: skip
    """Answer each prompt about its image, taking the likeliest token each time.

    limits: the most tokens of an answer, for all or for each row. eos: None takes the config's. guides: one for each
    prompt; of the tokens that it lets come next the likeliest is taken. Its probability stays what the network gives
    it. watch: tokens whose probabilities are kept in `Decoded.watched`.
    """
    eos = network.config.eos if eos is None else eos
    bounds = [limits] * len(prompts) if isinstance(limits, int) else list(limits)
    room, device = max(bounds), network.words.device
    state = prefill(network, pixels, prompts, room)
    rows, bound = torch.arange(len(prompts), device=device), torch.tensor(bounds, device=device)
    tokens = torch.full((len(prompts), room), eos, device=device)
    chances = torch.zeros(len(prompts), room, device=device)
    logits, follow = state.logits, list(guides)
    looked_for = torch.tensor(list(watch), dtype=torch.long, device=device)
    watched = logits.log_softmax(-1)[:, looked_for]
    unsaid = torch.ones(len(prompts), dtype=torch.bool, device=device)
    for index in range(room):
        if follow:
            limited = torch.stack([guide.limited(row, 1) for guide, row in zip(follow, logits, strict=True)])
            token = limited.argmax(-1)
            best = logits.gather(1, token[:, None])[:, 0]
            follow = [guide.take(int(taken)) for guide, taken in zip(follow, token, strict=True)]
        else:
            best, token = logits.max(-1)
        tokens[rows, index] = token
        chances[rows, index] = best - logits.logsumexp(-1)
        now = unsaid[rows] & torch.isin(token, looked_for)
        if watch and bool(now.any()):
            watched[rows[now]] = logits[now].log_softmax(-1)[:, looked_for]
            unsaid[rows[now]] = False
        going = (token != eos) & (bound > index + 1)
        if not bool(going.all()):
            stay = going.nonzero()[:, 0]
            if len(stay) == 0:
                break
            rows, bound, token = rows[stay], bound[stay], token[stay]
            follow = [follow[row] for row in stay.tolist()] if follow else []
            state.keep(stay)
        logits = step(network, state, token)
    whole = zip(tokens.tolist(), chances.tolist(), watched.tolist(), bounds, strict=True)
    return [_cut(said[:n], sure[:n], eos, seen) for said, sure, seen, n in whole]


def _cut(tokens: list[int], chances: list[float], eos: int, watched: list[float]) -> Decoded:
    end = tokens.index(eos) if eos in tokens else len(tokens)
    return Decoded(tuple(tokens[:end]), tuple(chances[: end + 1]), end < len(tokens), tuple(watched))
