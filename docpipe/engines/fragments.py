"""The pieces of text a page is laid out from: parts of lines in the direction in which the page is read.

MuPDF's lines are cut where a gap is too wide for a blank between words, joined again where a marker, a number or a
dot leader belongs to its line, and turned upright when most of the page is written another way.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from unicodedata import bidirectional

from docpipe.document import Box
from docpipe.page import TextLine, TextWord

WIDE_GAP = 2.0
"""A blank wider than this many font sizes parts a line in two; justified lines and sentence ends stay below."""

TYPED_GAP = 20.0
"""Typewritten lines keep together over wider blanks: these are typed, too."""

_BOLD = re.compile(r"bold|black|heavy|semibd|demi|[-,](bd|b)\b|cmbx|cmb\d|sfbx|NimbusSanL-Bol|-Medi", re.IGNORECASE)
_ITALIC = re.compile(r"ital|obli|cmti|cmsl|slant", re.IGNORECASE)
_MONO = re.compile(
    r"mono|courier|consol|cmtt|typewr|menlo|inconsol|sourcecode|firacode|nimbusmon|lettergoth|\btt\b|sftt",
    re.IGNORECASE,
)
_MATHS = re.compile(
    r"cmmi|cmsy|cmex|msam|msbm|eufm|rsfs|math|mtmi|mtsy|mtex|rmtmi|txsy|txmi|pxmi|symbol|euler|"
    r"lmsy|lmmi|lmex|stixsiz|esint|wasy",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Frame:
    """The direction in which a page is read: `turn` is the clockwise turn of its text: 0, 90, 180 or 270.

    width and height are those of the page as displayed, in points. skew: the further clockwise turn in degrees that
    levels its lines once they are upright, about the middle of the page.
    """

    turn: int
    width: float
    height: float
    skew: float = 0.0

    def upright(self, box: Box) -> Box:
        """A box of the page as displayed, as it stands once the text is upright and level.

        On a skewed page a box holds the whole of a tilted word; what is given back is the word's own size.
        """
        box = _turned(box, (360 - self.turn) % 360, self.width, self.height)
        if not self.skew:
            return box
        x, y = self._swung(*box.center, self.skew)
        cos, sin = math.cos(math.radians(self.skew)), abs(math.sin(math.radians(self.skew)))
        width = max(0.4 * box.width, (box.width * cos - box.height * sin) / (cos * cos - sin * sin))
        height = max(0.4 * box.height, (box.height * cos - box.width * sin) / (cos * cos - sin * sin))
        return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    def displayed(self, box: Box) -> Box:
        """The inverse of `upright`; of a skewed page, what holds the whole of the swung box."""
        if self.skew:
            corners = [self._swung(x, y, -self.skew) for x in (box.x0, box.x1) for y in (box.y0, box.y1)]
            across, down = [x for x, _ in corners], [y for _, y in corners]
            box = Box(min(across), min(down), max(across), max(down))
        width, height = self.size
        return _turned(box, self.turn, width, height)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the page once upright, in points."""
        return (self.height, self.width) if self.turn % 180 else (self.width, self.height)

    def _swung(self, x: float, y: float, degrees: float) -> tuple[float, float]:
        width, height = self.size
        dx, dy = x - width / 2, y - height / 2
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        return width / 2 + dx * cos - dy * sin, height / 2 + dx * sin + dy * cos


def _turned(box: Box, turn: int, width: float, height: float) -> Box:
    """A box on a page of this size after the page is turned clockwise."""
    match turn:
        case 90:
            return Box(height - box.y1, box.x0, height - box.y0, box.x1)
        case 180:
            return Box(width - box.x1, height - box.y1, width - box.x0, height - box.y0)
        case 270:
            return Box(box.y0, width - box.x1, box.y1, width - box.x0)
    return box


@dataclass(frozen=True)
class Fragment:
    """A piece of one line. `box` is upright and tight to the letters; `drawn` is its place in the file's order,
    `block` the file's own text block.
    """

    words: tuple[TextWord, ...]
    box: Box
    drawn: int
    size: float
    block: int = 0

    @cached_property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @cached_property
    def letters(self) -> int:
        return sum(len(word.text) for word in self.words)

    def _share(self, test: re.Pattern[str], style: str = "") -> float:
        hits = sum(len(w.text) for w in self.words if (style and style in w.style) or test.search(w.font))
        return hits / max(1, self.letters)

    @cached_property
    def bold(self) -> bool:
        return self._share(_BOLD, "bold") > 0.8

    @cached_property
    def italic(self) -> bool:
        return self._share(_ITALIC, "italic") > 0.8

    @cached_property
    def monospace(self) -> bool:
        return self._share(_MONO, "monospace") > 0.8

    @cached_property
    def bulleted(self) -> bool:
        """Whether it begins with a bullet: one of the usual signs, or a lone sign of a font of ornaments."""
        first = self.words[0]
        alone = len(self.words) > 1 and len(first.text) == 1 and first.font != self.words[1].font
        return bool(BULLET.match(self.text)) or (alone and bool(_ORNAMENTS.search(first.font)))

    @cached_property
    def maths(self) -> float:
        """The share of its letters set in a font of mathematics or themselves mathematical signs, 0..1."""
        hits = sum(len(w.text) if _MATHS.search(w.font) else len(_SIGNS.findall(w.text)) for w in self.words)
        return hits / max(1, self.letters)


BULLET = re.compile(r"^[•◦▪‣●○■□➢►✓❖∙\uf0b7\uf0a7\uf0d8\uf0fc]|^o(?=\s)")
_ORNAMENTS = re.compile(r"symbol|dingbat|wingding|webding|typographic|bullet|monotypesorts", re.IGNORECASE)
_SIGNS = re.compile(r"[=+<>±×÷·∀-⋿⟀-⟯⦀-⫿𝐀-𝟿α-ωΑ-Ω]")


def is_bold(word: TextWord) -> bool:
    """Whether a word is set bold, by the font's flags or its name."""
    return "bold" in word.style or bool(_BOLD.search(word.font))


def is_italic(word: TextWord) -> bool:
    """Whether a word is set italic or oblique, by the font's flags or its name."""
    return "italic" in word.style or bool(_ITALIC.search(word.font))


def is_monospace(word: TextWord) -> bool:
    """Whether a word is set in a typewriter face, by the font's flags or its name."""
    return "monospace" in word.style or bool(_MONO.search(word.font))


def is_maths(word: TextWord) -> bool:
    """Whether a word is set in a font of mathematical signs and letters, by its name."""
    return bool(_MATHS.search(word.font))


def is_right_to_left(text: str) -> bool:
    """Whether most letters of a text are of a script written from right to left."""
    letters = [c for c in text if c.isalpha()]
    return 2 * sum(bidirectional(c) in {"R", "AL"} for c in letters) > len(letters)


def main_turn(lines: Iterable[TextLine]) -> int:
    """The clockwise turn (0, 90, 180, 270) in which most letters of a page are written."""
    letters = Counter[int]()
    for line in lines:
        letters[round(line.turn / 90) * 90 % 360] += sum(len(word.text) for word in line.words)
    return letters.most_common(1)[0][0] if letters else 0


def fragments(lines: Sequence[TextLine], frame: Frame) -> tuple[list[Fragment], list[Fragment]]:
    """A page's pieces of text in the direction it is read, and those written in another direction.

    Words drawn twice in one place (a poor man's bold) count once; words off the page are left out.
    """
    upright: list[Fragment] = []
    others: list[Fragment] = []
    width, height = frame.size
    seen: set[tuple[str, int, int]] = set()
    for index, line in enumerate(lines):
        straight = abs((line.turn - frame.turn + 180) % 360 - 180) <= 10
        words = []
        for word in line.words:
            key = (word.text, round(word.box.x0 / 1.5), round(word.box.y0 / 1.5))
            if key not in seen:
                seen.add(key)
                words.append(
                    (word, frame.upright(_tight(word) if not (frame.turn or frame.skew) and straight else word.box))
                )
        words = [(w, b) for w, b in words if b.x1 > 0 and b.y1 > 0 and b.x0 < width and b.y0 < height]
        if not words:
            continue
        if not straight:
            others.append(_fragment([w for w, _ in words], [b for _, b in words], index, line.block))
            continue
        piece = [words[0]]
        for (_, last), pair in pairwise(words):
            gap = max(pair[1].x0 - last.x1, last.x0 - pair[1].x1)
            typed = is_monospace(pair[0]) and is_monospace(piece[-1][0])
            if gap > (TYPED_GAP if typed else WIDE_GAP) * max(pair[0].size, 4.0):
                upright.append(_fragment([w for w, _ in piece], [b for _, b in piece], index, line.block))
                piece = []
            piece.append(pair)
        upright.append(_fragment([w for w, _ in piece], [b for _, b in piece], index, line.block))
    numbers = line_numbers(upright)
    return _entries(_untangled(_joined([p for p in upright if p not in numbers]))) + numbers, others


def _tight(word: TextWord) -> Box:
    """The word's box cut down to where its letters can be: fonts often claim far more height than they use."""
    top = max(word.box.y0, word.baseline - 0.95 * word.size)
    bottom = min(word.box.y1, word.baseline + 0.3 * word.size)
    return word.box if bottom - top < 0.3 * word.size else Box(word.box.x0, top, word.box.x1, bottom)


def _fragment(words: Sequence[TextWord], boxes: Sequence[Box], drawn: int, block: int) -> Fragment:
    box = Box(
        max(0.0, min(b.x0 for b in boxes)), max(0.0, min(b.y0 for b in boxes)),
        max(b.x1 for b in boxes), max(b.y1 for b in boxes),
    )  # fmt: skip
    weights = Counter[float]()
    for word in words:
        weights[round(word.size, 1)] += len(word.text)
    return Fragment(tuple(words), box, drawn, weights.most_common(1)[0][0], block)


_MARKER = re.compile(
    r"^([•◦▪–—‣●○■□➢►✓·*\-\uf0b7\uf0a7]|o|\W?\(?(\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)\]]?|\d{1,2}(\.\d{1,2}){1,4}\.?)$"
)
_TAIL = re.compile(r"^(\.[\s.]*)?(\(?[\dA-Z]{1,4}(\.\d{1,3}[a-z]?)?\)?|[ivxlc]{1,6})$")

PAGE = re.compile(r"\d{1,4}|[ivxlc]{1,7}|[A-Z]-?\d{1,3}")
LEADERS = re.compile(rf"(\s?[.·…‥]){{4,}}\s*({PAGE.pattern})$")
"""What leads from an entry of a table of contents to its page: a row of dots, and the page's number."""


def _joined(pieces: list[Fragment]) -> list[Fragment]:
    """Pieces on one baseline that are one line: a marker and its item, dot leaders, an equation and its number.

    Only neighbours in the file's own order are joined, so that the rows of two columns never are.
    """
    joined: list[Fragment] = []
    for piece in pieces:
        if joined and _same_line(joined[-1], piece):
            last = joined[-1]
            backward = is_right_to_left(last.text + piece.text)
            first, second = (last, piece) if (last.box.x0 <= piece.box.x0) is not backward else (piece, last)
            words = first.words + second.words
            size = last.size if last.letters >= piece.letters else piece.size
            joined[-1] = Fragment(words, last.box.union(piece.box), last.drawn, size, piece.block)
        else:
            joined.append(piece)
    return joined


def _entries(pieces: list[Fragment]) -> list[Fragment]:
    """Pieces of a table of contents with the page numbers that no dots lead to (chapters have none) put to their
    entries: those that end where the numbers of at least three others end.
    """
    edges = [p.box.x1 for p in pieces if LEADERS.search(p.text)]
    if len(edges) < 3:
        return pieces
    done = list(pieces)
    for number in pieces:
        if not PAGE.fullmatch(number.text) or sum(abs(number.box.x1 - edge) < 3.0 for edge in edges) < 3:
            continue
        row = [p for p in done if p is not number and abs(p.box.y1 - number.box.y1) < 0.4 * number.size]
        if len(row) == 1 and row[0].box.x1 < number.box.x0:
            whole = replace(row[0], words=row[0].words + number.words, box=row[0].box.union(number.box))
            done = [whole if p is row[0] else p for p in done if p is not number]
    return done


def _untangled(pieces: list[Fragment]) -> list[Fragment]:
    """Pieces of one block that run into each other on one line, as formulas are drawn, put in order as one piece."""
    done: list[Fragment] = []
    latest: dict[int, list[int]] = {}
    for piece in pieces:
        for place in latest.get(piece.block, ()):
            other = done[place]
            shared = min(other.box.y1, piece.box.y1) - max(other.box.y0, piece.box.y0)
            apart = max(other.box.x0, piece.box.x0) - min(other.box.x1, piece.box.x1)
            if shared > 0.6 * min(other.box.height, piece.box.height) and apart < 0.35 * min(other.size, piece.size):
                backward = is_right_to_left(other.text + piece.text)
                words = sorted(other.words + piece.words, key=lambda w: w.box.x0, reverse=backward)
                size = max(other, piece, key=lambda p: p.letters).size
                done[place] = Fragment(tuple(words), other.box.union(piece.box), other.drawn, size, piece.block)
                break
        else:
            latest.setdefault(piece.block, []).append(len(done))
            done.append(piece)
    return done


def _same_line(a: Fragment, b: Fragment) -> bool:
    shared = min(a.box.y1, b.box.y1) - max(a.box.y0, b.box.y0)
    if shared < 0.6 * min(a.box.height, b.box.height):
        return False
    left, right = (a, b) if a.box.x0 <= b.box.x0 else (b, a)
    gap, size = right.box.x0 - left.box.x1, max(a.size, b.size)
    if gap < -0.3 * size:
        return False
    marker = bool(_MARKER.match(left.text)) or (left.letters == 1 and not left.text.isalnum())
    typed = a.monospace and b.monospace
    widest = (TYPED_GAP if typed else WIDE_GAP) if a.block == b.block else 0.9
    if gap < widest * size or (marker and gap < 4.5 * size):
        return True
    leader = left.text.endswith(("...", ". . .", "…")) or right.text.startswith(("...", ". . .", "…"))
    return leader and bool(_TAIL.match(right.text) or left.text.endswith("..") or right.text.startswith("."))


def parted(piece: Fragment, gap: float = 1.0) -> list[Fragment]:
    """A piece cut wherever a blank within it is wider than `gap` font sizes: prose, even justified, keeps together."""
    cuts = [i for i, (a, b) in enumerate(pairwise(piece.words), 1) if b.box.x0 - a.box.x1 > gap * piece.size]
    if not cuts or piece.words[0].box.x1 > piece.box.x1 + 1:  # the words stand as on the page, the box upright
        return [piece]
    runs = [piece.words[i:j] for i, j in zip([0, *cuts], [*cuts, len(piece.words)], strict=True)]
    return [
        replace(piece, words=run, box=Box(run[0].box.x0, piece.box.y0, run[-1].box.x1, piece.box.y1)) for run in runs
    ]


def line_numbers(pieces: Sequence[Fragment]) -> list[Fragment]:
    """The pieces that count the lines of a page in its margin, as transcripts and manuscripts have them.

    At least eight numbers, each one (or five) more than the one above, in line beside the text.
    """
    numbers = sorted((p for p in pieces if p.text.isdecimal() and p.letters <= 3), key=lambda p: p.box.center[0])
    starts = [0, *(i for i, (a, b) in enumerate(pairwise(numbers), 1) if b.box.center[0] - a.box.center[0] > 4)]
    for start, stop in pairwise([*starts, len(numbers)]):
        column = sorted(numbers[start:stop], key=lambda p: p.box.y0)
        steps = {int(b.text) - int(a.text) for a, b in pairwise(column)}
        if len(column) >= 8 and steps in ({1}, {5}):
            beside = [p for p in pieces if p.box.x0 > column[0].box.x1 and p.letters > 20]
            if len(beside) >= 4:
                return column
    return []
