"""A tiny PaliGemma 2 folder with random weights, a tokenizer of characters, and pictures to learn from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

CHARACTERS = "\n\t" + "".join(map(chr, range(32, 127)))
SPECIAL = ("<pad>", "<eos>", "<bos>")
MARKS = (*(f"<loc{i:04d}>" for i in range(1024)), *(f"<seg{i:03d}>" for i in range(128)))
VOCABULARY = (*SPECIAL, *CHARACTERS, *MARKS, "<image>")
IMAGE_TOKEN = len(VOCABULARY) - 1
PADDED = len(VOCABULARY) + 7
SIDE, PATCH = 28, 14


def tokenizer_json() -> str:
    """One token a character; location and segment tokens whole; nothing is split otherwise."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({t: i for i, t in enumerate(VOCABULARY)}, unk_token="<pad>"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"<loc\d{4}>|<seg\d{3}>|[\s\S]"), "isolated")
    made.decoder = decoders.Fuse()
    made.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in (*SPECIAL, "<image>")])
    return str(made.to_str())


def checkpoint(folder: Path, *, seed: int = 0, **text: Any) -> Path:
    """A folder as the public checkpoints are: soft-caps on, sliding layers, more rows than tokens, tied embeddings."""
    from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration

    torch.manual_seed(seed)
    kind: Any = PaliGemmaConfig
    config = kind(
        vision_config={"model_type": "siglip_vision_model", "hidden_size": 32, "intermediate_size": 48,
                       "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": SIDE, "patch_size": PATCH,
                       "vision_use_head": False, "hidden_act": "gelu_pytorch_tanh"},
        text_config={"model_type": "gemma2", "vocab_size": PADDED, "hidden_size": 32, "intermediate_size": 48,
                     "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
                     "query_pre_attn_scalar": 16, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2,
                     "sliding_window": 8, "max_position_embeddings": 1024, **text},
        image_token_index=IMAGE_TOKEN, vocab_size=PADDED, projection_dim=32, hidden_size=32,
        pad_token_id=0, eos_token_id=1, bos_token_id=2,
    )  # fmt: skip
    model = PaliGemmaForConditionalGeneration(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.15)
            elif "language" in name and name.endswith("norm.weight"):
                weight.normal_(0, 0.1)
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tokenizer_json())
    return folder


def shades(folder: Path, count: int, *, answers: Sequence[str] = ("dark", "pale"), name: str = "train.jsonl",
           **more: Any) -> Path:  # fmt: skip
    """Images of one of several greys and a jsonl that says which, for any task's prompt."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(count):
        which = i % len(answers)
        level = 20 + which * 220 // max(1, len(answers) - 1)
        pixels = np.clip(level + np.random.default_rng(i).integers(-8, 9, (12, 20, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03d}.png")
        parts = {"question": "how light?", "things": "it", "statement": "it is dark", "indication": "cough",
                 "answer": "dark", "place": "<loc0000><loc0000><loc1023><loc1023>"}  # fmt: skip
        rows.append({"image": f"{i:03d}.png", "parts": parts, "suffix": answers[which], **more})
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
