"""The n likeliest answers: beam search over `docpipe.models.network`, ranked by the whole answer's probability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from docpipe.models.decode import Decoded, Guide, prefill, step

if TYPE_CHECKING:
    from docpipe.models.network import Network


@dataclass
class _Search:
    """One prompt's search: its live beams (tokens and log-probabilities so far) and the answers that have ended."""

    width: int
    limit: int
    beams: list[tuple[tuple[int, ...], tuple[float, ...]]] = field(default_factory=lambda: [((), ())])
    ended: list[Decoded] = field(default_factory=list)
    guides: list[Guide] = field(default_factory=list)

    def limited(self, logits: Tensor) -> Tensor:
        """Logits [beams, V] of the next tokens, -inf for those that a beam's guide does not let come."""
        if not self.guides:
            return logits
        pairs = zip(self.guides, logits, strict=True)
        return torch.stack([guide.limited(row, 2 * self.width) for guide, row in pairs])

    def advance(self, logits: Tensor, eos: int) -> tuple[list[int], list[int]]:
        """Go one token on. logits: [beams, V] of the next token of each beam.

        Gives for each new beam the one it grew from and its last token; both empty when the search is over.
        """
        chances = logits.log_softmax(-1)
        chances = chances.masked_fill(self.limited(logits) == -torch.inf, -torch.inf)
        so_far = chances.new_tensor([sum(logs) for _, logs in self.beams])
        sums = (so_far[:, None] + chances).flatten()
        best = sums.topk(min(2 * self.width, len(sums))).indices.tolist()  # half of them at most end here
        grown: list[tuple[tuple[int, ...], tuple[float, ...]]] = []
        sources: list[int] = []
        tokens: list[int] = []
        for rank, index in enumerate(best):
            source, token = divmod(index, chances.shape[1])
            text, logs = self.beams[source]
            logs = (*logs, float(chances[source, token]))
            if logs[-1] == -math.inf:
                continue
            if token == eos:
                if rank < self.width:
                    self.ended.append(Decoded(text, logs, finished=True))
            elif len(grown) < self.width:
                grown.append(((*text, token), logs))
                sources.append(source)
                tokens.append(token)
        self.beams = grown
        if self.guides:
            self.guides = [self.guides[s].copy().take(t) for s, t in zip(sources, tokens, strict=True)]
        if not grown:
            return [], []
        if len(grown[0][0]) >= self.limit:
            self.ended += [Decoded(text, logs, finished=False) for text, logs in grown]
            return [], []
        # Sums only fall: once `width` answers beat the best live beam, nothing better can come.
        if len(self.ended) >= self.width and sum(grown[0][1]) <= sum(self.answers()[-1].logprobs):
            return [], []
        return sources, tokens

    def answers(self) -> list[Decoded]:
        """The likeliest answers so far, best first."""
        return sorted(self.ended, key=lambda answer: -sum(answer.logprobs))[: self.width]


@torch.inference_mode()
def likeliest(network: Network, pixels: Tensor, prompts: Sequence[Sequence[int]], limits: Sequence[int], width: int,
              *, eos: int | None = None, guides: Sequence[Guide] = ()) -> list[list[Decoded]]:  # fmt: skip
    """For each prompt up to `width` answers, the most probable first. With width 1 this is greedy decoding.

    guides: one for each prompt, or none: what may come next. The rows of the batch are the live beams of all prompts;
    a prompt whose search is over leaves the batch.
    """
    eos = network.config.eos if eos is None else eos
    state = prefill(network, pixels, prompts, max(limits))
    searches = [_Search(width, limit) for limit in limits]
    for search, guide in zip(searches, guides, strict=False):
        search.guides = [guide]
    live, logits = list(searches), state.logits
    while live:
        rows: list[int] = []
        tokens: list[int] = []
        first, going = 0, []
        for search in live:
            count = len(search.beams)
            sources, taken = search.advance(logits[first : first + count], eos)
            rows += [first + source for source in sources]
            tokens += taken
            first += count
            if taken:
                going.append(search)
        live = going
        if live:
            state.keep(torch.tensor(rows, device=logits.device))
            logits = step(network, state, torch.tensor(tokens, device=logits.device))
    return [search.answers() for search in searches]
