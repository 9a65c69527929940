"""Characters as a text has them, where fonts and file names give something else: halves of surrogate pairs, and
accents that are signs of their own.
"""

from __future__ import annotations

import re
import unicodedata

_HALF = re.compile("[\ud800-\udfff]")


def whole_characters(text: str) -> str:
    """The text with pairs of halves joined to the character that they stand for, and U+FFFD for each that is alone.

    No encoding but UTF-16 knows the halves (Unicode 17, 3.8, D71 to D75): such a string can be written to no file.
    """
    if not _HALF.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


_ACCENTS = {
    "`": "\u0300", "\u02cb": "\u0300", "\u00b4": "\u0301", "\u02ca": "\u0301", "\u02c6": "\u0302", "\u02dc": "\u0303",
    "\u00af": "\u0304", "\u02c9": "\u0304", "\u02d8": "\u0306", "\u02d9": "\u0307", "\u00a8": "\u0308",
    "\u02da": "\u030a", "\u02dd": "\u030b", "\u02c7": "\u030c", "\u00b8": "\u0327", "\u02db": "\u0328",
}  # fmt: skip
_DOTLESS = {"\u0131": "i", "\u0237": "j"}
_CIRCLED = {"c": "\u00a9", "C": "\u00a9", "r": "\u00ae", "R": "\u00ae", "p": "\u2117", "P": "\u2117"}


def is_accent(char: str) -> bool:
    """Whether a character is an accent or a ring that is printed over, under or around another one."""
    return char in _ACCENTS or char == "\u20dd"


def accented(letter: str, accent: str) -> str | None:
    """The one character that a letter and an accent printed over each other are; None where Unicode has none.

    TeX prints e and then an acute accent above it, or c and a ring around it.
    """
    if accent == "\u20dd":
        return _CIRCLED.get(letter)
    mark = _ACCENTS.get(accent)
    whole = unicodedata.normalize("NFC", _DOTLESS.get(letter, letter) + mark) if mark and letter.isalpha() else ""
    return whole if len(whole) == 1 else None
