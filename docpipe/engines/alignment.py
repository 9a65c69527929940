"""What the words of a table say of its columns by how they line up, where no ruling says it.

Words make segments, segments lines; columns are parted by blanks that run down through the lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from docpipe.document import Box

WORD_GAP = 0.55
"""Words nearer than this many letter sizes are one piece; justified lines reach it, columns seldom stay below."""

TYPED_BLANK = 0.66
"""A blank of a typewriter face is up to this many letter sizes wide; wider ones are several, or part columns."""

TIGHT_GAP = 0.2
"""A blank of this many letter sizes may part columns where other lines say so."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a table: its box, tight to the letters, and the height of its letters in the same unit.

    typed: whether it is set in a typewriter face, whose blanks are as wide as its letters.
    """

    text: str
    box: Box
    size: float
    bold: bool = False
    raised: bool = False
    typed: bool = False


def blank_between(a: Token, b: Token) -> float:
    """How wide the blank between two words is; one blank of a typewriter's counts as narrow as a printer's."""
    gap = b.box.x0 - a.box.x1
    return TIGHT_GAP * a.size if a.typed and b.typed and 0 < gap <= TYPED_BLANK * a.size else gap


_CURRENCY = re.compile(r"^[$€£¥₤]{1,2}$|^(US|C|A|HK)\$$|^(EUR|USD|GBP)$")
_SIGN = re.compile(r"^[%‰)\]*†‡§°]{1,4}$|^\(?[a-z\d]\)$")
_OPENING = re.compile(r"^[(\[<>≤≥~±+−–-]$")
_VALUE = re.compile(
    r"^(?=.*\d)[^\W\d_]?[^A-Za-z\u00c0-\uffff]{1,28}((?<=\d)[a-zA-Z°]{1,2}|bn|mn|pp|kg|km|mm)?[)\]%*†‡§]{0,3}$"
)
_DATE = re.compile(r"^(\w{3,10}\.? \d{1,2}(, \d{4})?|\d{1,2}\.? \w{3,10}\.?,? \d{4})$")
_BLANK_VALUE = re.compile(r"^([-−–—]{1,3}|\.{1,3}|…|:|n/?\.?\s?[adsr]\.?|N/?A|NA|ND|NS|x|X|✓|✔|●|○|■|•|\*{1,3})$", re.I)
_YEAR = re.compile(r"^(19|20)\d\d([-/–](\d\d|\d{4}))?\*{0,2}[a-z]?$")
_LEADER = re.compile(r"(\s*[._…·]){3,}\s*$|^[._…·\s]+$")
_GROUPED = re.compile(r"^\d{3}([.,]\d+)?[)%*]?$")


_RAISABLE = "0123456789+-−"
_RAISED = str.maketrans(_RAISABLE, "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")


@dataclass(frozen=True)
class Segment:
    """Words of one line that stand together."""

    tokens: tuple[Token, ...]

    @cached_property
    def box(self) -> Box:
        boxes = [t.box for t in self.tokens]
        return Box(boxes[0].x0, min(b.y0 for b in boxes), max(b.x1 for b in boxes), max(b.y1 for b in boxes))

    @cached_property
    def text(self) -> str:
        """The words with blanks between them, but for raised and lowered ones that touch their word.

        A raised number after a digit is written raised: 98.7² must not become 98.72.
        """
        text = self.tokens[0].text
        for a, b in pairwise(self.tokens):
            small = abs(b.size - a.size) > 0.1 * max(a.size, b.size) or b.raised or a.raised
            touch = b.box.x0 - a.box.x1 < (0.15 if small else 0.04) * max(a.size, b.size)
            above = b.raised or (small and b.box.y1 < a.box.y1 - 0.15 * a.size)
            raised = touch and above and a.text[-1:].isdigit() and not set(b.text) - set(_RAISABLE)
            text += ("" if touch else " ") + (b.text.translate(_RAISED) if raised else b.text)
        return text

    @cached_property
    def value(self) -> bool:
        """Whether it is a number, a date, a sign for none, or a tick: what never wraps."""
        return any(pattern.match(self.text) for pattern in (_VALUE, _BLANK_VALUE, _DATE))

    @property
    def year(self) -> bool:
        return bool(_YEAR.match(self.text))

    @cached_property
    def bold(self) -> bool:
        return all(t.bold for t in self.tokens)

    @property
    def first_width(self) -> float:
        return self.tokens[0].box.width


@dataclass(frozen=True)
class Line:
    """The segments that stand on one baseline, left to right."""

    segments: tuple[Segment, ...]

    @cached_property
    def top(self) -> float:
        return min(s.box.y0 for s in self.segments)

    @cached_property
    def bottom(self) -> float:
        return max(s.box.y1 for s in self.segments)

    @cached_property
    def middle(self) -> float:
        heights = [(t.box.height, t.box.center[1]) for s in self.segments for t in s.tokens]
        tall = max(h for h, _ in heights)
        middles = sorted(y for h, y in heights if h > 0.8 * tall)
        return middles[len(middles) // 2]


def without_leaders(tokens: Sequence[Token]) -> list[Token]:
    """The words without the dots that lead the eye to the next column."""
    kept = []
    for token in tokens:
        text = _LEADER.sub("", token.text) if len(token.text) > 2 else token.text
        if text == token.text:
            kept.append(token)
        elif text:
            share = len(text) / len(token.text)
            box = Box(token.box.x0, token.box.y0, token.box.x0 + share * token.box.width, token.box.y1)
            kept.append(replace(token, text=text, box=box))
    return _without_spaced_leaders(kept)


def _without_spaced_leaders(tokens: list[Token]) -> list[Token]:
    """The words without runs of lone dots, each within two letter sizes of the next."""
    dots = sorted((t for t in tokens if t.text in {".", "..", "…", "·", "_"}), key=lambda t: (t.box.y0, t.box.x0))
    led: set[int] = set()
    run: list[Token] = []
    for dot in dots:
        if run and (abs(dot.box.y0 - run[-1].box.y0) > 0.3 * dot.size or dot.box.x0 - run[-1].box.x1 > 2 * dot.size):
            run = []
        run.append(dot)
        if len(run) >= 3:
            led |= {id(t) for t in run}
    return [t for t in tokens if id(t) not in led]


def rows_of_tokens(tokens: Sequence[Token]) -> list[list[Token]]:
    """Words by line, top to bottom, each left to right; raised and lowered words stay with the line they touch."""
    rows: list[list[Token]] = []
    cores: list[tuple[float, float]] = []
    for token in sorted(tokens, key=lambda t: (-round(t.size, 1), t.box.center[1])):
        top, bottom = token.box.y0, token.box.y1
        best, most = -1, 0.0
        for i, (y0, y1) in enumerate(cores):
            shared = (min(bottom, y1) - max(top, y0)) / max(1e-6, min(bottom - top, y1 - y0))
            if shared > most:
                best, most = i, shared
        if best >= 0 and most >= 0.5:
            rows[best].append(token)
        else:
            rows.append([token])
            cores.append((top, bottom))
    ordered = sorted(range(len(rows)), key=lambda i: sum(cores[i]))
    return [sorted(rows[i], key=lambda t: t.box.x0) for i in ordered]


def segments_of(row: Sequence[Token], walls: Sequence[float], size: float) -> list[Segment]:
    """The words of a line as segments, parted at wide blanks and at walls (places of rulings between columns)."""
    parts: list[list[Token]] = [[row[0]]]
    for a, b in pairwise(row):
        gap = blank_between(max(parts[-1], key=lambda t: t.box.x1), b)
        walled = any(a.box.center[0] < wall < b.box.center[0] for wall in walls)
        near = gap <= WORD_GAP * max(min(a.size, b.size), 0.7 * size) and not _two_values(a, b, gap)
        glued = (
            (bool(_CURRENCY.match(a.text)) and b.text[:1].isdigit() | (b.text[:1] in "(.-−–—") and gap < 8 * size)
            or ((bool(_SIGN.match(b.text)) or b.raised) and gap < 0.9 * size)
            or (bool(_OPENING.match(a.text)) and b.text[:1].isdigit() and gap < size)
        )
        if walled or not (near or glued):
            parts.append([b])
        else:
            parts[-1].append(b)
    return [Segment(tuple(part)) for part in parts]


def _two_values(a: Token, b: Token, gap: float) -> bool:
    """Whether two numbers stand too far apart to be one number written in groups of three digits."""
    both = a.text[-1:].isdigit() and bool(_VALUE.match(b.text)) and bool(_VALUE.match(a.text))
    return both and gap > 0.34 * a.size and not (_GROUPED.match(b.text) and len(a.text) <= 3)


# --- columns -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gutter:
    """A blank that runs down through the lines from x0 to x1; `support` lines have words on both its sides."""

    x0: float
    x1: float
    support: int

    @property
    def place(self) -> float:
        return (self.x0 + self.x1) / 2


def gutters(lines: Sequence[Sequence[Segment]], size: float, *, least: float = 0.0) -> list[Gutter]:
    """The gutters between columns. least: the share of the lines that has to have words on both sides of each."""
    counts = sorted(len(line) for line in lines if len(line) > 1)
    if not counts:
        return []
    body = [line for line in lines if len(line) >= max(2, 0.55 * counts[3 * len(counts) // 4])]
    blanks = _uncovered(body, len(body) // 6, size)
    blanks += [free for free in _uncovered(body, 0, size) if not any(free[0] < b[1] and b[0] < free[1] for b in blanks)]
    found = [Gutter(x0, x1, 0) for x0, x1 in sorted(blanks)]
    while found:
        judged = [_judged(found, n, body) for n in range(len(found))]
        worst = min(range(len(found)), key=lambda n: judged[n][1])
        if judged[worst][1] > 0:
            found = [gutter for gutter, _ in judged]
            break
        del found[worst]
    found = [g for g in found if g.support >= least * len(lines) and _is_wide(g, len(lines), size)]
    return _with_sparse(found, lines, body, size)


def _judged(found: Sequence[Gutter], n: int, body: Sequence[Sequence[Segment]]) -> tuple[Gutter, float]:
    """A gutter with its support, and how much more lines it parts than it cuts; columns reach to the next gutters."""
    gutter = found[n]
    left = found[n - 1].x0 if n else float("-inf")
    right = found[n + 1].x1 if n + 1 < len(found) else float("inf")
    before = [any(left <= s.box.x0 and s.box.x1 <= gutter.x1 for s in line) for line in body]
    after = [any(gutter.x0 <= s.box.x0 and s.box.x1 <= right for s in line) for line in body]
    support = sum(a and b for a, b in zip(before, after, strict=True))
    cut = sum(any(s.box.x0 < gutter.x0 and s.box.x1 > gutter.x1 for s in line) for line in body)
    alone = min(sum(before), sum(after)) < 2 and len(body) > 3
    return Gutter(gutter.x0, gutter.x1, support), support - 1.5 * cut - 2 * alone


def _is_wide(gutter: Gutter, lines: int, size: float) -> bool:
    """Whether a gutter is wide enough for the number of lines that keep it free."""
    wide = gutter.x1 - gutter.x0
    if gutter.support >= 3:
        return wide > TIGHT_GAP * size
    return wide > (0.9 if gutter.support > 1 else 1.5) * size and (gutter.support > 1 or lines < 5)


def _uncovered(lines: Sequence[Sequence[Segment]], slack: int, size: float) -> list[tuple[float, float]]:
    """Intervals between the leftmost and the rightmost word that at most `slack` lines have words in."""
    events = []
    for line in lines:
        for segment in line:
            start, stop = segment.tokens[0].box.x0, segment.tokens[0].box.x1
            for token in segment.tokens[1:]:
                blank = token.box.x0 - stop
                if blank > (TYPED_BLANK if token.typed else TIGHT_GAP) * size:
                    events += [(start, 1), (stop, -1)]
                    start = token.box.x0
                stop = max(stop, token.box.x1)
            events += [(start, 1), (stop, -1)]
    events.sort()
    found: list[tuple[float, float]] = []
    depth, since = 0, None
    for i, (x, step) in enumerate(events):
        before, depth = depth, depth + step
        if before > slack >= depth and i + 1 < len(events):
            since = x
        elif before <= slack < depth and since is not None:
            found.append((since, x))
            since = None
    return [(a, b) for a, b in found if b > a]


def _with_sparse(
    found: list[Gutter], lines: Sequence[Sequence[Segment]], body: Sequence[Sequence[Segment]], size: float
) -> list[Gutter]:
    """Gutters parted where a column that few lines fill stands within one: values between two columns."""
    done: list[Gutter] = []
    for gutter in found:
        inner = [
            s.box
            for line in lines
            for s in line
            if s.box.x0 > gutter.x0 + 0.5 * size and s.box.x1 < gutter.x1 - 0.5 * size and len(line) > 1
        ]
        if len(inner) >= 2 and not any(line in body and len(line) < 2 for line in lines):
            x0, x1 = min(b.x0 for b in inner), max(b.x1 for b in inner)
            done += [Gutter(gutter.x0, x0, gutter.support), Gutter(x1, gutter.x1, gutter.support)]
        else:
            done.append(gutter)
    return done


def split_at(segment: Segment, places: Sequence[Gutter], size: float) -> list[Segment]:
    """A segment parted where a blank between its words falls into a gutter and is wider than its other blanks."""
    blanks = [blank_between(a, b) for a, b in pairwise(segment.tokens)]
    parts: list[list[Token]] = [[segment.tokens[0]]]
    for (a, b), blank in zip(pairwise(segment.tokens), blanks, strict=True):
        at = any(a.box.x1 <= g.x1 + 0.1 * size and b.box.x0 >= g.x0 - 0.1 * size for g in places)
        if at and blank >= 0.3 * size and (len(blanks) == 1 or blank > 1.3 * min(blanks)):
            parts.append([b])
        else:
            parts[-1].append(b)
    return [Segment(tuple(part)) for part in parts]
