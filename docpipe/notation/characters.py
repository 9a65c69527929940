"""Characters that are none: halves of surrogate pairs, which broken fonts and file names bring into a string."""

from __future__ import annotations

import re

_HALF = re.compile("[\ud800-\udfff]")


def whole_characters(text: str) -> str:
    """The text with pairs of halves joined to the character that they stand for, and U+FFFD for each that is alone.

    No encoding but UTF-16 knows the halves (Unicode 17, 3.8, D71 to D75): such a string can be written to no file.
    """
    if not _HALF.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
