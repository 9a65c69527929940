"""The language loss of the papers' code: cross-entropy of the suffix, averaged over an answer, then over answers.

transformers' loss from `labels` is another: there the final soft-cap is always applied, and the mean is over all
tokens of a batch, so that long answers weigh more. For one tiny model the two differ by 1.7 (docs/paligemma.md).
nano recipes are trained with transformers' loss, without smoothing, as they began.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy


def answer_losses(logits: Tensor, targets: Tensor, rows: Tensor, count: int, smoothing: float = 0.0) -> Tensor:
    """The loss of each of `count` answers, [count]: the mean over its tokens; 0 for an answer without any.

    logits: [M, V] of the M supervised places of all answers; targets: [M] ids; rows: [M] answer that a place belongs
    to. smoothing: the share of a target's weight that is spread evenly over the V - 1 other ids, as big_vision does it
    (torch spreads it over all V).
    """
    each = smoothed(logits.float(), targets, smoothing)
    sums = each.new_zeros(count).index_add_(0, rows, each)
    lengths = each.new_zeros(count).index_add_(0, rows, each.new_ones(len(each)))
    return sums / lengths.clamp_min(1.0)


def smoothed(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy of each place, [M], against the target with weight 1 - smoothing and the rest over all others."""
    plain = cross_entropy(logits, targets, reduction="none")
    if smoothing == 0.0:
        return plain
    vocabulary = logits.shape[-1]
    other = smoothing / (vocabulary - 1)
    everything = vocabulary * logits.logsumexp(-1) - logits.sum(-1)  # the sum of -log p over the vocabulary
    return (1.0 - smoothing - other) * plain + other * everything
