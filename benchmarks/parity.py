"""Parity of docpipe's PaliGemma 2 forward pass: largest errors and equal tokens, configuration by configuration.

    [DOCPIPE_GOLDEN=<folder>] python benchmarks/parity.py

Beside transformers on random weights (the models of tests/models), and beside big_vision's vectors where the whole
set is at hand. Logits: largest error over the largest logit, without padding / with a left-padded row.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "models"))

import test_network_golden as golden
import test_network_transformers as reference
from random_models import random_model, random_pixels, random_prompts, save

from docpipe.engines.paligemma_reference import TransformersDecoder
from docpipe.models.decode import generate
from docpipe.models.load import load_network

SHAPES = ("3b", "10b", "28b")


@contextmanager
def saved(model: Any) -> Iterator[Path]:
    """The model as a checkpoint folder, for as long as it is needed."""
    with tempfile.TemporaryDirectory() as name:
        yield save(model, Path(name))


def against_big_vision(folder: Path) -> None:
    """Absolute errors in the vectors of the whole golden set."""
    print("big_vision (max abs error)  prefix   capped   padded   long     log-probabilities  equal tokens")
    for name in ("tiny_3b", "tiny_10b", "tiny_28b"):
        network = load_network(folder / "models" / name)
        z, _ = golden.whole_case(f"{name}_prefix_lm")
        given = z["image"], z["text"], z["mask_ar"]
        raw = np.abs(golden.forward(network, *given)[0] - z["logits"]).max()
        capped = np.abs(golden.forward(network, *given, cap=True)[0] - z["logits_softcapped"]).max()
        z, _ = golden.whole_case(f"{name}_padded")
        logits, _ = golden.forward(network, z["image"], z["text"], z["mask_ar"], z["mask_input"])
        padded = np.abs(logits - z["logits"])[z["mask_input"] == 1].max()
        z, _ = golden.whole_case(f"{name}_greedy")
        prompts = [row[real == 1].tolist() for row, real in zip(z["text"], z["mask_input"], strict=True)]
        answers = generate(network, golden.pixels(z["image"]), prompts, 32, eos=-1)
        equal = sum(int((np.array(a.tokens) == b).sum()) for a, b in zip(answers, z["tokens"], strict=True))
        # big_vision leaves the cap out at the first step: its probability is another one by design.
        off = max(np.abs(np.array(a.logprobs) - b)[1:].max() for a, b in zip(answers, z["logp"], strict=True))
        long = "-"
        if name != "tiny_10b":
            z, _ = golden.whole_case(f"{name}_long")
            network.places = torch.nn.Parameter(torch.from_numpy(z["pos_embedding"]), requires_grad=False)
            image = -1 + z["image_u8"].astype(np.float32) / 255 * 2
            logits, _ = golden.forward(network, image, z["text"], z["mask_ar"])
            long = f"{np.abs(logits[:, z['logits_positions']] - z['logits']).max():.1e}"
        errors = f"{raw:.1e}  {capped:.1e}  {padded:.1e}  {long:<7}  {off:.1e}"
        print(f"{name:<27} {errors}            {equal}/{sum(len(a.tokens) for a in answers)}")


def logits_against_transformers() -> None:
    """Relative errors for every variant and size."""
    print("transformers (max relative error)  3b                10b               28b")
    for variant, settings in reference.VARIANTS.items():
        cells = [relative(lambda s=shape, t=settings: random_model(s, **t), 9, 11) for shape in SHAPES]
        print(f"{variant:<34} {'  '.join(cells)}")
    for side in (224, 448):
        print(f"{side} px{'':<28} {relative(lambda s=side: random_model('3b', side=s), 6, 10)}")


def relative(build: Callable[[], Any], prefix: int, suffix: int) -> str:
    """The errors without and with padding, as one cell."""
    model = build()
    with saved(model) as folder:
        pair = [reference.worst(*reference.both(folder, model, prefix, suffix, window=True, pad=p)) for p in (0, 4)]
    return f"{pair[0]:.1e}/{pair[1]:.1e}"


def window_at_896() -> None:
    """4096 image tokens: with the window past the sequence, and with the published one."""
    with saved(random_model("3b", side=896)) as folder:
        pixels, prompts = random_pixels(1, 896), random_prompts(6)
        ours = generate(load_network(folder), pixels, prompts, 16)[0]
        for words, more in (("out of the way", {}), ("of 4096", {"window": None})):
            theirs = TransformersDecoder(folder, **more).decode(pixels, prompts, [16])[0]
            off = max(abs(a - b) for a, b in zip(ours.logprobs, theirs.logprobs, strict=True))
            print(f"896 px, transformers' window {words}: log-probabilities off by {off:.1e}")


def tokens_and_bfloat16() -> None:
    """Greedy tokens over 64 steps, and the errors of both in bfloat16 against transformers in float32."""
    print("shape  equal tokens  log-probabilities  bfloat16 max/mean error: transformers  docpipe")
    for shape in SHAPES:
        equal = count = 0
        worst = 0.0
        for seed in range(4):
            model = random_model(shape, seed=seed)
            with saved(model) as folder:
                pixels, prompts = random_pixels(3, seed=seed), random_prompts(4, 13, 7, seed=seed)
                theirs = TransformersDecoder(folder).decode(pixels, prompts, [64] * 3)
                for a, b in zip(generate(load_network(folder), pixels, prompts, 64), theirs, strict=True):
                    equal += sum(x == y for x, y in zip(a.tokens, b.tokens, strict=True))
                    count += len(b.tokens)
                    worst = max(worst, *(abs(x - y) for x, y in zip(a.logprobs, b.logprobs, strict=True)))
                exact = reference.both(folder, model, 9, 11, window=True)[0]
                low = reference.both(folder, model.to(torch.bfloat16), 9, 11, window=True)[0].float()
                ours = reference.bfloat16_logits(load_network(folder, "bfloat16"), 9, 11)
        cells = [f"{(x - exact).abs().max():.3f}/{(x - exact).abs().mean():.4f}" for x in (low, ours)]
        print(f"{shape:<6} {equal}/{count}       {worst:.1e}            {'  '.join(cells)}")


def main() -> None:
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    if "DOCPIPE_GOLDEN" in os.environ:
        against_big_vision(Path(os.environ["DOCPIPE_GOLDEN"]))
    logits_against_transformers()
    window_at_896()
    tokens_and_bfloat16()


if __name__ == "__main__":
    main()
