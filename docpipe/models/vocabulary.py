"""Prompts for checkpoints of a closed vocabulary, as nano's are: what it cannot spell is refused, not guessed at."""

from __future__ import annotations

import re
from collections.abc import Iterable

from docpipe.errors import DocpipeError

_LOCATION = re.compile(r"<loc(\d{4})>")


class ClosedVocabulary:
    """The tokens of a word-level tokenizer. A text is cut into the longest that fit, one after the other."""

    def __init__(self, tokens: Iterable[str]) -> None:
        longest = sorted(tokens, key=lambda token: (-len(token), token))
        self._pattern = re.compile("|".join(map(re.escape, longest)))
        self._locations = sorted(int(found[1]) for token in longest if (found := _LOCATION.fullmatch(token)))

    def spelt(self, prompt: str) -> str:
        """The prompt as the vocabulary spells it: in small letters where capitals are not in it, and every location
        as the nearest that is. Raises DP307 naming the words that are not in it.
        """
        text = _LOCATION.sub(self._nearest, prompt) if self._locations else prompt
        unknown = self.unknown(text)
        if not unknown:
            return text
        unknown = self.unknown(text.lower())
        if not unknown:
            return text.lower()
        raise DocpipeError("DP307", prompt, "its vocabulary does not hold " + ", ".join(unknown))

    def unknown(self, text: str) -> list[str]:
        """The words of a text, between blanks, that the tokens do not cover."""
        place, missed = 0, []
        for found in self._pattern.finditer(text):
            missed += list(range(place, found.start()))
            place = found.end()
        missed += list(range(place, len(text)))
        words = [(word.start(), word.end(), word[0]) for word in re.finditer(r"<\w+>|[^\s<?.,;]+|[<?.,;]", text)]
        inside = [word for start, end, word in words if any(start <= i < end for i in missed)]
        blank = [repr(text[i]) for i in missed if text[i].isspace()]
        return list(dict.fromkeys([*inside, *blank]))

    def _nearest(self, found: re.Match[str]) -> str:
        wanted = int(found[1])
        return f"<loc{min(self._locations, key=lambda known: abs(known - wanted)):04d}>"
