"""Recognised text as runs of one style, made safe to show: what words say of bold, italic, super- and subscript."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from docpipe.document import TextContent, Word

_UNSHOWN = re.compile(
    "[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control characters, soft hyphens, byte order marks and tag characters: nothing a reader sees, and terminals,
XML and prompts may choke on them."""

_LEADERS = re.compile(r"(\s?[.·]){6,}\s?")
"""Rows of dots that lead the eye to a page number: nothing to read, and half of a table of contents."""

_LINE_ENDS = re.compile("\r\n?|[\x85\u2028\u2029]")

HIGHLIGHTS = frozenset(("bold", "italic", "monospace"))
"""Styles that tell a part from the rest; where most of a text has one, it tells nothing."""

SCRIPTS = frozenset(("superscript", "subscript"))

_MARK = re.compile(r"(\d+|[^\w\s]+)(?=[^\W\d_]{3})")


@dataclass(frozen=True)
class Run:
    """Text of one style. `note` names the footnote that it refers to."""

    text: str
    style: frozenset[str] = frozenset()
    note: str | None = None


def clean(text: str) -> str:
    """Text without what is not to be shown; line ends as \\n."""
    return _UNSHOWN.sub("", _LINE_ENDS.sub("\n", text))


def one_line(text: str) -> str:
    """Text on one line: blanks and line ends as single blanks."""
    return " ".join(clean(text).split())


def text_of(runs: Iterable[Run]) -> str:
    """The runs' text."""
    return "".join(run.text for run in runs)


def runs_of(content: TextContent, keep_lines: bool = False) -> list[Run]:
    """A text as runs: its words' styles laid over its canonical string, which alone decides what is said. Rows of dots
    that lead to a page number are shown as three, unless lines are kept.
    """
    runs = _styled(content, keep_lines)
    return runs if keep_lines else [replace(run, text=_LEADERS.sub(" … ", run.text)) for run in runs]


def _styled(content: TextContent, keep_lines: bool) -> list[Run]:
    # A soft hyphen at the very end parts a word that goes on elsewhere.
    whole = content.text.rstrip()
    whole = whole[:-1] + "-" if whole.endswith("\u00ad") else content.text
    text = clean(whole).strip("\n") if keep_lines else one_line(whole)
    if not any(word.style for word in content.words):
        return [Run(text)] if text else []
    styles: list[frozenset[str]] = [frozenset()] * len(text)
    position = 0
    last: tuple[int, frozenset[str]] | None = None
    for word in content.words:
        start, end = _find(text, word, position)
        if end == start:
            continue
        style = frozenset(word.style)
        styles[start:end] = [style] * (end - start)
        if style & SCRIPTS and (mark := _MARK.match(text[start:end])):
            # A mark set before a word ("¹The") raises itself alone.
            style -= SCRIPTS
            styles[start + mark.end() : end] = [style] * (end - start - mark.end())
        if last is not None and start > last[0] and not text[last[0] : start].strip():
            between = style & last[1] & HIGHLIGHTS
            styles[last[0] : start] = [between] * (start - last[0])
        position, last = end, (end, style)
    common = {name for name in HIGHLIGHTS if sum(name in s for s in styles) > 0.8 * len(styles)}
    return _grouped(text, [style - common for style in styles])


def _find(text: str, word: Word, start: int) -> tuple[int, int]:
    """Where a word stands in a text from `start` on; nowhere near is nowhere. A word parted at a line's end has lost
    its hyphen in the text."""
    for form in (one_line(word.text), one_line(word.text).rstrip("-‐")):
        at = text.find(form, start, start + len(form) + 40) if form else -1
        if at >= 0:
            return at, at + len(form)
    return start, start


def _grouped(text: str, styles: Sequence[frozenset[str]]) -> list[Run]:
    runs: list[Run] = []
    for char, style in zip(text, styles, strict=True):
        if runs and runs[-1].style == style:
            runs[-1] = replace(runs[-1], text=runs[-1].text + char)
        else:
            runs.append(Run(char, style))
    return runs


def without_start(runs: Sequence[Run], length: int) -> list[Run]:
    """The runs without their first `length` characters."""
    kept = []
    for run in runs:
        cut = min(length, len(run.text))
        length -= cut
        if cut < len(run.text):
            kept.append(replace(run, text=run.text[cut:]))
    return kept


_PARTED = re.compile(r"[^\W\d_]{2,}[-‐]$")


def joined(first: Sequence[Run], second: Sequence[Run]) -> list[Run]:
    """Two parts of one text. A word parted between them is made whole: its hyphen goes where the second part begins
    with a small letter, and stays where the word has another one; ideographs stand without a blank.
    """
    a, b = text_of(first), text_of(second)
    if not a or not b:
        return [*first, *second]
    if _PARTED.search(a) and b[0].islower():
        whole = a.rsplit(None, 1)[-1].count("-") > 1
        head = list(first)
        if not whole:
            head[-1] = replace(head[-1], text=head[-1].text[:-1])
        return [run for run in head if run.text] + list(second)
    glued = a.endswith(("-", "‐")) or (_ideograph(a[-1]) and _ideograph(b[0]))
    return [*first, *([] if glued else [Run(" ")]), *second]


def _ideograph(char: str) -> bool:
    return "\u2e80" <= char <= "\u9fff" or "\uf900" <= char <= "\ufaff" or "\uff00" <= char <= "\uffef"
