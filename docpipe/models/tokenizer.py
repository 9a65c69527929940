"""A checkpoint's tokenizer.json, used the way the weights were trained: `<bos>` prefix, and the newline by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from docpipe.errors import DocpipeError

if TYPE_CHECKING:
    from docpipe.models.network import NetworkConfig


_MARKS = re.compile(r"<loc\d{4}>|<seg\d{3}>")


class Tokenizer:
    """Text to ids and back. Needs `tokenizers` alone, so that nothing of transformers is imported.

    Raises DP302 when the folder has no tokenizer.json or it is damaged.
    """

    def __init__(self, folder: Path, config: NetworkConfig) -> None:
        from tokenizers import Tokenizer as Kept

        path = folder / "tokenizer.json"
        if not path.is_file():
            raise DocpipeError("DP302", folder.name, "tokenizer.json is missing")
        try:
            self._kept = Kept.from_file(str(path))
        except Exception as error:  # the library raises plain Exception
            raise DocpipeError("DP302", folder.name, f"tokenizer.json is damaged: {error}") from error
        self._kept.no_padding()
        self._kept.no_truncation()
        self._vocabulary, self._bos = config.text.vocabulary, config.bos
        self._control = frozenset((config.image_token, config.bos, config.eos, config.pad))
        self.newline = self._encode("\n")
        if not self.newline:
            raise DocpipeError("DP302", folder.name, "its tokenizer has no newline, which ends every prompt")

    def prompt(self, prefix: str) -> list[int]:
        """`<bos>`, the prefix, and the newline as a token of its own (joined first, it could merge with the prefix).

        Control tokens written out in the prefix (`<image>`, `<eos>`) are left out: a question cannot forge them.
        Raises DP307 when the vocabulary does not hold a token, as tiny ones have none for `<loc0000>`: spelt out in
        pieces it would mean nothing.
        """
        for mark in _MARKS.findall(prefix):
            if self._kept.token_to_id(mark) is None:
                raise DocpipeError("DP307", prefix, f"its vocabulary does not hold {mark}")
        tokens = [self._bos, *self._encode(prefix), *self.newline]
        if max(tokens) >= self._vocabulary:
            beyond = self._kept.id_to_token(max(tokens))
            raise DocpipeError("DP307", prefix, f"its vocabulary does not hold {beyond}")
        return tokens

    def text(self, tokens: Sequence[int]) -> str:
        """Ids as text, control tokens left out; `<loc…>` and `<seg…>` stay, and blanks are as decoded."""
        return str(self._kept.decode([t for t in tokens if t not in self._control], skip_special_tokens=False))

    def piece(self, token: int) -> str:
        """One id as it stands in the vocabulary."""
        return str(self._kept.id_to_token(token) or "")

    def _encode(self, text: str) -> list[int]:
        ids = self._kept.encode(text, add_special_tokens=False).ids
        return [token for token in ids if token not in self._control]
