"""Greedy answers of a model in training, and its scores on validation samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from docpipe.train.batches import Batch, Collator
from docpipe.train.sample import Domain, Sample

if TYPE_CHECKING:
    from transformers import PaliGemmaForConditionalGeneration


def seen(pixels: np.ndarray) -> Tensor:
    """Pixels of a batch as the vision tower takes them, [B, 3, side, side] in [-1, 1]; grey goes to equal channels."""
    values = torch.from_numpy(pixels).float().div_(127.5).sub_(1.0)
    return values.permute(0, 3, 1, 2) if values.ndim == 4 else values[:, None].expand(-1, 3, -1, -1)


def by_prefix(collate: Collator, samples: Sequence[Sample], batch: int) -> list[list[int]]:
    """Numbers of samples in batches that can be decoded together: their prompts have the same number of tokens."""
    groups: dict[int, list[int]] = {}
    for number, sample in enumerate(samples):
        groups.setdefault(len(collate.prompt(sample.prompt)), []).append(number)
    return [some[i : i + batch] for _, some in sorted(groups.items()) for i in range(0, len(some), batch)]


@torch.no_grad()
def answers(
    model: PaliGemmaForConditionalGeneration, collate: Collator, inputs: dict[str, Tensor], prefix: int, longest: int
) -> tuple[list[tuple[str, ...]], list[list[float]]]:
    """Greedy answers for a batch, as tokens without <eos>, and the log-probabilities of their tokens with it."""
    out = model.generate(
        input_ids=inputs["input_ids"][:, :prefix],
        attention_mask=inputs["attention_mask"][:, :prefix],
        token_type_ids=inputs["token_type_ids"][:, :prefix],
        pixel_values=inputs["pixel_values"],
        max_new_tokens=longest,
        do_sample=False,
        num_beams=1,
        pad_token_id=0,
        eos_token_id=1,
        output_logits=True,
        return_dict_in_generate=True,
    )
    chosen = out.sequences[:, prefix:]
    logits = torch.stack(out.logits, dim=1).float().log_softmax(-1)
    surety = logits.gather(2, chosen[..., None])[..., 0]
    texts, sure = [], []
    for row, logs in zip(chosen.tolist(), surety.tolist(), strict=True):
        length = row.index(1) if 1 in row else len(row)
        texts.append(tuple(collate.vocabulary[i] for i in row[:length]))
        sure.append(logs[: length + 1])
    return texts, sure


@torch.no_grad()
def evaluate(
    model: PaliGemmaForConditionalGeneration,
    domain: Domain,
    collate: Collator,
    samples: Sequence[Sample],
    longest: int,
    tensors: Callable[[Batch], dict[str, Tensor]],
    batch: int = 64,
) -> dict[str, float]:
    """The language loss, the share of tokens right, and the domain's own scores of greedy answers."""
    said: list[tuple[str, ...]] = [()] * len(samples)
    loss = right = count = 0.0
    for numbers in by_prefix(collate, samples, batch):
        some = [samples[number] for number in numbers]
        inputs = tensors(collate(some))
        result = model(**inputs, use_cache=False)
        wanted = inputs["labels"][:, 1:]
        asked = wanted != -100
        right += float((result.logits[:, :-1].argmax(-1) == wanted)[asked].sum())
        count += float(asked.sum())
        loss += float(result.loss) * float(asked.sum())
        prefix = len(collate.prefix(some[0].prompt))
        for number, answer in zip(numbers, answers(model, collate, inputs, prefix, longest)[0], strict=True):
            said[number] = answer
    scores = domain.score(samples, said)
    return {"loss": loss / max(count, 1), "token_accuracy": right / max(count, 1), **scores}
