"""A nano run that begins with the weights of a nano checkpoint: the state of the run that made it is not needed.

Optimizer moments and the auxiliary heads are not shipped: they begin anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from docpipe.errors import DocpipeError
from docpipe.train.growth import POSITIONS, centred

if TYPE_CHECKING:
    from transformers import PaliGemmaForConditionalGeneration

    from docpipe.train.recipe import Recipe

TOKENS = "model.language_model.embed_tokens.weight"


def begin_with(
    folder: Path, recipe: Recipe, model: PaliGemmaForConditionalGeneration, vocabulary: Sequence[str]
) -> dict[str, int]:
    """Put a checkpoint's weights into the recipe's model; steps, samples and CPU seconds of its training so far.

    folder: as `docpipe.train.export` writes it. Rows of tokens are matched by the tokens, those that it does not know
    keep their random ones; a larger grid of patches grows around the old one (`growth.centred`). Raises DP302 when the
    checkpoint is none of nano's, or its widths or depths are not the recipe's.
    """
    from transformers import AutoModelForImageTextToText

    about = folder / "docpipe.json"
    known = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
    if known.get("family") != "nano":
        raise DocpipeError("DP302", str(folder), "nano recipes begin with nano checkpoints alone")
    learnt: dict[str, Tensor] = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).state_dict()
    fresh = model.state_dict()
    if len(learnt[POSITIONS]) < len(fresh[POSITIONS]):
        learnt[POSITIONS] = centred(learnt[POSITIONS], recipe.architecture.grid)
    rows = {TOKENS, "lm_head.weight"}
    unlike = sorted(
        name for name, weight in fresh.items()
        if name not in learnt or learnt[name].shape[name in rows :] != weight.shape[name in rows :]
    )  # fmt: skip
    if unlike:
        raise DocpipeError("DP302", str(folder), f"it is of another architecture than the recipe's: {unlike[0]}")
    spoken = fresh[TOKENS].clone()
    for token, row in _rows(folder, vocabulary).items():
        spoken[token] = learnt[TOKENS][row]
    learnt |= dict.fromkeys(rows, spoken)
    model.load_state_dict({name: learnt[name] for name in fresh})
    training: dict[str, Any] = known.get("training", {})
    return {name: int(training.get(name, 0)) for name in ("step", "samples", "cpu_seconds")}


def _rows(folder: Path, vocabulary: Sequence[str]) -> dict[int, int]:
    """Of each token of the recipe's vocabulary that the checkpoint knows: its number here, and there."""
    known: dict[str, int] = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    return {number: known[token] for number, token in enumerate(vocabulary) if token in known}
