"""A tiny random model whose vocabulary is the printable characters and some whole tags: it can spell any answer."""

from __future__ import annotations

import json
from pathlib import Path

from random_models import random_model, save

SPECIAL = ["<pad>", "<eos>", "<bos>", "<image>"]
PIECES = ["<table>", "</table>", "<tr>", "</tr>", "<td>", "</td>", "<th>", "</th>", ' colspan="2"', ' rowspan="2"',
          "<td", "<thead>", "</thead>", "**kern", "*^", "*v", "*-", "\t*v"]  # fmt: skip
LETTERS = [chr(i) for i in range(32, 127)] + ["\n", "\t"]
VOCABULARY = [*SPECIAL, *PIECES, *LETTERS]
EOS = 1


def spelling_model(path: Path) -> Path:
    """The model as a checkpoint folder."""
    save(random_model("10b", vocab_size=len(VOCABULARY)), path)
    config = json.loads((path / "config.json").read_text())
    config["image_token_index"] = 3
    (path / "config.json").write_text(json.dumps(config))
    tokens = {token: i for i, token in enumerate(VOCABULARY)}
    split = "|".join(sorted((_escaped(token) for token in [*PIECES, *LETTERS]), key=len, reverse=True))
    added = [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": True} for i, token in enumerate(SPECIAL)]  # fmt: skip
    made = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": split}, "behavior": "Isolated", "invert": False},
        "post_processor": None, "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": tokens, "unk_token": "<pad>"},
    }  # fmt: skip
    (path / "tokenizer.json").write_text(json.dumps(made))
    return path


def _escaped(token: str) -> str:
    return "".join(f"\\{c}" if not c.isalnum() and c not in "\n\t <>\"'" else c for c in token)
