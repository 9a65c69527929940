"""Answers that keep to rules over token ids: beam search of many prompts in which what must not follow is never taken.

For a checkpoint whose every token has a meaning of its own, as nano-score's: the rules are plain Python
(`notation.kern_grammar`), their masks are shared by states that go on alike, and the strips of a page are searched
together (`engines.score_reading`). Grammars over text, whose tokens are pieces of words, are `models.grammar`'s.

The rules choose among the tokens, they do not change a probability: `logprobs` are the network's own, so an answer
that had to be bent to its grammar says so by its low probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from docpipe.models.decode import Decoded, prefill, step

if TYPE_CHECKING:
    from docpipe.models.network import Network

MARGIN = 6.0
"""A beam whose answer is less likely than the best live one by this much (natural logarithm) is given up."""


class Rules(Protocol):
    """What may follow what, by token ids. A state is whatever the rules make of it."""

    start: Any

    def after(self, state: Any, token: int) -> Any:
        """The state after a token that may come."""
        ...

    def mask(self, state: Any) -> NDArray[np.bool_]:
        """[V]: which tokens may come, <eos> among them; at least one does."""
        ...


@dataclass
class _Beam:
    tokens: tuple[int, ...]
    logs: tuple[float, ...]
    total: float
    state: Any


@dataclass
class _Search:
    """One prompt's search: its live beams, best first, and the answers that have ended."""

    rules: Rules
    width: int
    limit: int
    eos: int
    beams: list[_Beam] = field(default_factory=list)
    ended: list[tuple[float, Decoded]] = field(default_factory=list)

    def advance(self, chances: NDArray[np.float32]) -> list[int]:
        """Go one token on. chances: [beams, V]. Gives for each new beam the one it grew from; none at the end."""
        masks = np.stack([self.rules.mask(beam.state) for beam in self.beams])
        sums = np.array([[beam.total] for beam in self.beams], np.float32) + chances
        flat = np.where(masks, sums, -np.inf).ravel()
        count = min(2 * self.width, len(flat))
        best = np.argpartition(-flat, count - 1)[:count] if count < len(flat) else np.arange(len(flat))
        best = best[np.argsort(-flat[best], kind="stable")]
        grown: list[_Beam] = []
        sources: list[int] = []
        for rank, index in enumerate(best.tolist()):
            total = float(flat[index])
            if total == -np.inf or (grown and total < grown[0].total - MARGIN):
                break
            source, token = divmod(index, chances.shape[1])
            beam = self.beams[source]
            logs = (*beam.logs, float(chances[source, token]))
            if token == self.eos:
                if rank < self.width:
                    self.ended.append((total, Decoded(beam.tokens, logs, finished=True)))
            elif len(grown) < self.width:
                grown.append(_Beam((*beam.tokens, token), logs, total, self.rules.after(beam.state, token)))
                sources.append(source)
        self.beams = grown
        self.ended.sort(key=lambda one: -one[0])
        if grown and len(grown[0].tokens) >= self.limit:
            self.ended += [(beam.total, Decoded(beam.tokens, beam.logs, finished=False)) for beam in grown]
            return []
        # Sums only fall: once `width` answers, or one by far, beat the best live beam, nothing better can come.
        if grown and self.ended:
            worst = self.ended[min(self.width, len(self.ended)) - 1][0] if len(self.ended) >= self.width else -np.inf
            if grown[0].total <= max(worst, self.ended[0][0] - MARGIN):
                return []
        return sources

    def answers(self) -> list[Decoded]:
        """The likeliest answers, best first; those that ended before those that were cut."""
        ranked = sorted(self.ended, key=lambda one: (not one[1].finished, -one[0]))
        return [answer for _, answer in ranked[: self.width]]


@torch.inference_mode()
def guided(
    network: Network,
    pixels: Tensor,
    prompts: Sequence[Sequence[int]],
    limits: Sequence[int],
    rules: Sequence[Rules],
    width: int = 1,
) -> list[list[Decoded]]:
    """For each prompt up to `width` answers that keep to its rules, the most probable first; width 1 is greedy.

    Arguments as for `decode.generate`. A prompt whose search is over leaves the batch.
    """
    state = prefill(network, pixels, prompts, max(limits))
    searches = [
        _Search(rule, width, limit, network.config.eos, [_Beam((), (), 0.0, rule.start)])
        for rule, limit in zip(rules, limits, strict=True)
    ]
    live, logits = list(searches), state.logits
    while live:
        chances: NDArray[np.float32] = logits.log_softmax(-1).float().numpy(force=True)
        rows: list[int] = []
        tokens: list[int] = []
        first, going = 0, []
        for search in live:
            count = len(search.beams)
            sources = search.advance(chances[first : first + count])
            rows += [first + source for source in sources]
            if sources:
                tokens += [beam.tokens[-1] for beam in search.beams]
                going.append(search)
            first += count
        live = going
        if live:
            if rows != list(range(first)):
                state.keep(torch.tensor(rows, device=logits.device))
            logits = step(network, state, torch.tensor(tokens, device=logits.device))
    return [search.answers() for search in searches]
