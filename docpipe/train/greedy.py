"""Greedy answers of a transformers model to examples, and how they score by their tasks' metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from docpipe.document import PictureContent, canonical
from docpipe.models.preprocess import to_pixels
from docpipe.tasks.base import get_task
from docpipe.train.examples import Example

if TYPE_CHECKING:
    from docpipe.train.mixture import Preparation


@torch.no_grad()
def answers(model: Any, prepare: Preparation, examples: Sequence[Example], limit: int, device: str) -> list[str]:
    """The answer to each example's prompt, of `limit` tokens at most. Shorter prompts are padded on the left."""
    from PIL import Image

    config = prepare.config
    prefixes = [prepare.prefix(example) for example in examples]
    longest = max(map(len, prefixes))
    tokens = np.full((len(prefixes), longest), config.pad, np.int64)
    mask = np.zeros((len(prefixes), longest), np.int64)
    for row, prefix in enumerate(prefixes):
        tokens[row, longest - len(prefix) :], mask[row, longest - len(prefix) :] = prefix, 1
    pixels = to_pixels([Image.fromarray(prepare.image(example)) for example in examples])
    out = model.generate(
        input_ids=torch.from_numpy(tokens).to(device),
        attention_mask=torch.from_numpy(mask).to(device),
        token_type_ids=torch.zeros(tokens.shape, dtype=torch.int64, device=device),
        pixel_values=pixels.to(device),
        max_new_tokens=limit,
        do_sample=False,
        num_beams=1,
        use_cache=True,
        pad_token_id=config.pad,
        eos_token_id=config.eos,
    )
    said = []
    for row in out[:, longest:].tolist():
        end = row.index(config.eos) if config.eos in row else len(row)
        said.append(prepare.tokenizer.text(row[:end]))
    return said


def judged(example: Example, said: str) -> tuple[float, float]:
    """The task's metric of an answer against the example's, and 1 where both say the same, else 0.

    Both are parsed by the task first, so that the metric compares what a reading would hold.
    """
    task = get_task(example.task)
    answer, truth = _content(task, said), _content(task, example.target)
    return float(task.metric(answer, truth)), float(answer == truth)


def _content(task: Any, text: str) -> str:
    content = task.parse(text)
    if isinstance(content, PictureContent):
        return content.alt or content.description or ""
    return canonical(content)
