"""A checkpoint's tokenizer.json, used the way the weights were trained: `<bos>` prefix, and the newline by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from docpipe.errors import DocpipeError
from docpipe.models.vocabulary import ClosedVocabulary

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
        closed = type(self._kept.model).__name__ == "WordLevel"
        self._closed = ClosedVocabulary(self._kept.get_vocab()) if closed else None
        self.newline = self._encode("\n")
        if not self.newline:
            raise DocpipeError("DP302", folder.name, "its tokenizer has no newline, which ends every prompt")

    def prompt(self, prefix: str) -> list[int]:
        """`<bos>`, the prefix, and the newline as a token of its own (joined first, it could merge with the prefix).

        Control tokens written out in the prefix (`<image>`, `<eos>`) are left out: a question cannot forge them.
        Raises DP307 when the vocabulary does not hold a token, as tiny ones have none for `<loc0000>`: spelt out in
        pieces it would mean nothing. A closed vocabulary refuses every word that it does not hold
        (`vocabulary.ClosedVocabulary`).
        """
        if self._closed is not None:
            prefix = self._closed.spelt(prefix)
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

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """The text of each id; joined they are `text`. A character of several ids stands with the last of them."""
        apart = [self.text([token]) for token in tokens]
        if "".join(apart) == self.text(tokens):
            return apart
        made, so_far = [], ""
        for count in range(1, len(tokens) + 1):
            text = self.text(tokens[:count])
            # What is not yet a whole character decodes to U+FFFD and comes later.
            grown = text[len(so_far) :] if text.startswith(so_far) and not text.endswith("\ufffd") else ""
            made.append(grown)
            so_far += grown
        return made

    def stored_bytes(self, token: int) -> bytes:
        """The bytes that an id adds to an answer; none for control tokens."""
        if token in self._control:
            return b""
        byte = re.fullmatch(r"<0x([0-9A-F]{2})>", self.piece(token))
        return bytes([int(byte[1], 16)]) if byte else self.text([token]).encode()

    def encode(self, text: str) -> list[int]:
        """A text's ids, control tokens left out."""
        return self._encode(text)

    def piece(self, token: int) -> str:
        """One id as it stands in the vocabulary."""
        return str(self._kept.id_to_token(token) or "")

    def _encode(self, text: str) -> list[int]:
        ids = self._kept.encode(text, add_special_tokens=False).ids
        return [token for token in ids if token not in self._control]
