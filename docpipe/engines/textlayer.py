"""The engine that reads what a PDF says as text, and says nothing where its text layer lies.

Judged region by region: a page may hold good text beside a font without a Unicode mapping, or a scan with unseen text
over it. Where the layer is not to be trusted the engine abstains with the reason, and the cascade goes on to OCR.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from docpipe.document import Box, Crop, Origin, Region, TextContent, Word
from docpipe.engines.base import Answer, Request
from docpipe.engines.fragments import (
    Fragment,
    Frame,
    fragments,
    is_bold,
    is_italic,
    is_maths,
    is_monospace,
    is_right_to_left,
    main_turn,
)
from docpipe.page import TextLine, TextWord
from docpipe.sheet import Sheet
from docpipe.tasks import Task

SEEN, UNSEEN = 0.99, 0.8
"""Confidence in text that is drawn, and in sane text that lies unseen over a scan."""

INK_DPI = 72.0


class TextLayerEngine:
    """Reads the `text` task from the PDF's own text layer."""

    name = "textlayer"

    def can_read(self, task: Task) -> bool:
        return task.name == "text"

    def read(self, requests: Sequence[Request]) -> Iterator[Answer]:
        for request in requests:
            yield self._read(request.sheet, request.region)

    def _read(self, sheet: Sheet, region: Region) -> Answer:
        origin = Origin(engine=self.name, crop=Crop(box=region.box))
        lines = lines_of(sheet, region)
        if not lines:
            return Answer(origin, reason="the text layer says nothing here")
        rows, turned = _rows(lines, sheet)
        if not rows:
            return Answer(origin, reason="the text layer says nothing here")
        words = [word for row in rows for piece in row for word in piece.words]
        text = _text(rows, keep_lines=region.kind == "code")
        plain = " ".join(word.text for word in words if not is_maths(word))
        if reason := why_garbled(plain or text):
            return Answer(origin, reason=reason)
        unseen = sum(len(w.text) for w in words if not w.visible) > 0.5 * sum(len(w.text) for w in words)
        if reason := _why_hidden(sheet, words, unseen):
            return Answer(origin, reason=reason)
        content = TextContent(text=text, words=tuple(_words(rows, upright=turned == 0)))
        return Answer(origin, content, confidence=UNSEEN if unseen else SEEN)


def lines_of(sheet: Sheet, region: Region) -> list[TextLine]:
    """The text layer's lines cut down to a region's words; those in a smaller region within it are that one's."""
    box = region.box
    inner = [r.box for r in sheet.page.regions if r.id != region.id and r.box.area < box.area and _meet(r.box, box)]
    found = []
    for line in sheet.source.lines():
        if not _meet(line.box, box):
            continue
        words = tuple(w for w in line.words if _in(box, w.box) and not any(_in(other, w.box) for other in inner))
        if words:
            found.append(TextLine(words, _around(words), line.turn, line.block))
    return found


def _meet(a: Box, b: Box) -> bool:
    return a.x0 <= b.x1 and b.x0 <= a.x1 and a.y0 <= b.y1 and b.y0 <= a.y1


def _in(box: Box, word: Box) -> bool:
    x, y = word.center
    return box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1


def _around(words: Sequence[TextWord]) -> Box:
    box = words[0].box
    for word in words[1:]:
        box = box.union(word.box)
    return box


def _rows(lines: Sequence[TextLine], sheet: Sheet) -> tuple[list[list[Fragment]], int]:
    """The pieces of text line by line in reading order, and the turn they are written in."""
    frame = Frame(main_turn(lines), sheet.source.width, sheet.source.height)
    pieces, aside = fragments(lines, frame)
    rows: list[list[Fragment]] = []
    for piece in sorted(pieces, key=lambda p: (p.box.center[1], p.drawn)):
        # Sub- and superscripts stand off the middle of their line but within its height.
        if rows and piece.box.center[1] < max(p.box.y1 for p in rows[-1]) - 0.25 * min(piece.size, rows[-1][0].size):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    backward = is_right_to_left("".join(p.text for p in pieces))
    for row in rows:
        row.sort(key=lambda p: p.box.x0, reverse=backward)
    return rows + [[piece] for piece in aside], frame.turn


def _words(rows: Sequence[Sequence[Fragment]], upright: bool) -> Iterator[Word]:
    for row in rows:
        words = [word for piece in row for word in piece.words]
        for word, script in zip(words, _scripts(words) if upright else [""] * len(words), strict=True):
            named = (("bold", is_bold(word)), ("italic", is_italic(word)), ("monospace", is_monospace(word)))
            style = (*(name for name, is_set in named if is_set), *([script] if script else []))
            yield Word(text=_expanded(word.text), box=word.box, style=style)


def _scripts(words: Sequence[TextWord]) -> list[str]:
    """For each word of a line: superscript, subscript or '', by size and baseline against the largest."""
    size = max(word.size for word in words)
    baseline = float(np.median([word.baseline for word in words if word.size > 0.9 * size]))
    scripts = []
    for word in words:
        small, lift = word.size < 0.82 * size, baseline - word.baseline
        raised = lift > 0.15 * size or ("superscript" in word.style and lift > 0.05 * size)
        scripts.append("superscript" if small and raised else "subscript" if small and lift < -0.05 * size else "")
    return scripts


_REPLACED = {ord(c): unicodedata.normalize("NFKC", c) for c in "ﬀﬁﬂﬃﬄﬅﬆ"} | dict.fromkeys(
    (0xF0B7, 0xF0A7, 0xF0D8, 0xF0FC), "•"
)
"""Ligatures as letters, and the bullets that Symbol and Wingdings keep in private places as bullets."""


def _expanded(text: str) -> str:
    return unicodedata.normalize("NFC", text.translate(_REPLACED))


def _text(rows: Sequence[Sequence[Fragment]], keep_lines: bool) -> str:
    if keep_lines:
        return "\n".join(_typed(row, min(r[0].box.x0 for r in rows)) for row in rows)
    return join_hyphenated([" ".join(_glued(piece.words) for piece in row) for row in rows])


def _glued(words: Sequence[TextWord]) -> str:
    """A line's words with blanks between them, but for sub- and superscripts that touch what they belong to."""
    text = _expanded(words[0].text)
    for a, b in pairwise(words):
        touch = abs(b.size - a.size) > 0.1 * max(a.size, b.size) and b.box.x0 - a.box.x1 < 0.12 * max(a.size, b.size)
        text += ("" if touch and b.box.x1 > a.box.x0 else " ") + _expanded(b.text)
    return text


def _typed(row: Sequence[Fragment], left: float) -> str:
    """A line of code with the blanks its words stand apart, by the width of a letter, from the block's left edge."""
    words = [word for piece in row for word in piece.words]
    letter = max(1.0, sum(w.box.width for w in words) / max(1, sum(len(w.text) for w in words)))
    start = row[0].box.x0 - words[0].box.x0  # the upright frame's place of the page's
    line = ""
    for word in words:
        blanks = round((word.box.x0 + start - left) / letter) - len(line)
        line += " " * (max(1, blanks) if line else max(0, blanks)) + _expanded(word.text)
    return line


def join_hyphenated(lines: Sequence[str]) -> str:
    """Lines as running text: words parted at a line's end made whole, no blank between ideographs.

    A hyphen stays where the word has another one (state-of-the-art) or goes on with a capital or a digit.
    """
    text = ""
    for line in lines:
        if not text or not line:
            text += line
        elif text.endswith("\u00ad"):
            text = text[:-1] + line
        elif _PARTED.search(text) and line[0].islower():
            whole = text.rsplit(None, 1)[-1].count("-") > 1
            text = (text if whole else text[:-1]) + line
        elif text.endswith(("-", "‐")) and _HYPHENATED.search(text):
            text += line
        else:
            text += ("" if is_ideograph(text[-1]) and is_ideograph(line[0]) else " ") + line
    return text.replace("\u00ad", "").strip()


_PARTED = re.compile(r"[^\W\d_]{2,}[-‐]$")
_HYPHENATED = re.compile(r"\w[-‐]$")


def is_ideograph(char: str) -> bool:
    """Whether a character is a Chinese or Japanese one or of their punctuation, set without blanks."""
    return "\u2e80" <= char <= "\u9fff" or "\uf900" <= char <= "\ufaff" or "\uff00" <= char <= "\uffef"


_CID = re.compile(r"\(cid:\d+\)|GLYPH<")
_LATIN = "A-Za-z\u00c0-\u024f"
_ODD = re.compile(rf"[{_LATIN}](\d+[{_LATIN}]|[\\^`¢¤¥¦¨ª¬¯´¸¿]\S)")
"""Digits inside a Latin word, or a sign that words do not have."""


def why_garbled(text: str) -> str | None:
    """Why a text cannot be what the page shows, or None when it may well be.

    Fonts without a Unicode mapping give private, control and unassigned characters, or letters that stand for others.
    """
    signs = [c for c in text if not c.isspace()]
    if not signs:
        return "the text layer says nothing here"
    broken = sum(c == "\ufffd" or (unicodedata.category(c) in _BROKEN and c not in _BULLETS) for c in signs)
    if broken > max(0.04 * len(signs), 0) and (broken > 1 or len(signs) < 12):
        return "characters without a Unicode mapping"
    if _CID.search(text):
        return "glyph numbers in place of characters"
    tokens = [t for t in text.split() if sum(c.isalpha() and c < "\u0250" for c in t) > 2]
    if len(tokens) > 5 and sum(bool(_ODD.search(t)) for t in tokens) > 0.5 * len(tokens):
        return "words of letters and signs mixed: the font's mapping is wrong"
    plain = [c for word in _WORD.findall(text) for c in unicodedata.normalize("NFD", word).casefold()]
    letters = [c for c in plain if "a" <= c <= "z"]
    if len(letters) > 30 and sum(c in _FREQUENT for c in letters) < 0.4 * len(letters):
        return "letters in proportions that no language has: the font's mapping is wrong"
    return None


_WORD = re.compile(r"\b[^\W\d_][a-z\u00df-\u024f]{2,}\b")
"""Words as prose has them: codes and abbreviations in capitals prove nothing."""

_FREQUENT = frozenset("etaoinsr")
"""They make up more than half of the letters of every language in Latin script, a third at the very least."""

_BROKEN = frozenset(("Cc", "Cn", "Co", "Cs"))
_BULLETS = frozenset(chr(c) for c in range(0xF020, 0xF100))
"""Symbol and Wingdings fonts keep their bullets here; they are no sign of a lie."""


def _why_hidden(sheet: Sheet, words: Sequence[TextWord], unseen: bool) -> str | None:
    """Why a person does not see these words where they stand, or None. Looks at pixels only when in doubt."""
    area = _around(words)
    covers = [i.box for i in sheet.source.images() if _meet(i.box, area)]
    if not unseen and not covers and not any(_covering(box, words) for box in _fills(sheet, area)):
        return None
    inked = _inked(sheet, words, area)
    if unseen and not covers:
        # Type 3 fonts draw their letters as pictures: unseen by their flags, but there.
        return None if inked >= 0.6 else "text drawn without ink"
    if inked < 0.6:
        return f"no ink where {round(100 * (1 - inked))} % of its words stand"
    if unseen and (odd := _junk(words)) > 0.3:
        return f"unseen text over a scan, {round(100 * odd)} % of it no words"
    return None


LEAST_COVER = 3.0
"""A filled path thinner than this, in points, hides no word: pages have thousands of such rulings."""


def _fills(sheet: Sheet, area: Box) -> list[Box]:
    """The filled paths that are large enough to hide a word and meet an area."""
    return [
        d.box
        for d in sheet.source.drawings()
        if d.fill is not None and min(d.box.width, d.box.height) > LEAST_COVER and _meet(d.box, area)
    ]


def _covering(box: Box, words: Sequence[TextWord]) -> bool:
    """Whether a filled path may hide some of the words: most fills are shading behind them, ink will tell."""
    return any(box.covers(word.box, 0.9) for word in words)


def _inked(sheet: Sheet, words: Sequence[TextWord], area: Box) -> float:
    """The share of words, 0..1, that have ink in their boxes: light and dark within them, as letters do."""
    seen = area.grown(1.0)
    clipping = sheet.clip(Box(max(0.0, seen.x0), max(0.0, seen.y0), seen.x1, seen.y1), INK_DPI)
    grey = np.asarray(clipping.image.convert("L"), np.int16)
    scale = clipping.dpi / 72
    hits = 0
    for word in words:
        left, right = (round((x - clipping.box.x0) * scale) for x in (word.box.x0, word.box.x1))
        top, bottom = (round((y - clipping.box.y0) * scale) for y in (word.box.y0, word.box.y1))
        patch = grey[max(0, top) : max(top + 1, bottom), max(0, left) : max(left + 1, right)]
        hits += bool(patch.size) and int(patch.max()) - int(patch.min()) > 40
    return hits / len(words)


def _junk(words: Sequence[TextWord]) -> float:
    """The share of words with hardly a letter or digit: what OCR makes of pictures and noise."""
    bad = sum(1 for w in words if 2 * sum(c.isalnum() for c in w.text) < len(w.text))
    return bad / max(1, len(words))
